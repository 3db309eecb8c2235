package wire_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"reflect"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// full returns each message as large as it may be, and its limit.
func full() map[wire.Message]int {
	big := uint64(log.MaxCounter)
	var h core.Hash
	for i := range h {
		h[i] = 0xff
	}
	tag := wire.Tag(h[:16])
	mark := wire.Mark{Epoch: core.Incarnation(h[:16]), Row: math.MaxInt64}
	row := wire.Row{Writer: core.WriterID(h), Chain: 1, Tips: []wire.Tip{{Seq: big, Hash: h}}}
	rows := repeat(row, wire.PageTips)
	var children []core.Hash
	for range 16 {
		children = append(children, h)
	}
	nodes := repeat(wire.Node{Children: children}, wire.MaxPaths-1)
	return map[wire.Message]int{
		&wire.Hello{Version: 1, Root: h, Only: repeat(tag, wire.MaxOnly), Joins: repeat(wire.Join{Tag: tag, Box: make([]byte, wire.BoxBytes), Empty: true}, wire.MaxJoins)}: wire.MaxHelloFrame,
		&wire.Same{}: wire.MaxTagFrame,
		&wire.None{}: wire.MaxTagFrame,
		&wire.End{}:  wire.MaxTagFrame,
		&wire.Spaces{Items: repeat(wire.SpaceItem{Tag: tag, Digest: wire.Digest16(tag)}, wire.PageItems), Gone: repeat(tag, wire.PageGone), More: true}: wire.MaxSpacesFrame,
		&wire.Rows{Tag: tag, Mark: mark}: wire.MaxRowsFrame,
		&wire.Nodes{Tag: tag, Paths: repeat(bytes.Repeat([]byte{15}, wire.MaxPathDigits), wire.MaxPaths)}:                       wire.MaxNodesFrame,
		&wire.RowList{Rows: rows, Mark: mark, More: true}:                                                                       wire.MaxRowListFrame,
		&wire.Tree{Nodes: append(nodes, wire.Node{Rows: rows}), Mark: mark, More: true}:                                         wire.MaxTreeFrame,
		&wire.Get{Tag: tag, Ranges: repeat(wire.Range{Writer: core.WriterID(h), Chain: 1, From: big, To: big}, wire.MaxRanges)}: wire.MaxGetFrame,
		&wire.Hashes{Tag: tag, Writer: core.WriterID(h), Chain: 1, Seqs: repeat(big, wire.MaxSeqs)}:                             wire.MaxHashesFrame,
		&wire.HashList{Hashes: repeat(repeat(h, wire.MaxSame), wire.MaxSeqs)}:                                                   wire.MaxHashListFrame,
		&wire.Ack{Tag: tag, Digest: wire.Digest16(tag), Rows: rows}:                                                             wire.MaxAckFrame,
		&wire.Last{Tag: tag}: wire.MaxTagFrame,
		&wire.Remind{Tag: tag, Entries: repeat(wire.Entry{Header: make([]byte, wire.RemindBytes/wire.MaxRemind)}, wire.MaxRemind)}: wire.MaxRemindFrame,
		&wire.Tell{}: wire.MaxTagFrame,
		&wire.Entries{Entries: []wire.Entry{{Header: make([]byte, log.MaxHeaderBytes), Ops: make([]byte, log.MaxOpsBytes), Sig: make([]byte, 64)}}}: wire.MaxEntriesFrame,
		&wire.Entries{Entries: repeat(wire.Entry{Header: []byte{1}}, wire.MaxEntries)}:                                                              wire.MaxEntriesFrame,
	}
}

