package collection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// wrap is a migration that says what it did.
func wrap(version int) collection.Migration {
	return func(key string, old json.RawMessage) (json.RawMessage, error) {
		return fmt.Appendf(nil, `{"v%d":%s}`, version, old), nil
	}
}

// setSchema gives collection c a version.
func (w *world) setSchema(version int64, steps map[int]collection.Migration) {
	w.SetRules("c", func(r *collection.Rules) { r.Schema, r.Migrations = version, steps })
}

func (w *world) quarantined(t failer, name string) (all []string) {
	t.Helper()
	found, err := w.Quarantined(context.Background(), name, func(collection.Record) error { return nil })
	if err != nil {
		t.Fatalf("Quarantined = %v", err)
	}
	for _, q := range found {
		all = append(all, fmt.Sprintf("%s %v %s", show(q.Key, q.Value, q.UpdatedAtMs), q.Replaced, q.Reason))
	}
	return all
}

func TestMigration(t *testing.T) {
	w := newWorld(t)
	const n = 600 // more than a page
	for i := range n {
		w.put(t, "c", fmt.Sprint("k", i), fmt.Sprint(i), theTime+int64(i))
	}
	w.put(t, "c", "k0", `0.5`, theTime+1000)
	w.del(t, "k1", theTime+1000)
	before := w.row(t)
	w.reopen()
	w.setSchema(3, map[int]collection.Migration{1: wrap(2), 2: wrap(3)})
	list := w.list(t, "c")
	if len(list) != n-1 || list[0] != `k0={"v3":{"v2":0.5}}@1000` || list[1] != `k2={"v3":{"v2":2}}@2` || list[n-2] != `k599={"v3":{"v2":599}}@599` {
		t.Errorf("migrated to %d records, %.200q", len(list), list)
	}
	row := w.row(t)
	if row.Schema != 3 || row.Stale != 0 || row.Seq != before.Seq+n-1 {
		t.Errorf("row is %+v, was %+v", row, before)
	}
	// It is done once, and what is written then is of the new version.
	w.reopen()
	w.setSchema(3, map[int]collection.Migration{})
	w.put(t, "c", "new", `1`, theTime)
	if again := w.list(t, "c"); !slices.Equal(again[:n-1], list) || again[n-1] != "new=1@0" {
		t.Errorf("after reopening: %.200q", again)
	}
	// Who gives no version writes the one that is there; who knows less may not.
	w.reopen()
	w.put(t, "c", "newer", `2`, theTime)
	for range 2 {
		w.setSchema(2, map[int]collection.Migration{1: wrap(2)})
		_, err := w.Get(t.Context(), "c", "new")
		wantTooNew(t, "Get", err)
		wantTooNew(t, "Put", w.Put(t.Context(), "c", "new", json.RawMessage(`3`), theTime+9))
		wantTooNew(t, "Clear", w.Clear(t.Context(), "c", theTime+9))
		for _, err := range w.List(t.Context(), "c") {
			wantTooNew(t, "List", err)
		}
	}
	w.setSchema(4, map[int]collection.Migration{1: wrap(2), 2: wrap(3), 3: wrap(4)})
	if list := w.list(t, "c"); list[n] != `newer={"v4":2}@0` || list[n-1] != `new={"v4":1}@0` {
		t.Errorf("migrated again: %.200q", list[n-1:])
	}
}

func wantTooNew(t *testing.T, call string, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrSchemaTooNew) {
		t.Errorf("%s under an older version = %v, want ErrSchemaTooNew", call, err)
	}
}

