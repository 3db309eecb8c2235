package replica_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/yjs"
)

var fromDaemon = replica.WriteOptions{Source: events.SourceDaemon}

// insertAt returns what types at a place of the root "text".
func insertAt(index uint64, text string) func(*yjs.Transaction) error {
	return func(tx *yjs.Transaction) error {
		root, err := tx.Doc().As("text", yjs.KindText)
		if err != nil {
			return err
		}
		return root.InsertText(tx, min(index, root.Len()), text, nil)
	}
}

func (s *site) edit(space core.SpaceID, doc string, fn func(*yjs.Transaction) error) replica.Revision {
	s.t.Helper()
	rev, err := s.Edit(s.ctx(), space, doc, fromDaemon, fn)
	if err != nil {
		s.t.Fatalf("Edit(%q) = %v", doc, err)
	}
	return rev
}

// wantViewed compares a document in memory with the one that is stored.
func (s *site) wantViewed(space core.SpaceID, doc string) {
	s.t.Helper()
	var viewed, vector []byte
	err := s.View(s.ctx(), space, doc, func(d *yjs.Doc) (err error) {
		vector = d.StateVector()
		viewed, err = d.Encode(nil)
		return err
	})
	stored, want := s.Get(s.ctx(), space, doc)
	switch {
	case want != nil || err != nil:
		if !errors.Is(err, core.ErrNotFound) || !errors.Is(want, core.ErrNotFound) {
			s.t.Fatalf("View(%q) = %v, Get = %v", doc, err, want)
		}
		return
	}
	if viewed, err = yjs.Compact(viewed); err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Equal(viewed, stored.Update) {
		s.t.Fatalf("document in memory is\n%x\nstored is\n%x", viewed, stored.Update)
	}
	if !bytes.Equal(vector, stored.StateVector) { // what waits is in the update too
		s.t.Fatalf("document in memory shows %x, stored is %x", vector, stored.StateVector)
	}
}

