package soma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

type note struct {
	Text string `json:"text"`
	N    int64  `json:"n"`
}

// checked is a type that says itself what is wrong with it.
type checked struct {
	Size int `json:"size"`
}

func (c *checked) Validate() error {
	if c.Size < 0 {
		return errors.New("size is negative")
	}
	return nil
}

// records returns what a collection lists.
func records[T any](t testing.TB, c *soma.Collection[T]) (all []soma.Record[T]) {
	t.Helper()
	for rec, err := range c.List(context.Background()) {
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		all = append(all, rec)
	}
	return all
}

func TestTypedCollection(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	ctx := t.Context()
	notes := soma.NewCollection[note](db, "notes")
	for i, text := range []string{"<b>&", "two", "three"} {
		if err := notes.Put(ctx, fmt.Sprint("k", i), note{text, 1<<53 + 1}, int64(100+i)); err != nil {
			t.Fatal(err)
		}
	}
	wantList(t, db, "notes", `k0={"text":"<b>&","n":9007199254740993}@100`, `k1={"text":"two","n":9007199254740993}@101`,
		`k2={"text":"three","n":9007199254740993}@102`)
	if err := notes.Delete(ctx, "k1", 101); err != nil {
		t.Fatal(err)
	}
	want := []soma.Record[note]{{Key: "k0", Value: note{"<b>&", 1<<53 + 1}, UpdatedAtMs: 100}, {Key: "k2", Value: note{"three", 1<<53 + 1}, UpdatedAtMs: 102}}
	if got := records(t, notes); !slices.Equal(got, want) {
		t.Errorf("List = %v, want %v", got, want)
	}
	for _, rec := range want {
		if got, err := notes.Get(ctx, rec.Key); err != nil || got != rec {
			t.Errorf("Get = %v, %v, want %v", got, err, rec)
		}
	}
	_, err := notes.Get(ctx, "k1")
	wantIs(t, "Get of a deleted record", err, soma.ErrNotFound)
	_, err = notes.Get(ctx, "")
	wantIs(t, "Get of no key", err, soma.ErrInvalidID)
	wantIs(t, "Put of what has no JSON", soma.NewCollection[any](db, "any").Put(ctx, "k", make(chan int), 1), soma.ErrInvalidJSON)
	wantIs(t, "Put of no JSON", soma.NewCollection[json.RawMessage](db, "any").Put(ctx, "k", nil, 1), soma.ErrInvalidJSON)
	raw := soma.NewCollection[json.RawMessage](db, "any")
	if err := raw.Put(ctx, "k", json.RawMessage(" [1.0 ]"), 1); err != nil {
		t.Fatal(err)
	}
	if rec, err := raw.Get(ctx, "k"); err != nil || string(rec.Value) != " [1.0 ]" {
		t.Errorf("Get of raw JSON = %q, %v, want it as it was", rec.Value, err)
	}
	if err := notes.Clear(ctx, 102); err != nil {
		t.Fatal(err)
	}
	if names, err := db.Collections().Names(ctx); err != nil || !slices.Equal(names, []string{"any"}) {
		t.Errorf("Names = %q, %v", names, err)
	}
}

// What does not fit the type is left out, kept, reported, told once, and comes back when
// the type fits.
func TestQuarantineOfTypedRecords(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	db, _ := openAt(t, soma.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	ctx := t.Context()
	put(t, db, "c", "good", `{"text":"a","n":1,"more":true}`, 1)
	put(t, db, "c", "bad", `{"text":"b","n":"one"}`, 2)
	notes := soma.NewCollection[note](db, "c")
	for range 2 {
		if got := records(t, notes); len(got) != 1 || got[0].Key != "good" {
			t.Errorf("List = %v, want the good record", got)
		}
	}
	_, err := notes.Get(ctx, "bad")
	var e *soma.RecordError
	if !errors.Is(err, soma.ErrCorrupt) || !errors.As(err, &e) || e.Field != "n" || e.Key != "bad" || e.Collection != "c" {
		t.Errorf("Get = %v, want ErrCorrupt that names the field", err)
	}
	found, err := notes.Quarantined(ctx)
	if err != nil || len(found) != 1 || found[0].Key != "bad" || string(found[0].Value) != `{"text":"b","n":"one"}` || found[0].UpdatedAtMs != 2 || found[0].Reason == "" {
		t.Errorf("Quarantined = %+v, %v", found, err)
	}
	if found, err := db.Collections().Quarantined(ctx, "c"); err != nil || len(found) != 0 {
		t.Errorf("Quarantined without a type = %+v, %v, want none", found, err)
	}
	if n := strings.Count(log.String(), "quarantined"); n != 1 {
		t.Errorf("the log tells of it %d times, want once: %s", n, log.String())
	}
	wider := soma.NewCollection[map[string]any](db, "c")
	if got := records(t, wider); len(got) != 2 {
		t.Errorf("List of a wider type = %v, want both", got)
	}
	if err := notes.DropQuarantined(ctx, "bad"); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "DropQuarantined of a good record", notes.DropQuarantined(ctx, "good"), soma.ErrNotFound)
	wantList(t, db, "c", `good={"text":"a","n":1,"more":true}@1`)
}

