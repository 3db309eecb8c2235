package soma_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

func TestSpaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	if spaces, err := db.Spaces().List(t.Context()); err != nil || len(spaces) != 0 {
		t.Errorf("List of a new DB = %+v, %v, want none", spaces, err)
	}
	var made []soma.Space
	before := time.Now().UnixMilli()
	for _, name := range []string{"Notes", "Notes", " ", "日本語 🙂", "👩\u200d👧", strings.Repeat("x", soma.MaxSpaceNameBytes), "a/b'c\"d"} {
		space, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: name})
		if err != nil {
			t.Errorf("Create(%q) = %v", name, err)
			continue
		}
		after := time.Now().UnixMilli()
		if space.Name != name || space.Role != soma.RoleOwner || space.CreatedAtMs < before || space.CreatedAtMs > after || space.UpdatedAtMs < space.CreatedAtMs {
			t.Errorf("Create(%q) = %+v, want that name, the owner's role and times of now", name, space)
		}
		if slices.ContainsFunc(made, func(s soma.Space) bool { return s.ID == space.ID }) {
			t.Errorf("Create(%q).ID = %s, which another space has", name, space.ID)
		}
		made = append(made, space)
		time.Sleep(2 * time.Millisecond) // List is in order of creation, to the millisecond
	}
	renamed, err := db.Spaces().Rename(t.Context(), made[1].ID, "Journal")
	if err != nil || renamed.Name != "Journal" || renamed.ID != made[1].ID || renamed.UpdatedAtMs <= made[1].UpdatedAtMs {
		t.Errorf("Rename = %+v, %v, want the new name and a later time than %+v", renamed, err, made[1])
	}
	made[1] = renamed
	again, err := db.Spaces().Rename(t.Context(), made[1].ID, "Journal")
	if err != nil || again != renamed {
		t.Errorf("Rename to the same name = %+v, %v, want no change: %+v", again, err, renamed)
	}
	for _, when := range []string{"at once", "after reopening"} {
		list, err := db.Spaces().List(t.Context())
		if err != nil || !slices.Equal(list, made) {
			t.Errorf("%s: List = %+v, %v, want %+v", when, list, err, made)
		}
		for _, want := range made {
			if got, err := db.Spaces().Get(t.Context(), want.ID); err != nil || got != want {
				t.Errorf("%s: Get(%s) = %+v, %v, want %+v", when, want.ID, got, err, want)
			}
		}
		mustClose(t, db)
		db = somatest.OpenDir(t, dir)
	}
}

func TestInvalidNames(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "x")
	archive := export(t, db, space)
	heard := db.Subscribe(t.Context())
	for _, name := range []string{"", strings.Repeat("x", soma.MaxSpaceNameBytes+1), "a\nb", "\x00", "a\xff", "\u0085", "a\u2028b", "\x7f"} {
		if got, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: name}); !errors.Is(err, soma.ErrInvalidName) || got != (soma.Space{}) {
			t.Errorf("Create(%q) = %+v, %v, want ErrInvalidName", name, got, err)
		}
		if got, err := db.Spaces().Rename(t.Context(), space, name); !errors.Is(err, soma.ErrInvalidName) || got != (soma.Space{}) {
			t.Errorf("Rename(%q) = %+v, %v, want ErrInvalidName", name, got, err)
		}
	}
	if list, err := db.Spaces().List(t.Context()); err != nil || len(list) != 1 || list[0].Name != "x" {
		t.Errorf("List after invalid names = %+v, %v, want x alone", list, err)
	}
	if after := export(t, db, space); !bytes.Equal(after, archive) {
		t.Errorf("export after invalid names has %d bytes, want the same %d", len(after), len(archive))
	}
	upsert(t, db, space, "marker", []byte{0, 0})
	if ev := <-heard; ev.DocumentID != "marker" {
		t.Errorf("first event = %+v, want none for invalid names", ev)
	}
}

// next returns the next event, without its time.
func next(t *testing.T, events <-chan soma.DomainEvent) soma.DomainEvent {
	t.Helper()
	ev, ok := <-events
	if !ok {
		t.Fatal("the channel of events is closed")
	}
	if err := ev.Validate(); err != nil || ev.AtMs == 0 {
		t.Errorf("event = %+v, %v, want a valid one", ev, err)
	}
	ev.AtMs = 0
	return ev
}

