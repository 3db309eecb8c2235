package soma_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// sessions are the recorded sessions of real yjs.
var sessions = sync.OnceValues(func() ([]*yjstest.Session, error) {
	all, err := yjstest.Fixtures("internal/yjs/yjstest/testdata/*.jsonl.gz")
	return yjstest.Readable(all), err
})

// fixtures returns every nth session.
func fixtures(t *testing.T, nth int) []*yjstest.Session {
	t.Helper()
	all, err := sessions()
	if err != nil {
		t.Fatal(err)
	}
	var some []*yjstest.Session
	for i := 0; i < len(all); i += nth {
		some = append(some, all[i])
	}
	return some
}

func sessionName(s *yjstest.Session) string { return fmt.Sprintf("%s %d", s.Family, s.Seed) }

// beside runs fn for each item, on a few goroutines, so that writes share commits.
func beside[T any](items []T, fn func(T)) {
	work := make(chan T)
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for item := range work {
				fn(item)
			}
		})
	}
	for _, item := range items {
		work <- item
	}
	close(work)
	wg.Wait()
}

func compact(t *testing.T, updates ...[]byte) []byte {
	t.Helper()
	b, err := yjs.Compact(updates...)
	if err != nil {
		t.Errorf("Compact = %v", err)
	}
	return somatest.WithoutEarly(t, b)
}

// wantState fails unless a document is what its updates make in any order.
//
// While something waits, it may also be what yjs makes of them in the order in which they
// came: content may arrive with its text or, from somebody who had seen it deleted,
// without, and then it need not wait. But yjs tries what waits only when the first thing
// that it missed arrives, so it may show less than it could. And a surrogate pair that was
// typed in halves is two U+FFFD in some updates and the character in others.
func wantState(t *testing.T, when string, got soma.Document, updates [][]byte) {
	t.Helper()
	want, err := yjs.Load(yjs.Options{}, updates...)
	if err != nil {
		t.Error(err)
		return
	}
	if !got.Pending {
		if want.HasPending() || !bytes.Equal(got.StateVector, want.StateVector()) {
			t.Errorf("%s: Get(%q) = Pending false, StateVector %x, want %v, %x", when, got.ID, got.StateVector, want.HasPending(), want.StateVector())
		}
		if state := compact(t, updates...); !bytes.Equal(got.Update, state) {
			t.Errorf("%s: Get(%q).Update =\n%x, want the canonical\n%x", when, got.ID, got.Update, state)
		}
		return
	}
	shown, err := yjs.Load(yjs.Options{}, got.Update)
	if err != nil {
		t.Errorf("%s: Update of %q = %v", when, got.ID, err)
		return
	}
	if !want.HasPending() || !bytes.Equal(shown.StateVector(), got.StateVector) {
		t.Errorf("%s: Get(%q) = Pending true, StateVector %x, want %v, and %x as its update shows", when, got.ID, got.StateVector, want.HasPending(), shown.StateVector())
	}
	arrived := yjs.NewDoc(yjs.Options{})
	for _, update := range updates {
		if err := arrived.Apply(update); err != nil {
			t.Error(err)
			return
		}
	}
	if !showsAs(shown, want) && !showsAs(shown, arrived) {
		gotJSON, _ := shown.JSON()
		wantJSON, _ := want.JSON()
		t.Errorf("%s: Get(%q).Update shows, at %x,\n%s, want, at %x,\n%s", when, got.ID, shown.StateVector(), gotJSON, want.StateVector(), wantJSON)
	}
}

// showsAs reports whether two documents show the same.
func showsAs(a, b *yjs.Doc) bool {
	x, xErr := a.JSON()
	y, yErr := b.JSON()
	return bytes.Equal(a.StateVector(), b.StateVector()) && sameJSON(halved(x), halved(y)) && (xErr == nil) == (yErr == nil)
}

