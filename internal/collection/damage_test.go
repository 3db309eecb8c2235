package collection_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// damage runs SQL on the closed database, and opens it again.
func (w *world) damage(t *testing.T, script string) {
	t.Helper()
	w.close()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "soma.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(script)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	w.open()
}

// newDamaged is newWorld without a look for damage at the end.
func newDamaged(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.nowMs.Store(theTime)
	w.open()
	t.Cleanup(w.close)
	return w
}

func none(collection.Record) error { return nil }

func TestDamagedRecords(t *testing.T) {
	w := newDamaged(t)
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		w.put(t, "c", key, `"`+key+`"`, theTime)
	}
	w.damage(t, `UPDATE record SET value = CAST('{"half' AS BLOB) WHERE key = 's:a';
		UPDATE record SET value = CAST('"B"' AS BLOB) WHERE key = 's:b';
		UPDATE record SET updated_at_ms = updated_at_ms + 1 WHERE key = 's:c';
		UPDATE record SET version_key = 'x' WHERE key = 's:d';
		UPDATE record SET key = 's:x' WHERE key = 's:e'`)
	w.wantList(t, "c", `f="f"@0`)
	want := []string{
		`a={"half@0 false its checksum is another one`, `b="B"@0 false its checksum is another one`, `c="c"@1 false its checksum is another one`,
		`d="d"@0 false its checksum is another one`, `x="e"@0 false its checksum is another one`,
	}
	if got := w.quarantined(t, "c"); !slices.Equal(got, want) {
		t.Errorf("Quarantined = %q, want %q", got, want)
	}
	for _, key := range []string{"a", "b", "c", "d", "x"} {
		_, err := w.Get(t.Context(), "c", key)
		var e *collection.RecordError
		if !errors.Is(err, core.ErrCorrupt) || !errors.As(err, &e) || e.Key != key {
			t.Errorf("Get(%s) = %v, want ErrCorrupt that names it", key, err)
		}
	}
	if n := strings.Count(w.log.String(), "quarantined"); n != 5 {
		t.Errorf("the log tells of %d records, want each of 5 once: %s", n, w.log.String())
	}
	// A write replaces what is damaged whatever its time is, and keeps its bytes.
	w.put(t, "c", "c", `"new"`, theTime-50)
	w.del(t, "b", theTime-50)
	w.clear(t, "c", theTime)
	w.put(t, "c", "g", `"g"`, theTime+1)
	w.wantList(t, "c", `g="g"@1`)
	got := w.quarantined(t, "c")
	slices.Sort(got)
	for i := range want {
		want[i] = strings.Replace(want[i], "false", "true", 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Quarantined = %q, want %q", got, want)
	}
	for _, key := range []string{"a", "b", "c", "d", "x"} {
		if err := w.DropQuarantined(t.Context(), "c", key, none); err != nil {
			t.Error(err)
		}
	}
	if got := w.quarantined(t, "c"); len(got) != 0 {
		t.Errorf("Quarantined = %q after all was dropped", got)
	}
	if found := w.problems(t); len(found) != 0 {
		t.Errorf("Check found %q after all was dropped", found)
	}
}

func (w *world) problems(t *testing.T) (all []string) {
	t.Helper()
	err := w.db.Read(t.Context(), func(v core.View) error {
		return v.Check(func(d core.Damage) error {
			all = append(all, fmt.Sprintf("%+v", d))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A damaged record is dropped where it stands.
func TestDropDamagedRecord(t *testing.T) {
	w := newDamaged(t)
	w.put(t, "c", "a", `1`, theTime)
	w.put(t, "c", "b", `1`, theTime)
	w.damage(t, `UPDATE record SET value = CAST('2' AS BLOB) WHERE key = 's:a'`)
	if err := w.DropQuarantined(t.Context(), "c", "a", none); err != nil {
		t.Fatal(err)
	}
	w.wantList(t, "c", "b=1@0")
	if got := w.quarantined(t, "c"); len(got) != 0 {
		t.Errorf("Quarantined = %q, want nothing", got)
	}
	if found := w.problems(t); len(found) != 0 {
		t.Errorf("Check found %q", found)
	}
}

func TestQuarantineIsBounded(t *testing.T) {
	w := newDamaged(t)
	for i := range collection.MaxQuarantined + 5 {
		w.put(t, "c", fmt.Sprint(i), `1`, theTime+int64(i))
	}
	w.damage(t, `UPDATE record SET value = CAST('2' AS BLOB)`)
	w.clear(t, "c", theTime+10_000)
	got := w.quarantined(t, "c")
	if len(got) != collection.MaxQuarantined || !strings.HasPrefix(got[0], "5=2@5 ") {
		t.Errorf("%d are set aside, first %q, want the last %d", len(got), got[:1], collection.MaxQuarantined)
	}
	large := `"` + strings.Repeat("x", collection.MaxRecordBytes-2) + `"`
	for i := range collection.MaxSetAsideBytes>>20 + 3 {
		w.put(t, "large", fmt.Sprint(i), large, theTime+int64(i))
	}
	w.damage(t, `UPDATE record SET seq = seq + 1`)
	w.clear(t, "large", theTime+10_000)
	if got := w.quarantined(t, "large"); int64(len(got)) != collection.MaxSetAsideBytes>>20 || !strings.HasPrefix(got[0], "3=") {
		t.Errorf("%d are set aside, first %.20q, want the last 64 MiB", len(got), got[:1])
	}
}

// The row of a collection is made anew from its records, but for when it was cleared.
func TestDamagedCollectionRow(t *testing.T) {
	for _, column := range []string{"seq", "position", "records", "bytes", "tombstones", "version", "stale", "cleared_at_ms"} {
		t.Run(column, func(t *testing.T) {
			w := newDamaged(t)
			w.setSchema(2, map[int]collection.Migration{1: wrap(2)})
			for i := range 5 {
				w.put(t, "c", fmt.Sprint(i), `1`, theTime+1)
			}
			w.del(t, "1", theTime+1)
			before := w.row(t)
			w.damage(t, `UPDATE collection SET `+column+` = `+column+` + 1`)
			w.wantList(t, "c", "0=1@1", "2=1@1", "3=1@1", "4=1@1")
			w.put(t, "c", "new", `1`, theTime+2)
			w.wantList(t, "c", "0=1@1", "2=1@1", "3=1@1", "4=1@1", "new=1@2")
			after := w.row(t)
			if after.Seq <= before.Seq+1 || after.Records != 5 || after.Tombstones != 1 || after.Schema != 2 || after.Stale != 0 {
				t.Errorf("row is %+v, was %+v", after, before)
			}
			if found := w.problems(t); len(found) != 0 {
				t.Errorf("Check found %q", found)
			}
			if !strings.Contains(w.log.String(), "damaged") {
				t.Error("the log tells nothing")
			}
		})
	}
}

// A tombstone that is damaged says nothing, and is replaced.
func TestDamagedTombstone(t *testing.T) {
	w := newDamaged(t)
	w.del(t, "a", theTime)
	w.del(t, "b", theTime)
	w.damage(t, `UPDATE tombstone SET updated_at_ms = updated_at_ms + 100000`)
	w.put(t, "c", "a", `1`, theTime-1)
	w.del(t, "b", theTime)
	w.wantList(t, "c", "a=1@-1")
	if found := w.problems(t); len(found) != 0 {
		t.Errorf("Check found %q", found)
	}
}
