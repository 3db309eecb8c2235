package replica_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// stage puts bytes into the pool, and has spaces hold them.
func (s *site) stage(pool core.BlobPool, content string, spaces ...core.SpaceID) {
	s.t.Helper()
	for _, space := range spaces {
		staged, err := pool.Stage(s.ctx(), strings.NewReader(content), core.StageOptions{Limit: 1 << 20, Size: -1})
		if err != nil {
			s.t.Fatal(err)
		}
		defer staged.Discard()
		err = staged.Commit(s.ctx(), func(record func(core.Tx) (bool, error)) error {
			rec, err := s.PutBlob(s.ctx(), space, newBlob(content, "", ""), events.SourceRenderer, func(tx core.Tx, _ int64, put func() error) (bool, error) {
				if err := put(); err != nil {
					return false, err
				}
				return record(tx)
			})
			if err == nil && !rec.Here {
				s.t.Errorf("the bytes of %q are not here: %+v", content, rec)
			}
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) wantUsage(when string, want map[core.SpaceID]core.BlobUsage) {
	s.t.Helper()
	for space, want := range want {
		if got, err := s.BlobUsage(s.ctx(), space); err != nil || got != want {
			s.t.Errorf("%s: usage of %q = %+v, %v, want %+v", when, space, got, err, want)
		}
	}
}

// What is counted of bytes follows the blobs of spaces, whatever happens to these.
func TestBlobUsageFollows(t *testing.T) {
	s := openSite(t, siteOptions{})
	pool, err := s.store.OpenPool(s.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	one, two := s.create("one"), s.create("two")
	s.stage(pool, "shared", one, two)
	s.stage(pool, "four", one)
	s.putBlob(two, newBlob("elsewhere", "", ""))
	want := map[core.SpaceID]core.BlobUsage{"": {Blobs: 2, Bytes: 10}, one: {Blobs: 2, Bytes: 10}, two: {Blobs: 1, Bytes: 6}}
	s.wantUsage("put", want)
	rebuild := func(when string) {
		t.Helper()
		if err := s.Rebuild(s.ctx()); err != nil {
			t.Fatal(err)
		}
		s.wantUsage(when, want)
		s.wantSound(when)
	}
	rebuild("rebuilt")
	db := raw(t, filepath.Join(s.dir, "soma.db"))
	defer db.Close()
	for _, damage := range []string{
		"DELETE FROM blob", "UPDATE OR REPLACE blob SET hash = CAST(zeroblob(31) || substr(hash, 1, 1) AS BLOB)", "UPDATE OR REPLACE blob SET space = 3 - space",
		"UPDATE blob SET size = size + 1", "DELETE FROM blob_op", "UPDATE blob SET hash = CAST(x'00' || hash AS BLOB)",
		"UPDATE blob SET space = space + 100", "UPDATE field SET value = x'830061610061' WHERE field = 'blob'",
	} {
		if _, err := db.Exec(damage); err != nil {
			t.Fatal(err)
		}
		if len(s.problems()) == 0 {
			t.Errorf("after %s nothing is found", damage)
		}
		rebuild(damage)
		if n := len(query(t, db, "SELECT 1 FROM blob_file WHERE unused_at_ms <> 0")); n > 0 {
			t.Errorf("after %s %d blobs are unused", damage, n)
		}
	}
	s.removeBlob(one, "shared")
	want[one] = core.BlobUsage{Blobs: 1, Bytes: 4}
	s.wantUsage("removed from one", want)
	s.removeBlob(two, "shared")
	want[two], want[""] = core.BlobUsage{}, core.BlobUsage{Blobs: 1, Bytes: 4}
	s.wantUsage("removed from both", want)
	rebuild("rebuilt in the end")
	if n := len(query(t, db, "SELECT 1 FROM blob_file WHERE unused_at_ms <> 0")); n != 1 {
		t.Errorf("%d blobs are unused, want 1", n)
	}
	if _, err := s.BlobUsage(s.ctx(), "nowhere"); err == nil {
		t.Error("BlobUsage of an unknown space: no error")
	}
}
