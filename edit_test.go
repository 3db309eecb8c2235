package soma_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// write is an edit that types at the end of the root "text".
func write(s string) func(*soma.EditTx) error {
	return func(tx *soma.EditTx) error {
		text := tx.Text("text")
		return text.Insert(text.Len(), s, nil)
	}
}

func edit(t *testing.T, db *soma.DB, space soma.SpaceID, doc string, fn func(*soma.EditTx) error) soma.Revision {
	t.Helper()
	rev, err := db.Documents().Edit(t.Context(), space, doc, fn)
	if err != nil {
		t.Fatalf("Edit(%q) = %v", doc, err)
	}
	return rev
}

// rootText returns the root "text", as View sees it.
func rootText(t *testing.T, db *soma.DB, space soma.SpaceID, doc string) (text string) {
	t.Helper()
	err := db.Documents().View(t.Context(), space, doc, func(tx *soma.ViewTx) error {
		text = tx.Text("text").String()
		return tx.Text("text").Err()
	})
	if err != nil {
		return err.Error()
	}
	return text
}

func clientsOf(t *testing.T, vector []byte) map[uint64]uint64 {
	t.Helper()
	ends, err := stateVector(vector)
	if err != nil {
		t.Fatal(err)
	}
	return ends
}

func TestEdit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "space")
	var rev soma.Revision
	events := collectEvents(t, db, func() {
		rev = edit(t, db, space, "page", func(tx *soma.EditTx) error {
			for i := range 50 {
				if err := errors.Join(
					write(fmt.Sprint(i%10))(tx),
					tx.Array("list").Push(i),
					tx.Map("map").Set(fmt.Sprint("key ", i), soma.NewText("nested")),
				); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if len(events) != 1 || events[0].Kind != soma.DocumentChanged || events[0].DocumentID != "page" || events[0].Source != soma.SourceRenderer {
		t.Errorf("events = %+v", events)
	}
	doc, err := db.Documents().Get(t.Context(), space, "page")
	if err != nil {
		t.Fatal(err)
	}
	if doc.UpdatedAtMs != rev.UpdatedAtMs || !bytes.Equal(doc.StateVector, rev.StateVector) || !bytes.Equal(doc.Epoch, rev.Epoch) {
		t.Errorf("revision = %+v, document = %+v", rev, doc)
	}
	if want := strings.Repeat("0123456789", 5); rootText(t, db, space, "page") != want {
		t.Errorf("text = %q, want %q", rootText(t, db, space, "page"), want)
	}

	// Another database that gets the state reads the same.
	other := somatest.Open(t)
	elsewhere := newSpace(t, other, "space")
	if _, err := other.Documents().Upsert(t.Context(), elsewhere, "page", doc.Update); err != nil {
		t.Fatal(err)
	}
	want, err := db.Documents().JSON(t.Context(), space, "page")
	if err != nil {
		t.Fatal(err)
	}
	got, err := other.Documents().JSON(t.Context(), elsewhere, "page")
	if err != nil || !sameJSON(got, want) {
		t.Errorf("JSON elsewhere = %s, %v, want %s", got, err, want)
	}

	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = somatest.OpenDir(t, dir)
	again, err := db.Documents().Get(t.Context(), space, "page")
	if err != nil || !bytes.Equal(again.Update, doc.Update) {
		t.Errorf("after reopening the state is another one: %v", err)
	}
}

// What an Edit writes is found, and what it fails to write is not.
func TestSearchFindsEdits(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", write("first"))
	find := func(word string) int {
		t.Helper()
		hits, err := db.Documents().Search(t.Context(), space, word, soma.WithFresh())
		if err != nil {
			t.Fatal(err)
		}
		return len(hits)
	}
	if n := find("first"); n != 1 {
		t.Errorf("%d hits, want 1", n)
	}
	edit(t, db, space, "page", write(" second"))
	_, err := db.Documents().Edit(t.Context(), space, "page", func(tx *soma.EditTx) error { return errors.Join(write(" third")(tx), errFailed) })
	if !errors.Is(err, errFailed) || find("second") != 1 || find("third") != 0 {
		t.Errorf("hits: %d of second, %d of third, %v", find("second"), find("third"), err)
	}
}

func TestEditSource(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	events := collectEvents(t, db, func() {
		_, err := db.Documents().Edit(t.Context(), space, "page", write("x"), soma.WithSource(soma.SourceDaemon))
		if err != nil {
			t.Error(err)
		}
	})
	if len(events) != 1 || events[0].Source != soma.SourceDaemon {
		t.Errorf("events = %+v", events)
	}
}

// Whatever way a function ends but by success, nothing is stored, no event fires, and the
// next edits show no trace of it.
func TestEditIsAtomic(t *testing.T) {
	t.Parallel()
	errOwn := errors.New("own")
	half := func(tx *soma.EditTx) error {
		return errors.Join(write("half")(tx), tx.Map("map").Set("a", 1), tx.Text("text").Delete(0, 1))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	cases := []struct {
		name string
		run  func(documents soma.Documents, space soma.SpaceID) error
		want error
	}{
		{"error", func(d soma.Documents, space soma.SpaceID) error {
			_, err := d.Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
				if err := half(tx); err != nil {
					return err
				}
				return fmt.Errorf("wrapped: %w", errOwn)
			})
			return err
		}, errOwn},
		{"panic", func(d soma.Documents, space soma.SpaceID) (err error) {
			defer func() { err, _ = recover().(error) }()
			_, _ = d.Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
				if err := half(tx); err != nil {
					return err
				}
				panic(errOwn)
			})
			return nil
		}, errOwn},
		{"end of the goroutine", func(d soma.Documents, space soma.SpaceID) error {
			done := make(chan error, 1)
			go func() {
				defer close(done)
				_, err := d.Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
					if err := half(tx); err == nil {
						runtime.Goexit()
					}
					return nil
				})
				done <- err
			}()
			return <-done // nothing was sent
		}, nil},
		{"context that has ended", func(d soma.Documents, space soma.SpaceID) error {
			_, err := d.Edit(ended, space, "page", half)
			return err
		}, context.Canceled},
		{"context that ends", func(d soma.Documents, space soma.SpaceID) error {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := d.Edit(ctx, space, "page", func(tx *soma.EditTx) error {
				cancel()
				return half(tx)
			})
			return err
		}, context.Canceled},
		{"operation out of range", func(d soma.Documents, space soma.SpaceID) error {
			_, err := d.Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
				if err := half(tx); err != nil {
					return err
				}
				return tx.Text("text").Insert(1000, "x", nil)
			})
			return err
		}, soma.ErrOutOfRange},
		{"too much", func(d soma.Documents, space soma.SpaceID) error {
			_, err := d.Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
				return errors.Join(half(tx), tx.Map("map").Set("large", make([]byte, soma.MaxEditBytes)))
			})
			return err
		}, soma.ErrTooLarge},
		{"change of nothing", func(d soma.Documents, space soma.SpaceID) error {
			before, err := d.Get(t.Context(), space, "page")
			if err != nil {
				return err
			}
			rev, err := d.Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
				tx.Array("never") // a handle alone is nothing
				return errors.Join(tx.Text("text").Insert(0, "", nil), tx.Map("map").Delete("missing"), tx.Text("text").Delete(1, 0))
			})
			if rev.UpdatedAtMs != before.UpdatedAtMs || !bytes.Equal(rev.StateVector, before.StateVector) {
				err = errors.Join(err, fmt.Errorf("revision %+v, before %+v", rev, before))
			}
			return err
		}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := somatest.Open(t)
			space := newSpace(t, db, "space")
			edit(t, db, space, "page", write("start"))
			before, err := db.Documents().Get(t.Context(), space, "page")
			if err != nil {
				t.Fatal(err)
			}
			entriesBefore := len(entries(t, export(t, db, space)))
			events := collectEvents(t, db, func() {
				if err := c.run(db.Documents(), space); !errors.Is(err, c.want) {
					t.Errorf("Edit = %v, want %v", err, c.want)
				}
			})
			if len(events) != 0 {
				t.Errorf("events = %+v", events)
			}
			wantSame(t, db, before, c.name)
			if n := len(entries(t, export(t, db, space))); n != entriesBefore {
				t.Errorf("%d entries were added", n-entriesBefore)
			}
			edit(t, db, space, "page", write(" end"))
			if text := rootText(t, db, space, "page"); text != "start end" {
				t.Errorf("text = %q", text)
			}
			if body, err := db.Documents().JSON(t.Context(), space, "page"); err != nil || !sameJSON(body, []byte(`{"text":"start end"}`)) {
				t.Errorf("JSON = %s, %v", body, err)
			}
		})
	}
}