// halved puts two U+FFFD in place of each character that is a surrogate pair.
func halved(body []byte) []byte {
	var b []byte
	for _, r := range string(body) {
		if r > 0xFFFF {
			b = append(b, "\ufffd\ufffd"...)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// sameJSON compares without regard to the order of keys, which is that of arrival.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	return reflect.DeepEqual(x, y)
}

// What yjs says of documents that got the same updates in the same order: state
// vector and whether something waits, each time yjs was asked. The state itself
// depends on the set of updates alone.
func TestUpsertAgreesWithYjs(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "yjs")
	docs := db.Documents()
	var asked, waiting atomic.Int64
	beside(fixtures(t, 5), func(s *yjstest.Session) {
		for _, run := range s.Runs {
			if run.Declared {
				continue // the same updates in another order; stores declare nothing
			}
			id := sessionName(s) + " " + run.Name
			at := run.At
			var rev soma.Revision
			for i, update := range run.Apply {
				next, err := docs.Upsert(t.Context(), space, id, update)
				if err != nil {
					t.Errorf("Upsert(%q) of update %d = %v", id, i, err)
					return
				}
				if next.UpdatedAtMs < rev.UpdatedAtMs {
					t.Errorf("Upsert(%q).UpdatedAtMs = %d after %d, want it to rise", id, next.UpdatedAtMs, rev.UpdatedAtMs)
				}
				rev = next
				if len(at) == 0 || at[0].N != i+1 {
					continue
				}
				want := at[0]
				at = at[1:]
				got, err := docs.Get(t.Context(), space, id)
				if err != nil {
					t.Errorf("Get(%q) = %v", id, err)
					return
				}
				asked.Add(1)
				if want.Pending {
					waiting.Add(1)
				}
				if got.Pending != want.Pending {
					t.Errorf("after %d updates of %q: Pending = %v, want yjs's %v", i+1, id, got.Pending, want.Pending)
				}
				if !want.Pending && !bytes.Equal(got.StateVector, want.StateVector) {
					t.Errorf("after %d updates of %q: StateVector = %x, want yjs's %x", i+1, id, got.StateVector, want.StateVector)
				}
				if !bytes.Equal(got.StateVector, rev.StateVector) {
					t.Errorf("after %d updates of %q: StateVector = %x, want the revision's %x", i+1, id, got.StateVector, rev.StateVector)
				}
				wantState(t, fmt.Sprintf("after %d updates", i+1), got, run.Apply[:i+1])
				if got.UpdatedAtMs != rev.UpdatedAtMs {
					t.Errorf("Get(%q).UpdatedAtMs = %d, want the revision's %d", id, got.UpdatedAtMs, rev.UpdatedAtMs)
				}
			}
		}
	})
	if asked.Load() < 300 || waiting.Load() < 30 {
		t.Errorf("compared %d states, %d of them waiting: the test tests nothing", asked.Load(), waiting.Load())
	}
}

// Each document gets every update of its session at least once, in an order of
// its own, some as full states of other replicas, some merged; the end is always
// the same, and is found whole after reopening.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	const seed = 811
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir, soma.WithRelaxedDurability())
	space := newSpace(t, db, "orders")
	all := fixtures(t, 5)
	beside(all, func(s *yjstest.Session) {
		rng := rand.New(rand.NewPCG(seed, uint64(s.Seed)))
		other, err := yjs.Load(yjs.Options{}) // a replica that hands over its full state now and then
		if err != nil {
			t.Error(err)
			return
		}
		var queue, given [][]byte
		for _, update := range s.Updates {
			queue = append(queue, update)
			if rng.IntN(3) == 0 {
				queue = append(queue, update)
			}
		}
		rng.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
		id := sessionName(s)
		for len(queue) > 0 {
			n := 1 + rng.IntN(min(3, len(queue)))
			var update []byte
			switch rng.IntN(4) {
			case 0:
				for _, u := range queue[:n] {
					if err := other.Apply(u); err != nil {
						t.Error(err)
					}
				}
				update, err = other.Encode(nil)
			case 1:
				update, err = yjs.Merge(queue[:n]...)
			default:
				n, update = 1, queue[0]
			}
			if err != nil {
				t.Error(err)
				return
			}
			queue = queue[n:]
			if _, err := db.Documents().Upsert(t.Context(), space, id, update); err != nil {
				t.Errorf("Upsert(%q) = %v", id, err)
				return
			}
			given = append(given, update)
			if rng.IntN(4) > 0 {
				continue
			}
			got, err := db.Documents().Get(t.Context(), space, id)
			if err != nil {
				t.Errorf("Get(%q) = %v", id, err)
				return
			}
			wantState(t, "on the way", got, given)
		}
	})
	check := func(when string) {
		for _, s := range all {
			got := get(t, db, space, sessionName(s))
			if want := compact(t, s.Updates...); !bytes.Equal(got.Update, want) || got.Pending {
				t.Errorf("%s: Get(%q) = Pending %v, Update\n %x, want\n %x", when, got.ID, got.Pending, got.Update, want)
			}
			if !bytes.Equal(got.StateVector, s.Compact.StateVector) {
				t.Errorf("%s: Get(%q).StateVector = %x, want yjs's %x", when, got.ID, got.StateVector, s.Compact.StateVector)
			}
		}
	}
	check("at the end")
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	check("after reopening")
}

// export returns a space's archive.
func export(t *testing.T, db *soma.DB, space soma.SpaceID) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := db.Spaces().Export(t.Context(), space, &b); err != nil {
		t.Fatalf("Export = %v", err)
	}
	return b.Bytes()
}

func TestUpsertOfNothingNewChangesNothing(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "again")
	all := fixtures(t, 12)
	revs := map[string]soma.Revision{}
	for _, s := range all {
		id := sessionName(s)
		var rev soma.Revision
		for _, u := range s.Updates {
			rev = upsert(t, db, space, id, u)
		}
		for _, u := range s.Updates {
			if again := upsert(t, db, space, id, u); again.UpdatedAtMs != rev.UpdatedAtMs {
				t.Errorf("Upsert(%q) of a known update = %+v, want the revision as before: %+v", id, again, rev)
			}
		}
		// A full state also tells of deletions that nobody made: of several writers
		// of one key, all but one lose. These are news, once.
		state := get(t, db, space, id).Update
		revs[id] = upsert(t, db, space, id, state)
		if after := get(t, db, space, id).Update; !bytes.Equal(after, state) {
			t.Errorf("Upsert(%q) of its own state leads to %x, want %x", id, after, state)
		}
	}
	before := export(t, db, space)
	heard := db.Subscribe(t.Context())
	for i, s := range all {
		id := sessionName(s)
		again := slices.Clone(s.Updates)
		again = append(again, get(t, db, space, id).Update, s.Compact.Update, s.Compact.In, []byte{0, 0})
		for _, m := range s.Merges {
			again = append(again, m.Out)
		}
		for j, u := range again {
			if rev := upsert(t, db, space, id, u); rev.UpdatedAtMs != revs[id].UpdatedAtMs || !bytes.Equal(rev.StateVector, revs[id].StateVector) {
				t.Errorf("Upsert(%q) of known update %d = %+v, want the revision as before: %+v", id, j, rev, revs[id])
			}
		}
		if i == 0 {
			id := "marker"
			revs[id] = upsert(t, db, space, id, []byte{0, 0})
		}
	}
	if ev := <-heard; ev.DocumentID != "marker" {
		t.Errorf("first event = %+v, want that of the one write with an effect", ev)
	}
	if err := db.Documents().Delete(t.Context(), space, "marker"); err != nil {
		t.Fatal(err)
	}
	if ev := <-heard; ev.DocumentID != "marker" {
		t.Errorf("second event = %+v, want that of the one write with an effect", ev)
	}
	// The marker adds two entries of a few hundred bytes at most.
	if after := export(t, db, space); len(after) > len(before)+2000 {
		t.Errorf("export after known updates has %d bytes, before %d: something was stored", len(after), len(before))
	}
}