// wantEvents fails unless exactly these events come, in any order: marker is a
// write whose event cannot be missed, last.
func wantEvents(t *testing.T, db *soma.DB, events <-chan soma.DomainEvent, what string, want ...soma.DomainEvent) {
	t.Helper()
	marker := newSpace(t, db, "marker")
	upsert(t, db, marker, "marker", []byte{0, 0})
	var got []soma.DomainEvent
	spaces := 0
	for {
		ev := next(t, events)
		if ev.SpaceID == marker {
			break
		}
		if ev.Kind == soma.SpacesChanged {
			spaces++ // it may stand for the marker's as well
		}
		got = append(got, ev)
	}
	// Equal events are one while they wait, so the marker's spaces-changed comes
	// alone or within another.
	bySpaces := func(ev soma.DomainEvent) bool { return ev.Kind == soma.SpacesChanged }
	expected := 1
	if slices.ContainsFunc(want, bySpaces) {
		expected = 2
	}
	if spaces < 1 || spaces > expected {
		t.Errorf("events of %s: %d spaces-changed, the marker's included, want 1 to %d", what, spaces, expected)
	}
	key := func(a, b soma.DomainEvent) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	got = slices.DeleteFunc(got, bySpaces)
	want = slices.DeleteFunc(slices.Clone(want), bySpaces)
	slices.SortFunc(got, key)
	slices.SortFunc(want, key)
	if !slices.Equal(got, want) {
		t.Errorf("events of %s = %+v, want %+v", what, got, want)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	ctx := t.Context()
	heard := db.Subscribe(ctx)

	space := newSpace(t, db, "x")
	if got, want := next(t, heard), (soma.DomainEvent{Kind: soma.SpacesChanged, Source: soma.SourceRenderer}); got != want {
		t.Errorf("event of Create = %+v, want %+v", got, want)
	}
	if _, err := db.Spaces().Rename(ctx, space, "y"); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, db, heard, "Rename",
		soma.DomainEvent{Kind: soma.SpaceChanged, Source: soma.SourceRenderer, SpaceID: space},
		soma.DomainEvent{Kind: soma.SpacesChanged, Source: soma.SourceRenderer})
	if _, err := db.Spaces().Rename(ctx, space, "y"); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, db, heard, "Rename to the same name")

	document := func(source soma.EventSource, reason string) soma.DomainEvent {
		return soma.DomainEvent{Kind: soma.DocumentChanged, Source: source, SpaceID: space, DocumentID: "doc", Reason: reason}
	}
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "a"))
	wantEvents(t, db, heard, "Upsert", document(soma.SourceRenderer, ""))
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "a"))
	upsert(t, db, space, "doc", []byte{0, 0})
	wantEvents(t, db, heard, "Upsert of nothing new")
	upsert(t, db, space, "doc", somatest.Typed(1, 1, "b"), soma.WithSource(soma.SourceDaemon))
	wantEvents(t, db, heard, "Upsert WithSource", document(soma.SourceDaemon, ""))
	upsert(t, db, space, "doc", somatest.Typed(2, 5, "waits"))
	wantEvents(t, db, heard, "Upsert of what waits", document(soma.SourceRenderer, ""))
	upsert(t, db, space, "doc", somatest.Deletion(1, 0, 1))
	wantEvents(t, db, heard, "Upsert of a deletion", document(soma.SourceRenderer, ""))
	if err := db.Documents().Delete(ctx, space, "doc"); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, db, heard, "Delete", document(soma.SourceRenderer, soma.ReasonDeleted))
	upsert(t, db, space, "doc", []byte{0, 0}, soma.WithSource(soma.SourceRenderer))
	wantEvents(t, db, heard, "restoring", document(soma.SourceRenderer, ""))
	if err := db.Documents().Delete(ctx, space, "doc", soma.WithSource(soma.SourceDaemon)); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, db, heard, "Delete WithSource", document(soma.SourceDaemon, soma.ReasonDeleted))

	if _, err := db.Documents().Upsert(ctx, space, "doc", []byte("bad")); err == nil {
		t.Error("Upsert of bad bytes succeeds")
	}
	if _, err := db.Documents().Upsert(ctx, space, "doc", somatest.Typed(9, 0, "x"), soma.WithSource("bot")); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Upsert WithSource(%q) = %v, want ErrInvalidOption", "bot", err)
	}
	if _, err := db.Documents().Upsert(ctx, space, "doc", somatest.Typed(9, 0, "x"), nil); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Upsert with a nil option = %v, want ErrInvalidOption", err)
	}
	if err := db.Documents().Delete(ctx, space, "doc", soma.WithSource("")); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Delete WithSource(%q) = %v, want ErrInvalidOption", "", err)
	}
	if err := db.Documents().Delete(ctx, space, "doc"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Delete of a deleted document = %v, want ErrNotFound", err)
	}
	if err := db.Spaces().Import(ctx, strings.NewReader("bad")); err == nil {
		t.Error("Import of bad bytes succeeds")
	}
	wantEvents(t, db, heard, "calls that failed")

	other := somatest.Open(t)
	foreign := newSpace(t, other, "theirs")
	upsert(t, other, foreign, "one", somatest.Typed(1, 0, "1"))
	upsert(t, other, foreign, "two", somatest.Typed(1, 0, "2"))
	archive := export(t, other, foreign)
	importInto(t, db, archive)
	remote := func(doc soma.DocumentID, reason string) soma.DomainEvent {
		return soma.DomainEvent{Kind: soma.DocumentChanged, Source: soma.SourceDaemon, SpaceID: foreign, DocumentID: doc, Reason: reason}
	}
	named := soma.DomainEvent{Kind: soma.SpaceChanged, Source: soma.SourceDaemon, SpaceID: foreign}
	list := soma.DomainEvent{Kind: soma.SpacesChanged, Source: soma.SourceDaemon}
	wantEvents(t, db, heard, "Import", list, named, remote("one", ""), remote("two", ""))
	importInto(t, db, archive)
	wantEvents(t, db, heard, "Import again")
	upsert(t, other, foreign, "two", somatest.Typed(1, 1, "+"))
	importInto(t, db, export(t, other, foreign))
	wantEvents(t, db, heard, "Import of news", remote("two", ""))
	if err := other.Documents().Delete(ctx, foreign, "one"); err != nil {
		t.Fatal(err)
	}
	importInto(t, db, export(t, other, foreign))
	wantEvents(t, db, heard, "Import of a deletion", remote("one", soma.ReasonDeleted))
	if _, err := db.Documents().Upsert(ctx, foreign, "one", somatest.Typed(2, 0, "x")); !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Upsert into a foreign space = %v, want ErrForbidden", err)
	}
	if _, err := db.Spaces().Rename(ctx, foreign, "mine"); !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Rename of a foreign space = %v, want ErrForbidden", err)
	}
	wantEvents(t, db, heard, "forbidden calls")
}