// A function that panics leaves the panic as it is.
func TestEditPanicGoesOn(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	for _, call := range map[string]func(){
		"Edit": func() {
			_, _ = db.Documents().Edit(t.Context(), space, "page", func(*soma.EditTx) error { panic("mine") })
		},
		"View": func() {
			edit(t, db, space, "page", write("x"))
			_ = db.Documents().View(t.Context(), space, "page", func(*soma.ViewTx) error { panic("mine") })
		},
	} {
		func() {
			defer func() {
				if got := recover(); got != "mine" {
					t.Errorf("recover() = %v", got)
				}
			}()
			call()
		}()
		edit(t, db, space, "page", write("x"))
	}
}

func TestEditOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	nothing := func(*soma.EditTx) error { return nil }
	rev, err := db.Documents().Edit(t.Context(), space, "page", nothing)
	if err != nil || rev.UpdatedAtMs != 0 || !bytes.Equal(rev.StateVector, []byte{0}) {
		t.Errorf("Edit that changes nothing = %+v, %v", rev, err)
	}
	viewed := false
	err = db.Documents().View(t.Context(), space, "page", func(*soma.ViewTx) error { viewed = true; return nil })
	if !errors.Is(err, soma.ErrNotFound) || viewed {
		t.Errorf("View = %v, function called: %t", err, viewed)
	}
	edit(t, db, space, "page", write("text"))
	if err := db.Documents().Delete(t.Context(), space, "page"); err != nil {
		t.Fatal(err)
	}
	if err := db.Documents().View(t.Context(), space, "page", func(*soma.ViewTx) error { return nil }); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("View of a deleted document = %v", err)
	}
	edit(t, db, space, "page", nothing)
	if _, err := db.Documents().Get(t.Context(), space, "page"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get after an Edit that changes nothing = %v", err)
	}
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		if text := tx.Text("text").String(); text != "text" {
			t.Errorf("text of a deleted document = %q", text)
		}
		return write(" again")(tx)
	})
	if text := rootText(t, db, space, "page"); text != "text again" {
		t.Errorf("text = %q", text)
	}

	called := func(*soma.EditTx) error { t.Error("the function was called"); return nil }
	view := func(*soma.ViewTx) error { t.Error("the function was called"); return nil }
	for name, want := range map[string]struct {
		space soma.SpaceID
		doc   string
		opts  []soma.WriteOption
		err   error
	}{
		"unknown space":  {space: "bafy", doc: "page", err: soma.ErrNotFound},
		"invalid space":  {space: "", doc: "page", err: soma.ErrNotFound},
		"invalid ID":     {space: space, doc: "", err: soma.ErrInvalidID},
		"nil option":     {space: space, doc: "page", opts: []soma.WriteOption{nil}, err: soma.ErrInvalidOption},
		"unknown source": {space: space, doc: "page", opts: []soma.WriteOption{soma.WithSource("me")}, err: soma.ErrInvalidOption},
		"other epoch":    {space: space, doc: "page", opts: []soma.WriteOption{soma.WithEpoch([]byte("old"))}, err: soma.ErrStaleDocument},
	} {
		if _, err := db.Documents().Edit(t.Context(), want.space, want.doc, called, want.opts...); !errors.Is(err, want.err) && !errors.Is(err, soma.ErrInvalidID) {
			t.Errorf("%s: Edit = %v, want %v", name, err, want.err)
		}
		if want.opts == nil {
			if err := db.Documents().View(t.Context(), want.space, want.doc, view); !errors.Is(err, want.err) && !errors.Is(err, soma.ErrInvalidID) {
				t.Errorf("%s: View = %v, want %v", name, err, want.err)
			}
		}
	}
	if _, err := db.Documents().Edit(t.Context(), space, "page", nil); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Edit without a function = %v", err)
	}
	if err := db.Documents().View(t.Context(), space, "page", nil); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("View without a function = %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Documents().Edit(t.Context(), space, "page", called); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Edit after Close = %v", err)
	}
	if err := db.Documents().View(t.Context(), space, "page", view); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("View after Close = %v", err)
	}
}

