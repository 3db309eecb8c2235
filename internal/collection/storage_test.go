package collection_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/collection"
)

// windowRow is a row as a window has it.
type windowRow struct {
	Key        string `json:"-"`
	VersionKey string `json:"versionKey"`
	Data       string `json:"data"`
}

// windowValue is a snapshot as a window has it, in order.
type windowValue []windowRow

func (v windowValue) text() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, row := range v {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `%q:{"versionKey":%q,"data":%s}`, row.Key, row.VersionKey, row.Data)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (v windowValue) find(key string) int {
	return slices.IndexFunc(v, func(row windowRow) bool { return row.Key == key })
}

func readWindowValue(t failer, text []byte) (v windowValue) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatalf("%v", err)
		}
		var row struct {
			VersionKey string
			Data       json.RawMessage
		}
		if err := d.Decode(&row); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		v = append(v, windowRow{key.(string), row.VersionKey, string(row.Data)})
	}
	return v
}

// windowWrite is a value on its way, and what the window changed for it.
type windowWrite struct {
	value   windowValue
	remove  bool // by RemoveItem
	puts    []windowRow
	deletes []windowRow // as the window knew them
}

// modelWindow is a window with a synchronous storage in front of the bridge, as a host
// has it: its writes go out one after the other with the base it adopted last, and it
// adopts a snapshot only while none is unanswered, and not one from before an answer.
type modelWindow struct {
	id       string
	value    windowValue
	base     int64
	writes   []windowWrite
	answered *collection.StorageResult // on its way
	newest   int64                     // seq of the last answer
	fetched  *fetched
}

type fetched struct {
	value windowValue
	seq   int64
}

func (w *modelWindow) write(change windowWrite) {
	change.value = slices.Clone(w.value)
	w.writes = append(w.writes, change)
}

// desktop is a collection, its windows, and what the collection has to be.
type desktop struct {
	t        *rapid.T
	world    *world
	name     string
	windows  []*modelWindow
	want     windowValue // order aside
	versions int
	laterMs  int64 // than all writes
}

func (d *desktop) version() string {
	d.versions++
	return fmt.Sprintf("version-%d", d.versions)
}

func (d *desktop) get() (windowValue, int64) {
	text, seq, err := d.world.Storage(context.Background(), d.name)
	if err != nil {
		d.t.Fatal(err)
	}
	return readWindowValue(d.t, text), seq
}

