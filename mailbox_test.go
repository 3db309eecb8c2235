package soma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/store"
)

// A draft survives a crash, and is cleared by the write that holds it.
func ExampleMailbox() {
	dir, err := os.MkdirTemp("", "soma")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := soma.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	ctx := context.Background()
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		fmt.Println(err)
		return
	}

	now := time.Now().UnixMilli()
	err = db.Mailbox().Save(ctx, soma.Draft{SpaceID: space.ID, DocumentID: "page-1", Snippet: "Hel", UpdatedAtMs: now})
	if err != nil {
		fmt.Println(err)
		return
	}
	draft, err := db.Mailbox().Get(ctx, space.ID, "page-1")
	fmt.Println(draft.Snippet, err)

	if _, err := db.Documents().Upsert(ctx, space.ID, "page-1", hello, soma.WithDraft(now)); err != nil {
		fmt.Println(err)
		return
	}
	_, err = db.Mailbox().Get(ctx, space.ID, "page-1")
	fmt.Println(errors.Is(err, soma.ErrNotFound))
	// Output:
	// Hel <nil>
	// true
}

// desk is two devices of one member: what one writes, the other imports.
type desk struct {
	t          *testing.T
	ms         atomic.Int64
	db, remote *soma.DB
	space      soma.SpaceID
	clock      uint64 // of the remote client
}

const startMs = int64(1_700_000_000_000)

func newDesk(t *testing.T, opts ...soma.Option) *desk {
	t.Helper()
	d := &desk{t: t}
	d.ms.Store(startMs)
	now := func() time.Time { return time.UnixMilli(d.ms.Load()) }
	key := testKey(7)
	opts = append(opts, soma.WithClock(now), soma.WithIdentity(key))
	d.db = somatest.Open(t, opts...)
	d.remote = somatest.Open(t, soma.WithClock(now), soma.WithIdentity(key))
	space, err := d.remote.Spaces().Create(t.Context(), soma.NewSpace{Name: "shared"})
	if err != nil {
		t.Fatal(err)
	}
	d.space = space.ID
	d.sync()
	return d
}

// sync brings what the remote device wrote.
func (d *desk) sync() {
	d.t.Helper()
	if err := carry(d.t.Context(), d.space, d.remote, d.db); err != nil {
		d.t.Fatal(err)
	}
}

// remotely writes text on the other device, and brings it here.
func (d *desk) remotely(doc, text string) {
	d.t.Helper()
	if _, err := d.remote.Documents().Upsert(d.t.Context(), d.space, doc, somatest.Typed(77, d.clock, text)); err != nil {
		d.t.Fatal(err)
	}
	d.clock += somatest.Units(text)
	d.sync()
}

func (d *desk) draft(doc string, atMs int64) soma.Draft {
	return soma.Draft{SpaceID: d.space, DocumentID: doc, Snippet: "text of " + doc, UpdatedAtMs: atMs}
}

func (d *desk) save(draft soma.Draft) {
	d.t.Helper()
	if err := d.db.Mailbox().Save(d.t.Context(), draft); err != nil {
		d.t.Fatal(err)
	}
}

// wantDraft fails unless the draft is there in a state; "gone" for none.
func (d *desk) wantDraft(doc string, want soma.ConflictState) soma.Draft {
	d.t.Helper()
	got, err := d.db.Mailbox().Get(d.t.Context(), d.space, doc)
	switch {
	case want == "gone" && !errors.Is(err, soma.ErrNotFound):
		d.t.Errorf("draft of %s = %+v, %v, want ErrNotFound", doc, got, err)
	case want != "gone" && (err != nil || got.ConflictState != want):
		d.t.Errorf("draft of %s = %+v, %v, want conflict state %q", doc, got, err, want)
	}
	return got
}

func (d *desk) updatedAt(doc string) int64 {
	d.t.Helper()
	got, err := d.db.Documents().Get(d.t.Context(), d.space, doc)
	if err != nil {
		d.t.Fatal(err)
	}
	return got.UpdatedAtMs
}