func importInto(t *testing.T, db *soma.DB, archive []byte) {
	t.Helper()
	if err := db.Spaces().Import(t.Context(), bytes.NewReader(archive)); err != nil {
		t.Fatalf("Import = %v", err)
	}
}

// What an event tells of can be read: events come after the commit.
func TestEventsComeAfterTheCommit(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "x")
	heard := db.Subscribe(t.Context())
	const n = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			if _, err := db.Documents().Upsert(t.Context(), space, fmt.Sprint(i), somatest.Typed(1, 0, "x")); err != nil {
				t.Errorf("Upsert = %v", err)
			}
		}
	}()
	for range n {
		ev := next(t, heard)
		if _, err := db.Documents().Get(t.Context(), ev.SpaceID, ev.DocumentID); err != nil {
			t.Errorf("Get of the document of %+v = %v", ev, err)
		}
	}
	<-done
}

// Somebody who never reads costs the writers nothing, and hears in the end that
// everything may have changed.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	const n = 10_000
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "x")
	slow := db.Subscribe(t.Context())
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprint(i%(soma.MaxPendingEvents+1000)))
	}
	clocks := map[string]uint64{}
	type write struct {
		id    string
		clock uint64
	}
	var writes []write
	for _, id := range ids {
		writes = append(writes, write{id, clocks[id]})
		clocks[id]++
	}
	beside(writes, func(w write) {
		if _, err := db.Documents().Upsert(t.Context(), space, w.id, somatest.Typed(1, w.clock, "x")); err != nil {
			t.Errorf("Upsert beside a slow subscriber = %v", err)
		}
	})
	heard := map[string]bool{}
	all := false
	for !all {
		ev := next(t, slow)
		heard[ev.DocumentID] = true
		all = ev.Kind == soma.SpaceChanged && ev.SpaceID == space && ev.Reason == soma.ReasonWidened
		if len(heard) > soma.MaxPendingEvents {
			t.Fatalf("%d documents named and no widened event", len(heard))
		}
	}
}

