package collection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

func TestRefusedWrites(t *testing.T) {
	w := newWorld(t)
	w.put(t, "c", "a", `1`, theTime)
	day := collection.DefaultClockSkew.Milliseconds()
	for _, c := range []struct {
		what, name, key, value string
		atMs                   int64
		want                   error
	}{
		{"empty name", "", "a", `1`, 1, core.ErrInvalidID},
		{"name with a line break", "a\nb", "a", `1`, 1, core.ErrInvalidID},
		{"long name", strings.Repeat("n", core.MaxIDBytes+1), "a", `1`, 1, core.ErrInvalidID},
		{"empty key", "c", "", `1`, 1, core.ErrInvalidID},
		{"long key", "c", strings.Repeat("k", core.MaxKeyBytes+1), `1`, 1, core.ErrInvalidID},
		{"key that is not UTF-8", "c", "\xff", `1`, 1, core.ErrInvalidID},
		{"key that is no number", "c", "\x00x", `1`, 1, core.ErrInvalidID},
		{"key that is another text of a number", "c", "\x001.0", `1`, 1, core.ErrInvalidID},
		{"no value", "c", "a", ``, theTime, core.ErrInvalidJSON},
		{"half a value", "c", "a", `{"a":`, theTime, core.ErrInvalidJSON},
		{"two values", "c", "a", `1 2`, theTime, core.ErrInvalidJSON},
		{"value that is not UTF-8", "c", "a", "\"\xff\"", theTime, core.ErrInvalidJSON},
		{"value with a mark in front", "c", "a", "\ufeff1", theTime, core.ErrInvalidJSON},
		{"NaN", "c", "a", `NaN`, theTime, core.ErrInvalidJSON},
		{"large value", "c", "a", `"` + strings.Repeat("x", collection.MaxRecordBytes-1) + `"`, theTime, core.ErrTooLarge},
		{"negative time", "c", "a", `2`, -1, core.ErrInvalidTime},
		{"unsafe time", "c", "a", `2`, 1 << 53, core.ErrInvalidTime},
		{"time that overflows", "c", "a", `2`, math.MinInt64, core.ErrInvalidTime},
		{"far ahead", "c", "a", `2`, theTime + day + 1, core.ErrClockSkew},
	} {
		if err := w.Put(t.Context(), c.name, c.key, json.RawMessage(c.value), c.atMs); !errors.Is(err, c.want) {
			t.Errorf("%s: Put = %v, want %v", c.what, err, c.want)
		}
		if errors.Is(c.want, core.ErrInvalidTime) || errors.Is(c.want, core.ErrClockSkew) {
			if err := w.Delete(t.Context(), c.name, c.key, c.atMs); !errors.Is(err, c.want) {
				t.Errorf("%s: Delete = %v, want %v", c.what, err, c.want)
			}
			if err := w.Clear(t.Context(), c.name, c.atMs); !errors.Is(err, c.want) {
				t.Errorf("%s: Clear = %v, want %v", c.what, err, c.want)
			}
			if err := w.Put(t.Context(), c.name, c.key, json.RawMessage(c.value), c.atMs); !strings.Contains(err.Error(), "updatedAtMs") {
				t.Errorf("%s: %v does not name the field", c.what, err)
			}
		}
	}
	w.wantList(t, "c", "a=1@0")
	w.put(t, "c", "a", `2`, theTime+day)
	w.put(t, "c", strings.Repeat("k", core.MaxKeyBytes), `"`+strings.Repeat("x", collection.MaxRecordBytes-2)+`"`, theTime)
	if got := w.row(t).Records; got != 2 {
		t.Errorf("%d records at the limits, want 2", got)
	}
}