// Rules that a handle was given hold for whoever writes, and for what is there.
func TestRulesHoldForAll(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	ctx := t.Context()
	put(t, db, "c", "old", `{"text":"","n":1}`, 1)
	plain := soma.NewCollection[note](db, "c")
	empty := errors.New("text is empty")
	strict := soma.NewCollection[note](db, "c", soma.WithKeyOf(func(n note) string { return fmt.Sprint("n", n.N) }),
		soma.WithValidator(func(n note) error {
			switch n.Text {
			case "":
				return empty
			case "panic":
				panic("what?")
			}
			return nil
		}))
	for what, write := range map[string]func(note, int64) error{
		"typed, with rules": func(n note, at int64) error { return strict.Put(ctx, "n2", n, at) },
		"typed":             func(n note, at int64) error { return plain.Put(ctx, "n2", n, at) },
		"raw": func(n note, at int64) error {
			raw, err := json.Marshal(n)
			if err != nil {
				return err
			}
			return db.Collections().Put(ctx, "c", "n2", raw, at)
		},
	} {
		for _, bad := range []note{{"", 2}, {"panic", 2}, {"other key", 3}} {
			err := write(bad, 5)
			var e *soma.RecordError
			if !errors.Is(err, soma.ErrInvalidRecord) || !errors.As(err, &e) || e.Key != "n2" || errors.Is(err, soma.ErrCorrupt) {
				t.Errorf("%s: Put of %v = %v, want ErrInvalidRecord", what, bad, err)
			}
			if bad.Text == "" && !errors.Is(err, empty) {
				t.Errorf("%s: %v is not what the validator said", what, err)
			}
			if bad.N == 3 && (e == nil || e.Field != "key") {
				t.Errorf("%s: %v does not name the field", what, err)
			}
		}
	}
	wantIs(t, "Put of another type", db.Collections().Put(ctx, "c", "n2", json.RawMessage(`[]`), 5), soma.ErrInvalidRecord)
	if err := strict.Put(ctx, "n2", note{"two", 2}, 5); err != nil {
		t.Fatal(err)
	}
	wantList(t, db, "c", `n2={"text":"two","n":2}@5`)
	if found, err := db.Collections().Quarantined(ctx, "c"); err != nil || len(found) != 1 || found[0].Key != "old" {
		t.Errorf("Quarantined = %+v, %v, want what was there before", found, err)
	}

	raw, err := json.Marshal(checked{-1})
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, "sizes", "k", string(raw), 1)
	sizes := soma.NewCollection[checked](db, "sizes")
	wantIs(t, "Put of what Validate refuses", sizes.Put(ctx, "k2", checked{-1}, 1), soma.ErrInvalidRecord)
	wantIs(t, "raw Put of what Validate refuses", db.Collections().Put(ctx, "sizes", "k2", raw, 1), soma.ErrInvalidRecord)
	_, err = sizes.Get(ctx, "k")
	wantIs(t, "Get of what Validate refuses", err, soma.ErrCorrupt)
	pointers := soma.NewCollection[*checked](db, "pointers")
	wantIs(t, "Put of a pointer that Validate refuses", pointers.Put(ctx, "k", &checked{-1}, 1), soma.ErrInvalidRecord)
	wantIs(t, "Put of nil, in which Validate panics", pointers.Put(ctx, "k", nil, 1), soma.ErrInvalidRecord)
}

func TestCollectionOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	ctx := t.Context()
	step := func(_ string, old json.RawMessage) (json.RawMessage, error) { return old, nil }
	type steps = map[int]soma.Migration
	for what, opt := range map[string]soma.CollectionOption{
		"nil":                        nil,
		"no TTL":                     soma.WithTTL(0),
		"negative retention":         soma.WithTombstoneRetention(-1),
		"negative skew":              soma.WithMaxClockSkew(-time.Second),
		"no bytes":                   soma.WithMaxRecordBytes(0),
		"more bytes than any may":    soma.WithMaxRecordBytes(soma.MaxRecordBytes + 1),
		"no records":                 soma.WithMaxRecords(0),
		"too many records":           soma.WithMaxRecords(soma.MaxRecords + 1),
		"no bytes of all":            soma.WithMaxBytes(0),
		"too many bytes of all":      soma.WithMaxBytes(soma.MaxCollectionBytes + 1),
		"nil validator":              soma.WithValidator[note](nil),
		"validator of another type":  soma.WithValidator(func(string) error { return nil }),
		"nil key function":           soma.WithKeyOf[note](nil),
		"key of another type":        soma.WithKeyOf(func(s string) string { return s }),
		"version 0":                  soma.WithSchemaVersion(0, nil),
		"no migration":               soma.WithSchemaVersion(2, nil),
		"a migration is missing":     soma.WithSchemaVersion(3, steps{2: step}),
		"a migration is nil":         soma.WithSchemaVersion(2, steps{1: nil}),
		"a migration is beyond":      soma.WithSchemaVersion(2, steps{1: step, 2: step}),
		"a migration from version 0": soma.WithSchemaVersion(2, steps{0: step, 1: step}),
	} {
		c := soma.NewCollection[note](db, "c", soma.WithMaxRecords(1), opt)
		_, err := c.Get(ctx, "k")
		wantIs(t, what+": Get", err, soma.ErrInvalidOption)
		wantIs(t, what+": Put", c.Put(ctx, "k", note{}, 1), soma.ErrInvalidOption)
		wantIs(t, what+": Delete", c.Delete(ctx, "k", 1), soma.ErrInvalidOption)
		wantIs(t, what+": Clear", c.Clear(ctx, 1), soma.ErrInvalidOption)
		_, err = c.Quarantined(ctx)
		wantIs(t, what+": Quarantined", err, soma.ErrInvalidOption)
		wantIs(t, what+": DropQuarantined", c.DropQuarantined(ctx, "k"), soma.ErrInvalidOption)
		for _, err := range c.List(ctx) {
			wantIs(t, what+": List", err, soma.ErrInvalidOption)
		}
		if _, ok := <-c.Watch(ctx); ok {
			t.Errorf("%s: Watch tells something", what)
		}
	}
	put(t, db, "c", "a", `1`, 1)
	put(t, db, "c", "b", `1`, 1) // WithMaxRecords(1) was given beside what makes no sense
	wantIs(t, "Put without a DB", soma.NewCollection[note](nil, "c").Put(ctx, "k", note{}, 1), soma.ErrInvalidOption)
}

// Of each option the last one counts; a handle without options changes none.
func TestLastOptionCounts(t *testing.T) {
	t.Parallel()
	db, c := openAt(t)
	ctx := t.Context()
	soma.NewCollection[note](db, "c", soma.WithMaxRecords(1), soma.WithMaxRecordBytes(30))
	notes := soma.NewCollection[note](db, "c", soma.WithMaxRecords(2), soma.WithMaxClockSkew(time.Minute))
	soma.NewCollection[json.RawMessage](db, "c")
	put(t, db, "c", "a", `{"text":"a","n":1}`, c.ms)
	put(t, db, "c", "b", `{"text":"b","n":1}`, c.ms+60_000)
	wantIs(t, "third Put", notes.Put(ctx, "c", note{}, c.ms), soma.ErrCollectionFull)
	wantIs(t, "large Put", notes.Put(ctx, "a", note{Text: strings.Repeat("x", 30)}, c.ms+1), soma.ErrTooLarge)
	wantIs(t, "Put far ahead", notes.Put(ctx, "a", note{}, c.ms+60_001), soma.ErrClockSkew)
	c.ms++
	if err := notes.Put(ctx, "a", note{}, c.ms+60_000); err != nil {
		t.Error(err)
	}
}

func TestSchemaVersionOfTypedRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := t.Context()
	db := somatest.OpenDir(t, dir)
	put(t, db, "c", "a", `{"title":"A"}`, 5)
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	rename := func(key string, old json.RawMessage) (json.RawMessage, error) {
		return bytes.Replace(old, []byte("title"), []byte("text"), 1), nil
	}
	notes := soma.NewCollection[note](db, "c", soma.WithSchemaVersion(2, map[int]soma.Migration{1: rename}))
	if rec, err := notes.Get(ctx, "a"); err != nil || rec.Value.Text != "A" || rec.UpdatedAtMs != 5 {
		t.Errorf("Get = %v, %v, want the migrated record", rec, err)
	}
	wantList(t, db, "c", `a={"text":"A"}@5`)
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	old := soma.NewCollection[note](db, "c", soma.WithSchemaVersion(1, nil))
	wantIs(t, "Put of an old program", old.Put(ctx, "a", note{}, 9), soma.ErrSchemaTooNew)
}

