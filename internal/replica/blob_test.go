package replica_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// hashOf is the hash of a blob.
func hashOf(content string) core.Hash { return sha256.Sum256([]byte(content)) }

func newBlob(content, mime, name string) core.NewBlob {
	return core.NewBlob{Hash: hashOf(content), Size: int64(len(content)), MIME: mime, Name: name}
}

func blobPut(content, mime, name string) log.BlobPut {
	return log.BlobPut{Blob: hashOf(content), Size: uint64(len(content)), MIME: mime, Name: name}
}

func blobRemove(content string) log.BlobRemove { return log.BlobRemove{Blob: hashOf(content)} }

// plainPut is what PutBlob calls around a put whose bytes are fresh, or not.
func plainPut(fresh bool) func(core.Tx, int64, func() error) (bool, error) {
	return func(_ core.Tx, _ int64, put func() error) (bool, error) { return fresh, put() }
}

func (s *site) putBlob(space core.SpaceID, b core.NewBlob) core.BlobRecord {
	s.t.Helper()
	rec, err := s.PutBlob(s.ctx(), space, b, events.SourceRenderer, plainPut(false))
	if err != nil {
		s.t.Fatalf("PutBlob = %v", err)
	}
	return rec
}

func (s *site) removeBlob(space core.SpaceID, content string) {
	s.t.Helper()
	if err := s.RemoveBlob(s.ctx(), space, hashOf(content), events.SourceRenderer); err != nil {
		s.t.Fatalf("RemoveBlob(%q) = %v", content, err)
	}
}

// blobText describes what a space says of a blob.
func (s *site) blobText(space core.SpaceID, content string) string {
	s.t.Helper()
	rec, err := s.Blob(s.ctx(), space, hashOf(content))
	if errors.Is(err, core.ErrNotFound) {
		return "none"
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%d %s %s", rec.Size, rec.MIME, rec.Name)
}

func (s *site) wantBlob(when string, space core.SpaceID, content, want string) {
	s.t.Helper()
	if got := s.blobText(space, content); got != want {
		s.t.Errorf("%s: blob %q is %q, want %q", when, content, got, want)
	}
}

// A blob is put, said anew, and removed.
func TestBlobOfOneMember(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("s")
	rec := s.putBlob(space, newBlob("one", "text/plain", "one.txt"))
	want := core.BlobRecord{
		Space: rec.Space, Hash: hashOf("one"), Size: 3, MIME: "text/plain", Name: "one.txt", CreatedBy: s.id.PeerID(),
		CreatedAtMs: s.clock.ms.Load(), UpdatedAtMs: s.clock.ms.Load(),
	}
	if rec != want {
		t.Errorf("PutBlob = %+v, want %+v", rec, want)
	}
	entries := len(s.entries(space))
	for _, again := range []core.NewBlob{newBlob("one", "", ""), newBlob("one", "text/plain", ""), newBlob("one", "", "one.txt"), newBlob("one", "text/plain", "one.txt")} {
		if got := s.putBlob(space, again); got != want {
			t.Errorf("PutBlob(%+v) again = %+v, want %+v", again, got, want)
		}
	}
	if n := len(s.entries(space)); n != entries {
		t.Errorf("%d entries after puts that say nothing new, want %d", n, entries)
	}
	if got := s.putBlob(space, newBlob("one", "image/png", "")); got.MIME != "image/png" || got.Name != "one.txt" || got.UpdatedAtMs != want.UpdatedAtMs+1 {
		t.Errorf("PutBlob with another type = %+v", got)
	}
	s.removeBlob(space, "one")
	s.wantBlob("removed", space, "one", "none")
	if err := s.RemoveBlob(s.ctx(), space, hashOf("one"), events.SourceRenderer); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("RemoveBlob again = %v, want ErrNotFound", err)
	}
	s.putBlob(space, newBlob("one", "", ""))
	s.wantBlob("put again", space, "one", "3  ")
	s.wantSound("in the end")
}

