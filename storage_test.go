package soma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// storageWindow writes to the collection "rows" as a window does.
type storageWindow struct {
	t    testing.TB
	db   *soma.DB
	base int64
	opts []soma.StorageOption
}

func newWindow(t testing.TB, db *soma.DB, opts ...soma.StorageOption) *storageWindow {
	t.Helper()
	w := &storageWindow{t: t, db: db, opts: opts}
	w.fetch()
	return w
}

func storageOf(t testing.TB, db *soma.DB) soma.StorageSnapshot {
	t.Helper()
	s, err := db.Collections().Snapshot(context.Background(), "rows")
	if err != nil {
		t.Fatalf("Snapshot = %v", err)
	}
	return s
}

// fetch adopts a snapshot.
func (w *storageWindow) fetch() {
	w.t.Helper()
	w.base = storageOf(w.t, w.db).Seq
}

// set writes without adopting anything.
func (w *storageWindow) set(value string) soma.StorageResult {
	w.t.Helper()
	r, err := w.db.Collections().SetItem(context.Background(), "rows", []byte(value), w.base, w.opts...)
	if err != nil {
		w.t.Fatalf("SetItem(%.300s, %d) = %v", value, w.base, err)
	}
	return r
}

func (w *storageWindow) same(value string) {
	w.t.Helper()
	if r := w.set(value); !r.Same || r.Seq != storageOf(w.t, w.db).Seq {
		w.t.Fatalf("SetItem(%.300s, %d) = %+v, want Same; the collection is %s", value, w.base, r, storageOf(w.t, w.db).Value)
	} else {
		w.base = r.Seq
	}
}

func (w *storageWindow) differs(value, want string) {
	w.t.Helper()
	if r := w.set(value); r.Same {
		w.t.Errorf("SetItem(%.300s, %d) = %+v, want another Snapshot", value, w.base, r)
	}
	w.wants(want)
}

func (w *storageWindow) wants(want string) {
	w.t.Helper()
	if got := string(storageOf(w.t, w.db).Value); got != want {
		w.t.Fatalf("Snapshot = %s, want %s", got, want)
	}
}

// rows makes a snapshot of rows "key version data".
func rows(all ...string) string {
	var b strings.Builder
	for i, row := range all {
		part := strings.SplitN(row, " ", 3)
		fmt.Fprintf(&b, "%s%q:{\"versionKey\":%q,\"data\":%s}", map[bool]string{true: ","}[i > 0], part[0], part[1], part[2])
	}
	return "{" + b.String() + "}"
}

func TestSnapshotFormat(t *testing.T) {
	db, _ := openAt(t)
	w := newWindow(t, db)
	w.wants(`{}`)
	if s := storageOf(t, db); s.Seq != 0 {
		t.Errorf("Seq of nothing is %d", s.Seq)
	}
	values := []struct{ key, stored, value string }{
		{`a "b\c`, `s:a \"b\\c`, `{"n":9007199254740993,"f":1.0,"z":1,"a":2,"s":"<é>\ud800\u003c","n":1}`},
		{soma.NumberKey(5), `n:5`, `[1, 2 ]`},
		{soma.NumberKey(-2.5e-7), `n:-2.5e-7`, `{ "a" : 1 }`},
		{"n:5", `s:n:5`, `{}`},
		{"é😀", `s:é😀`, `{"":{}}`},
	}
	want := regexp.QuoteMeta("{")
	for i, v := range values {
		put(t, db, "rows", v.key, v.value, theTime)
		want += map[bool]string{true: ","}[i > 0] + regexp.QuoteMeta(`"`+v.stored+`":{"versionKey":"`) +
			`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}` + regexp.QuoteMeta(`","data":`+v.value+`}`)
	}
	s := storageOf(t, db)
	if !regexp.MustCompile("^" + want + regexp.QuoteMeta("}") + "$").Match(s.Value) {
		t.Errorf("Snapshot = %s, want %s", s.Value, want)
	}
	if !json.Valid(s.Value) || s.Seq != int64(len(values)) {
		t.Errorf("Snapshot has Seq %d: %s", s.Seq, s.Value)
	}
	w.fetch()
	w.same(string(s.Value)) // as it is: nothing happens
	if after := storageOf(t, db); !bytes.Equal(after.Value, s.Value) || after.Seq != s.Seq {
		t.Errorf("Snapshot after SetItem of itself = %d %s, want %d %s", after.Seq, after.Value, s.Seq, s.Value)
	}
}