// Content that needs earlier content is there, but not seen, until that arrives.
func TestPending(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "gaps")
	hello, world, bang := somatest.Typed(5, 0, "hello"), somatest.Typed(5, 5, " world"), somatest.Typed(5, 11, "!")
	steps := []struct {
		update  []byte
		text    string
		pending bool
	}{
		{bang, "", true},
		{somatest.Deletion(5, 0, 1), "", true},
		{hello, "ello", true},
		{somatest.Typed(5, 11, "!"), "ello", true},
		{world, "ello world!", false},
		{somatest.Deletion(5, 12, 1), "ello world!", true},
		{somatest.Typed(5, 12, "??"), "ello world!?", false},
	}
	var given [][]byte
	for i, step := range steps {
		rev := upsert(t, db, space, "doc", step.update)
		given = append(given, step.update)
		if again := upsert(t, db, space, "doc", step.update); again.UpdatedAtMs != rev.UpdatedAtMs {
			t.Errorf("step %d again: Upsert = %+v, want no change from %+v", i, again, rev)
		}
		if i%2 == 1 { // what waits is on disk as well
			mustClose(t, db)
			db = somatest.OpenDir(t, dir)
		}
		d := get(t, db, space, "doc")
		if got := text(t, db, space, "doc"); got != step.text || d.Pending != step.pending {
			t.Errorf("after step %d: Text = %q, Pending = %v, want %q, %v", i, got, d.Pending, step.text, step.pending)
		}
		if want := compact(t, given...); !bytes.Equal(d.Update, want) {
			t.Errorf("after step %d: Update = %x, want %x", i, d.Update, want)
		}
	}
}

func TestDiffCompletesAnyState(t *testing.T) {
	t.Parallel()
	const seed = 5
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "diffs")
	for _, s := range fixtures(t, 10) {
		id := sessionName(s)
		for _, u := range s.Updates {
			upsert(t, db, space, id, u)
		}
		want := compact(t, s.Updates...)
		for range 4 {
			behind := yjs.NewDoc(yjs.Options{})
			for _, u := range s.Updates[:rng.IntN(len(s.Updates)+1)] {
				if err := behind.Apply(u); err != nil {
					t.Fatal(err)
				}
			}
			diff, err := db.Documents().Diff(t.Context(), space, id, behind.StateVector())
			if err != nil {
				t.Errorf("Diff(%q, %x) = %v", id, behind.StateVector(), err)
				continue
			}
			if err := behind.Apply(diff); err != nil {
				t.Errorf("Apply of Diff(%q) = %v", id, err)
			}
			if got, err := behind.Canonical(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("Diff(%q) leads to\n %x, %v, want\n %x", id, got, err, want)
			}
		}
		for _, none := range [][]byte{nil, {}, {0}} {
			diff, err := db.Documents().Diff(t.Context(), space, id, none)
			if err != nil || !bytes.Equal(compact(t, diff), want) {
				t.Errorf("Diff(%q, %x) = %x, %v, want the whole state", id, none, diff, err)
			}
		}
	}
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "x"))
	for _, bad := range [][]byte{{1}, {1, 5}, {255}, {0, 0}, bytes.Repeat([]byte{255}, 20)} {
		if diff, err := db.Documents().Diff(t.Context(), space, "doc", bad); !errors.Is(err, soma.ErrInvalidStateVector) {
			t.Errorf("Diff(%x) = %x, %v, want ErrInvalidStateVector", bad, diff, err)
		}
	}
}

// quickstart is the recorded session of a page editor, and what yjs read there.
type quickstart struct {
	updates [][]byte
	want    struct {
		Updates                  int
		Title, Text, StateVector string
		State                    string
	}
}

func loadQuickstart(t *testing.T) quickstart {
	t.Helper()
	var q quickstart
	expected, err := os.ReadFile("examples/quickstart/session.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(expected, &q.want); err != nil {
		t.Fatal(err)
	}
	for _, line := range gunzipLines(t, "examples/quickstart/session.jsonl.gz") {
		var step struct{ Update []byte }
		if err := json.Unmarshal(line, &step); err != nil {
			t.Fatal(err)
		}
		q.updates = append(q.updates, step.Update)
	}
	if len(q.updates) == 0 {
		t.Fatal("the recording has no updates")
	}
	return q
}

func gunzipLines(t *testing.T, path string) [][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(content), []byte("\n"))
}

func TestTextOfARecordedPage(t *testing.T) {
	t.Parallel()
	q := loadQuickstart(t)
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "page")
	for _, u := range q.updates {
		upsert(t, db, space, "page", u)
	}
	if got := text(t, db, space, "page"); got != q.want.Text {
		t.Errorf("Text = %q, want %q", got, q.want.Text)
	}
	d := get(t, db, space, "page")
	if got := base64.StdEncoding.EncodeToString(d.StateVector); got != q.want.StateVector {
		t.Errorf("StateVector = %s, want yjs's %s", got, q.want.StateVector)
	}
	state, err := base64.StdEncoding.DecodeString(q.want.State)
	if err != nil {
		t.Fatal(err)
	}
	if want := compact(t, state); !bytes.Equal(d.Update, want) {
		t.Errorf("Update has %d bytes, want those of yjs's state: %d", len(d.Update), len(want))
	}
	// Neither a viewer's full state nor the recording again is news.
	rev := upsert(t, db, space, "page", state)
	if rev.UpdatedAtMs != d.UpdatedAtMs {
		t.Errorf("Upsert of yjs's full state = %+v, want no change", rev)
	}
}

