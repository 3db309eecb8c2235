package replica_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// forest is a space with the entries of several writers, in turn, some of them forked.
func forest(t testing.TB, writers, each int) (*site, core.SpaceID) {
	t.Helper()
	s := openSite(t, siteOptions{noVerify: true})
	space := s.create("space")
	var authors []*author
	for i := range writers {
		authors = append(authors, newAuthor(t, s.id.Key(), space, 0))
		authors[i].incarnation = core.Incarnation{1, byte(i), byte(i >> 8)}
	}
	for n := range each {
		var all []core.Entry
		for i, a := range authors {
			e := a.write(nil, update("doc", insert(uint64(1000+i), uint64(n), "x")))
			all = append(all, e.Raw)
			if i%5 == 1 && n == each/2 { // this branch ends here
				fork := *a
				fork.last = nil
				if n > 0 {
					fork = *a
					all = append(all, fork.write(nil, update("doc", insert(uint64(5000+i), uint64(n), "y"))).Raw)
				}
			}
		}
		s.accept(space, all...)
	}
	return s, space
}

// naive returns the entries of ranges by a look at all of the log.
func (s *site) naive(space core.SpaceID, ranges []core.Range) (hashes []core.Hash) {
	s.t.Helper()
	decoded := s.decoded(space)
	for _, chain := range []core.Chain{core.ChainMembership, core.ChainContent} {
		for _, e := range decoded {
			if e.Chain == chain && slices.ContainsFunc(ranges, func(r core.Range) bool {
				return r.Writer == e.Writer && r.Chain == chain && r.From <= e.Seq && e.Seq <= r.To
			}) {
				hashes = append(hashes, e.Hash)
			}
		}
	}
	return hashes
}

// TestEntriesOfRanges reads few and many entries of a log, in pages, and compares that
// with a look at all of it.
func TestEntriesOfRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	s, space := forest(t, 40, 10)
	rows := s.rows(space)
	for round := range 200 {
		var ranges []core.Range
		for range 1 + r.IntN(1+round%60) {
			row := rows[r.IntN(len(rows))]
			from := uint64(r.IntN(12))
			ranges = append(ranges, core.Range{Writer: row.Writer, Chain: row.Chain, From: from, To: from + uint64(r.IntN(4)) - 1})
			if r.IntN(20) == 0 {
				ranges = append(ranges, core.Range{Writer: row.Writer, Chain: row.Chain, From: 0, To: math.MaxUint64})
			}
		}
		var got []core.Hash
		for _, e := range s.read(space, ranges, r.IntN(3000)) {
			got = append(got, e.Hash())
		}
		if want := s.naive(space, ranges); !slices.Equal(got, want) {
			t.Fatalf("round %d: %d entries of %v, want %d", round, len(got), ranges, len(want))
		}
	}
}

// TestEntriesInterleaved reads pages of several readers in turn, while others write.
func TestEntriesInterleaved(t *testing.T) {
	s, space := forest(t, 40, 10)
	own, _ := s.Writer()
	rows := slices.DeleteFunc(s.rows(space), func(row core.LogRow) bool { return row.Writer == own })
	const readers = 30 // more than plans are kept
	var ranges [readers][]core.Range
	var at [readers]core.Cursor
	var got, want [readers][]core.Hash
	for i := range ranges {
		ranges[i] = []core.Range{{Writer: rows[i].Writer, Chain: rows[i].Chain, From: 1, To: 10}}
		want[i] = s.naive(space, ranges[i])
	}
	for round := range 15 {
		for i := range ranges {
			page, next, err := s.Entries(s.ctx(), space, ranges[i], at[i], 0)
			if err != nil || len(page) > 1 {
				t.Fatalf("Entries = %d entries, %v, want one at most", len(page), err)
			}
			for _, e := range page {
				got[i] = append(got[i], e.Hash())
			}
			at[i] = next
		}
		if round == 3 {
			s.rename(space, "another")
		}
	}
	for i := range ranges {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("reader %d got %d entries, want %d", i, len(got[i]), len(want[i]))
		}
	}
}

