package replica_test

import (
	"errors"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mailbox"
)

// drafted saves a draft of a document, later by so many ms than the clock.
func (s *site) drafted(space core.SpaceID, doc string, later int64) {
	s.t.Helper()
	err := s.drafts.Save(s.ctx(), mailbox.Draft{
		SpaceID: space, DocumentID: doc, Snippet: "text", UpdatedAtMs: s.clock.ms.Load() + later, BaseStateVector: []byte{1, 1, 1},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// wantDraft fails unless a document has a draft in a conflict state, "gone" for none.
func (s *site) wantDraft(what string, space core.SpaceID, doc string, want mailbox.ConflictState) {
	s.t.Helper()
	got, err := s.drafts.Get(s.ctx(), space, doc)
	if errors.Is(err, core.ErrNotFound) {
		got.ConflictState, err = "gone", nil
	}
	if err != nil || got.ConflictState != want {
		s.t.Errorf("%s: draft of %q is %q, %v, want %q", what, doc, got.ConflictState, err, want)
	}
}

// What becomes of a document remotely counts, whatever it is: its content is void, it is
// deleted, it was rebuilt.
func TestDraftsFollowVoidContent(t *testing.T) {
	for later, want := range map[int64]mailbox.ConflictState{0: "gone", 1_000_000: mailbox.Ahead} {
		c := newCourt(t)
		c.take(c.content(c.bob, "doc"), c.content(c.bob, "other"))
		c.drafted(c.space, "doc", later)
		c.take(c.act(c.owner, log.MemberRemove{Peer: c.bob.peer()})) // which cuts all that bob wrote
		if _, err := c.Get(c.ctx(), c.space, "doc"); !errors.Is(err, core.ErrNotFound) {
			t.Fatalf("Get = %v, want the document to be void", err)
		}
		c.wantDraft("void", c.space, "doc", want)
	}
}

func TestDraftsFollowDeletes(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	w := newAuthor(t, s.id.Key(), space, 1)
	s.accept(space, w.write(nil, update("old", insert(1, 0, "x")), update("new", insert(1, 0, "x"))).Raw)
	s.drafted(space, "old", 0)
	s.drafted(space, "new", 1_000_000)
	s.accept(space, w.write(nil, log.DocDelete{Doc: "old"}, log.DocDelete{Doc: "new"}).Raw)
	s.wantDraft("deleted", space, "old", "gone")
	s.wantDraft("deleted", space, "new", mailbox.Ahead)
	s.accept(space, w.write(nil, update("new", insert(1, 1, "y"))).Raw)
	s.wantDraft("written again", space, "new", mailbox.Diverged)
}

func TestDraftsFollowRebuild(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	for _, doc := range []string{"same", "old", "new"} {
		s.upsert(space, doc, insert(1, 0, "text"))
	}
	s.crash()
	db := raw(t, s.database)
	_, err := db.Exec("UPDATE doc_client SET end_clock = end_clock + 1 WHERE doc IN (SELECT id FROM doc WHERE ident <> 'same')")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = openSite(t, s.again())
	for doc, later := range map[string]int64{"same": 0, "old": 0, "new": 1_000_000} {
		s.drafted(space, doc, later)
	}
	if err := s.Rebuild(s.ctx()); err != nil {
		t.Fatal(err)
	}
	s.wantDraft("not rebuilt", space, "same", mailbox.NoConflict)
	s.wantDraft("rebuilt", space, "old", "gone")
	s.wantDraft("rebuilt", space, "new", mailbox.Diverged)
}

// What waits in the tail, and is sealed in the background, is no remote change.
func TestSealingIsNoRemoteChange(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.drafted(space, "doc", 0)
	for i := range uint64(3) {
		s.upsert(space, "doc", insert(1, i, "x"))
	}
	s.seal()
	if err := s.Compact(s.ctx(), s.record(space, "doc").Key); err != nil {
		t.Fatal(err)
	}
	s.wantDraft("sealed", space, "doc", mailbox.NoConflict)
	if err := s.Delete(s.ctx(), space, "doc", events.SourceRenderer); err != nil {
		t.Fatal(err)
	}
	s.wantDraft("deleted here", space, "doc", mailbox.NoConflict)
}