// Families whose roots can be told from their content alone.
func TestJSON(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "json")
	compared := 0
	for _, s := range fixtures(t, 1) {
		if s.Family != "text" && s.Family != "emoji" && s.Family != "map" {
			continue
		}
		for _, u := range s.Updates {
			upsert(t, db, space, sessionName(s), u)
		}
		body, err := db.Documents().JSON(t.Context(), space, sessionName(s))
		if err != nil {
			t.Errorf("JSON(%q) = %v", sessionName(s), err)
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("JSON(%q) = %s: %v", sessionName(s), body, err)
			continue
		}
		for name, want := range s.JSON {
			text, ok := want.(string)
			if !ok || text == "" || strings.ContainsRune(text, '\ufffd') {
				continue
			}
			compared++
			if got[name] != text {
				t.Errorf("JSON(%q)[%q] = %q, want %q", sessionName(s), name, got[name], text)
			}
		}
	}
	if compared < 30 {
		t.Errorf("compared %d roots: the test tests nothing", compared)
	}

	upsert(t, db, space, "doc", somatest.Typed(1, 0, "say \"hi\"\n"))
	body, err := db.Documents().JSON(t.Context(), space, "doc")
	if want := `{"text":"say \"hi\"\n"}`; err != nil || string(body) != want {
		t.Errorf("JSON = %s, %v, want %s", body, err, want)
	}
	upsert(t, db, space, "empty", []byte{0, 0})
	if body, err = db.Documents().JSON(t.Context(), space, "empty"); err != nil || string(body) != "{}" {
		t.Errorf("JSON of an empty document = %s, %v, want {}", body, err)
	}
	if got := text(t, db, space, "empty"); got != "" {
		t.Errorf("Text of an empty document = %q, want none", got)
	}
}

// invalidIDs are the IDs that every method must refuse.
var invalidIDs = map[string]string{
	"empty":             "",
	"129 bytes":         strings.Repeat("x", soma.MaxIDBytes+1),
	"129 bytes of é":    "x" + strings.Repeat("é", 64),
	"line feed":         "a\nb",
	"NUL":               "a\x00",
	"DEL":               "\x7f",
	"C1":                "\u0085",
	"not UTF-8":         "a\xff",
	"cut UTF-8":         "a\xc3",
	"zero width":        "a\u200bb",
	"right-to-left":     "a\u202eb",
	"byte order mark":   "\ufeffa",
	"surrogate in WTF8": "\xed\xa0\x80",
}

func TestInvalidIDs(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "ids")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "x"))
	heard := db.Subscribe(t.Context())
	for name, bad := range invalidIDs {
		for call, err := range calls(t.Context(), db, soma.SpaceID(bad), "doc") {
			if takesNoSpace(call) || call == "Blobs.Usage" && bad == "" { // which is all of them
				continue
			}
			if !errors.Is(err, soma.ErrInvalidID) {
				t.Errorf("%s with a space ID that is %s = %v, want ErrInvalidID", call, name, err)
			}
		}
		<-heard // calls creates a space
	}
	for name, bad := range invalidIDs {
		docs := db.Documents()
		_, up := docs.Upsert(t.Context(), space, bad, somatest.Typed(1, 0, "x"))
		_, get := docs.Get(t.Context(), space, bad)
		_, diff := docs.Diff(t.Context(), space, bad, nil)
		_, txt := docs.Text(t.Context(), space, bad)
		_, js := docs.JSON(t.Context(), space, bad)
		_, title := docs.Title(t.Context(), space, bad)
		_, _, shaped := docs.Shape(t.Context(), space, bad)
		for call, err := range map[string]error{
			"Upsert": up, "Get": get, "Diff": diff, "Text": txt, "JSON": js, "Title": title, "Shape": shaped, "Delete": docs.Delete(t.Context(), space, bad),
		} {
			if !errors.Is(err, soma.ErrInvalidID) {
				t.Errorf("%s with a document ID that is %s = %v, want ErrInvalidID", call, name, err)
			}
		}
	}
	good := []string{"a", " ", "a b", strings.Repeat("x", soma.MaxIDBytes), strings.Repeat("é", 64), "日本語🙂", "../../etc/passwd", "'; DROP TABLE doc; --", "%00", "A", "é", "e\u0301"}
	for i, id := range good {
		upsert(t, db, space, id, somatest.Typed(1, 0, fmt.Sprint(i)))
	}
	for i, id := range good { // none of them is taken for another
		if got := text(t, db, space, id); got != fmt.Sprint(i) {
			t.Errorf("Text(%q) = %q, want %q", id, got, fmt.Sprint(i))
		}
	}
	var listed []string
	for info, err := range db.Documents().List(t.Context(), space) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, info.ID)
	}
	want := slices.Sorted(slices.Values(append(good, "doc")))
	if !slices.Equal(listed, want) {
		t.Errorf("List = %q, want %q: nothing was stored under an invalid ID", listed, want)
	}
}

func TestUnknownSpaceAndDocument(t *testing.T) {
	t.Parallel()
	db, other := somatest.Open(t), somatest.Open(t)
	foreign := newSpace(t, other, "elsewhere")
	for call, err := range calls(t.Context(), db, foreign, "doc") {
		if takesNoSpace(call) {
			continue
		}
		if !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s of an unknown space = %v, want ErrNotFound", call, err)
		}
	}
	space := newSpace(t, db, "here")
	if _, err := db.Spaces().Get(t.Context(), "no space ID at all"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get of what is no space ID = %v, want ErrNotFound", err)
	}
	docs := db.Documents()
	_, get := docs.Get(t.Context(), space, "none")
	_, diff := docs.Diff(t.Context(), space, "none", nil)
	_, txt := docs.Text(t.Context(), space, "none")
	_, js := docs.JSON(t.Context(), space, "none")
	_, title := docs.Title(t.Context(), space, "none")
	_, _, shaped := docs.Shape(t.Context(), space, "none")
	for call, err := range map[string]error{
		"Get": get, "Diff": diff, "Text": txt, "JSON": js, "Title": title, "Shape": shaped,
		"Delete": docs.Delete(t.Context(), space, "none"),
	} {
		if !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s of an unknown document = %v, want ErrNotFound", call, err)
		}
	}
	for info, err := range docs.List(t.Context(), space) {
		t.Errorf("List yields %+v, %v, want nothing", info, err)
	}
}