func repeat[T any](v T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// decode reads the message of a frame as its kind says.
func decode(f wire.Frame) (wire.Message, error) {
	switch f.Kind {
	case wire.KindHello:
		return as[wire.Hello](f)
	case wire.KindSame:
		return as[wire.Same](f)
	case wire.KindSpaces:
		return as[wire.Spaces](f)
	case wire.KindRows:
		return as[wire.Rows](f)
	case wire.KindNodes:
		return as[wire.Nodes](f)
	case wire.KindRowList:
		return as[wire.RowList](f)
	case wire.KindTree:
		return as[wire.Tree](f)
	case wire.KindGet:
		return as[wire.Get](f)
	case wire.KindEntries:
		return as[wire.Entries](f)
	case wire.KindEnd:
		return as[wire.End](f)
	case wire.KindHashes:
		return as[wire.Hashes](f)
	case wire.KindHashList:
		return as[wire.HashList](f)
	case wire.KindAck:
		return as[wire.Ack](f)
	case wire.KindLast:
		return as[wire.Last](f)
	case wire.KindNone:
		return as[wire.None](f)
	case wire.KindRemind:
		return as[wire.Remind](f)
	case wire.KindTell:
		return as[wire.Tell](f)
	}
	return nil, errors.New("no such message")
}

func as[T wire.Message](f wire.Frame) (wire.Message, error) {
	m, err := wire.Decode[T](f)
	return m, err
}

// limits allows each message what the protocol does.
func limits() wire.Limits {
	all := wire.Limits{}
	for m, limit := range full() {
		all[m.Kind()] = limit
	}
	return all
}

func read(b []byte) (wire.Frame, error) {
	return wire.ReadFrame(bufio.NewReader(bytes.NewReader(b)), limits())
}

// The largest message of each kind fits its limit, which is not much more than it needs.
func TestLimitsFitTheLargestMessages(t *testing.T) {
	for m, limit := range full() {
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatalf("Encode(%T) = %v", m, err)
		}
		f, err := read(b)
		if err != nil {
			t.Errorf("ReadFrame of the largest %T = %v, limit %d", m, err, limit)
			continue
		}
		if f.Len() > limit {
			t.Errorf("%T has %d bytes, want at most %d", m, f.Len(), limit)
		}
		got, err := decode(f)
		if err != nil {
			t.Errorf("Decode of the largest %T = %v", m, err)
			continue
		}
		again, err := wire.Encode(got)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("Encode(Decode(%T)) differs, %v", m, err)
		}
	}
}