func TestSetItemMerges(t *testing.T) {
	for name, play := range map[string]func(t *testing.T, db *soma.DB, a, b *storageWindow){
		"writes are seen by Go and by other windows": func(t *testing.T, db *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {"n":1.0}`, `n:7 v2 {}`))
			wantList(t, db, "rows", fmt.Sprintf(`t={"n":1.0}@%d`, theTime), fmt.Sprintf("%s={}@%d", soma.NumberKey(7), theTime))
			b.wants(rows(`s:t v1 {"n":1.0}`, `n:7 v2 {}`))
		},
		"a row of the same version keeps its bytes": func(_ *testing.T, _ *soma.DB, a, _ *storageWindow) {
			a.same(rows(`s:t v1 {"n":9007199254740993}`))
			a.same(rows(`s:t v1 {"n":9007199254740992}`))
			a.wants(rows(`s:t v1 {"n":9007199254740993}`))
		},
		"two windows insert": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:a a1 {}`))
			b.differs(rows(`s:b b1 {}`), rows(`s:a a1 {}`, `s:b b1 {}`))
		},
		"a stale copy is ignored": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {"n":1}`))
			b.fetch()
			a.same(rows(`s:t v2 {"n":2}`))
			a.same(rows(`s:t v3 {"n":3}`))
			b.differs(rows(`s:t v1 {"n":1}`, `s:b b1 {}`), rows(`s:t v3 {"n":3}`, `s:b b1 {}`))
		},
		"of two updates the later one wins": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {"n":1}`))
			b.fetch()
			a.same(rows(`s:t a2 {"n":2}`))
			b.same(rows(`s:t b2 {"n":3}`))
			a.wants(rows(`s:t b2 {"n":3}`))
		},
		"what a window knew is deleted": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {}`, `s:u u1 {}`))
			b.fetch()
			b.same(rows(`s:u u1 {}`))
		},
		"a row that is newer than the base stays": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {}`))
			b.fetch()
			a.same(rows(`s:t v2 {"n":2}`))
			b.differs(`{}`, rows(`s:t v2 {"n":2}`))
		},
		"a stale copy does not bring a row back": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {}`, `s:u u1 {}`))
			b.fetch()
			a.same(rows(`s:u u1 {}`))
			b.differs(rows(`s:t v1 {}`, `s:u u2 {"n":2}`), rows(`s:u u2 {"n":2}`))
		},
		"an update that crosses a deletion brings it back": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {}`))
			b.fetch()
			a.same(`{}`)
			b.same(rows(`s:t v2 {"n":2}`))
		},
		"Go writes in between": func(t *testing.T, db *soma.DB, a, _ *storageWindow) {
			a.same(rows(`s:t v1 {}`, `s:u u1 {}`))
			put(t, db, "rows", "t", `{"go":1.0}`, theTime+1)
			put(t, db, "rows", "g", `{"go":2}`, theTime)
			if r := a.set(rows(`s:t v1 {}`)); r.Same {
				t.Error("SetItem = Same, but Go has written")
			}
			wantList(t, db, "rows", fmt.Sprintf(`t={"go":1.0}@%d`, theTime+1), fmt.Sprintf(`g={"go":2}@%d`, theTime))
		},
		"a window's write is newer than what it replaces, whatever the clock": func(t *testing.T, db *soma.DB, a, _ *storageWindow) {
			put(t, db, "rows", "t", `{"go":1}`, theTime+5000)
			put(t, db, "rows", "gone", `{}`, theTime+5000)
			del(t, db, "rows", "gone", theTime+6000)
			a.fetch()
			a.same(rows(`s:t v2 {"n":2}`, `s:gone v3 {}`))
			wantList(t, db, "rows", fmt.Sprintf(`t={"n":2}@%d`, theTime+5001), fmt.Sprintf(`gone={}@%d`, theTime+6001))
		},
		"keys of an old version are strings": func(_ *testing.T, _ *soma.DB, a, _ *storageWindow) {
			a.same(rows(`t v1 {}`, `5 v2 {}`, `n:7.0 v3 {}`, `n:1e3 v4 {}`))
			a.wants(rows(`s:t v1 {}`, `s:5 v2 {}`, `n:7 v3 {}`, `n:1000 v4 {}`))
			a.same(rows(`t v1 {}`, `s:5 v2 {}`, `n:7 v3 {}`, `n:1000 v4 {}`))
		},
		"escapes and white space": func(_ *testing.T, _ *soma.DB, a, _ *storageWindow) {
			a.same(" {\n\"\\u0073:t\" : { \"d\\u0061ta\" : { \"x\" : 1 } , \"versionKey\" : \"\\u0076\\\"1\" } }\t")
			a.wants(`{"s:t":{"versionKey":"v\"1","data":{ "x" : 1 }}}`)
		},
		"a window deletes what it has just inserted": func(_ *testing.T, db *soma.DB, a, b *storageWindow) {
			a.opts = []soma.StorageOption{soma.WithWindow("a")}
			b.same(rows(`s:b b1 {}`))
			if r := a.set(rows(`s:t v1 {}`)); r.Same { // b's row
				a.t.Fatal("SetItem = Same")
			}
			a.set(rows(`s:t v2 {}`))
			a.differs(`{}`, rows(`s:b b1 {}`))
			a.set(rows(`s:t v3 {}`))
			put(a.t, db, "rows", "t", `{"go":1}`, theTime+1000) // which a has not seen
			if a.set(`{}`); !strings.Contains(string(storageOf(a.t, db).Value), `"s:t"`) {
				a.t.Error("a deleted what Go had written")
			}
		},
		"RemoveItem deletes what the window knew": func(t *testing.T, db *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v1 {}`, `s:u u1 {}`))
			b.fetch()
			a.same(rows(`s:t v1 {}`, `s:u u1 {}`, `s:new n1 {}`))
			r, err := db.Collections().RemoveItem(context.Background(), "rows", b.base)
			if err != nil || r.Same || r.Seq != 5 {
				t.Errorf("RemoveItem = %+v, %v", r, err)
			}
			a.wants(rows(`s:new n1 {}`))
			r, err = db.Collections().RemoveItem(context.Background(), "rows", r.Seq)
			if err != nil || !r.Same {
				t.Errorf("RemoveItem = %+v, %v", r, err)
			}
			a.wants(`{}`)
		},
		"another order is not the same": func(_ *testing.T, _ *soma.DB, a, _ *storageWindow) {
			a.same(rows(`s:a v1 {}`, `s:b v2 {}`))
			a.differs(rows(`s:b v2 {}`, `s:a v1 {}`), rows(`s:a v1 {}`, `s:b v2 {}`))
			a.differs(rows(`s:a v1 {}`, `s:new v3 {}`, `s:b v2 {}`), rows(`s:a v1 {}`, `s:b v2 {}`, `s:new v3 {}`))
		},
		"nothing comes back after Clear": func(t *testing.T, db *soma.DB, a, _ *storageWindow) {
			a.same(rows(`s:t v1 {}`))
			if err := db.Collections().Clear(context.Background(), "rows", theTime+1000); err != nil {
				t.Fatal(err)
			}
			a.differs(rows(`s:t v1 {}`, `s:new v2 {}`), rows(`s:new v2 {}`))
			wantList(t, db, "rows", fmt.Sprintf("new={}@%d", theTime+1001))
		},
		"a window that slept does not bring back what was typed over": func(_ *testing.T, _ *soma.DB, a, b *storageWindow) {
			a.same(rows(`s:t v0 {"n":0}`))
			b.fetch()
			for i := 1; i <= 200; i++ { // more than a row itself remembers
				a.same(rows(fmt.Sprintf(`s:t v%d {"n":%d}`, i, i)))
			}
			b.differs(rows(`s:t v0 {"n":0}`, `s:b b1 {}`), rows(`s:t v200 {"n":200}`, `s:b b1 {}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, _ := openAt(t)
			play(t, db, newWindow(t, db), newWindow(t, db))
		})
	}
}