func TestListWhileWriting(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space, elsewhere := newSpace(t, db, "many"), newSpace(t, db, "others")
	const n = 700
	var ids, removed []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("doc %04d", i))
	}
	beside(ids, func(id string) {
		for _, s := range []soma.SpaceID{space, elsewhere} {
			if _, err := db.Documents().Upsert(t.Context(), s, id, somatest.Typed(1, 0, id)); err != nil {
				t.Errorf("Upsert(%q) = %v", id, err)
			}
		}
	})
	// A whole page of deleted ones must not look like the end.
	for _, id := range ids[10:310] {
		removed = append(removed, id)
		if err := db.Documents().Delete(t.Context(), space, id); err != nil {
			t.Fatalf("Delete(%q) = %v", id, err)
		}
	}
	want := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(removed, id) })
	var got []string
	for info, err := range db.Documents().List(t.Context(), space) {
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		got = append(got, info.ID)
		if info.SpaceID != space || info.CreatedBy != db.PeerID() || info.CreatedAtMs == 0 || info.UpdatedAtMs < info.CreatedAtMs {
			t.Errorf("List yields %+v, want a document of this space and member", info)
		}
		upsert(t, db, space, info.ID, somatest.Typed(2, 0, "seen "))
		if len(got)%50 == 0 { // behind the cursor
			upsert(t, db, space, "a new one "+info.ID, somatest.Typed(2, 0, "new"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("List while writing = %d documents, want the %d that were there: %q", len(got), len(want), got)
	}
	for range 20 { // more than there are readers: breaking off must free them
		for info, err := range db.Documents().List(t.Context(), space) {
			if err != nil || info.ID == "" {
				t.Errorf("List = %+v, %v", info, err)
			}
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last error
	count := 0
	for _, err := range db.Documents().List(ctx, elsewhere) {
		cancel()
		count++
		last = err
	}
	if !errors.Is(last, context.Canceled) || count >= n {
		t.Errorf("List with a context that ends = %d elements, then %v, want a page, then context.Canceled", count, last)
	}
	cancel()
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, restore := range []struct {
		name   string
		update []byte
		text   string
	}{
		{"by new content", somatest.Typed(1, 5, "!"), "hello!"},
		{"by known content", somatest.Typed(1, 0, "hello"), "hello"},
		{"by nothing", []byte{0, 0}, "hello"},
		{"by content that waits", somatest.Typed(2, 9, "later"), "hello"},
		{"by a deletion", somatest.Deletion(1, 0, 1), "ello"},
	} {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("restored %s, reopened %v", restore.name, reopen), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				db := somatest.OpenDir(t, dir)
				space := newSpace(t, db, "x")
				first := upsert(t, db, space, "doc", somatest.Typed(1, 0, "hello"))
				if err := db.Documents().Delete(t.Context(), space, "doc"); err != nil {
					t.Fatalf("Delete = %v", err)
				}
				if reopen {
					mustClose(t, db)
					db = somatest.OpenDir(t, dir)
				}
				docs := db.Documents()
				_, get1 := docs.Get(t.Context(), space, "doc")
				_, diff := docs.Diff(t.Context(), space, "doc", nil)
				_, txt := docs.Text(t.Context(), space, "doc")
				_, js := docs.JSON(t.Context(), space, "doc")
				for call, err := range map[string]error{
					"Get": get1, "Diff": diff, "Text": txt, "JSON": js, "Delete": docs.Delete(t.Context(), space, "doc"),
				} {
					if !errors.Is(err, soma.ErrNotFound) {
						t.Errorf("%s of a deleted document = %v, want ErrNotFound", call, err)
					}
				}
				for info, err := range docs.List(t.Context(), space) {
					t.Errorf("List yields the deleted %+v, %v", info, err)
				}
				rev := upsert(t, db, space, "doc", restore.update)
				if rev.UpdatedAtMs <= first.UpdatedAtMs {
					t.Errorf("UpdatedAtMs after restoring = %d, want more than %d", rev.UpdatedAtMs, first.UpdatedAtMs)
				}
				if got := text(t, db, space, "doc"); got != restore.text {
					t.Errorf("Text after restoring = %q, want %q", got, restore.text)
				}
				// The others have to learn of it as well.
				copied := somatest.Open(t)
				if err := copied.Spaces().Import(t.Context(), bytes.NewReader(export(t, db, space))); err != nil {
					t.Fatalf("Import = %v", err)
				}
				if got := text(t, copied, space, "doc"); got != restore.text {
					t.Errorf("Text elsewhere after restoring = %q, want %q", got, restore.text)
				}
			})
		}
	}
}

// wantSame fails if a document is not as it was.
func wantSame(t *testing.T, db *soma.DB, before soma.Document, after string) {
	t.Helper()
	got := get(t, db, before.SpaceID, before.ID)
	if !bytes.Equal(got.Update, before.Update) || !bytes.Equal(got.StateVector, before.StateVector) ||
		got.UpdatedAtMs != before.UpdatedAtMs || got.Pending != before.Pending {
		t.Errorf("document after %s = %+v, want as before: %+v", after, got, before)
	}
}

func TestInvalidUpdates(t *testing.T) {
	t.Parallel()
	const seed = 99
	t.Logf("seed %d", seed)
	db := somatest.Open(t, soma.WithRelaxedDurability())
	space := newSpace(t, db, "bad")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "hello"))
	upsert(t, db, space, "doc", somatest.Typed(2, 7, "waits"))
	before := get(t, db, space, "doc")
	archive := export(t, db, space)
	heard := db.Subscribe(t.Context())

	var valid [][]byte
	for _, s := range fixtures(t, 3) {
		valid = append(valid, s.Updates...)
		valid = append(valid, s.Compact.Update)
	}
	bad := [][]byte{nil, {}, {0}, {1}, {0, 1}, {0, 0, 0}, []byte("not an update")}
	whole := valid[len(valid)-1]
	for i := range whole {
		bad = append(bad, whole[:i])
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		b := make([]byte, 1+rng.IntN(200))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		bad = append(bad, b)
	}
	refused := 0
	for m := range yjstest.Mutations(seed, 20000, valid) {
		bad = append(bad, m)
	}
	for i, b := range bad {
		if yjs.Validate(b) == nil {
			continue // a mutation that is an update: it may be taken
		}
		refused++
		given := bytes.Clone(b)
		id := "doc"
		if i%2 == 1 {
			id = "never made"
		}
		if _, err := db.Documents().Upsert(t.Context(), space, id, b); !errors.Is(err, soma.ErrInvalidUpdate) {
			t.Fatalf("Upsert(%x) = %v, want ErrInvalidUpdate", b, err)
		}
		if !bytes.Equal(b, given) {
			t.Fatalf("Upsert(%x) changed its argument", given)
		}
	}
	if refused < 10000 {
		t.Errorf("%d updates were refused: the test tests nothing", refused)
	}
	wantSame(t, db, before, "invalid updates")
	if _, err := db.Documents().Get(t.Context(), space, "never made"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get of a document that got invalid updates only = %v, want ErrNotFound", err)
	}
	if after := export(t, db, space); !bytes.Equal(after, archive) {
		t.Errorf("export after invalid updates has %d bytes, want the same %d as before", len(after), len(archive))
	}
	newSpace(t, db, "marker")
	if ev := <-heard; ev.Kind != soma.SpacesChanged {
		t.Errorf("first event = %+v, want that invalid updates cause none", ev)
	}
}