// The policy runs on what others write, in the same transaction: whoever has the event
// finds the draft decided about.
func TestDraftsFollowRemoteChanges(t *testing.T) {
	d := newDesk(t)
	for doc, at := range map[string]int64{"older": startMs - 1, "same": startMs, "newer": startMs + 1, "untouched": startMs - 1} {
		d.save(d.draft(doc, at))
	}
	events := d.db.Subscribe(t.Context())
	for _, doc := range []string{"older", "same", "newer", "none"} {
		d.clock = 0
		d.remotely(doc, "remote")
		for e := range events {
			if e.Kind == soma.DocumentChanged && e.DocumentID == doc {
				break
			}
		}
		switch doc {
		case "newer":
			if got := d.wantDraft(doc, soma.DraftAhead); got.BaseDaemonUpdatedAtMs != startMs || got.Snippet != "text of newer" || got.UpdatedAtMs != startMs+1 {
				t.Errorf("draft = %+v, want it as it was, based on %d", got, startMs)
			}
		default:
			d.wantDraft(doc, "gone")
		}
	}
	d.wantDraft("untouched", "")
	// The document's time rises by one with each change, until the draft is not newer.
	d.clock = somatest.Units("remote")
	d.remotely("newer", "more")
	d.wantDraft("newer", "gone")
	var cleared []string
	for c, err := range d.db.Mailbox().Cleared(t.Context()) {
		if err != nil || c.ClearedAtMs != startMs || c.Reason != soma.DraftStale {
			t.Errorf("cleared: %+v, %v", c, err)
		}
		cleared = append(cleared, c.Draft.DocumentID)
	}
	if got := fmt.Sprint(cleared); got != "[newer same older]" {
		t.Errorf("cleared drafts are %s", got)
	}
	if got, err := d.db.Mailbox().Restore(t.Context(), d.space, "newer"); err != nil || got.ConflictState != soma.DraftAhead {
		t.Errorf("Restore = %+v, %v", got, err)
	}
}

// Own writes are no remote changes, unless they say so.
func TestDraftsAndOwnWrites(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.save(d.draft("doc", startMs-5))
	if _, err := d.db.Documents().Upsert(ctx, d.space, "doc", somatest.Typed(1, 0, "a")); err != nil {
		t.Fatal(err)
	}
	d.wantDraft("doc", "")
	edit := func(source soma.EventSource) {
		t.Helper()
		_, err := d.db.Documents().Edit(ctx, d.space, "doc", func(tx *soma.EditTx) error {
			return tx.Text("text").Insert(0, "b", nil)
		}, soma.WithSource(source))
		if err != nil {
			t.Fatal(err)
		}
	}
	edit(soma.SourceRenderer)
	d.wantDraft("doc", "")
	edit(soma.SourceDaemon) // a bot
	d.wantDraft("doc", "gone")
	d.save(d.draft("doc", startMs+1000))
	if err := d.db.Documents().Delete(ctx, d.space, "doc", soma.WithSource(soma.SourceDaemon)); err != nil {
		t.Fatal(err)
	}
	d.wantDraft("doc", soma.DraftAhead)
}

// A base state vector tells a draft that is merely ahead from one whose base is older.
func TestDraftsDiverge(t *testing.T) {
	d := newDesk(t)
	d.remotely("doc", "one")
	base, err := d.db.Documents().Get(t.Context(), d.space, "doc")
	if err != nil {
		t.Fatal(err)
	}
	draft := d.draft("doc", startMs+1000)
	draft.BaseStateVector = base.StateVector
	d.save(draft)
	d.save(d.draft("no base", startMs+1000))

	// A deletion brings no structs: the base still has them all.
	if _, err := d.remote.Documents().Upsert(t.Context(), d.space, "doc", somatest.Deletion(77, 0, 1)); err != nil {
		t.Fatal(err)
	}
	d.sync()
	d.wantDraft("doc", soma.DraftAhead)
	d.remotely("doc", "two")
	d.wantDraft("doc", soma.DraftDiverged)
	if _, err := d.remote.Documents().Upsert(t.Context(), d.space, "doc", somatest.Deletion(77, 1, 1)); err != nil {
		t.Fatal(err)
	}
	d.sync()
	if got := d.wantDraft("doc", soma.DraftDiverged); got.BaseDaemonUpdatedAtMs != d.updatedAt("doc") || !bytes.Equal(got.BaseStateVector, base.StateVector) {
		t.Errorf("draft = %+v, want base time %d and the vector as it was", got, d.updatedAt("doc"))
	}
	d.clock = 0
	d.remotely("no base", "x")
	d.wantDraft("no base", soma.DraftAhead)
}