// clientsOf returns the clients of a revision.
func clientsOf(t *testing.T, rev replica.Revision) map[uint64]uint64 {
	t.Helper()
	ends := map[uint64]uint64{}
	r := bytes.NewReader(rev.StateVector)
	n, err := binary.ReadUvarint(r)
	for ; n > 0 && err == nil; n-- {
		var client uint64
		if client, err = binary.ReadUvarint(r); err == nil {
			ends[client], err = binary.ReadUvarint(r)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return ends
}

// writerOf is an edit that notes under which client it writes.
func writerOf(client *uint64) func(*yjs.Transaction) error {
	return func(tx *yjs.Transaction) error {
		*client = tx.Doc().ClientID()
		return insertAt(0, "x")(tx)
	}
}

// TestLiveDocumentsFollow does all that can happen to documents, and looks after each act
// whether what is in memory is what is stored.
func TestLiveDocumentsFollow(t *testing.T) {
	const seeds, acts = 10, 120
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			a := openSite(t, siteOptions{noVerify: true})
			space := a.create("space")
			b := openSite(t, siteOptions{noVerify: true})
			b.found(a, space)
			must := func(err error) {
				t.Helper()
				for _, fine := range []error{nil, core.ErrNotFound, core.ErrForbidden, core.ErrExists, core.ErrLastOwner, core.ErrStaleDocument, core.ErrClientIDTaken} {
					if errors.Is(err, fine) {
						return
					}
				}
				t.Fatal(err)
			}
			member := func(add bool) {
				if add {
					must(a.AddMember(a.ctx(), space, b.Peer(), log.RoleEditor, log.KindDevice))
				} else {
					must(a.RemoveMember(a.ctx(), space, b.Peer(), false))
				}
			}
			member(true)
			exchange(a, b, space)
			clocks := map[uint64]uint64{}
			for range acts {
				s := a
				if r.IntN(3) == 0 {
					s = b
				}
				doc := fmt.Sprint("doc ", r.IntN(2))
				s.clock.advance(time.Duration(r.IntN(1500)) * time.Millisecond)
				switch n := r.IntN(100); {
				case n < 35:
					_, err := s.Edit(s.ctx(), space, doc, fromDaemon, func(tx *yjs.Transaction) error {
						root, err := tx.Doc().As("text", yjs.KindText)
						if err != nil {
							return err
						}
						if at := r.Uint64N(root.Len() + 1); at < root.Len() && r.IntN(2) == 0 {
							return root.Delete(tx, at, 1+r.Uint64N(min(3, root.Len()-at)))
						}
						return root.InsertText(tx, r.Uint64N(root.Len()+1), strings.Repeat("e", 1+r.IntN(4)), nil)
					})
					must(err)
				case n < 50: // an editor types, or deletes, perhaps ahead of what it builds upon
					client := 100 + r.Uint64N(3)
					if s == b {
						client += 2 // one of them is shared
					}
					at := clocks[client]
					if r.IntN(5) == 0 {
						at += r.Uint64N(3)
					}
					_, err := s.Upsert(s.ctx(), space, doc, insert(client, at, "u"), fromDaemon)
					must(err)
					clocks[client] = at + 1
				case n < 56:
					_, err := s.Upsert(s.ctx(), space, doc, erase(100+r.Uint64N(5), r.Uint64N(6), 1+r.Uint64N(2)), fromDaemon)
					must(err)
				case n < 60:
					must(s.Delete(s.ctx(), space, doc, events.SourceRenderer))
				case n < 68:
					s.seal()
				case n < 72:
					for key := range int64(3) {
						must(s.Compact(s.ctx(), key+1))
					}
				case n < 76:
					must(s.Rebuild(s.ctx()))
				case n < 84:
					member(r.IntN(2) == 0)
				default:
					exchange(a, b, space)
				}
				for _, s := range []*site{a, b} {
					for i := range 2 {
						if r.IntN(4) > 0 { // else it has more to catch up with later
							s.wantViewed(space, fmt.Sprint("doc ", i))
						}
					}
				}
			}
			exchange(a, b, space)
			for _, s := range []*site{a, b} {
				for i := range 2 {
					s.wantViewed(space, fmt.Sprint("doc ", i))
				}
				s.wantSound("all of it")
			}
		})
	}
}

func TestEditIsOneOpOfOneEntry(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	a.clock.advance(time.Minute)
	before := len(a.entries(space))
	a.edit(space, "doc", func(tx *yjs.Transaction) error {
		for i := range uint64(100) {
			if err := insertAt(i/2, "abc")(tx); err != nil {
				return err
			}
		}
		return nil
	})
	all := a.decoded(space)
	if len(all) != before+1 || len(all[before].Ops) != 1 {
		t.Fatalf("an Edit makes %d entries, want one of one op", len(all)-before)
	}
	if op := all[before].Ops[0].Body.Number(); op != (log.DocUpdate{}).Number() {
		t.Errorf("op is number %d", op)
	}
}

// What nearly fills an entry stays whole, whatever waits in the tail to be sealed with it.
func TestLargeEditsAreNotTorn(t *testing.T) {
	for _, tail := range []int{0, 10, replica.MaxTailBytes - 1000} {
		a := openSite(t, siteOptions{})
		space := a.create("space")
		a.edit(space, "doc", insertAt(0, "first"))
		if tail > 0 {
			a.edit(space, "doc", insertAt(0, strings.Repeat("t", tail)))
		}
		before := len(a.entries(space))
		large := strings.Repeat("x", replica.MaxEditBytes-100)
		a.edit(space, "doc", insertAt(0, large))
		found := 0
		for _, e := range a.decoded(space)[before:] {
			for _, op := range e.Ops {
				if u, ok := op.Body.(log.DocUpdate); ok && bytes.Contains(u.Update, []byte("xxx")) {
					found++
					if !bytes.Contains(u.Update, []byte(large)) {
						t.Errorf("after a tail of %d bytes an op holds a part of the edit", tail)
					}
				}
			}
		}
		if found != 1 {
			t.Errorf("after a tail of %d bytes %d ops hold the edit, want 1", tail, found)
		}
		state, err := a.Get(a.ctx(), space, "doc")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Edit(a.ctx(), space, "doc", fromDaemon, insertAt(0, large+large[:200])); !errors.Is(err, core.ErrTooLarge) {
			t.Errorf("Edit of more than an entry = %v, want ErrTooLarge", err)
		}
		if after, err := a.Get(a.ctx(), space, "doc"); err != nil || !bytes.Equal(after.Update, state.Update) {
			t.Errorf("Edit of more than an entry stores something: %v", err)
		}
		a.wantViewed(space, "doc")
	}
}