// Mutations that are updates still, in whatever combination: the store never
// fails over content that it has accepted.
func TestOddButValidUpdates(t *testing.T) {
	t.Parallel()
	const seed = 7
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir, soma.WithRelaxedDurability())
	space := newSpace(t, db, "odd")
	all := fixtures(t, 30)
	given := map[string][][]byte{}
	for i, s := range all {
		id := sessionName(s)
		for m := range yjstest.Mutations(seed+uint64(i), 300, s.Updates) {
			if yjs.Validate(m) != nil {
				continue
			}
			if _, err := db.Documents().Upsert(t.Context(), space, id, m); err != nil {
				t.Errorf("Upsert(%x) of a valid update = %v", m, err)
				continue
			}
			given[id] = append(given[id], m)
		}
		if _, err := db.Documents().JSON(t.Context(), space, id); err != nil && !errors.Is(err, soma.ErrTooLarge) {
			t.Errorf("JSON(%q) = %v, want what there is or ErrTooLarge", id, err)
		}
		if _, err := db.Documents().Text(t.Context(), space, id); err != nil && !errors.Is(err, soma.ErrTooLarge) {
			t.Errorf("Text(%q) = %v, want what there is or ErrTooLarge", id, err)
		}
		if _, err := db.Documents().Diff(t.Context(), space, id, nil); err != nil {
			t.Errorf("Diff(%q) = %v", id, err)
		}
	}
	before := map[string]soma.Document{}
	for id := range given {
		before[id] = get(t, db, space, id)
	}
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	for id, d := range before {
		if got := get(t, db, space, id); !bytes.Equal(got.Update, d.Update) || !bytes.Equal(got.StateVector, d.StateVector) || got.Pending != d.Pending {
			t.Errorf("Get(%q) after reopening = %+v, want %+v", id, got, d)
		}
	}
	copied := somatest.Open(t)
	if err := copied.Spaces().Import(t.Context(), bytes.NewReader(export(t, db, space))); err != nil {
		t.Fatalf("Import = %v", err)
	}
	for id, d := range before {
		if got := get(t, copied, space, id); !bytes.Equal(got.Update, d.Update) || !bytes.Equal(got.StateVector, d.StateVector) {
			t.Errorf("Get(%q) after Import = %+v, want %+v", id, got, d)
		}
	}
}

func TestLargeUpdates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "large")
	long := strings.Repeat("0123456789abcde\u00e9\U0001f642", 110_000) // over 2 MiB: three entries
	upsert(t, db, space, "text", somatest.Typed(1, 0, long))
	half := make([]byte, 512<<10)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range half {
		half[i] = byte(rng.Uint32())
	}
	for i := range 3 {
		upsert(t, db, space, "values", somatest.Binary(1, uint64(i), half))
	}
	state := get(t, db, space, "values").Update
	upsert(t, db, space, "values at once", state)
	upsert(t, db, space, "before", somatest.Typed(1, 0, "x"))
	before := get(t, db, space, "before")
	archive := export(t, db, space)
	heard := db.Subscribe(t.Context())

	huge := make([]byte, 1<<20+1)
	for id, update := range map[string][]byte{
		"before": somatest.Binary(2, 0, huge),
		"none":   somatest.Binary(2, 0, huge),
		"over":   make([]byte, soma.MaxUpdateBytes+1),
	} {
		if _, err := db.Documents().Upsert(t.Context(), space, id, update); !errors.Is(err, soma.ErrTooLarge) {
			t.Errorf("Upsert of %d bytes = %v, want ErrTooLarge", len(update), err)
		}
		if id == "before" {
			continue
		}
		if _, err := db.Documents().Get(t.Context(), space, id); !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("Get of what was too large = %v, want ErrNotFound", err)
		}
	}
	wantSame(t, db, before, "values that were too large")
	if after := export(t, db, space); !bytes.Equal(after, archive) {
		t.Errorf("export after values that were too large has %d bytes, want the same %d", len(after), len(archive))
	}
	// A value that was refused leaves no trace in what comes next either.
	upsert(t, db, space, "before", somatest.Typed(1, 1, "y"))
	if ev := <-heard; ev.DocumentID != "before" {
		t.Errorf("event = %+v, want the one write with an effect", ev)
	}

	copied := somatest.Open(t)
	if err := copied.Spaces().Import(t.Context(), bytes.NewReader(export(t, db, space))); err != nil {
		t.Fatalf("Import = %v", err)
	}
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	for name, db := range map[string]*soma.DB{"reopened": db, "imported": copied} {
		if got := text(t, db, space, "text"); got != long {
			t.Errorf("%s: Text has %d bytes, want the %d given", name, len(got), len(long))
		}
		for _, id := range []string{"values", "values at once"} {
			if got := get(t, db, space, id).Update; !bytes.Equal(got, state) {
				t.Errorf("%s: Update of %q has %d bytes, want the %d given", name, id, len(got), len(state))
			}
		}
		if got := text(t, db, space, "before"); got != "xy" {
			t.Errorf("%s: Text = %q, want xy", name, got)
		}
	}
}