// edit makes a window insert, update, or delete, as the npm package does.
func (d *desktop) edit() {
	win := rapid.SampledFrom(d.windows).Draw(d.t, "window")
	key := rapid.SampledFrom([]string{"s:a", "s:b", "s:c", "n:1", "n:2.5", `s:"é\`}).Draw(d.t, "key")
	i := win.value.find(key)
	row := windowRow{Key: key, VersionKey: d.version()}
	row.Data = fmt.Sprintf(`{"by":%q,"n":%d}`, win.id, d.versions)
	switch what := rapid.IntRange(0, 9).Draw(d.t, "what"); {
	case i < 0:
		win.value = append(win.value, row)
		win.write(windowWrite{puts: []windowRow{row}})
	case what == 0:
		deletes := win.value
		win.value = nil
		win.write(windowWrite{remove: true, deletes: deletes})
	case what < 5:
		deletes := []windowRow{win.value[i]}
		win.value = slices.Delete(slices.Clone(win.value), i, i+1)
		win.write(windowWrite{deletes: deletes})
	default:
		win.value = slices.Clone(win.value)
		win.value[i] = row
		win.write(windowWrite{puts: []windowRow{row}})
	}
}

// send lets the first write of a window arrive.
func (d *desktop) send() {
	win := rapid.SampledFrom(d.windows).Draw(d.t, "window")
	if len(win.writes) == 0 || win.answered != nil {
		d.t.Skip("nothing to send")
	}
	d.arrive(win)
}

func (d *desktop) arrive(win *modelWindow) {
	change := win.writes[0]
	write := collection.StorageWrite{Value: change.value.text(), BaseSeq: win.base, Window: win.id}
	result, err := d.world.SetItem(context.Background(), d.name, write)
	if err != nil {
		d.t.Fatalf("SetItem(%s, base %d): %v", write.Value, win.base, err)
	}
	// A deletion counts if nobody wrote the row that the window has not seen, and a write
	// always does.
	for _, row := range change.deletes {
		if i := d.want.find(row.Key); i >= 0 && d.want[i].VersionKey == row.VersionKey {
			d.want = slices.Delete(d.want, i, i+1)
		}
	}
	for _, row := range change.puts {
		d.wanted(row)
	}
	got, seq := d.get()
	if result.Seq != seq {
		d.t.Fatalf("SetItem has seq %d, Snapshot %d", result.Seq, seq)
	}
	if same := slices.Equal(got, change.value); same != result.Same {
		d.t.Fatalf("SetItem(%s) = %+v, the collection is %s", write.Value, result, got.text())
	}
	win.answered = &result
	d.check(got)
}

func (d *desktop) wanted(row windowRow) {
	if i := d.want.find(row.Key); i >= 0 {
		d.want[i] = row
	} else {
		d.want = append(d.want, row)
	}
}

func (d *desktop) check(got windowValue) {
	if byKey(got).differs(d.want) {
		d.t.Fatalf("the collection is\n%s, want\n%s", got.text(), d.want.text())
	}
}

type byKey windowValue

func (a byKey) differs(b windowValue) bool {
	sorted := func(v windowValue) windowValue {
		return slices.SortedFunc(slices.Values(v), func(a, b windowRow) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	}
	return !slices.Equal(sorted(windowValue(a)), sorted(b))
}

// answer lets the answer to a write reach its window.
func (d *desktop) answer() {
	win := rapid.SampledFrom(d.windows).Draw(d.t, "window")
	if win.answered == nil {
		d.t.Skip("no answer")
	}
	d.reach(win)
}

func (d *desktop) reach(win *modelWindow) {
	if win.answered.Same {
		win.base = win.answered.Seq
	}
	win.newest = win.answered.Seq
	win.answered = nil
	win.writes = win.writes[1:]
}

// fetch lets a window ask for a snapshot, adopt brings it.
func (d *desktop) fetch() {
	win := rapid.SampledFrom(d.windows).Draw(d.t, "window")
	value, seq := d.get()
	win.fetched = &fetched{value, seq}
}

func (d *desktop) adopt() {
	win := rapid.SampledFrom(d.windows).Draw(d.t, "window")
	if win.fetched == nil {
		d.t.Skip("no snapshot")
	}
	if len(win.writes) == 0 && win.fetched.seq >= win.newest {
		win.value, win.base = win.fetched.value, win.fetched.seq
	}
	win.fetched = nil
}

// reload makes a window a new one, which loses what it had not sent.
func (d *desktop) reload() {
	i := rapid.IntRange(0, len(d.windows)-1).Draw(d.t, "window")
	value, seq := d.get()
	d.windows[i] = &modelWindow{id: d.windows[i].id + "'", value: value, base: seq}
}

// program lets the host itself write, later than all windows.
func (d *desktop) program() {
	ctx := context.Background()
	key := rapid.SampledFrom([]string{"a", "b", collection.NumberKey(1)}).Draw(d.t, "key")
	stored, err := collection.EncodeKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	i := d.want.find(stored)
	d.laterMs = max(d.laterMs, d.world.nowMs.Load()) + 1000
	later := d.laterMs
	switch rapid.IntRange(0, 5).Draw(d.t, "what") {
	case 0:
		err = d.world.Clear(ctx, d.name, later)
		d.want = nil
	case 1:
		err = d.world.Delete(ctx, d.name, key, later)
		if i >= 0 {
			d.want = slices.Delete(d.want, i, i+1)
		}
	default:
		err = d.world.Put(ctx, d.name, key, fmt.Appendf(nil, `{"n":%d}`, later), later)
		got, _ := d.get()
		d.wanted(got[got.find(stored)])
	}
	if err != nil {
		d.t.Fatal(err)
	}
	if rapid.Bool().Draw(d.t, "the clock goes on") {
		d.world.nowMs.Store(later + 1)
	}
	got, _ := d.get()
	d.check(got)
}

// settle lets all that is on its way arrive, and the windows see the end.
func (d *desktop) settle() {
	for _, win := range d.windows {
		for len(win.writes) > 0 {
			if win.answered == nil {
				d.arrive(win)
			}
			d.reach(win)
		}
	}
	got, _ := d.get()
	d.check(got)
}

func TestWindows(t *testing.T) {
	w := newWorld(t)
	play := func(t *rapid.T) {
		w.nowMs.Store(theTime)
		d := &desktop{t: t, world: w, name: w.name()}
		for i := range rapid.IntRange(1, 3).Draw(t, "windows") {
			value, seq := d.get()
			d.windows = append(d.windows, &modelWindow{id: fmt.Sprint("w", i), value: value, base: seq})
		}
		t.Repeat(map[string]func(*rapid.T){
			"edit": func(*rapid.T) { d.edit() }, "edit more": func(*rapid.T) { d.edit() },
			"send": func(*rapid.T) { d.send() }, "answer": func(*rapid.T) { d.answer() },
			"fetch": func(*rapid.T) { d.fetch() }, "adopt": func(*rapid.T) { d.adopt() },
			"reload": func(*rapid.T) { d.reload() }, "program": func(*rapid.T) { d.program() },
		})
		d.settle()
	}
	for range 5 { // rapid plays a hundred of them
		rapid.Check(t, play)
	}
}