func TestEventsEnd(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	byContext, byClose := db.Subscribe(ctx), db.Subscribe(t.Context())
	space := newSpace(t, db, "x")
	cancel()
	for range byContext {
	}
	if _, ok := <-db.Subscribe(ctx); ok {
		t.Error("Subscribe with a context that has ended yields an event")
	}
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "x"))
	if got := next(t, byClose).Kind; got != soma.SpacesChanged {
		t.Errorf("another subscription yields %q, want spaces-changed", got)
	}
	mustClose(t, db) // does not wait for what nobody reads
	for range byClose {
	}
}

// One member on two devices writes the same documents at the same time. Whatever
// they exchange, in whatever order, and how often: once each has everything, they
// are the same.
func TestTwoDevicesConverge(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3, 4} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			converge(t, seed)
		})
	}
}

// device is one of several directories of one member.
type device struct {
	dir    string
	db     *soma.DB
	key    ed25519.PrivateKey
	clocks map[string]uint64
	past   [][]byte // own exports, old ones are still true
}

func (d *device) open(t *testing.T) {
	d.db = somatest.OpenDir(t, d.dir, soma.WithIdentity(d.key), soma.WithRelaxedDurability())
}

func converge(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	devices := []*device{
		{dir: t.TempDir(), key: testKey(1), clocks: map[string]uint64{}},
		{dir: t.TempDir(), key: testKey(1), clocks: map[string]uint64{}},
		{dir: t.TempDir(), key: testKey(1), clocks: map[string]uint64{}},
	}
	for _, d := range devices {
		d.open(t)
	}
	space := newSpace(t, devices[0].db, "shared")
	first := export(t, devices[0].db, space)
	for _, d := range devices {
		importInto(t, d.db, first)
	}
	docs := []string{"a", "b", "c"}
	steps := func(n int) {
		for range n {
			i := rng.IntN(len(devices))
			d, doc := devices[i], docs[rng.IntN(len(docs))]
			switch what := rng.IntN(20); {
			case what < 11:
				piece := strings.Repeat(string(rune('a'+i)), 1+rng.IntN(5))
				upsert(t, d.db, space, doc, somatest.Typed(uint64(i+1), d.clocks[doc], piece))
				d.clocks[doc] += uint64(len(piece))
			case what < 13:
				// Of anybody's text, also of text that is not here yet.
				upsert(t, d.db, space, doc, somatest.Deletion(uint64(1+rng.IntN(3)), uint64(rng.IntN(30)), uint64(1+rng.IntN(3))))
			case what < 14:
				if err := d.db.Documents().Delete(t.Context(), space, doc); err != nil && !errors.Is(err, soma.ErrNotFound) {
					t.Fatalf("Delete = %v", err)
				}
			case what < 15:
				if _, err := d.db.Spaces().Rename(t.Context(), space, fmt.Sprint("name ", rng.IntN(5))); err != nil {
					t.Fatalf("Rename = %v", err)
				}
			case what < 16:
				mustClose(t, d.db)
				d.open(t)
			case what < 18:
				d.past = append(d.past, export(t, d.db, space))
			default:
				if from := devices[rng.IntN(len(devices))]; len(from.past) > 0 {
					importInto(t, d.db, from.past[rng.IntN(len(from.past))])
				}
			}
		}
	}
	exchange := func() {
		for range 2 { // the first one learns from the last in the second round
			for _, i := range rng.Perm(len(devices)) {
				for _, j := range rng.Perm(len(devices)) {
					importInto(t, devices[j].db, export(t, devices[i].db, space))
				}
			}
		}
	}
	for round := range 4 {
		steps(60)
		exchange()
		wantEqual(t, fmt.Sprint("round ", round), devices, space, docs)
	}
	for _, d := range devices { // nothing hangs on what is in memory
		mustClose(t, d.db)
		d.open(t)
	}
	wantEqual(t, "after reopening", devices, space, docs)
	fresh := &device{dir: t.TempDir(), key: testKey(2)}
	fresh.open(t)
	importInto(t, fresh.db, export(t, devices[1].db, space))
	wantEqual(t, "another member", append(devices, fresh), space, docs)
}