// An Edit whose write fails, at any place, leaves no trace, in memory neither.
func TestEditThatIsNotStored(t *testing.T) {
	for _, panics := range []bool{false, true} {
		a := openSite(t, siteOptions{faults: &faults{}})
		space := a.create("space")
		rev := a.edit(space, "doc", insertAt(0, "0"))
		want, k := "0", int64(1)
		for ; ; k++ {
			a.clock.advance(time.Minute)
			a.faults.arm(k, false, panics)
			var err error
			func() {
				defer func() { _ = recover() }()
				err = errInjected // stays, if it panics
				_, err = a.Edit(a.ctx(), space, "doc", fromDaemon, insertAt(1<<60, "-"))
			}()
			if !a.faults.disarm() {
				break
			}
			if !errors.Is(err, errInjected) && !panics {
				t.Errorf("Edit whose write %d fails = %v", k, err)
			}
			a.wantText(space, "doc", want)
			rev = a.edit(space, "doc", insertAt(1<<60, "+"))
			want += "+"
			a.wantText(space, "doc", want)
			a.wantViewed(space, "doc")
		}
		if k < 5 {
			t.Errorf("only %d writes could fail", k)
		}
		a.wantText(space, "doc", want+"-")
		if n := len(clientsOf(t, rev)); n < int(k) {
			t.Errorf("%d clients after %d failures: one was used again", n, k-1)
		}
	}
}

func TestClientsOfEdits(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	seen := map[uint64]string{}
	expect := func(s *site, doc, when string, fresh bool) uint64 {
		t.Helper()
		var client uint64
		s.edit(space, doc, writerOf(&client))
		before, known := seen[client]
		if client == 0 || client >= 1<<32 || known == fresh {
			t.Errorf("client %s is %d, known from %q", when, client, before)
		}
		seen[client] = when
		return client
	}
	expect(a, "doc", "at first", true)
	expect(a, "doc", "again", false)
	expect(a, "other", "in another document", true)
	a.seal()
	a.upsert(space, "doc", insert(7, 0, "u"))
	expect(a, "doc", "after an Upsert", false)

	_, err := a.Edit(a.ctx(), space, "doc", fromDaemon, func(tx *yjs.Transaction) error {
		return errors.Join(insertAt(0, "no")(tx), errInjected)
	})
	if !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	expect(a, "doc", "after a failure", true)

	_, err = a.Edit(a.ctx(), space, "doc", fromDaemon, func(*yjs.Transaction) error { return errInjected })
	if !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	client := expect(a, "doc", "after a failure that changed nothing", false)

	// Somebody else writes under it, while an Edit runs and while none does.
	end := clientsOf(t, a.edit(space, "doc", insertAt(0, "x")))[client]
	a.upsert(space, "doc", insert(client, end, "stolen"))
	client = expect(a, "doc", "after a theft", true)
	_, err = a.Edit(a.ctx(), space, "doc", fromDaemon, func(tx *yjs.Transaction) error {
		a.upsert(space, "doc", insert(client, 1, "stolen"))
		return insertAt(0, "lost")(tx)
	})
	if !errors.Is(err, core.ErrClientIDTaken) {
		t.Errorf("Edit whose client was stolen = %v, want ErrClientIDTaken", err)
	}
	expect(a, "doc", "after that", true)
	if text := a.text(space, "doc"); strings.Contains(text, "lost") || strings.Count(text, "stolen") != 2 {
		t.Errorf("text = %q", text)
	}

	a.close()
	expect(a.reopen(), "doc", "after reopening", true)
}

