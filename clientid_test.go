package soma_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// lost returns the entries at somebody that lost clocks of a clientID.
func (m *team) lost(at string) (lost []soma.Rejection) {
	m.t.Helper()
	rejected, err := m.dbs[at].Spaces().Rejected(m.ctx(), m.space)
	m.must("Rejected", err)
	for _, r := range rejected {
		if r.Reason == soma.RejectedClientID {
			lost = append(lost, r)
		}
	}
	return lost
}

// copyOf opens a copy of somebody's directory under another name.
func (m *team) copyOf(name, as string) {
	m.t.Helper()
	m.must("Close", m.dbs[name].Close())
	m.dirs[as] = m.t.TempDir()
	m.must("copy", os.CopyFS(m.dirs[as], os.DirFS(m.dirs[name])))
	m.must("remove the lock", os.RemoveAll(filepath.Join(m.dirs[as], "soma.lock")))
	m.dbs[name] = somatest.OpenDir(m.t, m.dirs[name])
	m.dbs[as] = somatest.OpenDir(m.t, m.dirs[as])
}

// Two members write different text under one clientID: it belongs to who was a member
// first, and what the other wrote at the same clocks is void, that alone.
func TestSharedClientID(t *testing.T) {
	m := newTeam(t, "bob", "cid")
	m.upsert("ann", "page", typed(9, 0, nil, "ann "))
	m.upsert("bob", "page", typed(9, 0, nil, "bobby"))
	m.sync()
	m.wantText("page", "ann y")
	for name := range m.dbs {
		lost := m.lost(name)
		if len(lost) != 1 || lost[0].Member != m.peer("bob") || len(lost[0].Documents) != 1 || lost[0].Documents[0] != "page" {
			t.Errorf("Rejected at %s = %+v, want bob's entry", name, lost)
		}
	}
	// Bob's editor still shows what it typed.
	bob := m.dbs["bob"].Documents()
	if _, err := bob.Upsert(m.ctx(), m.space, "page", typed(9, 0, nil, "bobby wins")); !errors.Is(err, soma.ErrClientIDTaken) {
		t.Errorf("Upsert of content that loses = %v, want ErrClientIDTaken", err)
	}
	if _, err := bob.Upsert(m.ctx(), m.space, "page", typed(9, 0, nil, "bobby wins"), soma.WithEpoch(nil)); !errors.Is(err, soma.ErrStaleDocument) {
		t.Errorf("Upsert with the epoch of before = %v, want ErrStaleDocument", err)
	}
	doc, err := bob.Get(m.ctx(), m.space, "page")
	m.must("Get", err)
	if _, err := bob.Upsert(m.ctx(), m.space, "page", typed(10, 0, &[2]uint64{9, 4}, "!"), soma.WithEpoch(doc.Epoch)); err != nil {
		t.Errorf("Upsert under a clientID of one's own = %v", err)
	}
	m.sync()
	m.wantText("page", "ann y!")
	m.reopen("cid")
	m.wantText("page", "ann y!")
}

// A third member who knew one of two claims first gives its author a vote, whenever
// that is learned.
func TestWitnessesDecideOnClientIDs(t *testing.T) {
	m := newTeam(t, "bob", "cid")
	m.upsert("ann", "page", typed(9, 0, nil, "ann "))
	m.upsert("bob", "page", typed(9, 0, nil, "bob "))
	m.send("bob", "cid")
	m.upsert("cid", "other", typed(11, 0, nil, "seen"))
	m.send("ann", "bob")
	m.send("bob", "ann")
	if got := m.text("ann", "page"); got != "ann " {
		t.Errorf("text before the vote = %q, want that of the senior", got)
	}
	epoch := m.epoch("ann")
	events := m.dbs["ann"].Subscribe(m.ctx())
	m.send("cid", "ann")
	if got := m.text("ann", "page"); got != "bob " {
		t.Errorf("text after the vote = %q, want that of who has two votes", got)
	}
	rebuilt := false
	for !rebuilt {
		ev := <-events
		rebuilt = ev.DocumentID == "page" && ev.Reason == "rebuilt"
	}
	if string(epoch) == string(m.epoch("ann")) {
		t.Error("the epoch stayed")
	}
	m.sync()
	m.wantText("page", "bob ")
}

// epoch returns that of the page.
func (m *team) epoch(at string) []byte {
	m.t.Helper()
	d, err := m.dbs[at].Documents().Get(m.ctx(), m.space, "page")
	m.must("Get", err)
	return d.Epoch
}

// Who has seen a clientID in use cannot put words under it: not as if they had claimed
// it at the same time, nor ahead of its owner.
func TestForgedClientIDs(t *testing.T) {
	t.Run("backdated", func(t *testing.T) {
		m := newTeam(t, "eve", "bob", "cid") // eve is bob's senior
		m.copyOf("eve", "eve's copy")
		m.upsert("bob", "page", typed(2, 0, nil, "honest words"))
		m.send("bob", "ann", "cid", "eve")
		m.upsert("ann", "other", typed(1, 0, nil, "ann works"))
		m.upsert("cid", "other", typed(3, 0, nil, "cid works"))
		m.upsert("eve's copy", "page", typed(2, 0, nil, "forged words"))
		m.sync()
		m.wantText("page", "honest words")
	})
	t.Run("ahead", func(t *testing.T) {
		m := newTeam(t, "eve", "bob")
		m.upsert("bob", "page", typed(2, 0, nil, "Hello"))
		m.sync()
		m.upsert("eve", "page", typed(2, 5, &[2]uint64{2, 4}, " evil!"))
		m.upsert("bob", "page", typed(2, 5, &[2]uint64{2, 4}, " world"))
		m.sync()
		m.wantText("page", "Hello world")
		// Also if its owner has got it before.
		m.upsert("eve", "page", typed(2, 11, &[2]uint64{2, 10}, " forever"))
		m.sync()
		m.wantText("page", "Hello world forever")
		m.upsert("bob", "page", typed(2, 11, &[2]uint64{2, 10}, " and all"))
		m.sync()
		m.wantText("page", "Hello world and all")
	})
}