func TestWhoMayEdit(t *testing.T) {
	t.Parallel()
	m := newTeam(t, "bob")
	m.must("Edit", justErr(m.dbs["bob"].Documents().Edit(m.ctx(), m.space, "page", write("bob"))))
	m.sync()
	m.must("SetRole", m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer("bob"), soma.RoleViewer))
	m.sync()
	called := func(*soma.EditTx) error { t.Error("the function was called"); return nil }
	if _, err := m.dbs["bob"].Documents().Edit(m.ctx(), m.space, "page", called); !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Edit by a viewer = %v, want ErrForbidden", err)
	}
	if text := rootText(t, m.dbs["bob"], m.space, "page"); text != "bob" {
		t.Errorf("View by a viewer reads %q", text)
	}

	// The right is lost while the function runs.
	m.must("SetRole", m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer("bob"), soma.RoleOwner))
	m.sync()
	_, err := m.dbs["bob"].Documents().Edit(m.ctx(), m.space, "page", func(tx *soma.EditTx) error {
		m.must("SetRole", m.dbs["bob"].Spaces().SetRole(m.ctx(), m.space, m.peer("bob"), soma.RoleViewer))
		return write("too late")(tx)
	})
	if !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Edit = %v, want ErrForbidden", err)
	}
	m.sync()
	m.wantText("page", "bob")
}

