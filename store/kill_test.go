//go:build cgo

package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// TestKill kills a writing process at seeded moments: after a number of
// acknowledged writes, or somewhere while it opens. What was acknowledged must
// be there, jobs must be whole, and opening must need no repair.
func TestKill(t *testing.T) {
	for _, mode := range []string{"full", "relaxed"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			const seed, kills = 20240611, 26
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, uint64(len(mode))))
			dir := t.TempDir()
			var acked []string
			for range kills {
				keys := killOne(t, r, mode, dir)
				db := openIn(t, dir, store.Options{})
				wantWhole(t, db, keys)
				mustClose(t, db)
				acked = append(acked, keys...)
			}
			db := openIn(t, dir, store.Options{})
			wantWhole(t, db, acked)
			mustClose(t, db)
			t.Logf("%d acknowledged writes", len(acked))
			if len(acked) < kills {
				t.Errorf("only %d writes were acknowledged: the test tests nothing", len(acked))
			}
		})
	}
}

// killOne returns the keys that were acknowledged.
func killOne(t *testing.T, r *rand.Rand, mode, dir string) []string {
	t.Helper()
	p := launch(t, "writer", dir, mode)
	var lines []string
	if r.IntN(5) == 0 {
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
	} else {
		for range 1 + r.IntN(400) {
			if !p.out.Scan() {
				break
			}
			lines = append(lines, p.out.Text())
		}
	}
	lines = append(lines, p.kill(t)...)
	var keys []string
	for _, line := range lines {
		if strings.HasPrefix(line, "error") {
			t.Fatalf("writer: %s", line)
		}
		if line != "open" {
			keys = append(keys, line)
		}
	}
	return keys
}

func wantWhole(t *testing.T, db *store.DB, acked []string) {
	t.Helper()
	err := db.Read(context.Background(), func(v core.View) error {
		for _, key := range acked {
			for _, half := range []string{"a ", "b "} {
				value, err := v.Meta(half + key)
				if err != nil {
					return err
				}
				if value == nil {
					return fmt.Errorf("acknowledged write %s is lost", half+key)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(context.Background(), func(core.Tx) error {
		n, err := db.Query(`SELECT count(*) FROM meta m WHERE NOT EXISTS (SELECT 1 FROM meta
			WHERE key = CASE substr(m.key, 1, 1) WHEN 'a' THEN 'b' ELSE 'a' END || substr(m.key, 2))`)
		if n != int64(0) {
			t.Errorf("%v jobs are stored in part", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
