package collection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// op is one call that changes a collection.
type op struct {
	kind  string // "put", "delete" or "clear"
	key   string
	value string
	atMs  int64
}

func (w *world) do(name string, o op) error {
	ctx := context.Background()
	switch o.kind {
	case "put":
		return w.Put(ctx, name, o.key, []byte(o.value), o.atMs)
	case "delete":
		return w.Delete(ctx, name, o.key, o.atMs)
	}
	return w.Clear(ctx, name, o.atMs)
}

func genOp(t *rapid.T) op {
	return op{
		kind:  rapid.SampledFrom([]string{"put", "put", "put", "put", "delete", "delete", "clear"}).Draw(t, "kind"),
		key:   rapid.SampledFrom([]string{"a", "b", "c", "d", collection.NumberKey(1)}).Draw(t, "key"),
		value: rapid.SampledFrom([]string{`1`, `"x"`, `{"a":1}`, `{"a":1.0}`, `[]`, `null`, `10`}).Draw(t, "value"),
		atMs:  theTime + rapid.Int64Range(0, 6).Draw(t, "time"),
	}
}

// Any order of the same writes, however often each comes, ends in the same records.
func TestOrderDoesNotMatter(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		ops := rapid.SliceOfN(rapid.Custom(genOp), 1, 14).Draw(t, "ops")
		again := slices.Clone(ops)
		for range rapid.IntRange(0, 6).Draw(t, "repeated") {
			again = append(again, ops[rapid.IntRange(0, len(ops)-1).Draw(t, "which")])
		}
		again = rapid.Permutation(again).Draw(t, "order")
		var ends [2][]string
		for i, ops := range [][]op{ops, again} {
			name := w.name()
			for _, o := range ops {
				if err := w.do(name, o); err != nil {
					t.Fatalf("%+v = %v", o, err)
				}
			}
			ends[i] = w.list(t, name)
			slices.Sort(ends[i])
		}
		if !slices.Equal(ends[0], ends[1]) {
			t.Fatalf("%q in one order, %q in the other", ends[0], ends[1])
		}
	})
}

// Puts alone leave the newest records, of equal times the greater keys, in any order and
// however often each comes.
func TestOrderDoesNotMatterToEviction(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 4).Draw(t, "records")
		ops := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
			o := genOp(t)
			o.kind, o.key = "put", fmt.Sprint("k", rapid.IntRange(0, 9).Draw(t, "which"))
			return o
		}), 1, 25).Draw(t, "ops")
		newest := map[string]op{}
		for _, o := range ops {
			if was, ok := newest[o.key]; !ok || o.atMs > was.atMs || o.atMs == was.atMs && o.value > was.value {
				newest[o.key] = o
			}
		}
		left := slices.SortedFunc(maps.Values(newest), func(a, b op) int {
			if older(b, a) {
				return -1
			}
			return 1
		})
		want := []string{}
		for _, o := range left[:min(limit, len(left))] {
			want = append(want, show(o.key, []byte(o.value), o.atMs))
		}
		slices.Sort(want)
		for range 2 {
			name := w.name()
			w.SetRules(name, func(r *collection.Rules) { r.MaxRecords, r.Evict = int64(limit), true })
			for _, o := range ops {
				if err := w.do(name, o); err != nil {
					t.Fatalf("%+v = %v", o, err)
				}
			}
			got := w.list(t, name)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("after %+v: %q, want %q", ops, got, want)
			}
			ops = rapid.Permutation(slices.Concat(ops, ops[:len(ops)/2])).Draw(t, "order")
		}
	})
}

// model is what a collection should do, said plainly.
type model struct {
	rules   collection.Rules
	nowMs   int64
	floorMs int64
	records []op             // in order of insertion
	graves  map[string]int64 // the time of the newest deletion
}

func (m *model) find(key string) int {
	return slices.IndexFunc(m.records, func(r op) bool { return r.key == key })
}

func (m *model) expired(atMs int64) bool {
	return m.rules.TTL > 0 && m.nowMs-atMs >= m.rules.TTL.Milliseconds()
}

func (m *model) bury(i int, atMs int64) {
	m.graves[m.records[i].key] = atMs
	m.records = slices.Delete(m.records, i, i+1)
}

func (m *model) buryAll(which func(op) bool, atMs func(op) int64) {
	for i, r := range slices.Backward(slices.Clone(m.records)) {
		if which(r) {
			m.bury(i, atMs(r))
		}
	}
}

// sweep takes out what has expired, which no call can tell from what is merely unseen.
func (m *model) sweep() {
	m.buryAll(func(r op) bool { return m.expired(r.atMs) }, func(r op) int64 { return r.atMs })
}

func (m *model) size() (n int64) {
	for _, r := range m.records {
		key, err := collection.EncodeKey(r.key)
		if err != nil {
			panic(err)
		}
		n += int64(len(key) - len("s:") + len(r.value))
	}
	return n
}

func (m *model) do(o op) error {
	m.sweep()
	if o.kind == "clear" {
		m.floorMs = max(m.floorMs, o.atMs)
		m.buryAll(func(r op) bool { return r.atMs <= o.atMs }, func(op) int64 { return o.atMs })
		return nil
	}
	if o.atMs <= m.floorMs || o.kind == "put" && m.expired(o.atMs) {
		return nil
	}
	i := m.find(o.key)
	if grave, ok := m.graves[o.key]; i < 0 && ok && o.atMs <= grave {
		return nil
	}
	if i >= 0 {
		was := m.records[i]
		if o.atMs < was.atMs || o.atMs == was.atMs && o.kind == "put" && bytes.Compare([]byte(o.value), []byte(was.value)) <= 0 {
			return nil
		}
	}
	if o.kind == "delete" {
		m.graves[o.key] = o.atMs
		if i >= 0 {
			m.bury(i, o.atMs)
		}
		return nil
	}
	before := slices.Clone(m.records)
	if i >= 0 {
		m.records[i] = o
	} else {
		m.records = append(m.records, o)
	}
	return m.fit(before)
}