func justErr[T any](_ T, err error) error { return err }

func TestEditEpochs(t *testing.T) {
	t.Parallel()
	m := newTeam(t, "bob")
	ann, bob := m.dbs["ann"].Documents(), m.dbs["bob"].Documents()
	first := edit(t, m.dbs["ann"], m.space, "page", write("ann"))
	m.sync()
	m.must("RemoveMember", m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("bob"), soma.RemoveOptions{}))
	m.must("Edit", justErr(bob.Edit(m.ctx(), m.space, "page", write("void"))))
	m.send("bob", "ann")
	second, err := ann.Edit(m.ctx(), m.space, "page", write(" goes on"))
	m.must("Edit", err)
	if len(second.Epoch) == 0 || rootText(t, m.dbs["ann"], m.space, "page") != "ann goes on" {
		t.Errorf("epoch %x, text %q", second.Epoch, rootText(t, m.dbs["ann"], m.space, "page"))
	}
	old := clientsOf(t, first.StateVector)
	for client, end := range clientsOf(t, second.StateVector) {
		if old[client] > 0 && old[client] != end {
			t.Errorf("client %d goes on after the document was rebuilt", client)
		}
	}
	if _, err := ann.Edit(m.ctx(), m.space, "page", write("no"), soma.WithEpoch(first.Epoch)); !errors.Is(err, soma.ErrStaleDocument) {
		t.Errorf("Edit with the epoch of before = %v, want ErrStaleDocument", err)
	}
	m.must("Edit", justErr(ann.Edit(m.ctx(), m.space, "page", write("!"), soma.WithEpoch(second.Epoch))))
	m.sync()
	m.wantText("page", "ann goes on!")
}