func TestMigrationsThatFail(t *testing.T) {
	w := newWorld(t)
	for _, key := range []string{"good", "error", "panic", "no JSON", "too large", "refused"} {
		w.put(t, "c", key, `1`, theTime)
	}
	broken := func(key string, old json.RawMessage) (json.RawMessage, error) {
		old[0] = '9' // its own copy
		switch key {
		case "error":
			return nil, errors.New("cannot")
		case "panic":
			panic("no way")
		case "no JSON":
			return json.RawMessage(`{`), nil
		case "too large":
			return json.RawMessage(`"` + strings.Repeat("x", collection.MaxRecordBytes) + `"`), nil
		}
		return json.RawMessage(`2`), nil
	}
	check := func(key string, value json.RawMessage) (any, error) {
		if key == "refused" {
			return nil, &collection.FieldError{Field: "size", Err: errors.New("wrong")}
		}
		return nil, nil
	}
	w.SetRules("c", func(r *collection.Rules) { r.Check = check })
	w.setSchema(2, map[int]collection.Migration{1: broken})
	for range 2 {
		w.wantList(t, "c", "good=2@0")
		want := []string{
			"error=1@0 false migration from version 1: cannot", "panic=1@0 false panic: no way", "no JSON=1@0 false what the migration made: soma: invalid JSON",
			"too large=1@0 false what the migration made: 1048578 bytes, at most 1048576 are allowed: soma: value exceeds its limit", "refused=2@0 false field size: wrong",
		}
		if got := w.quarantined(t, "c"); !slices.Equal(got, want) {
			t.Errorf("Quarantined = %q, want %q", got, want)
		}
		_, err := w.Get(t.Context(), "c", "error")
		var e *collection.RecordError
		if !errors.Is(err, core.ErrCorrupt) || !errors.As(err, &e) || e.Key != "error" || e.Collection != "c" {
			t.Errorf("Get = %v, want ErrCorrupt that names the record", err)
		}
		if row := w.row(t); row.Stale != 5 {
			t.Errorf("%d values are of the older version, want 5", row.Stale)
		}
	}
	if n := strings.Count(w.log.String(), "quarantined"); n != 5 {
		t.Errorf("the log tells of %d records, want each of 5 once: %s", n, w.log.String())
	}
	// What is replaced keeps its bytes; what is older does not replace.
	w.put(t, "c", "error", `3`, theTime-1)
	w.put(t, "c", "error", `3`, theTime+1)
	w.del(t, "panic", theTime+1)
	w.wantList(t, "c", "good=2@0", "error=3@1")
	if got := w.quarantined(t, "c"); len(got) != 5 || got[3] != "error=1@0 true value is of an older version" || got[4] != "panic=1@0 true value is of an older version" {
		t.Errorf("Quarantined = %q", got)
	}
	// With a better migration all that is left comes back by itself.
	w.reopen()
	w.setSchema(2, map[int]collection.Migration{1: wrap(2)})
	w.wantList(t, "c", "good=2@0", "error=3@1", `no JSON={"v2":1}@0`, `too large={"v2":1}@0`, `refused={"v2":1}@0`)
	if row := w.row(t); row.Stale != 0 {
		t.Errorf("%d values are of the older version, want none", row.Stale)
	}
	for _, key := range []string{"error", "panic"} {
		if err := w.DropQuarantined(t.Context(), "c", key, func(collection.Record) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	err := w.DropQuarantined(t.Context(), "c", "good", func(collection.Record) error { return nil })
	if got := w.quarantined(t, "c"); len(got) != 0 || !errors.Is(err, core.ErrNotFound) {
		t.Errorf("after all is dropped: %q, %v", got, err)
	}
}

// A process that ended while it migrated left values of both versions.
func TestMigrationIsTakenUp(t *testing.T) {
	w := newWorld(t)
	const n = 600
	for i := range n {
		w.put(t, "c", fmt.Sprint("k", i), `1`, theTime)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.setSchema(2, map[int]collection.Migration{1: func(key string, old json.RawMessage) (json.RawMessage, error) {
		if key == "k300" {
			cancel()
		}
		return json.RawMessage(`2`), nil
	}})
	if _, err := w.Get(ctx, "c", "k0"); !errors.Is(err, context.Canceled) {
		t.Fatalf("Get = %v, want that the migration was interrupted", err)
	}
	row := w.row(t)
	if row.Schema != 2 || row.Stale == 0 || row.Stale == n {
		t.Fatalf("row is %+v, want that some values are migrated", row)
	}
	w.reopen()
	if got := len(w.list(t, "c")); got != int(n-row.Stale) { // who knows no migration sees the others
		t.Errorf("%d records can be read, want %d", got, n-row.Stale)
	}
	w.setSchema(2, map[int]collection.Migration{1: func(key string, old json.RawMessage) (json.RawMessage, error) {
		if string(old) != `1` {
			return nil, errors.New("migrated twice")
		}
		return json.RawMessage(`2`), nil
	}})
	for i, rec := range w.list(t, "c") {
		if want := fmt.Sprintf("k%d=2@0", i); rec != want {
			t.Fatalf("record %d is %s, want %s", i, rec, want)
		}
	}
	if row := w.row(t); row.Stale != 0 {
		t.Errorf("%d values are of the older version, want none", row.Stale)
	}
}

// Many calls at once migrate a collection once, and all see it migrated.
func TestMigrationRunsOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 300 {
		w.put(t, "c", fmt.Sprint("k", i), `1`, theTime)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := collection.Watch(ctx, w.Collections, "c", func(c collection.Change) collection.Change { return c })
	var calls atomic.Int64
	w.setSchema(2, map[int]collection.Migration{1: func(string, json.RawMessage) (json.RawMessage, error) {
		calls.Add(1)
		return json.RawMessage(`2`), nil
	}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			rec, err := w.Get(t.Context(), "c", fmt.Sprint("k", i))
			if err != nil || string(rec.Value) != `2` {
				t.Errorf("Get = %s, %v, want what was migrated", rec.Value, err)
			}
		})
	}
	wg.Wait()
	if got := calls.Load(); got != 300 {
		t.Errorf("the migration was called %d times, want 300", got)
	}
	if change := <-changes; change.Kind != collection.Reset {
		t.Errorf("a watch was told %+v, want a reset", change)
	}
}