func TestSetItemRefuses(t *testing.T) {
	db, _ := openAt(t)
	soma.NewCollection[json.RawMessage](db, "rows", soma.WithMaxRecordBytes(1000), soma.WithMaxRecords(3),
		soma.WithValidator(func(raw json.RawMessage) error {
			if bytes.Contains(raw, []byte("bad")) {
				return errBadRow
			}
			return nil
		}))
	w := newWindow(t, db)
	good := rows(`s:a v1 {"n":1}`, `n:2 v2 {}`)
	w.same(good)
	before := storageOf(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := db.Collections().Watch(ctx, "rows")
	badKey := []error{soma.ErrInvalidID, soma.ErrInvalidRecord, soma.ErrInvalidSnapshot}
	for _, test := range []struct {
		name, value string
		base        int64
		want        []error
		field       string // of a RecordError
		key         string // of one, where it is looked at
		says        string
	}{
		{name: "nothing", value: ``, want: []error{soma.ErrInvalidJSON}},
		{name: "half", value: good[:len(good)/2], want: []error{soma.ErrInvalidJSON}},
		{name: "all but the end", value: good[:len(good)-1], want: []error{soma.ErrInvalidJSON}},
		{name: "two", value: good + good, want: []error{soma.ErrInvalidJSON}},
		{name: "no UTF-8", value: rows("s:a v3 {\"n\":\"\xff\"}"), want: []error{soma.ErrInvalidJSON}},
		{name: "null", value: `null`, want: []error{soma.ErrInvalidSnapshot}},
		{name: "array", value: `[]`, want: []error{soma.ErrInvalidSnapshot}},
		{name: "string", value: `"{}"`, want: []error{soma.ErrInvalidSnapshot}},
		{name: "row no object", value: `{"s:a":1}`, want: []error{soma.ErrInvalidRecord, soma.ErrInvalidSnapshot}, says: `"a"`},
		{name: "row null", value: `{"s:a":null}`, want: []error{soma.ErrInvalidRecord}},
		{name: "no data", value: `{"s:a":{"versionKey":"v"}}`, want: []error{soma.ErrInvalidRecord}, field: "data"},
		{name: "no version", value: `{"s:a":{"data":{}}}`, want: []error{soma.ErrInvalidRecord}, field: "versionKey"},
		{name: "data number", value: rows(`s:a v3 5`), want: []error{soma.ErrInvalidRecord}, field: "data"},
		{name: "data null", value: rows(`s:a v3 null`), want: []error{soma.ErrInvalidRecord}, field: "data"},
		{name: "version number", value: `{"s:a":{"versionKey":3,"data":{}}}`, want: []error{soma.ErrInvalidRecord}, field: "versionKey"},
		{name: "version empty", value: `{"s:a":{"versionKey":"","data":{}}}`, want: []error{soma.ErrInvalidRecord}, field: "versionKey"},
		{name: "version half a pair", value: `{"s:a":{"versionKey":"\ud800","data":{}}}`, want: []error{soma.ErrInvalidRecord}, field: "versionKey"},
		{name: "version long", value: rows("s:a " + strings.Repeat("v", soma.MaxVersionKeyBytes+1) + " {}"), want: []error{soma.ErrInvalidRecord}, field: "versionKey"},
		{name: "third member", value: `{"s:a":{"versionKey":"v","data":{},"more":1}}`, want: []error{soma.ErrInvalidRecord}, field: "more"},
		{name: "data twice", value: `{"s:a":{"versionKey":"v","data":{},"data":{}}}`, want: []error{soma.ErrInvalidRecord}, field: "data"},
		{name: "key twice", value: rows(`s:a v3 {}`, `s:a v4 {}`), want: []error{soma.ErrInvalidRecord}, says: "twice"},
		{name: "new key twice", value: rows(`s:z v3 {}`, `z v4 {}`), want: []error{soma.ErrInvalidRecord}, says: "twice"},
		{name: "number twice", value: rows(`n:2 v2 {}`, `n:2.0 v4 {}`), want: []error{soma.ErrInvalidRecord}, says: "twice"},
		{name: "no number", value: rows(`n:two v3 {}`), want: badKey, key: "\x00two", says: "two"},
		{name: "empty key", value: rows(`s: v3 {}`), want: badKey},
		{name: "control in key", value: `{"s:\u0000x":{"versionKey":"v","data":{}}}`, want: badKey, key: "\x00x"},
		{name: "key half a pair", value: `{"s:\ud800":{"versionKey":"v","data":{}}}`, want: badKey, key: `\ud800`, says: `ud800`},
		{name: "key long", value: rows("s:" + strings.Repeat("k", soma.MaxKeyBytes+1) + " v {}"), want: badKey, key: strings.Repeat("k", soma.MaxKeyBytes+1)},
		{name: "key huge", value: rows("s:" + strings.Repeat("k", 100_000) + " v {}"), want: badKey, key: strings.Repeat("k", 4*soma.MaxKeyBytes-2) + "..."},
		{name: "negative base", value: `{}`, base: -1, want: []error{soma.ErrInvalidSeq}, says: "baseSeq"},
		{name: "base ahead", value: `{}`, base: before.Seq + 1, want: []error{soma.ErrInvalidSeq}, says: "baseSeq"},
		{name: "record too large", value: rows(`s:a v3 {"x":"` + strings.Repeat("x", 1000) + `"}`), want: []error{soma.ErrTooLarge}, says: `"a"`},
		{name: "too large", value: `{"x":"` + strings.Repeat("x", soma.MaxSnapshotBytes) + `"}`, want: []error{soma.ErrTooLarge}},
		{name: "refused", value: rows(`s:a v3 {"n":3}`, `s:b v3 {"bad":1}`), want: []error{soma.ErrInvalidRecord, errBadRow}, says: `"b"`},
		{name: "full", value: rows(`s:a v1 {}`, `n:2 v2 {}`, `s:b v3 {}`, `s:c v4 {}`), want: []error{soma.ErrCollectionFull}},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := test.base
			if base == 0 {
				base = before.Seq
			}
			_, err := db.Collections().SetItem(ctx, "rows", []byte(test.value), base)
			for _, want := range test.want {
				if !errors.Is(err, want) {
					t.Errorf("SetItem = %v, want %v", err, want)
				}
			}
			var record *soma.RecordError
			if len(test.want) == len(badKey) && (!errors.As(err, &record) || record.Key != test.key || record.Collection != "rows") {
				t.Errorf("SetItem = %v, want a RecordError of %q", err, test.key)
			}
			if errors.As(err, &record) && record.Field != test.field {
				t.Errorf("field %q is wrong, want %q: %v", record.Field, test.field, err)
			}
			if test.field != "" && record == nil || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("SetItem = %v, want field %q and %s", err, test.field, test.says)
			}
			if after := storageOf(t, db); !bytes.Equal(after.Value, before.Value) || after.Seq != before.Seq {
				t.Fatalf("Snapshot = %d %s, want %d %s", after.Seq, after.Value, before.Seq, before.Value)
			}
		})
	}
	select {
	case change := <-changes:
		t.Errorf("Watch = %+v, but nothing was stored", change)
	default:
	}
	w.same(rows(`s:a v9 {"n":9}`)) // as if nothing had been
}