func (m *model) fit(before []op) error {
	sizeBefore := (&model{records: before}).size()
	over := func() bool { return int64(len(m.records)) > m.rules.MaxRecords || m.size() > m.rules.MaxBytes }
	if !m.rules.Evict {
		if len(m.records) > len(before) && over() || m.size() > sizeBefore && m.size() > m.rules.MaxBytes {
			m.records = before
			return core.ErrCollectionFull
		}
		return nil
	}
	for over() {
		oldest := 0
		for i, r := range m.records {
			if older(r, m.records[oldest]) {
				oldest = i
			}
		}
		m.bury(oldest, m.records[oldest].atMs)
	}
	return nil
}

// older says which of two records is evicted first.
func older(a, b op) bool {
	keyA, errA := collection.EncodeKey(a.key)
	keyB, errB := collection.EncodeKey(b.key)
	if err := errors.Join(errA, errB); err != nil {
		panic(err)
	}
	return a.atMs < b.atMs || a.atMs == b.atMs && keyA < keyB
}

func (m *model) list() []string {
	m.sweep()
	all := []string{}
	for _, r := range m.records {
		all = append(all, show(r.key, []byte(r.value), r.atMs))
	}
	return all
}

// Random calls, under random rules that change, while time goes on, do what the model does:
// what is refused, what is kept, in which order, and what a watch has been told.
func TestCollectionsDoWhatTheModelDoes(t *testing.T) {
	w := newWorld(t)
	start := w.nowMs.Load()
	rapid.Check(t, func(t *rapid.T) {
		w.nowMs.Store(start)
		name := w.name()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		mirror := newMirror(collection.Watch(ctx, w.Collections, name, func(c collection.Change) collection.Change { return c }))
		m := &model{floorMs: -1, graves: map[string]int64{}, nowMs: start}
		setRules(t, w, name, m)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				w.nowMs.Add(rapid.Int64Range(0, 4).Draw(t, "ms"))
				m.nowMs = w.nowMs.Load()
			case 1:
				if err := w.Prune(ctx); err != nil {
					t.Fatal(err)
				}
			default:
				o := genOp(t)
				got, want := w.do(name, o), m.do(o)
				if !errors.Is(got, want) || want == nil && got != nil {
					t.Fatalf("%+v = %v, want %v", o, got, want)
				}
			}
			w.wantList(t, name, m.list()...)
		}
		if err := w.Prune(ctx); err != nil {
			t.Fatal(err)
		}
		mirror.settle(t, w, name)
	})
}

// setRules draws rules that a model and a collection get.
func setRules(t *rapid.T, w *world, name string, m *model) {
	m.rules = collection.Rules{MaxRecords: math.MaxInt32, MaxBytes: math.MaxInt32}
	if rapid.Bool().Draw(t, "ttl?") {
		m.rules.TTL = time.Duration(rapid.IntRange(1, 8).Draw(t, "ttl")) * time.Millisecond
	}
	if rapid.Bool().Draw(t, "records?") {
		m.rules.MaxRecords = int64(rapid.IntRange(1, 4).Draw(t, "records"))
	}
	if rapid.Bool().Draw(t, "bytes?") {
		m.rules.MaxBytes = int64(rapid.IntRange(15, 40).Draw(t, "bytes"))
	}
	m.rules.Evict = rapid.Bool().Draw(t, "evict")
	w.SetRules(name, func(r *collection.Rules) {
		r.TTL, r.MaxRecords, r.MaxBytes, r.Evict = m.rules.TTL, m.rules.MaxRecords, m.rules.MaxBytes, m.rules.Evict
	})
}

// mirror is what a watch has told of a collection.
type mirror struct {
	changes <-chan collection.Change
	records map[string]collection.Change
	resets  int
}

func newMirror(changes <-chan collection.Change) *mirror {
	return &mirror{changes: changes, records: map[string]collection.Change{}}
}

func (m *mirror) apply(change collection.Change) {
	switch change.Kind {
	case collection.Put:
		m.records[change.Key] = change
	case collection.Deleted:
		delete(m.records, change.Key)
	case collection.Cleared:
		for key, rec := range m.records {
			if rec.UpdatedAtMs <= change.UpdatedAtMs {
				delete(m.records, key)
			}
		}
	case collection.Reset:
		m.resets++
	}
}

// settle makes a last change, and fails unless all that was told until then makes the
// records that are there.
func (m *mirror) settle(t failer, w *world, name string) {
	t.Helper()
	last := w.nowMs.Load() + 1000
	w.SetRules(name, func(r *collection.Rules) { r.MaxRecords, r.MaxBytes = math.MaxInt32, math.MaxInt32 })
	w.put(t, name, "last", `0`, last)
	for change := range m.changes {
		m.apply(change)
		if change.Key == "last" {
			break
		}
	}
	got, want := []string{}, w.list(t, name)
	for key, rec := range m.records {
		got = append(got, show(key, rec.Value, rec.UpdatedAtMs))
	}
	slices.Sort(got)
	slices.Sort(want)
	if m.resets > 0 {
		t.Fatalf("%d resets", m.resets)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("a watch was told %s, there is %s", fmt.Sprint(got), fmt.Sprint(want))
	}
}