func TestConfirmedDrafts(t *testing.T) {
	d := newDesk(t)
	ctx, docs := t.Context(), d.db.Documents()
	at := startMs + 1000
	watch := d.db.Mailbox().Watch(ctx)
	upsert := func(doc string, opts ...soma.WriteOption) error {
		_, err := docs.Upsert(ctx, d.space, doc, somatest.Typed(1, 0, "text"), opts...)
		return err
	}
	edit := func(doc string, fn func(*soma.EditTx) error) error {
		_, err := docs.Edit(ctx, d.space, doc, fn, soma.WithDraft(at))
		return err
	}
	insert := func(tx *soma.EditTx) error { return tx.Text("text").Insert(0, "x", nil) }
	nothing := func(*soma.EditTx) error { return nil }
	mine := errors.New("mine")
	for _, tt := range []struct {
		name  string
		write func(doc string) error
		fails error
		stays bool
	}{
		{"an update", func(doc string) error { return upsert(doc, soma.WithDraft(at)) }, nil, false},
		{"a later time", func(doc string) error { return upsert(doc, soma.WithDraft(at+1)) }, nil, false},
		{"a newer draft", func(doc string) error { return upsert(doc, soma.WithDraft(at-1)) }, nil, true},
		{"no draft named", func(doc string) error { return upsert(doc) }, nil, true},
		{"nothing new", func(doc string) error { return errors.Join(upsert(doc), upsert(doc, soma.WithDraft(at))) }, nil, false},
		{"a bad update", func(doc string) error {
			_, err := docs.Upsert(ctx, d.space, doc, []byte("bad"), soma.WithDraft(at))
			return err
		}, soma.ErrInvalidUpdate, true},
		{"another epoch", func(doc string) error { return upsert(doc, soma.WithDraft(at), soma.WithEpoch([]byte("x"))) }, soma.ErrStaleDocument, true},
		{"an unknown space", func(doc string) error {
			_, err := docs.Upsert(ctx, "nowhere", doc, somatest.Typed(1, 0, "text"), soma.WithDraft(at))
			return err
		}, soma.ErrNotFound, true},
		{"an edit", func(doc string) error { return edit(doc, insert) }, nil, false},
		{"an edit of nothing new", func(doc string) error { return errors.Join(upsert(doc), edit(doc, nothing)) }, nil, false},
		{"an edit of nothing at all", func(doc string) error { return edit(doc, nothing) }, nil, true},
		{"an edit of nothing in a deleted document", func(doc string) error {
			return errors.Join(upsert(doc), docs.Delete(ctx, d.space, doc), edit(doc, nothing))
		}, nil, true},
		{"a failing edit", func(doc string) error {
			return edit(doc, func(tx *soma.EditTx) error { return errors.Join(insert(tx), mine) })
		}, mine, true},
		{"a delete", func(doc string) error {
			return errors.Join(upsert(doc), docs.Delete(ctx, d.space, doc, soma.WithDraft(at)))
		}, soma.ErrInvalidOption, true},
		{"a negative time", func(doc string) error { return upsert(doc, soma.WithDraft(-1)) }, soma.ErrInvalidTime, true},
		{"an unsafe time", func(doc string) error { return upsert(doc, soma.WithDraft(1<<53)) }, soma.ErrInvalidTime, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.t = t
			d.save(d.draft(tt.name, at))
			if c := <-watch; c.Kind != soma.DraftWasSaved || c.DocumentID != tt.name {
				t.Errorf("change = %+v, want saved", c)
			}
			if err := tt.write(tt.name); !errors.Is(err, tt.fails) {
				t.Errorf("write = %v, want %v", err, tt.fails)
			}
			if tt.stays {
				d.wantDraft(tt.name, "")
				return
			}
			d.wantDraft(tt.name, "gone")
			want := soma.DraftChange{
				Kind: soma.DraftWasCleared, SpaceID: d.space, DocumentID: tt.name, UpdatedAtMs: at, Reason: soma.DraftConfirmed,
			}
			if c := <-watch; c != want {
				t.Errorf("change = %+v, want %+v", c, want)
			}
			if got, err := d.db.Mailbox().Restore(ctx, d.space, tt.name); err != nil || !reflect.DeepEqual(got, d.draft(tt.name, at)) {
				t.Errorf("Restore = %+v, %v", got, err)
			}
			if c := <-watch; c.Kind != soma.DraftWasRestored {
				t.Errorf("change = %+v, want restored", c)
			}
		})
	}
}

