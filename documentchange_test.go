package soma_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// nextChange returns the next change, which must come.
func nextChange(t *testing.T, changes <-chan soma.DocumentChange) soma.DocumentChange {
	t.Helper()
	select {
	case c, ok := <-changes:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("no change came")
	}
	return soma.DocumentChange{}
}

// follow follows the document "page".
func follow(t *testing.T, db *soma.DB, space soma.SpaceID) <-chan soma.DocumentChange {
	t.Helper()
	changes, err := db.Documents().Follow(t.Context(), space, "page")
	if err != nil {
		t.Fatalf("Follow(%q) = %v", "page", err)
	}
	return changes
}

func TestFollow(t *testing.T) {
	ctx := t.Context()
	db := somatest.Open(t)
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Space"})
	if err != nil {
		t.Fatal(err)
	}
	docs := db.Documents()
	changes, others := follow(t, db, space.ID), follow(t, db, space.ID)

	first := somatest.Typed(1, 0, "Hello")
	if _, err := docs.Upsert(ctx, space.ID, "page", first, soma.WithOrigin("me")); err != nil {
		t.Fatal(err)
	}
	for _, ch := range []<-chan soma.DocumentChange{changes, others} {
		if c := nextChange(t, ch); !bytes.Equal(c.Update, first) || c.Origin != "me" || c.Epoch != nil {
			t.Errorf("change %+v, want the update of me", c)
		}
	}
	// Again is no news, nor is another document. Of what is sent again only the rest is new.
	for _, w := range []struct {
		id     soma.DocumentID
		update []byte
	}{{"page", first}, {"other", first}, {"page", somatest.Typed(1, 0, "Hello!")}} {
		if _, err := docs.Upsert(ctx, space.ID, w.id, w.update); err != nil {
			t.Fatal(err)
		}
	}
	if c := nextChange(t, changes); !bytes.Contains(c.Update, []byte("!")) || bytes.Contains(c.Update, []byte("Hello")) || c.Origin != nil {
		t.Errorf("change %+v, want what was new", c)
	}
	_, err = docs.Edit(ctx, space.ID, "page", func(tx *soma.EditTx) error { return tx.Text(somatest.Root).Insert(0, "Go", nil) })
	if err != nil {
		t.Fatal(err)
	}
	if c := nextChange(t, changes); !bytes.Contains(c.Update, []byte("Go")) {
		t.Errorf("change %+v, want that of Edit", c)
	}
	// A delete, and what brings the document back, say more than an update could.
	if err := docs.Delete(ctx, space.ID, "page"); err != nil {
		t.Fatal(err)
	}
	if _, err := docs.Upsert(ctx, space.ID, "page", somatest.Typed(2, 0, "x"), soma.WithOrigin("me")); err != nil {
		t.Fatal(err)
	}
	if c := nextChange(t, changes); c.Update != nil {
		t.Errorf("change %+v, want none with an update", c)
	}
}

// TestFollowRemote follows what comes from another member.
func TestFollowRemote(t *testing.T) {
	ctx := t.Context()
	a, b := somatest.Open(t), somatest.Open(t)
	space, err := a.Spaces().Create(ctx, soma.NewSpace{Name: "Space"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Spaces().AddMember(ctx, space.ID, soma.NewMember{Peer: b.PeerID(), Role: soma.RoleEditor}); err != nil {
		t.Fatal(err)
	}
	changes := follow(t, b, space.ID)
	if _, err := a.Documents().Upsert(ctx, space.ID, "page", somatest.Typed(1, 0, "Hello")); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := a.Spaces().Export(ctx, space.ID, &archive); err != nil {
		t.Fatal(err)
	}
	if err := b.Spaces().Import(ctx, &archive); err != nil {
		t.Fatal(err)
	}
	if c := nextChange(t, changes); !bytes.Contains(c.Update, []byte("Hello")) {
		t.Errorf("change %+v, want that of the other member", c)
	}
}

// TestFollowSlowly reads after more was written than may wait.
func TestFollowSlowly(t *testing.T) {
	ctx := t.Context()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Space"})
	if err != nil {
		t.Fatal(err)
	}
	changes := follow(t, db, space.ID)
	const size = 1 << 20
	text := strings.Repeat("x", size)
	const written = soma.MaxPendingUpdateBytes/size + 2
	for i := range written {
		if _, err := db.Documents().Upsert(ctx, space.ID, "page", somatest.Typed(1, uint64(i*size), text)); err != nil {
			t.Fatal(err)
		}
	}
	last := somatest.Typed(2, 0, "last")
	if _, err := db.Documents().Upsert(ctx, space.ID, "page", last); err != nil {
		t.Fatal(err)
	}
	var got []soma.DocumentChange
	for len(got) == 0 || !bytes.Equal(got[len(got)-1].Update, last) {
		got = append(got, nextChange(t, changes))
		if len(got) >= written {
			t.Fatalf("%d changes, want one to stand for most", len(got))
		}
	}
	again := 0
	for _, c := range got {
		if c.Update == nil {
			again++
		}
	}
	if again == 0 {
		t.Error("no change says that the document is to be read again")
	}
}

func TestFollowEnds(t *testing.T) {
	db := somatest.Open(t)
	if _, err := db.Documents().Follow(t.Context(), "space", ""); !errors.Is(err, soma.ErrInvalidID) {
		t.Errorf("Follow = %v, want ErrInvalidID", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped, err := db.Documents().Follow(ctx, "space", "page")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	open := follow(t, db, "space")
	if _, ok := <-stopped; ok {
		t.Error("a change after the end")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := <-open; ok {
		t.Error("a change after Close")
	}
	if _, err := db.Documents().Follow(t.Context(), "space", "page"); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Follow after Close = %v, want ErrClosed", err)
	}
}

func TestRevision(t *testing.T) {
	ctx := t.Context()
	db := somatest.Open(t)
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Space"})
	if err != nil {
		t.Fatal(err)
	}
	nothing, err := db.Documents().Revision(ctx, space.ID, "page")
	if err != nil || nothing.UpdatedAtMs != 0 || !bytes.Equal(nothing.StateVector, []byte{0}) {
		t.Errorf("Revision = %+v, %v, want nothing", nothing, err)
	}
	want, err := db.Documents().Upsert(ctx, space.ID, "page", somatest.Typed(1, 0, "Hello"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.Documents().Revision(ctx, space.ID, "page")
	if err != nil || got.UpdatedAtMs != want.UpdatedAtMs || !bytes.Equal(got.StateVector, want.StateVector) {
		t.Errorf("Revision = %+v, %v, want %+v", got, err, want)
	}
	if _, err := db.Documents().Revision(ctx, space.ID, ""); !errors.Is(err, soma.ErrInvalidID) {
		t.Errorf("Revision = %v, want ErrInvalidID", err)
	}
}