// A document that is rebuilt gets a new client, as editors have to take one.
func TestEditOfARebuiltDocument(t *testing.T) {
	a := openSite(t, siteOptions{noVerify: true}) // which knows nothing of void entries
	space := a.create("space")
	b := openSite(t, siteOptions{})
	b.found(a, space)
	if err := a.AddMember(a.ctx(), space, b.Peer(), log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	exchange(a, b, space)
	var before, after uint64
	old := a.edit(space, "doc", writerOf(&before))
	if err := a.RemoveMember(a.ctx(), space, b.Peer(), false); err != nil {
		t.Fatal(err)
	}
	b.edit(space, "doc", insertAt(0, "void"))
	b.seal()

	// Built upon what is void: the edit counts, as an editor's does that was on its way.
	rev, err := a.Edit(a.ctx(), space, "doc", fromDaemon, func(tx *yjs.Transaction) error {
		a.pull(b, space)
		return insertAt(1, "y")(tx)
	})
	if err != nil || len(rev.Epoch) == 0 {
		t.Fatalf("Edit of a document that is rebuilt meanwhile = %x, %v", rev.Epoch, err)
	}
	a.wantText(space, "doc", "xy")
	a.edit(space, "doc", writerOf(&after))
	if after == before {
		t.Error("the client stays after a rebuild")
	}
	a.wantViewed(space, "doc")

	called := false
	stale := replica.WriteOptions{Source: events.SourceDaemon, Epoch: &old.Epoch}
	_, err = a.Edit(a.ctx(), space, "doc", stale, func(*yjs.Transaction) error { called = true; return nil })
	if !errors.Is(err, core.ErrStaleDocument) || called {
		t.Errorf("Edit with an old epoch = %v, function called: %t", err, called)
	}
	current := replica.WriteOptions{Source: events.SourceDaemon, Epoch: &rev.Epoch}
	if _, err := a.Edit(a.ctx(), space, "doc", current, insertAt(0, "z")); err != nil {
		t.Errorf("Edit with the epoch that there is = %v", err)
	}
	b.edit(space, "doc", insertAt(0, "void too"))
	b.seal()
	_, err = a.Edit(a.ctx(), space, "doc", current, func(tx *yjs.Transaction) error {
		a.pull(b, space)
		return insertAt(1, "no")(tx)
	})
	if !errors.Is(err, core.ErrStaleDocument) {
		t.Errorf("Edit with an epoch that is old by its end = %v, want ErrStaleDocument", err)
	}
	a.wantText(space, "doc", "zxxy")
	a.wantSound("all of it")
}

func TestLiveDocumentsAreBounded(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	a.BoundLive(1<<40, 10)
	var first, again uint64
	for i := range 30 {
		a.edit(space, fmt.Sprint("doc ", i), insertAt(0, strings.Repeat("x", 1000)))
		a.edit(space, "often", writerOf(&first))
		if docs, _, _ := a.LiveDocs(); docs > 10 {
			t.Fatalf("%d documents in memory, at most 10 are allowed", docs)
		}
	}
	if docs, instances, size := a.LiveDocs(); docs != 10 || instances != 10 || size < 10*1000 {
		t.Errorf("%d documents in memory, %d instances, %d bytes", docs, instances, size)
	}
	a.edit(space, "often", writerOf(&again))
	if first != again {
		t.Error("the document that is used most often was forgotten")
	}
	_, _, size := a.LiveDocs()
	a.BoundLive(size/2, 1000)
	a.edit(space, "doc 0", insertAt(0, "y"))
	if _, _, now := a.LiveDocs(); now > size/2 {
		t.Errorf("%d bytes in memory, at most %d are allowed", now, size/2)
	}
	for i := range 30 {
		a.wantViewed(space, fmt.Sprint("doc ", i))
	}

	// One that is too large alone is forgotten, the others stay.
	docs, _, _ := a.LiveDocs()
	a.edit(space, "large", insertAt(0, strings.Repeat("x", int(size))))
	if now, _, _ := a.LiveDocs(); now != docs {
		t.Errorf("%d documents are left of %d", now, docs)
	}
	a.edit(space, "large", insertAt(0, "y"))
	if text := a.text(space, "large"); len(text) != int(size)+1 {
		t.Errorf("text of %d units", len(text))
	}
	a.BoundLive(0, 0)
	a.edit(space, "doc 0", func(tx *yjs.Transaction) error {
		if docs, _, _ := a.LiveDocs(); docs != 1 {
			t.Errorf("%d documents in memory while one is edited", docs)
		}
		return insertAt(0, "z")(tx)
	})
	if docs, instances, size := a.LiveDocs(); docs != 0 || instances != 0 || size != 0 {
		t.Errorf("%d documents, %d instances, %d bytes are left", docs, instances, size)
	}
}

// An Edit inside of another works on an instance of its own, which stays.
func TestInstances(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	depth := 0
	var nested func(tx *yjs.Transaction) error
	nested = func(tx *yjs.Transaction) error {
		if depth++; depth < 4 {
			a.edit(space, "doc", nested)
		}
		return insertAt(0, "x")(tx)
	}
	var revs []replica.Revision
	for range 3 {
		depth = 0
		revs = append(revs, a.edit(space, "doc", nested))
	}
	a.wantText(space, "doc", strings.Repeat("x", 12))
	if n := len(clientsOf(t, revs[2])); n != 4 {
		t.Errorf("%d clients, want one for each depth", n)
	}
	if _, instances, _ := a.LiveDocs(); instances != 4 {
		t.Errorf("%d instances", instances)
	}
}

func TestWaitForADocument(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := a.Edit(a.ctx(), space, "doc", fromDaemon, func(tx *yjs.Transaction) error {
			close(inside)
			<-leave
			return insertAt(0, "slow")(tx)
		})
		done <- err
	}()
	<-inside
	ctx, cancel := context.WithCancel(a.ctx())
	cancel()
	if _, err := a.Edit(ctx, space, "doc", fromDaemon, insertAt(0, "no")); !errors.Is(err, context.Canceled) {
		t.Errorf("Edit with an ended context = %v", err)
	}
	if err := a.View(ctx, space, "doc", func(*yjs.Doc) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View with an ended context = %v", err)
	}
	a.edit(space, "doc", insertAt(0, "fast"))
	a.wantText(space, "doc", "fast")
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text := a.text(space, "doc"); text != "fastslow" && text != "slowfast" {
		t.Errorf("text = %q", text)
	}
}

// What arrives before what it builds upon is shown once that is there, in memory too, in
// any order: in a Y.Doc these letters of two clients can wait for ever.
func TestViewsOfWhatArrivedInDisorder(t *testing.T) {
	letters := []string{
		"0101010004010174016100", "01010101840100016200", "01010200840101016300", "01010102840200016400", "01010103840102016500",
	}
	for _, order := range [][]int{{2, 4, 0, 1, 3}, {4, 2, 0, 1, 3}, {4, 3, 2, 1, 0}} {
		a := openSite(t, siteOptions{})
		space := a.create("space")
		a.upsert(space, "doc", insert(9, 0, "before"))
		a.wantViewed(space, "doc")
		for _, i := range order {
			update, err := hex.DecodeString(letters[i])
			if err != nil {
				t.Fatal(err)
			}
			a.upsert(space, "doc", update)
			a.wantViewed(space, "doc")
		}
	}
}