// A document's time rises strictly, whatever the clock does.
func TestTimeRises(t *testing.T) {
	t.Parallel()
	for name, clock := range map[string]func(n int64) time.Time{
		"stands still":   func(int64) time.Time { return time.UnixMilli(1_700_000_000_000) },
		"goes backwards": func(n int64) time.Time { return time.UnixMilli(1_700_000_000_000 - 10_000*n) },
		"jumps":          func(n int64) time.Time { return time.UnixMilli(1_700_000_000_000 + n%3*100_000_000) },
		"before 1970":    func(n int64) time.Time { return time.UnixMilli(-1_000_000 + n) },
		"zero":           func(int64) time.Time { return time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			withClock := soma.WithClock(func() time.Time { return clock(n.Add(1)) })
			dir := t.TempDir()
			db := somatest.OpenDir(t, dir, withClock)
			space := newSpace(t, db, "x")
			heard := db.Subscribe(t.Context())
			var last int64
			rises := func(what string, ms int64) {
				t.Helper()
				if ms <= last {
					t.Errorf("UpdatedAtMs after %s = %d, want more than %d", what, ms, last)
				}
				last = ms
			}
			for i := range 20 {
				rises("Upsert", upsert(t, db, space, "doc", somatest.Typed(1, uint64(i), "x")).UpdatedAtMs)
				if got := get(t, db, space, "doc").UpdatedAtMs; got != last {
					t.Errorf("Get.UpdatedAtMs = %d, want the revision's %d", got, last)
				}
				if ev := <-heard; ev.AtMs < 0 || ev.Validate() != nil {
					t.Errorf("event = %+v, want a valid one", ev)
				}
				if i%5 == 4 {
					if err := db.Documents().Delete(t.Context(), space, "doc"); err != nil {
						t.Fatalf("Delete = %v", err)
					}
					rises("Delete and Upsert", upsert(t, db, space, "doc", []byte{0, 0}).UpdatedAtMs)
				}
				if i%7 == 6 {
					mustClose(t, db)
					db = somatest.OpenDir(t, dir, withClock)
					heard = db.Subscribe(t.Context())
				}
			}
			before, err := db.Spaces().Get(t.Context(), space)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"y", "z"} {
				after, err := db.Spaces().Rename(t.Context(), space, name)
				if err != nil || after.UpdatedAtMs <= before.UpdatedAtMs || after.CreatedAtMs != before.CreatedAtMs {
					t.Errorf("Rename = %+v, %v, want a later time than %+v", after, err, before)
				}
				before = after
			}
			copied := somatest.Open(t)
			if err := copied.Spaces().Import(t.Context(), bytes.NewReader(export(t, db, space))); err != nil {
				t.Errorf("Import of what was written under such a clock = %v", err)
			}
		})
	}
}

// Slices change hands: none that was given is kept, none that was returned is used.
func TestSlicesAreNotShared(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "slices")
	scribble := func(b []byte) {
		for i := range b {
			b[i] = 0xee
		}
	}
	want := somatest.Typed(1, 0, "hello")
	for _, u := range [][]byte{want, somatest.Typed(2, 3, "waits"), somatest.Deletion(2, 0, 1)} {
		given := bytes.Clone(u)
		rev := upsert(t, db, space, "doc", given)
		scribble(given)
		for range 2 {
			if wantSV := []byte{1, 1, 5}; !bytes.Equal(rev.StateVector, wantSV) {
				t.Errorf("Upsert.StateVector = %x, want %x", rev.StateVector, wantSV)
			}
			scribble(rev.StateVector)
			scribble(rev.Epoch)
			rev = upsert(t, db, space, "doc", []byte{0, 0})
		}
	}
	for range 2 {
		d := get(t, db, space, "doc")
		if wantSV := []byte{1, 1, 5}; !bytes.Equal(d.StateVector, wantSV) {
			t.Errorf("StateVector = %x, want %x", d.StateVector, wantSV)
		}
		all := compact(t, want, somatest.Typed(2, 3, "waits"), somatest.Deletion(2, 0, 1))
		if !bytes.Equal(d.Update, all) {
			t.Errorf("Update = %x, want %x", d.Update, all)
		}
		sv := []byte{0}
		diff, err := db.Documents().Diff(t.Context(), space, "doc", sv)
		if err != nil || !bytes.Equal(diff, all) {
			t.Errorf("Diff = %x, %v, want %x", diff, err, all)
		}
		body, err := db.Documents().JSON(t.Context(), space, "doc")
		if err != nil || string(body) != `{"text":"hello"}` {
			t.Errorf("JSON = %s, %v", body, err)
		}
		for _, b := range [][]byte{d.StateVector, d.Update, d.Epoch, diff, body, sv} {
			scribble(b)
		}
	}
	key := testKey(9)
	other := somatest.Open(t, soma.WithIdentity(key))
	scribble(key)
	mine := newSpace(t, other, "mine")
	upsert(t, other, mine, "doc", want)
	if err := db.Spaces().Import(t.Context(), bytes.NewReader(export(t, other, mine))); err != nil {
		t.Errorf("Import of what was signed after the key's slice changed = %v", err)
	}
}

