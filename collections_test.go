package soma_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// clock is a clock that stands still until it is moved.
type clock struct{ ms int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms) }

// theTime is when tests of collections begin.
const theTime = int64(1_700_000_000_000)

func openAt(t testing.TB, opts ...soma.Option) (*soma.DB, *clock) {
	t.Helper()
	c := &clock{theTime}
	return somatest.Open(t, append([]soma.Option{soma.WithClock(c.now)}, opts...)...), c
}

// put must succeed.
func put(t testing.TB, db *soma.DB, name, key, value string, atMs int64) {
	t.Helper()
	if err := db.Collections().Put(context.Background(), name, key, json.RawMessage(value), atMs); err != nil {
		t.Fatalf("Put(%s, %q, %.60s, %d) = %v", name, key, value, atMs, err)
	}
}

func del(t testing.TB, db *soma.DB, name, key string, atMs int64) {
	t.Helper()
	if err := db.Collections().Delete(context.Background(), name, key, atMs); err != nil {
		t.Fatalf("Delete(%s, %q, %d) = %v", name, key, atMs, err)
	}
}

// list returns the records of a collection, each as "key=value@time".
func list(t testing.TB, db *soma.DB, name string) []string {
	t.Helper()
	var all []string
	for rec, err := range db.Collections().List(context.Background(), name) {
		if err != nil {
			t.Fatalf("List(%s) = %v", name, err)
		}
		all = append(all, fmt.Sprintf("%s=%s@%d", rec.Key, rec.Value, rec.UpdatedAtMs))
	}
	return all
}

func wantList(t testing.TB, db *soma.DB, name string, want ...string) {
	t.Helper()
	if got := list(t, db, name); !slices.Equal(got, want) {
		t.Errorf("List(%s) = %q, want %q", name, got, want)
	}
}

func wantIs(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

func TestCollectionNewerWins(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	put(t, db, "tabs", "a", `1`, 100)
	put(t, db, "tabs", "b", `2`, 100)
	put(t, db, "tabs", "a", `9`, 99) // older
	wantList(t, db, "tabs", "a=1@100", "b=2@100")
	put(t, db, "tabs", "a", `{"x":1}`, 101) // keeps its place
	wantList(t, db, "tabs", `a={"x":1}@101`, "b=2@100")
	put(t, db, "tabs", "b", `10`, 100) // smaller bytes
	put(t, db, "tabs", "b", `3`, 100)
	wantList(t, db, "tabs", `a={"x":1}@101`, "b=3@100")
	del(t, db, "tabs", "a", 100) // older
	del(t, db, "tabs", "b", 100) // a deletion wins
	put(t, db, "tabs", "b", `9`, 100)
	wantList(t, db, "tabs", `a={"x":1}@101`)
	put(t, db, "tabs", "b", `4`, 102)
	del(t, db, "tabs", "a", 101)
	put(t, db, "tabs", "a", `5`, 102) // goes to the end
	wantList(t, db, "tabs", "b=4@102", "a=5@102")
	if err := db.Collections().Clear(t.Context(), "tabs", 102); err != nil {
		t.Fatal(err)
	}
	put(t, db, "tabs", "new", `1`, 102)
	put(t, db, "tabs", "newer", `1`, 103)
	wantList(t, db, "tabs", "newer=1@103")
	_, err := db.Collections().Get(t.Context(), "tabs", "a")
	wantIs(t, "Get of a cleared record", err, soma.ErrNotFound)
}

func TestCollectionKeepsBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	values := []string{
		`12345678901234567890`, `1.0`, `1e400`, `-0`, `{"b":1,"a":2,"b":3}`, `"\ud83d"`, `"<a href=\"&\">"`, "  [1,\n2]\t",
		`null`, `""`, `"` + strings.Repeat("é", 1000) + `"`, `"\u0000"`, `"` + strings.Repeat("x", soma.MaxRecordBytes-2) + `"`,
	}
	for i, v := range values {
		put(t, db, "raw", fmt.Sprint("k", i), v, theTime)
	}
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	for i, v := range values {
		rec, err := db.Collections().Get(t.Context(), "raw", fmt.Sprint("k", i))
		if err != nil || string(rec.Value) != v {
			t.Errorf("Get(k%d) = %.40q, %v, want %.40q", i, rec.Value, err, v)
		}
	}
}