func TestEditClientIDs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "space")
	all := map[uint64]bool{}
	for open := range 3 {
		for doc := range 3 {
			var rev soma.Revision
			for range 4 {
				rev = edit(t, db, space, fmt.Sprint("doc ", doc), write("x"))
			}
			clients := clientsOf(t, rev.StateVector)
			if len(clients) != open+1 {
				t.Errorf("open %d: document %d has the clients %v", open, doc, clients)
			}
			for client, end := range clients {
				if all[client] = true; client >= 1<<32 || end != 4 {
					t.Errorf("client %d wrote %d units", client, end)
				}
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = somatest.OpenDir(t, dir)
	}
	if len(all) != 9 {
		t.Errorf("%d clients, want one per open and document", len(all))
	}
}

// Inside of a function everything may be called, for the same document too.
func TestEditInsideOfEdit(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", write("start "))
	inGoroutine := func(fn func()) {
		done := make(chan struct{})
		go func() { defer close(done); fn() }()
		<-done
	}
	edit(t, db, space, "page", func(tx *soma.EditTx) error {
		if err := write("outer ")(tx); err != nil {
			return err
		}
		edit(t, db, space, "page", func(tx *soma.EditTx) error {
			if text := tx.Text("text").String(); text != "start " {
				t.Errorf("the inner function sees %q", text)
			}
			return write("inner ")(tx)
		})
		inGoroutine(func() { edit(t, db, space, "page", write("goroutine ")) })
		inGoroutine(func() { edit(t, db, space, "other", write("other")) })
		if text := rootText(t, db, space, "page"); strings.Contains(text, "outer") || !strings.Contains(text, "inner ") {
			t.Errorf("a View inside sees %q", text)
		}
		if _, err := db.Documents().Upsert(t.Context(), space, "page", typed(5, 0, nil, "upsert ")); err != nil {
			t.Error(err)
		}
		if text := tx.Text("text").String(); text != "start outer " {
			t.Errorf("the outer function sees %q", text)
		}
		return nil
	})
	err := db.Documents().View(t.Context(), space, "page", func(tx *soma.ViewTx) error {
		before := tx.Text("text").String()
		edit(t, db, space, "page", write("view "))
		inGoroutine(func() { rootText(t, db, space, "page") })
		if after := tx.Text("text").String(); after != before {
			t.Errorf("a View sees %q, then %q", before, after)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	words := strings.Fields(rootText(t, db, space, "page"))
	slices.Sort(words)
	if want := []string{"goroutine", "inner", "outer", "start", "upsert", "view"}; !slices.Equal(words, want) {
		t.Errorf("words = %q, want %q", words, want)
	}
}

// words are what the tests of concurrency write: <who-number>.
var wordsOnly = regexp.MustCompile(`^(<[a-z0-9]+-[0-9]+>)*$`)

// insertWord puts a word between others, in two steps.
func insertWord(r *rand.Rand, word string) func(*soma.EditTx) error {
	return func(tx *soma.EditTx) error {
		text := tx.Text("text")
		before := text.String()
		if !wordsOnly.MatchString(before) {
			return fmt.Errorf("the text is %q", before)
		}
		if r.IntN(10) == 0 { // more patience than others have
			time.Sleep(60 * time.Millisecond)
		}
		at := strings.LastIndex(before[:r.IntN(len(before)+1)], ">") + 1
		return errors.Join(text.Insert(at, word[:2], nil), text.Insert(at+2, word[2:], nil))
	}
}

// written notes which words were stored, and which were not.
type written struct {
	mu   sync.Mutex
	docs map[string]string // word -> document, "" for a failed edit
}

func (w *written) note(word, doc string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		doc = ""
	}
	w.docs[word] = doc
}

// sharedDocs is how many documents the tests of concurrency write to.
const sharedDocs = 2

// check looks whether each word is there once in its document, and nowhere else.
func (w *written) check(t *testing.T, db *soma.DB, space soma.SpaceID) {
	t.Helper()
	texts := map[string]string{}
	for i := range sharedDocs {
		doc := fmt.Sprint("doc ", i)
		if texts[doc] = rootText(t, db, space, doc); !wordsOnly.MatchString(texts[doc]) {
			t.Errorf("text of %q is %q", doc, texts[doc])
		}
	}
	for word, in := range w.docs {
		for doc, text := range texts {
			want := 0
			if doc == in {
				want = 1
			}
			if n := strings.Count(text, word); n != want {
				t.Errorf("%s is in %q %d times, want %d", word, doc, n, want)
			}
		}
	}
}

// carry brings what is in one database to another.
func carry(ctx context.Context, space soma.SpaceID, from, to *soma.DB) error {
	var archive bytes.Buffer
	if err := from.Spaces().Export(ctx, space, &archive); err != nil {
		return err
	}
	return to.Spaces().Import(ctx, &archive)
}

// TestConcurrentEdits edits a few documents from several goroutines, beside Upserts, imports
// of what others write, deletions, and a removal that rebuilds documents.
func TestConcurrentEdits(t *testing.T) {
	t.Parallel()
	const goroutines, acts, docs = 8, 25, sharedDocs
	m := newTeam(t, "bob", "eve")
	ann, bob, eve, space := m.dbs["ann"], m.dbs["bob"], m.dbs["eve"], m.space
	w := &written{docs: map[string]string{}}
	for i := range docs {
		edit(t, eve, space, fmt.Sprint("doc ", i), write(fmt.Sprintf("<e-%d>", i)))
	}
	m.sync()

	fine := func(what string, err error) {
		if err != nil && !errors.Is(err, soma.ErrStaleDocument) && !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	editWord := func(r *rand.Rand, db *soma.DB, who string, i int) {
		doc, word := fmt.Sprint("doc ", r.IntN(docs)), fmt.Sprintf("<%s-%d>", who, i)
		_, err := db.Documents().Edit(m.ctx(), space, doc, insertWord(r, word))
		fine("Edit by "+who, err)
		w.note(word, doc, err)
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			ty, clock := uint64(1000+g), uint64(0)
			for i := range acts {
				doc := fmt.Sprint("doc ", r.IntN(docs))
				switch r.IntN(7) {
				case 0: // an editor, with all that it ever wrote
					word := fmt.Sprintf("<u%d-%d>", g, i)
					update := typed(ty, clock, nil, word)
					if clock > 0 {
						update = typed(ty, clock, &[2]uint64{ty, clock - 1}, word)
					}
					clock += uint64(len(word))
					_, err := ann.Documents().Upsert(m.ctx(), space, fmt.Sprint("doc ", g%docs), update)
					fine("Upsert", err)
					w.note(word, fmt.Sprint("doc ", g%docs), err)
				case 1:
					fine("Delete", ann.Documents().Delete(m.ctx(), space, doc))
				case 2:
					fine("View", ann.Documents().View(m.ctx(), space, doc, func(tx *soma.ViewTx) error {
						if text := tx.Text("text").String(); !wordsOnly.MatchString(text) {
							return fmt.Errorf("the text is %q", text)
						}
						return nil
					}))
				default:
					editWord(r, ann, fmt.Sprint(g), i)
				}
			}
		})
	}
	wg.Go(func() {
		r := rand.New(rand.NewPCG(1, 4))
		for i := range acts {
			editWord(r, bob, "bob", i)
			if i%5 == 4 {
				fine("carry", carry(m.ctx(), space, bob, ann))
				fine("carry", carry(m.ctx(), space, ann, bob))
			}
		}
	})
	wg.Go(func() { // eve does not know that she was removed
		for i := range acts / 5 {
			_, err := eve.Documents().Edit(m.ctx(), space, fmt.Sprint("doc ", i%docs), write(fmt.Sprintf("<void-%d>", i)))
			fine("Edit by eve", err)
			if i == 0 {
				fine("RemoveMember", ann.Spaces().RemoveMember(m.ctx(), space, m.peer("eve"), soma.RemoveOptions{}))
			}
			fine("carry", carry(m.ctx(), space, eve, ann))
		}
	})
	wg.Wait()
	for i := range docs {
		word, doc := fmt.Sprintf("<last-%d>", i), fmt.Sprint("doc ", i)
		edit(t, ann, space, doc, write(word))
		w.note(word, doc, nil)
		w.note(fmt.Sprintf("<e-%d>", i), doc, nil)
	}
	for i := range acts / 5 {
		w.note(fmt.Sprintf("<void-%d>", i), "", errors.New("void"))
	}
	w.check(t, ann, space)
	m.sync()
	w.check(t, ann, space)
	w.check(t, bob, space)
	for i := range docs {
		doc := fmt.Sprint("doc ", i)
		m.wantText(doc, m.text("ann", doc))
	}
	m.reopen("ann")
	w.check(t, m.dbs["ann"], space)
}

func TestCloseBesideEdits(t *testing.T) {
	t.Parallel()
	const goroutines, docs = 8, sharedDocs
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "space")
	w := &written{docs: map[string]string{}}
	var wg sync.WaitGroup
	var count atomic.Int64
	started := make(chan struct{})
	for g := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 5))
			for i := 0; ; i++ {
				doc, word := fmt.Sprint("doc ", r.IntN(docs)), fmt.Sprintf("<%d-%d>", g, i)
				_, err := db.Documents().Edit(context.Background(), space, doc, insertWord(r, word))
				w.note(word, doc, err)
				if errors.Is(err, soma.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("Edit = %v", err)
					return
				}
				if count.Add(1) == 100 {
					close(started)
				}
			}
		})
	}
	<-started
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	w.check(t, somatest.OpenDir(t, dir), space)
}