// TestSeamBadInput asks for what is senseless, huge or unknown.
func TestSeamBadInput(t *testing.T) {
	s, space := forest(t, 20, 3)
	known := s.rows(space)[0]
	tips := func(n int) []core.Tip {
		all := make([]core.Tip, n)
		for i := range all {
			all[i] = core.Tip{Seq: uint64(i), Hash: core.Hash{byte(i), byte(i >> 8), 1}}
		}
		return all
	}
	for _, path := range []core.TreePath{"0", "\x10", "\xff", core.TreePath(strings.Repeat("\x01", 64)), core.TreePath(strings.Repeat("\x01", 65)), core.TreePath(strings.Repeat("\x00", 1<<16))} {
		node, err := s.Node(s.ctx(), space, path)
		if err != nil || len(node.Rows) > 0 || node.Children != nil {
			t.Errorf("Node(%q) = %+v, %v, want an empty one", path[:min(len(path), 70)], node, err)
		}
	}
	for name, test := range map[string]struct {
		row  core.LogRow
		want []core.Range
	}{
		"no tips":       {core.LogRow{Writer: known.Writer, Chain: known.Chain}, nil},
		"seq 0":         {core.LogRow{Writer: known.Writer, Chain: known.Chain, Tips: []core.Tip{{}}}, nil},
		"huge":          {core.LogRow{Writer: known.Writer, Chain: known.Chain, Tips: []core.Tip{{Seq: math.MaxUint64}}}, nil},
		"third chain":   {core.LogRow{Writer: known.Writer, Chain: 2, Tips: []core.Tip{{Seq: 1}}}, nil},
		"what is here":  {known, nil},
		"unknown":       {core.LogRow{Writer: core.WriterID{9}, Chain: 1, Tips: []core.Tip{{Seq: 5}, {Seq: 3}}}, []core.Range{{Writer: core.WriterID{9}, Chain: 1, From: 1, To: 5}}},
		"beyond":        {core.LogRow{Writer: known.Writer, Chain: known.Chain, Tips: []core.Tip{{Seq: 1 << 62}}}, []core.Range{{Writer: known.Writer, Chain: known.Chain, From: known.Tips[0].Seq + 1, To: 1 << 62}}},
		"beside":        {core.LogRow{Writer: known.Writer, Chain: known.Chain, Tips: []core.Tip{{Seq: 1}}}, []core.Range{{Writer: known.Writer, Chain: known.Chain, From: 1, To: 1}}},
		"many tips":     {core.LogRow{Writer: core.WriterID{9}, Chain: 1, Tips: tips(10_000)}, []core.Range{{Writer: core.WriterID{9}, Chain: 1, From: 1, To: 9999}}},
		"the same tips": {core.LogRow{Writer: known.Writer, Chain: known.Chain, Tips: []core.Tip{{Seq: 1}, {Seq: 1}}}, []core.Range{{Writer: known.Writer, Chain: known.Chain, From: 1, To: 1}}},
	} {
		got, err := s.Missing(s.ctx(), space, []core.LogRow{test.row})
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: Missing = %v, %v, want %v", name, got, err, test.want)
		}
		if _, err := s.OwnAhead(s.ctx(), space, []core.LogRow{{Writer: core.WriterID{9}, Tips: test.row.Tips}}); err != nil {
			t.Errorf("%s: OwnAhead = %v", name, err)
		}
		if err := s.Acknowledge(s.ctx(), space, peerOf(stranger(1)), []core.LogRow{test.row}); err != nil {
			t.Errorf("%s: Acknowledge = %v", name, err)
		}
	}
	for _, want := range []core.Range{
		{Writer: known.Writer, Chain: known.Chain, From: 3, To: 2},
		{Writer: known.Writer, Chain: known.Chain, From: math.MaxUint64, To: math.MaxUint64},
		{Writer: known.Writer, Chain: known.Chain},
		{Writer: known.Writer, Chain: 7, From: 1, To: 9},
		{Writer: core.WriterID{9}, Chain: known.Chain, From: 1, To: 9},
	} {
		for _, at := range []core.Cursor{{}, {Chain: 1}, {Chain: 2}, {Row: -1}, {Row: math.MaxInt64}, {Chain: 255, Row: math.MinInt64}} {
			got, next, err := s.Entries(s.ctx(), space, []core.Range{want}, at, -1)
			if len(got) > 0 || next != at || err != nil {
				t.Errorf("Entries(%+v) after %+v = %d entries, %+v, %v, want none", want, at, len(got), next, err)
			}
		}
	}
	all := core.Range{Writer: known.Writer, Chain: known.Chain, From: 0, To: math.MaxUint64}
	for _, at := range []core.Cursor{{Row: math.MaxInt64, Chain: 1}, {Chain: 2}} {
		if got, _, err := s.Entries(s.ctx(), space, []core.Range{all}, at, 1<<20); len(got) > 0 || err != nil {
			t.Errorf("Entries after %+v = %d entries, %v, want none", at, len(got), err)
		}
	}
	hashes, err := s.Hashes(s.ctx(), space, core.WriterID{9}, core.ChainContent, []uint64{1, 2})
	if err != nil || len(hashes) != 2 || len(hashes[0])+len(hashes[1]) > 0 {
		t.Errorf("Hashes of an unknown writer = %v, %v, want two empty lists", hashes, err)
	}
	has, err := s.Has(s.ctx(), space, []core.Hash{{}, known.Tips[0].Hash, {1}})
	if err != nil || !slices.Equal(has, []bool{false, true, false}) {
		t.Errorf("Has = %v, %v, want the second only", has, err)
	}
	garbage := []core.Entry{{}, {Header: []byte{1}}, {Header: bytes.Repeat([]byte{0xff}, 1<<20)}}
	outcomes, err := s.Take(s.ctx(), space, garbage)
	if err != nil || len(outcomes) != len(garbage) {
		t.Fatalf("Take = %v, %v", outcomes, err)
	}
	for _, o := range outcomes {
		if o.Status != core.EntryRejected || log.ReasonOf(o.Err) == "" {
			t.Errorf("garbage is %s: %v", o.Status, o.Err)
		}
	}

	// Of a space that is unknown.
	const nowhere = core.SpaceID("nowhere")
	for what, err := range map[string]error{
		"Summary":   second(s.Summary(s.ctx(), nowhere)),
		"Node":      second(s.Node(s.ctx(), nowhere, "")),
		"Missing":   second(s.Missing(s.ctx(), nowhere, []core.LogRow{known})),
		"Hashes":    second(s.Hashes(s.ctx(), nowhere, known.Writer, 1, []uint64{1})),
		"Has":       second(s.Has(s.ctx(), nowhere, []core.Hash{{}})),
		"Take":      second(s.Take(s.ctx(), nowhere, garbage)),
		"SealSpace": s.SealSpace(s.ctx(), nowhere),
	} {
		if !errors.Is(err, core.ErrNotFound) {
			t.Errorf("%s of an unknown space = %v, want ErrNotFound", what, err)
		}
	}
	s.Hasten(nowhere, true)
	s.Hasten(nowhere, false)
}

func second[T any](_ T, err error) error { return err }
