package yjs_test

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// trace is an editing history: one update per edit, and the state they make.
type trace struct {
	updates [][]byte
	state   []byte
}

// b4 returns the history that yjs recorded into SOMA_BENCH_DIR (bench/run does
// that), or else a synthetic one of the same shape: 259,778 edits of one character
// by one client, three of ten of them deletions, mostly where the last one was.
func b4(b *testing.B) trace {
	b.Helper()
	dir := os.Getenv("SOMA_BENCH_DIR")
	if dir == "" {
		b.Log("SOMA_BENCH_DIR is not set: a synthetic history")
		return synthetic(b, 259_778)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "b4-updates.bin"))
	if err != nil {
		b.Fatal(err)
	}
	var t trace
	for len(raw) > 0 {
		n := binary.BigEndian.Uint32(raw)
		t.updates = append(t.updates, raw[4:4+n])
		raw = raw[4+n:]
	}
	if t.state, err = os.ReadFile(filepath.Join(dir, "b4-state.bin")); err != nil {
		b.Fatal(err)
	}
	return t
}

func synthetic(b *testing.B, edits int) trace {
	b.Helper()
	rng := rand.New(rand.NewPCG(4, 4))
	const client = 1
	var text []uint64 // clocks of the visible characters
	var t trace
	clock := uint64(0)
	for at, burst, deleting := 0, 0, false; len(t.updates) < edits; burst-- {
		if burst <= 0 { // people type a while, then take back a while, then go elsewhere
			deleting = !deleting && len(text) > 0
			if burst = 1 + rng.IntN(20); !deleting {
				burst, at = 1+rng.IntN(47), rng.IntN(len(text)+1)
			}
		}
		if deleting {
			if at == 0 {
				burst = 0
				continue
			}
			at--
			u := binary.AppendUvarint([]byte{0, 1, client, 1}, text[at])
			t.updates = append(t.updates, append(u, 1))
			text = append(text[:at], text[at+1:]...)
			continue
		}
		u := binary.AppendUvarint([]byte{1, 1, client}, clock)
		u = appendItem(u, client, text, at)
		t.updates = append(t.updates, append(u, 1, 'a'+byte(clock%26), 0))
		text = append(text, 0)
		copy(text[at+1:], text[at:])
		text[at] = clock
		at++
		clock++
	}
	var err error
	if t.state, err = yjs.Compact(t.updates...); err != nil {
		b.Fatal(err)
	}
	return t
}

// appendItem appends the header of a text item between two visible characters.
func appendItem(u []byte, client byte, text []uint64, at int) []byte {
	info := byte(4)
	if at > 0 {
		info |= 0x80
	}
	if at < len(text) {
		info |= 0x40
	}
	u = append(u, info)
	if at > 0 {
		u = binary.AppendUvarint(append(u, client), text[at-1])
	}
	if at < len(text) {
		u = binary.AppendUvarint(append(u, client), text[at])
	}
	if at == 0 && at == len(text) {
		u = append(u, 1, 4, 't', 'e', 'x', 't')
	}
	return u
}

// BenchmarkB4 does with the history what bench.mjs does with yjs.
func BenchmarkB4(b *testing.B) {
	t := b4(b)
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := yjs.NewDoc(yjs.Options{}).Apply(t.state); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("apply-one-by-one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d := yjs.NewDoc(yjs.Options{})
			for _, u := range t.updates {
				if err := d.Apply(u); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("merge", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := yjs.Merge(t.updates...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compact", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := yjs.Compact(t.updates...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		d, err := yjs.Load(yjs.Options{}, t.state)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Encode(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("heap", func(b *testing.B) {
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			d := yjs.NewDoc(yjs.Options{})
			if err := d.Apply(t.state); err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(d)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-live")
	})
}

// change is one edit of a history: units deleted and text inserted at an index.
type change struct {
	index, deleted uint64
	inserted       string
}

// UnmarshalJSON reads what bench.mjs and bench-edit.mjs leave: [index, deleted, inserted?].
func (c *change) UnmarshalJSON(data []byte) error {
	*c = change{}
	return json.Unmarshal(data, &[]any{&c.index, &c.deleted, &c.inserted})
}

// changes reads a history from SOMA_BENCH_DIR, or else makes one of n edits.
func changes(b *testing.B, file string, n int, deletions bool) []change {
	b.Helper()
	var list []change
	dir := os.Getenv("SOMA_BENCH_DIR")
	if dir != "" {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(data, &list); err != nil {
			b.Fatal(err)
		}
		return list
	}
	rng := rand.New(rand.NewPCG(4, 6))
	at, length := uint64(0), uint64(0)
	for len(list) < n {
		if !deletions || rng.IntN(250) == 0 {
			at = rng.Uint64N(length + 1)
		}
		if deletions && at > 0 && rng.IntN(100) < 29 {
			at--
			length--
			list = append(list, change{at, 1, ""})
			continue
		}
		list = append(list, change{at, 0, string(rune('a' + rng.IntN(26)))})
		at++
		length++
	}
	return list
}

// perform makes every edit a transaction, whose update is emitted.
func perform(b *testing.B, list []change) (d *yjs.Doc, emitted int) {
	d = yjs.NewDoc(yjs.Options{Live: true, ClientID: 1})
	d.OnUpdate(func(e yjs.Emission) { emitted += len(e.Update) })
	text, err := d.Declare("text", yjs.KindText)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range list {
		if c.deleted > 0 {
			err = d.Transact(func(tx *yjs.Transaction) error { return text.Delete(tx, c.index, c.deleted) })
		}
		if err == nil && c.inserted != "" {
			err = d.Transact(func(tx *yjs.Transaction) error { return text.InsertText(tx, c.index, c.inserted, nil) })
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return d, emitted
}

// BenchmarkEdit does what bench-edit.mjs does with yjs, ywasm and Loro.
func BenchmarkEdit(b *testing.B) {
	history := changes(b, "b4-edits.json", 259_778, true)
	for name, list := range map[string][]change{
		"b4":     history,
		"random": changes(b, "random-edits.json", 6_000, false),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			emitted := 0
			for b.Loop() {
				_, emitted = perform(b, list)
			}
			b.ReportMetric(float64(emitted), "emitted-bytes")
		})
	}
	b.Run("encode", func(b *testing.B) {
		d, _ := perform(b, history)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Encode(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