// Each Edit writes a word to two texts, so each View must find the same words in both.
func TestViewsAreConsistent(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "space")
	edit(t, db, space, "page", func(*soma.EditTx) error { return nil })
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 6))
			for i := range 60 {
				word := fmt.Sprintf("<%d-%d>", g, i)
				_, err := db.Documents().Edit(t.Context(), space, "page", func(tx *soma.EditTx) error {
					if err := write(word)(tx); err != nil {
						return err
					}
					if r.IntN(20) == 0 {
						time.Sleep(60 * time.Millisecond)
					}
					if r.IntN(8) == 0 {
						return errFailed
					}
					return tx.Text("other").Insert(0, word, nil)
				})
				if err != nil && !errors.Is(err, errFailed) {
					t.Errorf("Edit = %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	views := 0
	for ended := false; !ended; views++ {
		select {
		case <-done:
			ended = true
		default:
		}
		err := db.Documents().View(t.Context(), space, "page", func(tx *soma.ViewTx) error {
			one, other := strings.SplitAfter(tx.Text("text").String(), ">"), strings.SplitAfter(tx.Text("other").String(), ">")
			slices.Sort(one)
			slices.Sort(other)
			if !slices.Equal(one, other) || len(slices.Compact(one)) != len(other) {
				return fmt.Errorf("texts are %q and %q", one, other)
			}
			return nil
		})
		if err != nil && !errors.Is(err, soma.ErrNotFound) {
			t.Fatalf("View = %v", err)
		}
	}
	if views < 3 {
		t.Errorf("only %d views", views)
	}
}

var errFailed = errors.New("failed")

// Many documents that others fill are edited at once, within the bounds of memory.
func TestEditsOfManyDocuments(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "space")
	var wg sync.WaitGroup
	const goroutines, docs = 4, soma.MaxLiveDocs/4 + 20
	for g := range goroutines {
		wg.Go(func() {
			for round := range 2 {
				for i := range docs {
					_, err := db.Documents().Edit(t.Context(), space, fmt.Sprint("doc ", g, i), write(fmt.Sprint(round)))
					if err != nil {
						t.Errorf("Edit = %v", err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	for g := range goroutines {
		for i := range docs {
			if text := rootText(t, db, space, fmt.Sprint("doc ", g, i)); text != "01" {
				t.Fatalf("text = %q", text)
			}
		}
	}
}
