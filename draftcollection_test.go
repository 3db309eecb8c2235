package soma_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// draftDesk is the mailbox and its collection, at a time that stands still.
type draftDesk struct {
	t     *testing.T
	db    *soma.DB
	space soma.SpaceID
}

const deskMs = 1_700_000_000_000

func newDraftDesk(t *testing.T) draftDesk {
	db := somatest.Open(t, soma.WithClock(func() time.Time { return time.UnixMilli(deskMs) }))
	return draftDesk{t, db, newSpace(t, db, "Drafts")}
}

func (d draftDesk) draft(doc soma.DocumentID, text string, later int64) soma.Draft {
	return soma.Draft{SpaceID: d.space, DocumentID: doc, Snippet: text, UpdatedAtMs: deskMs + later}
}

func (d draftDesk) json(draft soma.Draft) json.RawMessage {
	d.t.Helper()
	b, err := json.Marshal(draft)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d draftDesk) put(draft soma.Draft) {
	d.t.Helper()
	key := soma.DraftKey(draft.SpaceID, draft.DocumentID)
	if err := d.db.Collections().Put(d.t.Context(), soma.CollectionDraftMailbox, key, d.json(draft), draft.UpdatedAtMs); err != nil {
		d.t.Fatalf("Put(%s) = %v", key, err)
	}
}

// want fails unless the mailbox has exactly these texts, by document.
func (d draftDesk) want(want map[soma.DocumentID]string) {
	d.t.Helper()
	got := map[soma.DocumentID]string{}
	for draft, err := range d.db.Mailbox().List(d.t.Context()) {
		if err != nil {
			d.t.Fatal(err)
		}
		got[draft.DocumentID] = draft.Snippet
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("drafts are %v, want %v", got, want)
	}
}

// set writes what a window has.
func (d draftDesk) set(base int64, opts []soma.StorageOption, drafts ...soma.Draft) soma.StorageResult {
	d.t.Helper()
	var rows []string
	for i, draft := range drafts {
		rows = append(rows, fmt.Sprintf(`"s:%s":{"versionKey":"v%d","data":%s}`, soma.DraftKey(draft.SpaceID, draft.DocumentID), i, d.json(draft)))
	}
	value := "{" + strings.Join(rows, ",") + "}"
	result, err := d.db.Collections().SetItem(d.t.Context(), soma.CollectionDraftMailbox, []byte(value), base, opts...)
	if err != nil {
		d.t.Fatalf("SetItem(%s, %d) = %v", value, base, err)
	}
	return result
}

func (d draftDesk) snapshot() soma.StorageSnapshot {
	d.t.Helper()
	s, err := d.db.Collections().Snapshot(d.t.Context(), soma.CollectionDraftMailbox)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func TestDraftCollection(t *testing.T) {
	t.Parallel()
	d := newDraftDesk(t)
	ctx, c := t.Context(), d.db.Collections()
	heard := c.Watch(ctx, soma.CollectionDraftMailbox)
	key := soma.DraftKey(d.space, "a")

	d.put(d.draft("a", "one", 0))
	d.put(d.draft("b", "two", 1))
	d.want(map[soma.DocumentID]string{"a": "one", "b": "two"})
	if change := <-heard; change.Kind != soma.ChangePut || change.Key != key || change.Seq == 0 || string(change.Value) != string(d.json(d.draft("a", "one", 0))) {
		t.Errorf("change is %+v", change)
	}
	got, err := c.Get(ctx, soma.CollectionDraftMailbox, key)
	if err != nil || string(got.Value) != string(d.json(d.draft("a", "one", 0))) || got.UpdatedAtMs != deskMs {
		t.Errorf("Get = %+v, %v", got, err)
	}
	if err := d.db.Mailbox().Save(ctx, d.draft("a", "three", 5)); err != nil {
		t.Fatal(err)
	}
	d.put(d.draft("a", "older", 2))
	d.want(map[soma.DocumentID]string{"a": "three", "b": "two"})
	var listed []string
	for rec, err := range c.List(ctx, soma.CollectionDraftMailbox) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, rec.Key)
	}
	if want := []string{soma.DraftKey(d.space, "b"), key}; fmt.Sprint(listed) != fmt.Sprint(want) {
		t.Errorf("List = %v, want %v", listed, want)
	}

	// What is deleted can be restored.
	for _, at := range []int64{deskMs + 4, deskMs + 5} {
		if err := c.Delete(ctx, soma.CollectionDraftMailbox, key, at); err != nil {
			t.Fatal(err)
		}
	}
	d.want(map[soma.DocumentID]string{"b": "two"})
	if _, err := c.Get(ctx, soma.CollectionDraftMailbox, key); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get of a deleted draft = %v, want ErrNotFound", err)
	}
	if _, err := d.db.Mailbox().Restore(ctx, d.space, "a"); err != nil {
		t.Fatal(err)
	}
	d.want(map[soma.DocumentID]string{"a": "three", "b": "two"})
	if err := c.Clear(ctx, soma.CollectionDraftMailbox, deskMs+4); err != nil {
		t.Fatal(err)
	}
	d.want(map[soma.DocumentID]string{"a": "three"})
}