// Many writers, one document and many documents, contexts that end at any time:
// an error of ctx says that nothing was stored, its absence that all was.
func TestConcurrentUpserts(t *testing.T) {
	t.Parallel()
	const seed, writers, pieces = 31, 32, 30
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "crowd")
	var wg sync.WaitGroup
	var acked [writers][]int // by writer: the lengths of the pieces typed into the shared document
	var cancelled atomic.Int64
	for g := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			clock, ownClock := uint64(0), uint64(0)
			for i := range pieces {
				piece := strings.Repeat(string(rune('a'+g%26)), 1+rng.IntN(20))
				ctx, cancel := context.WithCancel(t.Context())
				switch rng.IntN(4) {
				case 0:
					cancel()
				case 1:
					time.AfterFunc(time.Duration(rng.IntN(1500))*time.Microsecond, cancel)
				}
				_, err := db.Documents().Upsert(ctx, space, "shared", somatest.Typed(uint64(g+1), clock, piece))
				cancel()
				switch {
				case err == nil:
					clock += uint64(len(piece))
					acked[g] = append(acked[g], len(piece))
				case errors.Is(err, context.Canceled):
					cancelled.Add(1) // the same clock is used again: it must be free
				default:
					t.Errorf("Upsert = %v", err)
				}
				own := fmt.Sprint("own ", g)
				if _, err := db.Documents().Upsert(t.Context(), space, own, somatest.Typed(1, ownClock, piece)); err != nil {
					t.Errorf("Upsert(%q) = %v", own, err)
				}
				ownClock += uint64(len(piece))
				if i%10 == 5 {
					if _, err := db.Documents().Get(t.Context(), space, "shared"); err != nil && !errors.Is(err, soma.ErrNotFound) {
						t.Errorf("Get beside writers = %v", err)
					}
				}
				if g == 0 && i%10 == 0 {
					if err := db.Spaces().Export(t.Context(), space, io.Discard); err != nil {
						t.Errorf("Export beside writers = %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	if cancelled.Load() < 50 {
		t.Errorf("%d calls were cancelled: the test tests nothing", cancelled.Load())
	}
	for _, when := range []string{"at the end", "after reopening"} {
		shared := text(t, db, space, "shared")
		sum := 0
		for g := range writers {
			clock := uint64(0)
			for _, n := range acked[g] {
				clock += uint64(n)
			}
			sum += int(clock)
			if letter := string(rune('a' + g%26)); clock > 0 && !strings.Contains(shared, strings.Repeat(letter, int(clock))) {
				t.Errorf("%s: Text lacks some of the %d acknowledged %q", when, clock, letter)
			}
		}
		if len(shared) != sum {
			t.Errorf("%s: Text has %d characters, want the %d that were acknowledged and none of a cancelled call", when, len(shared), sum)
		}
		mustClose(t, db)
		db = somatest.OpenDir(t, dir)
	}
	for g := range writers {
		rng := rand.New(rand.NewPCG(seed, uint64(g)))
		want := 0
		for range pieces {
			want += 1 + rng.IntN(20)
			if rng.IntN(4) == 1 {
				rng.IntN(1500)
			}
		}
		if got := text(t, db, space, fmt.Sprint("own ", g)); len(got) != want {
			t.Errorf("Text of document %d has %d characters, want %d", g, len(got), want)
		}
	}
}

// One update in pieces from many goroutines, in no order: what waits and what
// completes it meet in different commits.
func TestConcurrentPieces(t *testing.T) {
	t.Parallel()
	const seed = 77
	t.Logf("seed %d", seed)
	db := somatest.Open(t)
	space := newSpace(t, db, "pieces")
	some := fixtures(t, 40)
	type piece struct {
		id     string
		update []byte
	}
	var pieces []piece
	for _, s := range some {
		for _, u := range s.Updates {
			pieces = append(pieces, piece{sessionName(s), u}, piece{sessionName(s), u})
		}
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	var wg sync.WaitGroup
	for part := range slices.Chunk(pieces, len(pieces)/32+1) {
		wg.Go(func() {
			for _, p := range part {
				if _, err := db.Documents().Upsert(t.Context(), space, p.id, p.update); err != nil {
					t.Errorf("Upsert(%q) = %v", p.id, err)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range some {
		got := get(t, db, space, sessionName(s))
		if want := compact(t, s.Updates...); got.Pending || !bytes.Equal(got.Update, want) {
			t.Errorf("Get(%q) = Pending %v, Update %x, want %x", got.ID, got.Pending, got.Update, want)
		}
	}
}

// A document's own state is nothing new to it, also where deletions follow from its
// content that nobody made: values set at the same time, children of what was deleted.
func TestOwnStateIsNothingNew(t *testing.T) {
	db := somatest.Open(t)
	ctx := t.Context()
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		t.Fatal(err)
	}
	// c sets the key "k" of the map "m", not knowing of others.
	set := func(c, v byte) []byte { return []byte{1, 1, c, 0, 0x28, 1, 1, 'm', 1, 'k', 1, 0x7d, v, 0} }
	check := func(id soma.DocumentID, updates [][]byte) {
		t.Helper()
		for _, u := range updates {
			if _, err := db.Documents().Upsert(ctx, space.ID, id, u); err != nil {
				t.Fatal(err)
			}
			doc, err := db.Documents().Get(ctx, space.ID, id)
			if err != nil {
				t.Fatal(err)
			}
			rev, err := db.Documents().Upsert(ctx, space.ID, id, doc.Update)
			if err != nil || rev.UpdatedAtMs != doc.UpdatedAtMs || !bytes.Equal(rev.StateVector, doc.StateVector) {
				t.Fatalf("%s: Upsert of its own state = %+v, %v, want no change since %d", id, rev, err, doc.UpdatedAtMs)
			}
		}
	}
	check("map", [][]byte{set(1, 1), set(2, 2), set(3, 3)})
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range fixtures(t, 12) {
		updates := slices.Clone(s.Updates[:min(len(s.Updates), 40)])
		r.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		check(sessionName(s), updates)
	}
}