var errBadRow = errors.New("a bad row")

func TestStorageArguments(t *testing.T) {
	db, _ := openAt(t)
	ctx, c := t.Context(), db.Collections()
	for _, name := range []string{"spaces", "pages", "documents", "blobs"} {
		_, err := c.Snapshot(ctx, name)
		_, err2 := c.SetItem(ctx, name, []byte(`{}`), 0)
		_, err3 := c.RemoveItem(ctx, name, 0)
		for _, err := range []error{err, err2, err3} {
			if !errors.Is(err, soma.ErrReservedCollection) {
				t.Errorf("%s: %v, want ErrReservedCollection", name, err)
			}
		}
	}
	if _, err := c.Snapshot(ctx, ""); !errors.Is(err, soma.ErrInvalidID) {
		t.Errorf("Snapshot of no name = %v", err)
	}
	for _, opt := range []soma.StorageOption{nil, soma.WithWindow(""), soma.WithWindow("a\x00"), soma.WithWindow(strings.Repeat("w", 1000))} {
		if _, err := c.SetItem(ctx, "rows", []byte(`{}`), 0, opt); !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("SetItem with a bad option = %v", err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.SetItem(ended, "rows", []byte(rows(`s:a v {}`)), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("SetItem after its ctx ended = %v", err)
	}
	if s := storageOf(t, db); s.Seq != 0 {
		t.Errorf("Snapshot = %+v", s)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetItem(ctx, "rows", []byte(`{}`), 0); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("SetItem after Close = %v", err)
	}
	if _, err := c.Snapshot(ctx, "rows"); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Snapshot after Close = %v", err)
	}
}

// TestHiddenRowsStay puts rows that no window can read, which no window can delete then.
func TestHiddenRowsStay(t *testing.T) {
	db, _ := openAt(t)
	put(t, db, "rows", "number", `5`, theTime)
	put(t, db, "rows", "null", ` null`, theTime)
	put(t, db, "rows", "bad", `{"bad":1}`, theTime)
	put(t, db, "rows", "good", `{"n":1}`, theTime)
	soma.NewCollection[json.RawMessage](db, "rows", soma.WithValidator(func(raw json.RawMessage) error {
		if bytes.Contains(raw, []byte("bad")) {
			return errBadRow
		}
		return nil
	}))
	w := newWindow(t, db)
	value := storageOf(t, db).Value
	var seen map[string]json.RawMessage
	if err := json.Unmarshal(value, &seen); err != nil || !slices.Equal(slices.Collect(maps.Keys(seen)), []string{"s:good"}) {
		t.Fatalf("Snapshot = %s, %v", value, err)
	}
	w.same(string(value))
	w.same(rows(`s:new n1 {}`))
	w.same(`{}`)
	if got := list(t, db, "rows"); len(got) != 2 {
		t.Errorf("List = %q, want the number and null", got)
	}
	soma.NewCollection[json.RawMessage](db, "rows", soma.WithValidator(func(json.RawMessage) error { return nil }))
	if got := list(t, db, "rows"); len(got) != 3 {
		t.Errorf("List = %q, want the bad one too", got)
	}
}

// TestExpiredRows lets rows expire that a window still has.
func TestExpiredRows(t *testing.T) {
	db, clock := openAt(t)
	soma.NewCollection[json.RawMessage](db, "rows", soma.WithTTL(time.Second))
	w := newWindow(t, db)
	w.same(rows(`s:a v1 {}`, `s:b v2 {}`))
	clock.ms += 500
	w.same(rows(`s:a v1 {}`, `s:b v3 {"n":2}`, `s:c v4 {}`))
	clock.ms += 600 // a has expired
	w.differs(rows(`s:a v1 {}`, `s:b v3 {"n":2}`, `s:c v5 {"n":3}`), rows(`s:b v3 {"n":2}`, `s:c v5 {"n":3}`))
	if err := db.Collections().Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.differs(rows(`s:a v1 {}`, `s:b v3 {"n":2}`, `s:c v6 {"n":4}`), rows(`s:b v3 {"n":2}`, `s:c v6 {"n":4}`))
	w.fetch()
	w.same(rows(`s:b v3 {"n":2}`, `s:c v6 {"n":4}`, `s:a v7 {}`)) // a new one
}

func TestStorageEvents(t *testing.T) {
	db, _ := openAt(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := db.Collections().Watch(ctx, "rows")
	w := newWindow(t, db)
	w.same(rows(`s:a v1 {"n":1.0}`))
	want := soma.RawChange{Kind: soma.ChangePut, Key: "a", Value: json.RawMessage(`{"n":1.0}`), UpdatedAtMs: theTime, Seq: 1}
	if got := <-changes; got.Seq != w.base || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("Watch = %+v, want %+v", got, want)
	}
	w.same(`{}`)
	if got := <-changes; got.Kind != soma.ChangeDeleted || got.Key != "a" || got.Seq != w.base {
		t.Errorf("Watch = %+v, want the deletion with seq %d", got, w.base)
	}
}

// TestStorageReopened goes on with a base from before the directory was closed.
func TestStorageReopened(t *testing.T) {
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	w := newWindow(t, db)
	w.same(rows(`s:a v1 {}`, `s:b v2 {}`, `s:c v3 {}`))
	w.same(rows(`s:a v4 {}`, `s:b v2 {}`))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w.db = somatest.OpenDir(t, dir)
	w.differs(rows(`s:a v1 {}`, `s:c v3 {}`), rows(`s:a v4 {}`))
}

// TestWindowsAtOnce lets windows and Go write different rows without waiting for each
// other, and none of them may be lost.
func TestWindowsAtOnce(t *testing.T) {
	db := somatest.Open(t, soma.WithRelaxedDurability())
	tabs := soma.NewCollection[soma.Tab](db, "rows", soma.WithKeyOf(func(t soma.Tab) string { return t.ID }))
	const writers, each = 4, 30
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			w := newWindow(t, db, soma.WithWindow(fmt.Sprint(n)))
			for i := range each {
				var value map[string]json.RawMessage
				s := storageOf(t, db)
				if err := json.Unmarshal(s.Value, &value); err != nil {
					t.Error(err)
				}
				id := fmt.Sprintf("w%d-%d", n, i)
				value["s:"+id] = json.RawMessage(fmt.Sprintf(`{"versionKey":"v-%s","data":{"id":%q}}`, id, id))
				delete(value, fmt.Sprintf("s:w%d-%d", n, i-10))
				text, err := json.Marshal(value)
				if err != nil {
					t.Error(err)
				}
				w.base = s.Seq
				w.set(string(text))
			}
		})
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("go%d-%d", n, i)
				if err := tabs.Put(context.Background(), id, soma.Tab{ID: id}, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := len(list(t, db, "rows")), writers*10+writers*each; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

// TestSetItemMeetsWrites lets Go write while the host is asked about a window's rows, which
// is after the window's value was compared with what is stored.
func TestSetItemMeetsWrites(t *testing.T) {
	db, _ := openAt(t)
	var meanwhile func()
	soma.NewCollection[json.RawMessage](db, "rows", soma.WithValidator(func(json.RawMessage) error {
		if fn := meanwhile; fn != nil {
			meanwhile = nil
			fn()
		}
		return nil
	}))
	w := newWindow(t, db)
	w.same(rows(`s:a v1 {}`, `s:b v2 {}`, `s:c v3 {}`, `s:d v4 {}`))
	meanwhile = func() {
		put(t, db, "rows", "a", `{"go":1}`, theTime+1000) // is missing
		put(t, db, "rows", "b", `{"go":2}`, theTime+1000) // is written
		put(t, db, "rows", "c", `{"go":3}`, theTime+1000) // is a stale copy
		del(t, db, "rows", "d", theTime+1000)
		put(t, db, "rows", "e", `{"go":5}`, theTime+1000) // is written too
	}
	if r := w.set(rows(`s:b w2 {"w":2}`, `s:c v3 {}`, `s:d v4 {}`, `s:e w5 {"w":5}`)); r.Same {
		t.Error("SetItem = Same")
	}
	if meanwhile != nil {
		t.Fatal("the validator was not asked")
	}
	wantList(t, db, "rows", fmt.Sprintf(`a={"go":1}@%d`, theTime+1000), fmt.Sprintf(`b={"w":2}@%d`, theTime+1001),
		fmt.Sprintf(`c={"go":3}@%d`, theTime+1000), fmt.Sprintf(`e={"w":5}@%d`, theTime+1001))
}

// TestSetItemSentAgain loses the answer to a write that inserts a row, changes one and deletes
// one. Others, or a restart, come before it is sent again.
func TestSetItemSentAgain(t *testing.T) {
	before := rows(`s:change v1 {}`, `s:delete v1 {}`)
	value := rows(`s:change v2 {}`, `s:insert v1 {}`)
	for name, c := range map[string]struct {
		between func(other *storageWindow)
		want    string
	}{
		"nothing":  {func(*storageWindow) {}, value},
		"changed":  {func(w *storageWindow) { w.same(rows(`s:change v3 {}`, `s:insert v2 {}`)) }, rows(`s:change v3 {}`, `s:insert v2 {}`)},
		"deleted":  {func(w *storageWindow) { w.same(`{}`) }, `{}`},
		"inserted": {func(w *storageWindow) { w.same(rows(`s:change v2 {}`, `s:insert v1 {}`, `s:delete v2 {}`)) }, rows(`s:change v2 {}`, `s:insert v1 {}`, `s:delete v2 {}`)},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				dir := t.TempDir()
				db := somatest.OpenDir(t, dir)
				newWindow(t, db).same(before)
				w := newWindow(t, db, soma.WithWindow("w"))
				w.set(value)
				c.between(newWindow(t, db, soma.WithWindow("other")))
				if restart {
					if err := db.Close(); err != nil {
						t.Fatal(err)
					}
					db = somatest.OpenDir(t, dir)
					w.db = db
				}
				seq := storageOf(t, db).Seq
				if r := w.set(value); r.Seq != seq || r.Same != (c.want == value) {
					t.Errorf("SetItem again = %+v, want Seq %d and Same %v", r, seq, c.want == value)
				}
				w.wants(c.want)
			})
		}
	}
}