func TestLimitsThatAreLowered(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.put(t, "c", fmt.Sprint(i), `"12345"`, theTime+int64(i))
	}
	w.SetRules("c", func(r *collection.Rules) { r.MaxRecords, r.MaxRecordBytes = 5, 3 })
	if err := w.Put(t.Context(), "c", "new", json.RawMessage(`1`), theTime); !errors.Is(err, core.ErrCollectionFull) {
		t.Errorf("Put into a full collection = %v, want ErrCollectionFull", err)
	}
	w.put(t, "c", "9", `1`, theTime+20) // needs no place
	if got := w.row(t).Records; got != 10 {
		t.Errorf("%d records, want the 10 that were there", got)
	}
	w.SetRules("c", func(r *collection.Rules) { r.Evict = true })
	w.put(t, "c", "new", `1`, theTime+30)
	w.wantList(t, "c", `6="12345"@6`, `7="12345"@7`, `8="12345"@8`, `9=1@20`, `new=1@30`)
	w.SetRules("c", func(r *collection.Rules) { r.MaxBytes = 14 })
	w.put(t, "c", "new", `2`, theTime+31)
	w.wantList(t, "c", `8="12345"@8`, `9=1@20`, `new=2@31`) // 8 + 2 + 4 bytes
	for _, evict := range []bool{true, false} {
		w.SetRules("c", func(r *collection.Rules) { r.MaxRecordBytes, r.MaxBytes, r.Evict = 20, 20, evict })
		if err := w.Put(t.Context(), "c", "k", json.RawMessage(`"123456789012345678"`), theTime+40); !errors.Is(err, core.ErrCollectionFull) {
			t.Errorf("Put of more than fits in any case = %v, want ErrCollectionFull", err)
		}
	}
}

// Bytes are those of the key as the host has it, and of the value.
func TestBytesOfKeysAndValues(t *testing.T) {
	for _, evict := range []bool{false, true} {
		w := newWorld(t)
		w.SetRules("c", func(r *collection.Rules) { r.MaxBytes, r.Evict = 10, evict })
		w.put(t, "c", "key", `12`, theTime)
		w.put(t, "c", collection.NumberKey(123), `12`, theTime)
		if got := w.row(t); got.Bytes != 10 || got.Records != 2 {
			t.Errorf("row is %+v, want 10 bytes", got)
		}
		err := w.Put(t.Context(), "c", "k", json.RawMessage(`1`), theTime-1)
		if !evict && !errors.Is(err, core.ErrCollectionFull) || evict && err != nil {
			t.Errorf("Put of 2 bytes more = %v", err)
		}
		if err := w.Put(t.Context(), "c", "ke", json.RawMessage(`123456789`), theTime+1); !errors.Is(err, core.ErrCollectionFull) {
			t.Errorf("Put of 11 bytes = %v, want ErrCollectionFull", err)
		}
		w.wantList(t, "c", "key=12@0", collection.NumberKey(123)+"=12@0")
		w.SetRules("c", func(r *collection.Rules) { r.Evict = true })
		w.put(t, "c", "ke", `12345678`, theTime+1)
		w.wantList(t, "c", "ke=12345678@1")
	}
}

// The oldest record is the one that was written longest ago, not the one that came first.
func TestEvictionGoesByTheLastWrite(t *testing.T) {
	w := newWorld(t)
	w.SetRules("c", func(r *collection.Rules) { r.MaxRecords, r.Evict = 20, true })
	for i := range 20 {
		w.put(t, "c", fmt.Sprint("k", i), `1`, theTime+int64(i))
	}
	for i := range 10 { // the first ten are the newest now
		w.put(t, "c", fmt.Sprint("k", i), `2`, theTime+100-int64(i))
	}
	for i := range 15 {
		w.put(t, "c", fmt.Sprint("new", i), `3`, theTime+200)
	}
	w.wantList(t, "c", "k0=2@100", "k1=2@99", "k2=2@98", "k3=2@97", "k4=2@96", "new0=3@200", "new1=3@200", "new2=3@200", "new3=3@200",
		"new4=3@200", "new5=3@200", "new6=3@200", "new7=3@200", "new8=3@200", "new9=3@200", "new10=3@200", "new11=3@200", "new12=3@200",
		"new13=3@200", "new14=3@200")
}