func TestDraftCollectionRefuses(t *testing.T) {
	t.Parallel()
	d := newDraftDesk(t)
	ctx, c := t.Context(), d.db.Collections()
	d.put(d.draft("a", "one", 0))
	before := d.snapshot()
	key, good := soma.DraftKey(d.space, "b"), d.draft("b", "text", 0)
	put := func(key string, value json.RawMessage, at int64) error {
		return c.Put(ctx, soma.CollectionDraftMailbox, key, value, at)
	}
	set := func(value string, base int64) error {
		_, err := c.SetItem(ctx, soma.CollectionDraftMailbox, []byte(value), base)
		return err
	}
	row := func(draft soma.Draft) string {
		return fmt.Sprintf(`"s:%s":{"versionKey":"v","data":%s}`, soma.DraftKey(draft.SpaceID, draft.DocumentID), d.json(draft))
	}
	large := d.draft("large", strings.Repeat("x", soma.DefaultMaxDraftSnippet+1), 0)
	for name, test := range map[string]struct{ got, want error }{
		"no JSON":              {put(key, json.RawMessage(`{`), deskMs), soma.ErrInvalidJSON},
		"no draft":             {put(key, json.RawMessage(`{}`), deskMs), soma.ErrInvalidRecord},
		"no draft, either":     {put(key, json.RawMessage(`{}`), deskMs), soma.ErrInvalidDraft},
		"another key":          {put(soma.DraftKey(d.space, "c"), d.json(good), deskMs), soma.ErrInvalidRecord},
		"another time":         {put(key, d.json(good), deskMs+1), soma.ErrInvalidRecord},
		"large":                {put(soma.DraftKey(d.space, "large"), d.json(large), deskMs), soma.ErrTooLarge},
		"far ahead":            {put(key, d.json(d.draft("b", "x", 1<<40)), deskMs+1<<40), soma.ErrClockSkew},
		"a key without a doc":  {put("b", d.json(good), deskMs), soma.ErrInvalidRecord},
		"half a snapshot":      {set(`{`+row(good), before.Seq), soma.ErrInvalidJSON},
		"a row of another key": {set(`{"s:x":{"versionKey":"v","data":`+string(d.json(good))+`}}`, before.Seq), soma.ErrInvalidRecord},
		"a row twice":          {set(`{`+row(good)+`,`+row(good)+`}`, before.Seq), soma.ErrInvalidSnapshot},
		"one of two is large":  {set(`{`+row(good)+`,`+row(large)+`}`, before.Seq), soma.ErrTooLarge},
		"base of the future":   {set(`{`+row(good)+`}`, before.Seq+1), soma.ErrInvalidSeq},
		"negative base":        {set(`{`+row(good)+`}`, -1), soma.ErrInvalidSeq},
		"negative time":        {c.Delete(ctx, soma.CollectionDraftMailbox, key, -1), soma.ErrInvalidTime},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
	if after := d.snapshot(); string(after.Value) != string(before.Value) || after.Seq != before.Seq {
		t.Errorf("snapshot is %s, %d, was %s, %d", after.Value, after.Seq, before.Value, before.Seq)
	}
}

// Windows write the whole mailbox, and lose nobody's drafts.
func TestDraftCollectionWindows(t *testing.T) {
	t.Parallel()
	d := newDraftDesk(t)
	one, two := []soma.StorageOption{soma.WithWindow("one")}, []soma.StorageOption{soma.WithWindow("two")}
	a, b := d.draft("a", "by one", 0), d.draft("b", "by two", 1)
	if r := d.set(0, one, a); !r.Same || r.Seq == 0 {
		t.Errorf("SetItem = %+v, want the same", r)
	}
	// Two has not seen a.
	if r := d.set(0, two, b); r.Same {
		t.Errorf("SetItem = %+v, want more than was given", r)
	}
	d.want(map[soma.DocumentID]string{"a": "by one", "b": "by two"})
	// One deletes what it wrote itself, without having seen its number, and has not seen b.
	d.set(0, one)
	d.want(map[soma.DocumentID]string{"b": "by two"})
	// Two still has a, from before.
	seen := d.snapshot()
	d.set(seen.Seq, two, a, b)
	d.want(map[soma.DocumentID]string{"b": "by two"})
	// A newer one is news, and what has changed since was not seen.
	a2 := d.draft("a", "by one, later", 2)
	d.set(seen.Seq, one, a2, b)
	d.set(seen.Seq, two, b)
	d.want(map[soma.DocumentID]string{"a": "by one, later", "b": "by two"})
	// Now it has.
	d.set(d.snapshot().Seq, two, b)
	d.want(map[soma.DocumentID]string{"b": "by two"})

	// A draft that a remote change made stale does not come back with a window that has it.
	upsert(t, d.db, d.space, "b", somatest.Typed(1, 0, "remote"), soma.WithSource(soma.SourceDaemon))
	if draft, err := d.db.Mailbox().Get(t.Context(), d.space, "b"); err != nil || draft.ConflictState != soma.DraftAhead {
		t.Errorf("draft is %+v, %v, want it ahead", draft, err)
	}
	if r := d.set(seen.Seq, two, b); r.Same {
		t.Error("the policy changed a draft, and the window is not told")
	}
	if err := d.db.Collections().Delete(t.Context(), soma.CollectionDraftMailbox, soma.DraftKey(d.space, "b"), deskMs+1); err != nil {
		t.Fatal(err)
	}
	d.set(seen.Seq, two, b)
	d.want(map[soma.DocumentID]string{})
	// Drafts that are past their time do not keep a window from writing.
	old := d.draft("old", "x", -31*24*3_600_000)
	if r := d.set(d.snapshot().Seq, two, old, d.draft("new", "y", 0)); r.Same {
		t.Error("an expired draft is said to be there")
	}
	d.want(map[soma.DocumentID]string{"new": "y"})
	if value := string(d.snapshot().Value); !strings.Contains(value, `"versionKey":"`) || !strings.Contains(value, `"s:`+soma.DraftKey(d.space, "new")) {
		t.Errorf("snapshot is %s", value)
	}
}

// Drafts of an electron-store are imported once, whatever their keys were.
func TestImportElectronStoreDrafts(t *testing.T) {
	t.Parallel()
	d := newDraftDesk(t)
	ctx := t.Context()
	d.put(d.draft("had", "newer", 5))
	d.put(d.draft("cleared", "discarded", 0))
	if err := d.db.Mailbox().Discard(ctx, d.space, "cleared"); err != nil {
		t.Fatal(err)
	}
	row := func(key string, draft soma.Draft) string {
		return fmt.Sprintf(`%q:{"versionKey":"v","data":%s}`, key, d.json(draft))
	}
	config := fmt.Sprintf(`{"reactDb":{"draftMailbox":{%s,%s,%s,%s,"s:bad":{"versionKey":"v","data":{"snippet":"x"}}}}}`,
		row("s:page", d.draft("page", "kept", 1)), row("had", d.draft("had", "older", 0)), row("s:cleared", d.draft("cleared", "x", 9)),
		row("s:old", d.draft("old", "x", -40*24*3_600_000)))
	for i, want := range []string{"1 imported, 2 existing", "0 imported, 3 existing"} {
		got, err := d.db.Collections().ImportElectronStore(ctx, strings.NewReader(config))
		if err != nil || len(got) != 1 || got[0].Err != nil || len(got[0].Refused) != 2 {
			t.Fatalf("import %d = %+v, %v", i, got, err)
		}
		if is := fmt.Sprintf("%d imported, %d existing", got[0].Imported, got[0].Existing); is != want {
			t.Errorf("import %d: %s, want %s", i, is, want)
		}
		for _, refused := range got[0].Refused {
			if !errors.Is(refused.Err, soma.ErrInvalidDraft) {
				t.Errorf("%s is refused for %v, want ErrInvalidDraft", refused.Key, refused.Err)
			}
		}
	}
	d.want(map[soma.DocumentID]string{"had": "newer", "page": "kept"})
}

// A draft that is damaged on disk is quarantined in the collection too.
func TestDraftCollectionQuarantine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := soma.WithClock(func() time.Time { return time.UnixMilli(deskMs) })
	db, err := soma.Open(dir, clock)
	if err != nil {
		t.Fatal(err)
	}
	d := draftDesk{t, db, newSpace(t, db, "Drafts")}
	d.put(d.draft("good", "text", 0))
	d.put(d.draft("bad", "text", 1))
	names, err := db.Collections().Names(t.Context())
	if err != nil || fmt.Sprint(names) != "[draftMailbox]" {
		t.Errorf("Names = %v, %v", names, err)
	}
	mustClose(t, db)
	damage(t, dir, "UPDATE draft SET snippet = 'other' WHERE doc = 'bad'")
	if db, err = soma.Open(dir, clock); err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, db)
	d.db = db
	c, key := db.Collections(), soma.DraftKey(d.space, "bad")
	for _, want := range []int{1, 0} {
		quarantined, err := c.Quarantined(t.Context(), soma.CollectionDraftMailbox)
		if err != nil || len(quarantined) != want || want == 1 && (quarantined[0].Key != key || quarantined[0].Reason == "") {
			t.Errorf("Quarantined = %+v, %v, want %d", quarantined, err, want)
		}
		if _, err := c.Get(t.Context(), soma.CollectionDraftMailbox, key); want == 1 && !errors.Is(err, soma.ErrCorrupt) {
			t.Errorf("Get = %v, want ErrCorrupt", err)
		}
		if value := string(d.snapshot().Value); !strings.Contains(value, "good") || strings.Contains(value, "bad") {
			t.Errorf("Snapshot is %s", value)
		}
		if err := c.DropQuarantined(t.Context(), soma.CollectionDraftMailbox, key); (err == nil) != (want == 1) {
			t.Errorf("DropQuarantined = %v", err)
		}
	}
	d.want(map[soma.DocumentID]string{"good": "text"})
}