// The data that has an owner cannot be kept where the newer wins.
func TestReservedCollections(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	ctx := t.Context()
	for _, name := range []string{"spaces", "members", "memberships", "roles", "capabilities", "invites", "documents", "pages", "blobs"} {
		all := db.Collections()
		wantIs(t, name+": Put", all.Put(ctx, name, "k", json.RawMessage(`1`), 1), soma.ErrReservedCollection)
		_, err := all.Get(ctx, name, "k")
		wantIs(t, name+": Get", err, soma.ErrReservedCollection)
		wantIs(t, name+": Delete", all.Delete(ctx, name, "k", 1), soma.ErrReservedCollection)
		wantIs(t, name+": Clear", all.Clear(ctx, name, 1), soma.ErrReservedCollection)
		for _, err := range all.List(ctx, name) {
			wantIs(t, name+": List", err, soma.ErrReservedCollection)
		}
		_, err = all.Quarantined(ctx, name)
		wantIs(t, name+": Quarantined", err, soma.ErrReservedCollection)
		if _, ok := <-all.Watch(ctx, name); ok {
			t.Errorf("%s: Watch tells something", name)
		}
		wantIs(t, name+": typed Put", soma.NewCollection[int](db, name, soma.WithMaxRecords(1)).Put(ctx, "k", 1, 1), soma.ErrReservedCollection)
	}
}