func TestExpiredRecordLosesItsPlace(t *testing.T) {
	w := newWorld(t)
	w.SetRules("c", func(r *collection.Rules) { r.TTL = time.Second })
	w.put(t, "c", "a", `1`, theTime)
	w.put(t, "c", "b", `1`, theTime+500)
	w.nowMs.Add(999)
	w.wantList(t, "c", "a=1@0", "b=1@500")
	w.nowMs.Add(1)
	w.wantList(t, "c", "b=1@500")
	if _, err := w.Get(t.Context(), "c", "a"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Get of an expired record = %v, want ErrNotFound", err)
	}
	w.put(t, "c", "a", `2`, theTime+1)
	w.wantList(t, "c", "b=1@500", "a=2@1")
	w.put(t, "c", "late", `1`, theTime) // has expired already
	w.wantList(t, "c", "b=1@500", "a=2@1")
	w.nowMs.Add(10_000)
	if err := w.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := w.row(t); row.Records != 0 || row.Bytes != 0 || row.Tombstones != 2 {
		t.Errorf("after Prune: %+v", row)
	}
	names, err := w.Names(t.Context())
	if err != nil || len(names) != 0 {
		t.Errorf("Names = %q, %v, want none", names, err)
	}
}

func TestTombstonesAreForgotten(t *testing.T) {
	w := newWorld(t)
	w.SetRules("c", func(r *collection.Rules) { r.Retention = time.Hour })
	w.put(t, "c", "a", `1`, theTime)
	w.del(t, "a", theTime)
	w.del(t, "ahead", theTime+1000)
	w.nowMs.Add(time.Hour.Milliseconds() - 1)
	w.put(t, "c", "a", `1`, theTime) // remembered
	w.wantList(t, "c")
	w.nowMs.Add(1)
	w.put(t, "c", "b", `1`, theTime) // a write forgets what is due
	if got := w.row(t).Tombstones; got != 1 {
		t.Errorf("%d tombstones, want the one that is from ahead", got)
	}
	w.put(t, "c", "a", `1`, theTime)
	w.wantList(t, "c", "b=1@0", "a=1@0")
	w.nowMs.Add(1000)
	if err := w.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.row(t).Tombstones; got != 0 {
		t.Errorf("%d tombstones after Prune, want none", got)
	}
	w.clear(t, "c", theTime+5)
	w.nowMs.Add(time.Hour.Milliseconds())
	if err := w.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.put(t, "c", "a", `1`, theTime+5) // a Clear is remembered for ever
	w.wantList(t, "c")
}