func wantEqual(t *testing.T, when string, devices []*device, space soma.SpaceID, docs []string) {
	t.Helper()
	state := func(d *device) []string {
		s, err := d.db.Spaces().Get(t.Context(), space)
		if err != nil {
			t.Fatalf("%s: Get = %v", when, err)
		}
		lines := []string{"name " + s.Name}
		for _, id := range docs {
			doc, err := d.db.Documents().Get(t.Context(), space, id)
			if errors.Is(err, soma.ErrNotFound) {
				lines = append(lines, id+" is deleted")
				continue
			}
			if err != nil {
				t.Fatalf("%s: Get(%q) = %v", when, id, err)
			}
			txt := text(t, d.db, space, id)
			lines = append(lines, fmt.Sprintf("%s: %q %x, vector %x", id, txt, doc.Update, doc.StateVector))
		}
		return lines
	}
	want := state(devices[0])
	for i, d := range devices[1:] {
		if got := state(d); !slices.Equal(got, want) {
			t.Errorf("%s: device %d has\n%s\nwant as device 0\n%s", when, i+1, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// A delete hides what it knew of. An update that it did not know of restores.
func TestDeleteBesideAnUpdate(t *testing.T) {
	t.Parallel()
	t.Run("exported before", func(t *testing.T) { deleteBesideAnUpdate(t, true) })
	// The editor's update is in no entry yet when the delete arrives.
	t.Run("exported after", func(t *testing.T) { deleteBesideAnUpdate(t, false) })
}

func deleteBesideAnUpdate(t *testing.T, before bool) {
	a := somatest.Open(t, soma.WithIdentity(testKey(1)))
	b := somatest.Open(t, soma.WithIdentity(testKey(1)), soma.WithRelaxedDurability())
	space := newSpace(t, a, "x")
	for _, doc := range []string{"edited", "untouched"} {
		upsert(t, a, space, doc, somatest.Typed(1, 0, "first"))
	}
	importInto(t, b, export(t, a, space))
	for _, doc := range []string{"edited", "untouched"} {
		if err := a.Documents().Delete(t.Context(), space, doc); err != nil {
			t.Fatal(err)
		}
	}
	upsert(t, b, space, "edited", somatest.Typed(2, 0, "second "))
	fromA := export(t, a, space)
	if before {
		importInto(t, a, export(t, b, space))
		importInto(t, b, fromA)
	} else {
		importInto(t, b, fromA)
		importInto(t, a, export(t, b, space))
	}
	for name, db := range map[string]*soma.DB{"deleter": a, "editor": b} {
		if got, err := db.Documents().Text(t.Context(), space, "edited"); err != nil || !strings.Contains(got, "second ") || !strings.Contains(got, "first") {
			t.Errorf("%s: Text of the edited document = %q, %v, want it restored with both texts", name, got, err)
		}
		if _, err := db.Documents().Get(t.Context(), space, "untouched"); !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s: Get of the untouched document = %v, want ErrNotFound", name, err)
		}
	}
	// A later delete, which knows of everything, counts everywhere.
	if err := b.Documents().Delete(t.Context(), space, "edited"); err != nil {
		t.Fatal(err)
	}
	importInto(t, a, export(t, b, space))
	if _, err := a.Documents().Get(t.Context(), space, "edited"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get after a later delete = %v, want ErrNotFound", err)
	}
}