// A write of somebody who may not write leaves the draft.
func TestForbiddenWriteKeepsTheDraft(t *testing.T) {
	owner, viewer := somatest.Open(t), somatest.Open(t)
	space, err := owner.Spaces().Create(t.Context(), soma.NewSpace{Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := carry(t.Context(), space.ID, owner, viewer); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UnixMilli()
	draft := soma.Draft{SpaceID: space.ID, DocumentID: "d", Snippet: "x", UpdatedAtMs: at}
	if err := viewer.Mailbox().Save(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	_, err = viewer.Documents().Upsert(t.Context(), space.ID, "d", hello, soma.WithDraft(at))
	_, err2 := viewer.Documents().Edit(t.Context(), space.ID, "d", func(*soma.EditTx) error { return nil }, soma.WithDraft(at))
	if !errors.Is(err, soma.ErrForbidden) || !errors.Is(err2, soma.ErrForbidden) {
		t.Errorf("Upsert = %v, Edit = %v, want ErrForbidden", err, err2)
	}
	if got, err := viewer.Mailbox().Get(t.Context(), space.ID, "d"); err != nil || !reflect.DeepEqual(got, draft) {
		t.Errorf("Get = %+v, %v", got, err)
	}
}

func TestDraftOptions(t *testing.T) {
	for name, opt := range map[string]soma.Option{
		"no TTL": soma.WithDraftTTL(0), "negative TTL": soma.WithDraftTTL(-time.Hour), "less than a millisecond": soma.WithDraftTTL(time.Microsecond),
		"a century": soma.WithDraftTTL(100 * 365 * 24 * time.Hour), "no drafts": soma.WithMaxDrafts(0), "negative drafts": soma.WithMaxDrafts(-1),
		"too many drafts": soma.WithMaxDrafts(10_001), "no snippet": soma.WithMaxDraftSnippet(0), "a long snippet": soma.WithMaxDraftSnippet(1<<20 + 1),
	} {
		if db, err := soma.Open(t.TempDir(), opt); !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("%s: Open = %v, %v, want ErrInvalidOption", name, db, err)
		}
	}
	var ms atomic.Int64
	ms.Store(startMs)
	clock := soma.WithClock(func() time.Time { return time.UnixMilli(ms.Load()) })
	db := somatest.Open(t, clock, soma.WithDraftTTL(time.Hour), soma.WithMaxDrafts(2), soma.WithMaxDraftSnippet(3))
	save := func(doc string, snippet string) error {
		return db.Mailbox().Save(t.Context(), soma.Draft{SpaceID: "s", DocumentID: doc, Snippet: snippet, UpdatedAtMs: ms.Add(1)})
	}
	if err := save("a", "1234"); !errors.Is(err, soma.ErrTooLarge) || !strings.Contains(err.Error(), "snippet") {
		t.Errorf("Save of a long snippet = %v, want ErrTooLarge", err)
	}
	for _, doc := range []string{"a", "b", "c"} {
		if err := save(doc, "123"); err != nil {
			t.Errorf("Save = %v", err)
		}
	}
	if got := listed(t, db); got != "c b" {
		t.Errorf("drafts are %q, want c b", got)
	}
	ms.Add(time.Hour.Milliseconds() - 1)
	if got := listed(t, db); got != "c" {
		t.Errorf("drafts are %q, want c", got)
	}
}

// listed returns the documents of the drafts.
func listed(t *testing.T, db *soma.DB) string {
	t.Helper()
	var docs []string
	for d, err := range db.Mailbox().List(t.Context()) {
		if err != nil {
			t.Errorf("List: %v", err)
		}
		docs = append(docs, d.DocumentID)
	}
	return strings.Join(docs, " ")
}

func TestDefaultDraftLimits(t *testing.T) {
	d := newDesk(t, soma.WithRelaxedDurability())
	draft := d.draft("large", startMs)
	draft.Snippet = strings.Repeat("é", 32<<10)
	d.save(draft)
	draft.Snippet += "x"
	if err := d.db.Mailbox().Save(t.Context(), draft); !errors.Is(err, soma.ErrTooLarge) || !errors.Is(err, soma.ErrInvalidDraft) {
		t.Errorf("Save of 64 KiB and one byte = %v, want ErrTooLarge", err)
	}
	for i := range 1000 {
		d.save(d.draft(fmt.Sprintf("doc %04d", i), startMs+1+int64(i)))
	}
	docs := strings.Split(listed(t, d.db), " doc ")
	if len(docs) != 1000 || docs[0] != "doc 0999" || docs[999] != "0000" {
		t.Errorf("%d drafts, from %s to %s, want 1000, the newest first, without the oldest", len(docs), docs[0], docs[len(docs)-1])
	}
	d.ms.Add((30 * 24 * time.Hour).Milliseconds())
	d.wantDraft("doc 0000", "")
	d.ms.Add(1)
	d.wantDraft("doc 0000", "gone")
	d.wantDraft("doc 0001", "")
}

func TestListDraftsWhileChanging(t *testing.T) {
	d := newDesk(t, soma.WithRelaxedDurability())
	for i := range 100 {
		d.save(d.draft(fmt.Sprint(i), startMs+int64(i)))
	}
	seen := map[string]bool{}
	for draft, err := range d.db.Mailbox().List(t.Context()) {
		if err != nil || seen[draft.DocumentID] {
			t.Fatalf("%+v, %v: twice: %t", draft, err, seen[draft.DocumentID])
		}
		seen[draft.DocumentID] = true
		if err := d.db.Mailbox().Discard(t.Context(), d.space, draft.DocumentID); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d drafts listed, want 100", len(seen))
	}
	for c, err := range d.db.Mailbox().Cleared(t.Context()) {
		if err != nil || c.Reason != soma.DraftDiscarded {
			t.Errorf("cleared: %+v, %v", c, err)
		}
		break
	}
}

func TestDraftsAfterClose(t *testing.T) {
	db, err := soma.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	watch := db.Mailbox().Watch(t.Context())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if c, ok := <-watch; ok {
		t.Errorf("%+v after Close", c)
	}
	ctx, m := t.Context(), db.Mailbox()
	_, err = m.Get(ctx, "s", "d")
	_, err2 := m.Restore(ctx, "s", "d")
	var listErr, clearedErr error
	for _, err := range m.List(ctx) {
		listErr = err
	}
	for _, err := range m.Cleared(ctx) {
		clearedErr = err
	}
	for name, err := range map[string]error{
		"Save": m.Save(ctx, soma.Draft{SpaceID: "s", DocumentID: "d", UpdatedAtMs: time.Now().UnixMilli()}),
		"Get":  err, "Discard": m.Discard(ctx, "s", "d"), "Restore": err2, "List": listErr, "Cleared": clearedErr,
		"PublishAgentEvent": db.PublishAgentEvent(soma.AgentRuntimeEvent{}),
	} {
		if !errors.Is(err, soma.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
}

// The JSON of a draft is what a collection of them holds.
func TestDraftJSONRoundTrip(t *testing.T) {
	want := soma.Draft{
		SpaceID: "s", DocumentID: "a/b", Snippet: "<b>", UpdatedAtMs: 5, BaseDaemonUpdatedAtMs: 4, BaseStateVector: []byte{0}, ConflictState: soma.DraftAhead,
	}
	const text = `{"spaceId":"s","documentId":"a/b","snippet":"<b>","updatedAtMs":5,"baseDaemonUpdatedAtMs":4,"baseStateVector":"AA==","conflictState":"ahead"}`
	if got, err := want.MarshalJSON(); err != nil || string(got) != text {
		t.Errorf("MarshalJSON = %s, %v, want %s", got, err, text)
	}
	if got, err := soma.ParseDraft([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseDraft = %+v, %v, want %+v", got, err, want)
	}
	var cleared soma.ClearedDraft
	data, err := json.Marshal(soma.ClearedDraft{Draft: want, Reason: soma.DraftStale, ClearedAtMs: 9})
	if err == nil {
		err = json.Unmarshal(data, &cleared)
	}
	if err != nil || !reflect.DeepEqual(cleared, soma.ClearedDraft{Draft: want, Reason: soma.DraftStale, ClearedAtMs: 9}) {
		t.Errorf("a cleared draft came back as %+v, %v, from %s", cleared, err, data)
	}
	if space, doc, err := soma.ParseDraftKey(soma.DraftKey("s", "a/b")); err != nil || space != "s" || doc != "a/b" {
		t.Errorf("ParseDraftKey(DraftKey) = %q, %q, %v", space, doc, err)
	}
}

// A damaged draft is reported, is never served, and keeps neither documents nor other
// drafts from being written.
func TestDamagedDraft(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := soma.Open(dir)
	must(err)
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "n"})
	must(err)
	at := space.CreatedAtMs
	draft := func(doc string) soma.Draft {
		return soma.Draft{SpaceID: space.ID, DocumentID: doc, Snippet: "text", UpdatedAtMs: at}
	}
	must(errors.Join(db.Mailbox().Save(ctx, draft("bad")), db.Mailbox().Save(ctx, draft("good")), db.Close()))
	st, err := store.Open(dir, store.Options{})
	must(err)
	must(st.Write(ctx, func(tx core.Tx) error {
		rec, err := tx.Draft(space.ID, "bad")
		if err != nil {
			return err
		}
		rec.Damaged = true
		return tx.PutDraft(&rec)
	}))
	must(st.Close())

	db, err = soma.Open(dir)
	must(err)
	defer db.Close()
	wantProblems := func(n int) {
		t.Helper()
		found, err := db.Verify(ctx)
		if err != nil || len(found) != n || n > 0 && (found[0].Table != "draft" || found[0].Mendable) {
			t.Errorf("Verify = %v, %v, want %d problems of table draft that cannot be mended", found, err, n)
		}
	}
	wantProblems(1)
	if d, err := db.Mailbox().Get(ctx, space.ID, "bad"); !errors.Is(err, soma.ErrCorrupt) || d.Snippet != "" {
		t.Errorf("Get = %+v, %v, want ErrCorrupt", d, err)
	}
	var good, bad int
	for d, err := range db.Mailbox().List(ctx) {
		switch {
		case errors.Is(err, soma.ErrCorrupt) && d.DocumentID == "bad" && d.Snippet == "":
			bad++
		case err == nil && d.DocumentID == "good":
			good++
		default:
			t.Errorf("List: %+v, %v", d, err)
		}
	}
	if good != 1 || bad != 1 {
		t.Errorf("%d good and %d damaged drafts listed, want one of each", good, bad)
	}
	_, err = db.Documents().Upsert(ctx, space.ID, "bad", hello, soma.WithDraft(at), soma.WithSource(soma.SourceDaemon))
	must(errors.Join(err, db.Rebuild(ctx)))
	wantProblems(1)
	must(db.Mailbox().Discard(ctx, space.ID, "bad"))
	wantProblems(0)
}