func TestTombstonesAreBounded(t *testing.T) {
	w := newWorld(t)
	err := w.Update(t.Context(), "c", func(b *collection.Batch) error {
		for i := range collection.MaxTombstones + 5 {
			if _, err := b.Apply(collection.Write{Key: fmt.Sprint(i), Delete: true, UpdatedAtMs: theTime}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.row(t).Tombstones; got != collection.MaxTombstones {
		t.Errorf("%d tombstones, want %d", got, collection.MaxTombstones)
	}
	w.put(t, "c", "0", `1`, theTime) // the oldest was forgotten
	w.put(t, "c", "10", `1`, theTime)
	w.wantList(t, "c", "0=1@0")
}

func TestCollectionsAreBounded(t *testing.T) {
	w := newWorld(t)
	err := w.db.Write(t.Context(), func(tx core.Tx) (err error) {
		for i := range collection.MaxCollections {
			err = errors.Join(err, tx.PutCollection(&core.CollectionRow{Name: fmt.Sprintf("n%05d", i), Schema: 1, ClearedAtMs: -1}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put(t.Context(), "one more", "a", json.RawMessage(`1`), theTime); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("Put into one collection too many = %v, want ErrTooLarge", err)
	}
	w.put(t, "n00007", "a", `1`, theTime)
	w.wantList(t, "n00007", "a=1@0")
}

func TestLosingWritesChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.put(t, "c", "a", `2`, theTime)
	w.del(t, "gone", theTime)
	before := w.row(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := collection.Watch(ctx, w.Collections, "c", func(c collection.Change) collection.Change { return c })
	w.put(t, "c", "a", `2`, theTime)
	w.put(t, "c", "a", `9`, theTime-1)
	w.put(t, "c", "a", `1`, theTime)
	w.put(t, "c", "gone", `1`, theTime)
	w.del(t, "a", theTime-1)
	w.del(t, "gone", theTime)
	if after := w.row(t); after != before {
		t.Errorf("row is %+v, was %+v", after, before)
	}
	w.put(t, "c", "b", `1`, theTime)
	if change := <-changes; change.Key != "b" || change.Seq != before.Seq+1 {
		t.Errorf("first change is %+v, want that of b", change)
	}
}

func TestFailedBatchLeavesNothing(t *testing.T) {
	w := newWorld(t)
	mine := errors.New("mine")
	for range 2 {
		err := w.Update(t.Context(), "c", func(b *collection.Batch) error {
			for _, key := range []string{"a", "b"} {
				if ok, err := b.Apply(collection.Write{Key: key, Value: json.RawMessage(`1`), UpdatedAtMs: theTime}); !ok || err != nil {
					t.Errorf("Apply = %v, %v", ok, err)
				}
			}
			return mine
		})
		if !errors.Is(err, mine) {
			t.Fatalf("Update = %v, want the error of its function", err)
		}
		w.wantList(t, "c")
	}
	w.put(t, "c", "a", `1`, theTime)
	if row := w.row(t); row.Seq != 1 || row.Records != 1 || row.Position != 1 {
		t.Errorf("after two failures: %+v", row)
	}
	w.reopen()
	w.wantList(t, "c", "a=1@0")
}

// What a row has seen outlives deletion, expiry and Clear.
func TestVersionKeysAreRemembered(t *testing.T) {
	w := newWorld(t)
	write := func(wr collection.Write) (e collection.Entry) {
		t.Helper()
		err := w.Update(t.Context(), "c", func(b *collection.Batch) error {
			if ok, err := b.Apply(wr); !ok || err != nil {
				return fmt.Errorf("Apply = %v, %w", ok, err)
			}
			var err error
			e, err = b.Entry(wr.Key)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	value := json.RawMessage(`1`)
	e := write(collection.Write{Key: "k", Value: value, UpdatedAtMs: theTime, VersionKey: "first"})
	if !e.Live || !e.Knows("first") || e.VersionKey != "first" || e.Knows("second") {
		t.Errorf("after the first write: %+v", e)
	}
	e = write(collection.Write{Key: "k", Value: value, UpdatedAtMs: theTime + 1, VersionKey: "second", Delete: true})
	if e.Live || !e.Knows("first") || e.UpdatedAtMs != theTime+1 {
		t.Errorf("after a deletion: %+v", e)
	}
	e = write(collection.Write{Key: "k", Value: value, UpdatedAtMs: theTime + 2})
	if !e.Live || !e.Knows("first") || len(e.VersionKey) != 36 {
		t.Errorf("after another write: %+v", e)
	}
	w.clear(t, "c", theTime+3)
	e = write(collection.Write{Key: "k", Value: value, UpdatedAtMs: theTime + 4})
	if !e.Knows("first") {
		t.Errorf("after Clear: %+v", e)
	}
	for i := range 100 {
		e = write(collection.Write{Key: "k", Value: value, UpdatedAtMs: theTime + 5 + int64(i), VersionKey: fmt.Sprint("v", i)})
	}
	if e.Knows("first") || e.Knows("v34") || !e.Knows("v35") || !e.Knows("v99") {
		t.Error("not the last 64 version keys are remembered, and the one at hand")
	}
}