// In the job of a put the row is there after put, and what around returns undoes all.
func TestBlobAround(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("s")
	before := len(s.entries(space))
	calls := 0
	around := func(tx core.Tx, key int64, put func() error) (bool, error) {
		calls++
		if _, err := tx.Blob(key, hashOf("one")); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("Blob before put = %v, want ErrNotFound", err)
		}
		if err := put(); err != nil {
			return false, err
		}
		rec, err := tx.Blob(key, hashOf("one"))
		if err != nil || rec.Size != 3 {
			t.Errorf("Blob after put = %+v, %v", rec, err)
		}
		return true, core.ErrQuota
	}
	if _, err := s.PutBlob(s.ctx(), space, newBlob("one", "", ""), events.SourceRenderer, around); !errors.Is(err, core.ErrQuota) {
		t.Errorf("PutBlob = %v, want what around returned", err)
	}
	s.wantBlob("undone", space, "one", "none")
	if n := len(s.entries(space)); n != before || calls != 1 {
		t.Errorf("%d entries after %d calls, want %d after 1", n, calls, before)
	}
}

// blobEvents returns the events of what fn does.
func blobEvents(s *site, fn func()) []events.DomainEvent {
	s.t.Helper()
	feed := s.hub.Feed()
	defer feed.Close()
	fn()
	return feed.Take()
}

// The event is fired once per space, if something that is seen changed.
func TestBlobEvents(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("s")
	for _, test := range []struct {
		what  string
		fired bool
		do    func()
	}{
		{"put", true, func() { s.putBlob(space, newBlob("one", "a/b", "")) }},
		{"put again", false, func() { s.putBlob(space, newBlob("one", "", "")) }},
		{"other name", true, func() { s.putBlob(space, newBlob("one", "", "name")) }},
		{"bytes that were missing", true, func() {
			if _, err := s.PutBlob(s.ctx(), space, newBlob("one", "", ""), events.SourceRenderer, plainPut(true)); err != nil {
				t.Fatal(err)
			}
		}},
		{"remove", true, func() { s.removeBlob(space, "one") }},
		{"two that come", true, func() {
			a := newAuthor(t, s.id.Key(), space, 9)
			s.accept(space, a.write(nil, blobPut("two", "", ""), blobPut("three", "", "")).Raw, a.write(nil, blobPut("four", "", "")).Raw)
		}},
		{"remove that comes, of what is not held", false, func() {
			s.accept(space, newAuthor(t, s.id.Key(), space, 10).write(nil, blobRemove("never")).Raw)
		}},
	} {
		fired := 0
		for _, e := range blobEvents(s, test.do) {
			if e.Kind != events.SpaceChanged || e.SpaceID != space || e.Reason != replica.ReasonBlobs {
				t.Errorf("%s: event %+v", test.what, e)
			}
			fired++
		}
		if want := map[bool]int{true: 1}[test.fired]; fired != want {
			t.Errorf("%s: %d events, want %d", test.what, fired, want)
		}
	}
}

// When bytes come, all spaces that hold the blob are told.
func TestBlobOfTwoSpacesComes(t *testing.T) {
	s := openSite(t, siteOptions{})
	one, two, third := s.create("one"), s.create("two"), s.create("third")
	s.putBlob(one, newBlob("shared", "", ""))
	s.putBlob(third, newBlob("other", "", ""))
	told := map[core.SpaceID]int{}
	for _, e := range blobEvents(s, func() {
		if _, err := s.PutBlob(s.ctx(), two, newBlob("shared", "", ""), events.SourceRenderer, plainPut(true)); err != nil {
			t.Fatal(err)
		}
	}) {
		told[e.SpaceID]++
	}
	if len(told) != 2 || told[one] != 1 || told[two] != 1 {
		t.Errorf("told %v, want spaces %s and %s once", told, one, two)
	}
}
