package collection_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// flipKey flips a bit of a stored key where something else is near, so in the table, or in
// one of its indexes where nothing is.
func (w *world) flipKey(t *testing.T, key, near string, inTable bool) {
	t.Helper()
	w.close()
	path := filepath.Join(w.dir, "soma.db")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for at := 0; ; at += len(key) {
		i := bytes.Index(file[at:], []byte(key))
		if i < 0 {
			break
		}
		at += i
		if bytes.Contains(file[at:min(at+len(key)+120, len(file))], []byte(near)) == inTable {
			file[at+3] ^= 1
			flipped++
		}
	}
	if err := os.WriteFile(path, file, 0o600); err != nil || flipped == 0 {
		t.Fatalf("%d bits flipped, %v", flipped, err)
	}
	w.open()
}

// A bit that flips in one of the places that have a key makes no call run for ever, keeps
// no other record from being written, and can be mended.
func TestDamagedKey(t *testing.T) {
	late := theTime + 100_000
	put := func(key string, atMs int64) func(*testing.T, *world) error {
		return func(t *testing.T, w *world) error { return w.Put(t.Context(), "c", key, json.RawMessage(`1`), atMs) }
	}
	ttl := func(w *world, more ...func(*collection.Rules)) {
		w.nowMs.Store(late)
		w.SetRules("c", func(r *collection.Rules) {
			r.TTL = 50 * time.Second
			for _, rule := range more {
				rule(r)
			}
		})
	}
	calls := map[string]struct {
		fn       func(*testing.T, *world) error
		succeeds bool
	}{
		"put":        {put("thekey2", theTime+100), false},
		"put others": {put("other", theTime+100), true},
		"delete":     {func(t *testing.T, w *world) error { return w.Delete(t.Context(), "c", "thekey2", theTime+100) }, false},
		"clear":      {func(t *testing.T, w *world) error { return w.Clear(t.Context(), "c", theTime+1000) }, false},
		"prune": {func(t *testing.T, w *world) error {
			ttl(w)
			return w.Prune(t.Context())
		}, true},
		"put where others expire": {func(t *testing.T, w *world) error {
			ttl(w)
			return put("other", late)(t, w)
		}, true},
		"put with room to make": {func(t *testing.T, w *world) error {
			ttl(w, func(r *collection.Rules) { r.MaxRecords = 2 })
			return put("other", late)(t, w)
		}, true},
		"put that evicts": {func(t *testing.T, w *world) error {
			w.SetRules("c", func(r *collection.Rules) { r.MaxRecords, r.Evict = 1, true })
			return put("other", theTime+100)(t, w)
		}, false},
	}
	for _, inTable := range []bool{true, false} {
		for what, call := range calls {
			t.Run(fmt.Sprintf("%s/%v", what, inTable), func(t *testing.T) {
				w := newDamaged(t)
				for i := range 5 {
					w.put(t, "c", fmt.Sprintf("thekey%d", i), fmt.Sprintf(`"value%d"`, i), theTime+int64(i))
				}
				w.flipKey(t, "s:thekey2", "value2", inTable)
				err := call.fn(t, w)
				// An index out of order hides other rows too, so that there may be no room.
				hidden := !inTable && errors.Is(err, core.ErrCollectionFull)
				if err != nil && !hidden && (call.succeeds || !errors.Is(err, core.ErrCorrupt)) {
					t.Errorf("%s = %v", what, err)
				}
				if quarantined := w.quarantined(t, "c"); len(quarantined) > 1 {
					t.Errorf("Quarantined = %q, want one at most", quarantined)
				}
				if !inTable {
					return
				}
				w.damage(t, "REINDEX") // as Rebuild does
				if err := call.fn(t, w); err != nil {
					t.Errorf("%s of what was mended = %v", what, err)
				}
				if got := strings.Count(fmt.Sprint(w.quarantined(t, "c")), "value2"); got > 1 {
					t.Errorf("the damaged record is quarantined %d times", got)
				}
			})
		}
	}
}

// So it is with a tombstone's.
func TestDamagedKeyOfATombstone(t *testing.T) {
	w := newDamaged(t)
	w.del(t, "thekey1", theTime)
	w.del(t, "thekey2", theTime)
	w.flipKey(t, "s:thekey2", "\x00\x00", true)
	w.SetRules("c", func(r *collection.Rules) { r.Retention = 0 })
	w.nowMs.Store(theTime + 100)
	if err := w.Prune(t.Context()); err != nil {
		t.Errorf("Prune = %v", err)
	}
	w.put(t, "c", "other", `1`, theTime)
	w.wantList(t, "c", "other=1@0")
}

// An index of ages that does not follow the table ends a search for the oldest.
func TestDamagedIndexOfAges(t *testing.T) {
	w := newDamaged(t)
	for i := range 5 {
		w.put(t, "c", fmt.Sprintf("k%d", i), `1`, theTime+int64(i))
		w.put(t, "c", fmt.Sprintf("k%d", i), `2`, theTime+10+int64(i))
	}
	w.damage(t, `DROP INDEX record_by_age;
		CREATE INDEX record_by_age ON record (collection, seq, key);
		PRAGMA writable_schema = ON;
		UPDATE sqlite_schema SET sql = replace(sql, 'seq', 'age_ms') WHERE name = 'record_by_age'`)
	if err := w.Clear(t.Context(), "c", theTime+1000); err != nil && !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Clear = %v", err)
	}
}

// backwards is a store whose pages of collections never get anywhere.
type backwards struct{ seam }

func (s backwards) Read(ctx context.Context, fn func(core.CollectionView) error) error {
	return s.seam.Read(ctx, func(v core.CollectionView) error { return fn(backwardsView{v}) })
}

type backwardsView struct{ core.CollectionView }

func (backwardsView) Collections(_ string, limit int) ([]core.CollectionRow, error) {
	return slices.Repeat([]core.CollectionRow{{Name: "a", Records: 1}}, limit), nil
}

// Names that are damaged keep nobody going through all collections for ever.
func TestDamagedNames(t *testing.T) {
	w := newWorld(t)
	c := collection.New(collection.Config{
		Store: backwards{seam{w.db}}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	defer c.Close()
	if names, err := c.Names(t.Context()); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Names = %d, %v, want ErrCorrupt", len(names), err)
	}
	if err := c.Prune(t.Context()); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Prune = %v, want ErrCorrupt", err)
	}
}