// One more of anything is refused.
func TestMoreThanALimitIsRefused(t *testing.T) {
	tip := []wire.Tip{{Seq: 1}}
	row := wire.Row{Tips: tip}
	for name, m := range map[string]wire.Message{
		"joins":       wire.Hello{Version: 1, Joins: repeat(wire.Join{Box: make([]byte, wire.BoxBytes)}, wire.MaxJoins+1)},
		"only":        wire.Hello{Version: 1, Only: make([]wire.Tag, wire.MaxOnly+1)},
		"version":     wire.Hello{Version: 2},
		"box":         wire.Hello{Version: 1, Joins: []wire.Join{{Box: []byte{1}}}},
		"spaces":      wire.Spaces{Items: make([]wire.SpaceItem, wire.PageItems+1)},
		"gone":        wire.Spaces{Gone: make([]wire.Tag, wire.PageGone+1)},
		"more":        wire.Spaces{More: true},
		"mark":        wire.Rows{Mark: wire.Mark{Row: -1}},
		"paths":       wire.Nodes{Paths: repeat([]byte{1}, wire.MaxPaths+1)},
		"no path":     wire.Nodes{},
		"digit":       wire.Nodes{Paths: [][]byte{{16}}},
		"digits":      wire.Nodes{Paths: [][]byte{make([]byte, wire.MaxPathDigits+1)}},
		"rows":        wire.RowList{Rows: repeat(row, wire.PageTips+1)},
		"more rows":   wire.RowList{More: true},
		"no tips":     wire.RowList{Rows: []wire.Row{{}}},
		"chain":       wire.RowList{Rows: []wire.Row{{Chain: 2, Tips: tip}}},
		"seq 0":       wire.RowList{Rows: []wire.Row{{Tips: []wire.Tip{{}}}}},
		"seq":         wire.RowList{Rows: []wire.Row{{Tips: []wire.Tip{{Seq: log.MaxCounter + 1}}}}},
		"no nodes":    wire.Tree{},
		"nodes":       wire.Tree{Nodes: make([]wire.Node, wire.MaxPaths+1)},
		"children":    wire.Tree{Nodes: []wire.Node{{Children: make([]core.Hash, 15)}}},
		"both":        wire.Tree{Nodes: []wire.Node{{Children: make([]core.Hash, 16), Rows: []wire.Row{row}}}},
		"cont":        wire.Tree{Nodes: []wire.Node{{}, {Cont: true, Rows: []wire.Row{row}}}},
		"no ranges":   wire.Get{},
		"ranges":      wire.Get{Ranges: repeat(wire.Range{From: 1, To: 1}, wire.MaxRanges+1)},
		"range":       wire.Get{Ranges: []wire.Range{{From: 2, To: 1}}},
		"range 0":     wire.Get{Ranges: []wire.Range{{To: 1}}},
		"range end":   wire.Get{Ranges: []wire.Range{{From: 1, To: math.MaxUint64}}},
		"range chain": wire.Get{Ranges: []wire.Range{{Chain: 9, From: 1, To: 1}}},
		"seqs":        wire.Hashes{Seqs: repeat(uint64(1), wire.MaxSeqs+1)},
		"hashes":      wire.HashList{Hashes: [][]core.Hash{make([]core.Hash, wire.MaxSame+1)}},
		"hash lists":  wire.HashList{Hashes: make([][]core.Hash, wire.MaxSeqs+1)},
		"ack":         wire.Ack{Rows: repeat(row, wire.PageTips+1)},
		"no reminder": wire.Remind{},
		"reminders":   wire.Remind{Entries: make([]wire.Entry, wire.MaxRemind+1)},
		"reminder":    wire.Remind{Entries: []wire.Entry{{Ops: make([]byte, wire.RemindBytes+1)}}},
		"no entries":  wire.Entries{},
		"entries":     wire.Entries{Entries: make([]wire.Entry, wire.MaxEntries+1)},
		"entry":       wire.Entries{Entries: []wire.Entry{{Ops: make([]byte, log.MaxEntryBytes+1)}}},
		"two large":   wire.Entries{Entries: repeat(wire.Entry{Ops: make([]byte, wire.EntriesBytes)}, 2)},
	} {
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatalf("%s: Encode = %v", name, err)
		}
		f, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(b)), wire.Limits{m.Kind(): wire.MaxFrameBytes})
		if err != nil {
			t.Fatalf("%s: ReadFrame = %v", name, err)
		}
		if _, err := decode(f); !wire.IsOffence(err) {
			t.Errorf("%s: Decode = %v, want an offence", name, err)
		}
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	body := func(b ...byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }
	for name, b := range map[string][]byte{
		"empty":              {0},
		"one byte":           body(0x81),
		"no array":           body(0x61, 0x61),
		"empty array":        body(0x80, 0x01),
		"long array":         body(0x98, 24, 1),
		"no number":          body(0x81, 0x41, 1),
		"long number":        body(0x81, 24, 2),
		"unknown":            body(0x81, 23),
		"length not short":   {0x82, 0x80, 0x00, 0x81, 2},
		"too long a length":  {0xff, 0xff, 0xff, 0xff, 0x0f},
		"more than a limit":  binary.AppendUvarint(nil, wire.MaxFrameBytes+1),
		"too long a message": append(binary.AppendUvarint(nil, wire.MaxTagFrame+1), 0x81, byte(wire.KindSame), 0),
	} {
		if f, err := read(b); !wire.IsOffence(err) {
			t.Errorf("%s: ReadFrame = %+v, %v, want an offence", name, f, err)
		}
	}
	for name, b := range map[string][]byte{
		"more elements": body(0x82, byte(wire.KindSame), 1),
		"fewer":         body(0x81, byte(wire.KindRows)),
		"trailing":      body(0x81, byte(wire.KindSame), 0),
		"short hash":    body(0x82, byte(wire.KindLast), 0x42, 1, 2),
		"long tag":      body(append([]byte{0x82, byte(wire.KindLast), 0x51}, make([]byte, 17)...)...),
		"long int":      body(append([]byte{0x85, byte(wire.KindHello), 0x18, 1, 0x58, 32}, append(make([]byte, 32), 0x80, 0x80)...)...),
		"nil":           body(append([]byte{0x85, byte(wire.KindHello), 1, 0x58, 32}, append(make([]byte, 32), 0xf6, 0x80)...)...),
	} {
		f, err := read(b)
		if err != nil {
			t.Errorf("%s: ReadFrame = %v", name, err)
			continue
		}
		if m, err := decode(f); !wire.IsOffence(err) {
			t.Errorf("%s: Decode = %+v, %v, want an offence", name, m, err)
		}
	}
	for name, b := range map[string][]byte{"length": {0x85}, "head": {5, 0x81}, "rest": {5, 0x82, byte(wire.KindLast), 0}} {
		if _, err := read(b); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut in its %s: ReadFrame = %v, want io.ErrUnexpectedEOF", name, err)
		}
	}
	if _, err := read(nil); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadFrame of nothing = %v, want io.EOF", err)
	}
}