// The same content that comes in by two members is no conflict.
func TestContentThatComesTwice(t *testing.T) {
	m := newTeam(t, "bob")
	for _, name := range []string{"ann", "bob"} { // both got it from another server
		m.upsert(name, "page", typed(7, 0, nil, "imported"))
		m.upsert(name, "page", somatest.Deletion(7, 0, 2))
	}
	m.upsert("bob", "page", typed(2, 0, &[2]uint64{7, 7}, " text"))
	m.sync()
	m.wantText("page", "ported text")
	if lost := m.lost("ann"); len(lost) > 0 || len(m.epoch("ann")) > 0 {
		t.Errorf("Rejected = %+v, want nothing", lost)
	}
}

// A deletion that comes to an editor before its content is made once that is here.
func TestEarlyDeletions(t *testing.T) {
	m := newTeam(t, "bob")
	m.upsert("ann", "page", typed(1, 0, nil, "secret text"))
	m.upsert("bob", "page", somatest.Deletion(1, 0, 7))
	doc, err := m.dbs["bob"].Documents().Get(m.ctx(), m.space, "page")
	if err != nil || !doc.Pending {
		t.Errorf("Get = pending %v, %v, want a document that waits", doc.Pending, err)
	}
	m.send("bob", "ann")
	if got := m.text("ann", "page"); got != "secret text" {
		t.Errorf("text at ann = %q, want all: bob does not know it yet", got)
	}
	m.reopen("bob")
	m.send("ann", "bob")
	if got := m.text("bob", "page"); got != "text" {
		t.Errorf("text at bob = %q, want it without what bob deleted", got)
	}
	m.sync()
	m.wantText("page", "text")
}

// What a removed member deleted, without knowing of the removal, is there again; an
// editor that still shows it deleted cannot bring the deletion back under its name.
func TestVoidDeletionsAreNotLaundered(t *testing.T) {
	m := newTeam(t, "eve", "cid")
	m.upsert("ann", "page", typed(1, 0, nil, "keep this"))
	m.sync()
	m.upsert("eve", "page", somatest.Deletion(1, 0, 5))
	m.must("Remove", m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("eve"), soma.RemoveOptions{}))
	m.send("eve", "cid")
	if got := m.text("cid", "page"); got != "this" {
		t.Errorf("text at cid = %q, want what eve left", got)
	}
	m.sync()
	m.wantText("page", "keep this")
	cid := m.dbs["cid"].Documents()
	state := append(typed(1, 0, nil, "keep this")[:len(typed(1, 0, nil, "keep this"))-1], 1, 1, 1, 0, 5)
	if _, err := cid.Upsert(m.ctx(), m.space, "page", state); !errors.Is(err, soma.ErrStaleDocument) {
		t.Errorf("Upsert of the state with the void deletion = %v, want ErrStaleDocument", err)
	}
	m.wantText("page", "keep this")
	// Whoever has seen that it is there again may delete it.
	if _, err := cid.Upsert(m.ctx(), m.space, "page", somatest.Deletion(1, 0, 5), soma.WithEpoch(m.epoch("cid"))); err != nil {
		t.Errorf("Upsert of a deletion with the new epoch = %v", err)
	}
	m.sync()
	m.wantText("page", "this")
}

// What of a document nobody can see is void is no reason to keep its ID from a host that
// says it has seen nothing.
func TestEpochOfADocumentThatCannotBeSeen(t *testing.T) {
	m := newTeam(t, "eve")
	m.upsert("ann", "deleted", typed(1, 0, nil, "once"))
	m.sync()
	m.upsert("eve", "new", typed(2, 0, nil, "void"))
	m.upsert("eve", "deleted", typed(2, 0, nil, "void"))
	m.remove("ann", "eve")
	m.sync()
	docs := m.dbs["ann"].Documents()
	m.must("Delete", docs.Delete(m.ctx(), m.space, "deleted"))
	for _, id := range []soma.DocumentID{"new", "deleted"} {
		if _, err := docs.Get(m.ctx(), m.space, id); !errors.Is(err, soma.ErrNotFound) {
			t.Fatalf("Get(%q) = %v, want ErrNotFound", id, err)
		}
		if _, err := docs.Upsert(m.ctx(), m.space, id, typed(11, 0, nil, "mine"), soma.WithEpoch(nil)); err != nil {
			t.Errorf("Upsert(%q) = %v", id, err)
		}
	}
	if ok, err := m.dbs["ann"].Spaces().Can(m.ctx(), m.space, 0); ok || !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Can(0) = %v, %v, want ErrInvalidOption", ok, err)
	}
}
