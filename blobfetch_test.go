package soma_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// heldElsewhere returns a DB whose space holds blobs of which no bytes are here.
func heldElsewhere(t *testing.T, contents ...string) (*soma.DB, soma.SpaceID) {
	t.Helper()
	author, db := somatest.Open(t), somatest.Open(t)
	space, err := author.Spaces().Create(t.Context(), soma.NewSpace{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range contents {
		if _, err := author.Blobs().Put(t.Context(), space.ID, strings.NewReader(content), soma.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	if err := errors.Join(author.Spaces().Export(t.Context(), space.ID, &archive), db.Spaces().Import(t.Context(), &archive)); err != nil {
		t.Fatal(err)
	}
	return db, space.ID
}

func wantWanted(t *testing.T, db *soma.DB, space soma.SpaceID, want ...string) {
	t.Helper()
	left := map[soma.CID]bool{}
	for _, content := range want {
		left[cidOf([]byte(content))] = true
	}
	for info, err := range db.Blobs().Wanted(t.Context(), space) {
		if err != nil {
			t.Fatal(err)
		}
		if !left[info.CID] || info.Here || info.SpaceID != space || info.Size == 0 {
			t.Errorf("wanted is %+v", info)
		}
		delete(left, info.CID)
	}
	if len(left) > 0 {
		t.Errorf("not wanted are %v", left)
	}
}

// Without a node nothing comes, and what is wanted is remembered.
func TestWantWithoutSync(t *testing.T) {
	db, space := heldElsewhere(t, "one", "two", "three")
	files, ctx := db.Blobs(), t.Context()
	one, two := cidOf([]byte("one")), cidOf([]byte("two"))
	wantWanted(t, db, space)
	if err := files.Want(ctx, space, one); err != nil {
		t.Fatal(err)
	}
	_, err := files.Open(ctx, space, two, soma.WithFetch(), soma.WithProgress(func(int64, int64) { t.Error("progress") }))
	if !errors.Is(err, soma.ErrSyncOff) || !errors.Is(err, soma.ErrNotHere) {
		t.Errorf("Open = %v, want ErrSyncOff, ErrNotHere", err)
	}
	wantWanted(t, db, space, "one", "two")
	if err := errors.Join(files.Unwant(ctx, space, one), files.Unwant(ctx, space, one)); err != nil {
		t.Errorf("Unwant = %v", err)
	}
	wantWanted(t, db, space, "two")
	if _, err := files.Put(ctx, space, strings.NewReader("two"), soma.PutOptions{}); !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Put = %v, want ErrForbidden", err)
	}
	for policy, want := range map[soma.PinPolicy][]string{
		soma.PinAll: {"one", "two", "three"}, soma.PinOnDemand: {"two"}, soma.PinNone: nil,
	} {
		if err := files.SetPin(ctx, space, policy); err != nil {
			t.Fatal(err)
		}
		if got, err := files.Pin(ctx, space); got != policy || err != nil {
			t.Errorf("Pin = %v, %v, want %v", got, err, policy)
		}
		wantWanted(t, db, space, want...)
		_, err := files.Open(ctx, space, one, soma.WithFetch())
		if want := map[bool]error{true: soma.ErrPinNone, false: soma.ErrSyncOff}[policy == soma.PinNone]; !errors.Is(err, want) {
			t.Errorf("Open with policy %v = %v, want %v", policy, err, want)
		}
		if err := files.SetPin(ctx, space, soma.PinOnDemand); err != nil {
			t.Fatal(err)
		}
		if err := files.Unwant(ctx, space, one); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.SetPin(ctx, space, 3); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("SetPin(3) = %v, want ErrInvalidOption", err)
	}
	for name, opts := range map[string][]soma.OpenOption{
		"nil option": {nil}, "nil progress": {soma.WithFetch(), soma.WithProgress(nil)},
		"progress of nothing": {soma.WithProgress(func(int64, int64) {})},
	} {
		if _, err := files.Open(ctx, space, two, opts...); !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("%s: Open = %v, want ErrInvalidOption", name, err)
		}
	}
	none := cidOf([]byte("none"))
	for name, err := range map[string]error{
		"Want": files.Want(ctx, space, none), "Want in no space": files.Want(ctx, "unknown", one), "SetPin": files.SetPin(ctx, "unknown", soma.PinAll),
		"Unwant in no space": files.Unwant(ctx, "unknown", one),
	} {
		if !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s = %v, want ErrNotFound", name, err)
		}
	}
	if err := files.Want(ctx, space, "x"); !errors.Is(err, soma.ErrInvalidCID) {
		t.Errorf("Want(x) = %v, want ErrInvalidCID", err)
	}
	// What is here is opened as ever, and never wanted.
	own, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "own"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Put(ctx, own.ID, strings.NewReader("two"), soma.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	wantWanted(t, db, space)
	b, err := files.Open(ctx, space, two, soma.WithFetch())
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