func FuzzFrame(f *testing.F) {
	for m := range full() {
		if b, err := wire.Encode(m); err == nil && len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		given := bytes.Clone(b)
		frame, err := read(b)
		if err != nil {
			return
		}
		m, err := decode(frame)
		if err != nil {
			return
		}
		again, err := wire.Encode(m)
		if err != nil || !bytes.HasPrefix(given, again) {
			t.Errorf("Encode(%+v) = %x, %v, want a prefix of %x", m, again, err, given)
		}
	})
}

func TestRowsInPages(t *testing.T) {
	var rows []core.LogRow
	for i := range 40 {
		row := core.LogRow{Writer: core.WriterID{byte(i / 2)}, Chain: core.Chain(i % 2)}
		for n := range 1 + 100*(i%3) {
			row.Tips = append(row.Tips, core.Tip{Seq: uint64(n + 1), Hash: core.Hash{byte(n)}})
		}
		rows = append(rows, row)
	}
	var got []core.LogRow
	pages := wire.FromRows(rows)
	if len(pages) < 3 {
		t.Fatalf("FromRows = %d pages, want some", len(pages))
	}
	for _, page := range pages {
		if err := (wire.RowList{Rows: page}).Check(); err != nil {
			t.Fatal(err)
		}
		var err error
		if got, err = wire.AppendRows(got, page); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, rows) {
		t.Errorf("AppendRows(FromRows(rows)) differs")
	}
	if _, err := wire.AppendRows(got, pages[0]); !wire.IsOffence(err) {
		t.Errorf("AppendRows out of order = %v, want an offence", err)
	}
}

func TestSplit(t *testing.T) {
	var entries []core.Entry
	for i := range 10_000 {
		entries = append(entries, core.Entry{Header: []byte{byte(i)}})
	}
	for range 5 {
		entries = append(entries, core.Entry{Ops: make([]byte, 100<<10)})
	}
	entries = append(entries, core.Entry{Ops: make([]byte, log.MaxOpsBytes)}, core.Entry{Header: []byte{1}})
	for _, most := range []int{wire.EntriesBytes, 16 << 10} {
		n := 0
		for _, run := range wire.Split(entries, most) {
			if err := wire.CheckEntries(wire.FromCore(run)); err != nil {
				t.Errorf("CheckEntries of a run = %v", err)
			}
			size := 0
			for _, e := range run {
				if !reflect.DeepEqual(e, entries[n]) {
					t.Fatalf("entry %d is another", n)
				}
				n++
				size += e.Size()
			}
			if size > most && len(run) > 1 {
				t.Errorf("a run of %d entries has %d bytes, want %d at most", len(run), size, most)
			}
		}
		if n != len(entries) {
			t.Errorf("Split returned %d entries, want %d", n, len(entries))
		}
	}
}