func TestReadyMadeCollections(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	ctx := t.Context()
	tabs := soma.Tabs(db)
	if err := errors.Join(
		tabs.Put(ctx, "t1", soma.Tab{ID: "t1", Title: "Notes", Path: "/notes"}, 1),
		soma.Routing(db).Put(ctx, "active", soma.Route{ID: "active", ActiveTabID: "t1"}, 1),
		soma.UIPreferences(db).Put(ctx, "language", soma.UIPreference{ID: "language", Value: json.RawMessage(`"de"`)}, 1),
		soma.SpacesView(db).Put(ctx, "s", soma.SpaceView{SpaceID: "s", Pinned: true}, 1),
		soma.PagesView(db).Put(ctx, "s/p", soma.PageView{SpaceID: "s", PageID: "p"}, 1),
	); err != nil {
		t.Fatal(err)
	}
	long := soma.PageView{SpaceID: newSpace(t, db, "long"), PageID: strings.Repeat("p", soma.MaxIDBytes)}
	if err := soma.PagesView(db).Put(ctx, long.Key(), long, 1); err != nil {
		t.Errorf("Put of the view of a page with a long ID = %v", err)
	}
	for name, c := range map[string]struct{ key, value, field string }{
		soma.CollectionTabs:          {"t2", `{"id":"t1"}`, "id"},
		soma.CollectionRouting:       {"other", `{"id":"active"}`, "id"},
		soma.CollectionUIPreferences: {"language", `{"id":"theme"}`, "id"},
		soma.CollectionSpacesView:    {"s", `{}`, "spaceId"},
		soma.CollectionPagesView:     {"s/p", `{"spaceId":"s","pageId":"q"}`, "pageId"},
	} {
		err := db.Collections().Put(ctx, name, c.key, json.RawMessage(c.value), 9)
		var e *soma.RecordError
		if !errors.Is(err, soma.ErrInvalidRecord) || !errors.As(err, &e) || e.Field != c.field {
			t.Errorf("Put of %s under %s into %s = %v, want ErrInvalidRecord that names %s", c.value, c.key, name, err, c.field)
		}
	}
	put(t, db, soma.CollectionTabs, "t1", `{"id":"t1","title":"x","mine":[1.0]}`, 2) // a renderer's own field
	wantList(t, db, soma.CollectionTabs, `t1={"id":"t1","title":"x","mine":[1.0]}@2`)
	if rec, err := tabs.Get(ctx, "t1"); err != nil || rec.Value.Title != "x" {
		t.Errorf("Get = %v, %v", rec, err)
	}
}

func TestWatchOfTypedRecords(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	ctx, cancel := context.WithCancel(t.Context())
	notes := soma.NewCollection[note](db, "c")
	typed, raw := notes.Watch(ctx), db.Collections().Watch(ctx, "c")
	steps := []struct {
		do   func() error
		want soma.Change[note]
	}{
		{func() error { return notes.Put(ctx, "a", note{"x", 1}, 1) }, soma.Change[note]{Kind: soma.ChangePut, Key: "a", Value: note{"x", 1}, UpdatedAtMs: 1}},
		{func() error { return db.Collections().Put(ctx, "c", "a", json.RawMessage(`[]`), 2) }, soma.Change[note]{Kind: soma.ChangeDeleted, Key: "a", UpdatedAtMs: 2}},
		{func() error { return notes.Delete(ctx, "a", 3) }, soma.Change[note]{Kind: soma.ChangeDeleted, Key: "a", UpdatedAtMs: 3}},
		{func() error { return notes.Clear(ctx, 4) }, soma.Change[note]{Kind: soma.ChangeCleared, UpdatedAtMs: 4}},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
		got, gotRaw := <-typed, <-raw
		if got.Kind != s.want.Kind || got.Key != s.want.Key || got.Value != s.want.Value || got.UpdatedAtMs != s.want.UpdatedAtMs {
			t.Errorf("told %+v, want %+v", got, s.want)
		}
		if gotRaw.Key != s.want.Key || gotRaw.UpdatedAtMs != s.want.UpdatedAtMs {
			t.Errorf("told %+v in raw", gotRaw)
		}
	}
	cancel()
	for range typed {
	}
	byClose := notes.Watch(t.Context())
	mustClose(t, db)
	for range byClose {
	}
	wantIs(t, "Put after Close", notes.Put(t.Context(), "a", note{}, 9), soma.ErrClosed)
	for _, err := range notes.List(t.Context()) {
		wantIs(t, "List after Close", err, soma.ErrClosed)
	}
	if _, ok := <-notes.Watch(t.Context()); ok {
		t.Error("Watch after Close tells something")
	}
}