// Nothing of a collection is in an entry, and no write of one is an event.
func TestCollectionsStayLocal(t *testing.T) {
	t.Parallel()
	db, c := openAt(t)
	ctx, cancel := context.WithCancel(t.Context())
	space := newSpace(t, db, "s")
	events := db.Subscribe(ctx)
	const secret = "only on this machine"
	for i := range 50 {
		put(t, db, "tabs", fmt.Sprint(secret, i), `"`+secret+`"`, c.ms)
	}
	del(t, db, "tabs", secret+"0", c.ms)
	if err := errors.Join(db.Collections().Clear(ctx, "tabs", c.ms), db.Collections().Prune(ctx)); err != nil {
		t.Fatal(err)
	}
	upsert(t, db, space, "doc", hello)
	if e := <-events; e.Kind != soma.DocumentChanged {
		t.Errorf("first event is %+v, want that of the document", e)
	}
	cancel()
	var archive strings.Builder
	if err := db.Spaces().Export(t.Context(), space, &archive); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(archive.String(), secret) {
		t.Error("a collection is in the export of a space")
	}
	if err := db.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPruneViews(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	ctx := t.Context()
	space := newSpace(t, db, "s")
	upsert(t, db, space, "page/1", hello)
	tree := pageTree{t, db, space}
	tree.create("placed", soma.PageTarget{})
	tree.create("trashed", soma.PageTarget{})
	tree.remove("trashed")
	here, gone := string(space), string(space[:len(space)-1])
	for name, keys := range map[string][]string{
		soma.CollectionSpacesView: {here, gone, "no space"},
		soma.CollectionPagesView: {
			here + "/page/1", here + "/page/2", gone + "/page/1", here, here + "/placed", here + "/trashed", gone + "/placed",
		},
		soma.CollectionTabs: {gone},
	} {
		for _, key := range keys {
			put(t, db, name, key, `{}`, 10)
		}
	}
	if n, err := db.Collections().PruneViews(ctx); n != 6 || err != nil {
		t.Errorf("PruneViews = %d, %v, want 6", n, err)
	}
	wantList(t, db, soma.CollectionSpacesView, here+"={}@10")
	wantList(t, db, soma.CollectionPagesView, here+"/page/1={}@10", here+"/placed={}@10", here+"/trashed={}@10")
	wantList(t, db, soma.CollectionTabs, gone+"={}@10")
	put(t, db, soma.CollectionSpacesView, gone, `{}`, 11) // newer than the deletion
	if n, err := db.Collections().PruneViews(ctx); n != 1 || err != nil {
		t.Errorf("PruneViews again = %d, %v, want 1", n, err)
	}
}

// An error says in the host's words which record is not there, and once.
func TestGetSaysWhatIsNotThere(t *testing.T) {
	t.Parallel()
	db, c := openAt(t)
	soma.NewCollection[json.RawMessage](db, "expires", soma.WithTTL(time.Second))
	for _, name := range []string{"there", "expires"} {
		put(t, db, name, "a", `1`, c.ms)
		put(t, db, name, "b", `1`, c.ms)
		if err := db.Collections().Delete(t.Context(), name, "b", c.ms); err != nil {
			t.Fatal(err)
		}
	}
	c.ms += 2000
	for name, keys := range map[string][]string{"there": {"b", "c"}, "never": {"a"}, "expires": {"a", "b", "c"}} {
		for _, key := range keys {
			want := fmt.Sprintf("record %q of collection %q: %v", key, name, soma.ErrNotFound)
			_, raw := db.Collections().Get(t.Context(), name, key)
			_, typed := soma.NewCollection[note](db, name).Get(t.Context(), key)
			for _, err := range []error{raw, typed} {
				if !errors.Is(err, soma.ErrNotFound) || err.Error() != want {
					t.Errorf("Get = %v, want %s", err, want)
				}
			}
		}
	}
}

// What is ahead of a clock that was set back can be deleted all the same, but not more.
func TestDeleteAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	db, c := openAt(t)
	ctx := t.Context()
	all := db.Collections()
	ahead := c.ms + 20*3_600_000
	for _, name := range []string{soma.CollectionSpacesView, "clear"} {
		put(t, db, name, "gone", `{}`, ahead)
		put(t, db, name, "gone too", `{}`, c.ms)
	}
	put(t, db, "c", "a", `1`, ahead)
	c.ms -= 10 * 3_600_000
	if n, err := all.PruneViews(ctx); n != 2 || err != nil {
		t.Errorf("PruneViews = %d, %v, want 2", n, err)
	}
	wantList(t, db, soma.CollectionSpacesView)
	wantIs(t, "Put at the time of what is there", all.Put(ctx, "c", "a", json.RawMessage(`2`), ahead), soma.ErrClockSkew)
	wantIs(t, "Delete later than what is there", all.Delete(ctx, "c", "a", ahead+1), soma.ErrClockSkew)
	wantIs(t, "Delete of what is not there", all.Delete(ctx, "c", "b", ahead), soma.ErrClockSkew)
	wantIs(t, "Clear later than what is there", all.Clear(ctx, "c", ahead+1), soma.ErrClockSkew)
	wantIs(t, "Clear of nothing", all.Clear(ctx, "nothing", ahead), soma.ErrClockSkew)
	wantList(t, db, "c", fmt.Sprintf("a=1@%d", ahead))
	for range 2 { // the second time there is what was left by the first
		if err := errors.Join(all.Delete(ctx, "c", "a", ahead), all.Clear(ctx, "clear", ahead)); err != nil {
			t.Error(err)
		}
		wantList(t, db, "c")
		wantList(t, db, "clear")
	}
	wantIs(t, "Delete later than a deletion", all.Delete(ctx, "c", "a", ahead+1), soma.ErrClockSkew)
}

// Calls are allowed inside of a List, and numbers are keys too.
func TestCollectionListWhileWriting(t *testing.T) {
	t.Parallel()
	db, _ := openAt(t)
	for i := range 600 {
		put(t, db, "c", soma.NumberKey(float64(i)), fmt.Sprint(i), 1)
	}
	n := 0
	for rec, err := range db.Collections().List(t.Context(), "c") {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Key != soma.NumberKey(float64(n)) {
			t.Fatalf("record %d has key %q", n, rec.Key)
		}
		del(t, db, "c", rec.Key, 1)
		n++
	}
	if n != 600 {
		t.Errorf("%d records, want 600", n)
	}
	wantList(t, db, "c")
}
