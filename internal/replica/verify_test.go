package replica_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/yjs"
)

// verify computes the projections of every space anew from its entries and tails,
// and compares them with the stored ones.
func (s *site) verify() {
	s.t.Helper()
	spaces, err := s.Spaces(s.ctx())
	if err != nil {
		s.t.Fatalf("Spaces = %v", err)
	}
	own := uint64(0)
	_, incarnation := s.Writer()
	for _, space := range spaces {
		entries := s.decoded(space.ID)
		for _, e := range entries {
			if e.Peer == s.Peer() && e.Incarnation == incarnation {
				own++
			}
		}
		s.view(func(v core.View) error { return s.verifySpace(v, space.SpaceRecord, entries) })
	}
	s.view(func(v core.View) error {
		sealed, err := v.Meta("sealed")
		if want := fmt.Appendf(nil, "%016x", own); fmt.Sprintf("%x", sealed) != string(want) {
			s.t.Errorf("own entries counted = %x, want %s", sealed, want)
		}
		return err
	})
	s.verifyCache()
	found, err := s.Verify(s.ctx())
	if err != nil {
		s.t.Fatalf("Verify = %v", err)
	}
	for _, p := range found {
		s.t.Errorf("Verify found %+v", p)
	}
}

// bitset says which entries, by position, lie in the past of another.
type bitset []uint64

func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) add(i int, of bitset) {
	b[i/64] |= 1 << (i % 64)
	for w := range of {
		b[w] |= of[w]
	}
}

// history is the log of a space with the past of every entry.
type history struct {
	entries []*log.Entry
	at      map[core.Hash]int
	past    []bitset // content past of content entries
}

func newHistory(entries []*log.Entry) (*history, error) {
	h := &history{entries: entries, at: map[core.Hash]int{}, past: make([]bitset, len(entries))}
	for i, e := range entries {
		h.past[i] = make(bitset, len(entries)/64+1)
		cited := slices.Clone(e.Deps)
		if e.Seq > 1 {
			cited = append(cited, e.Prev)
		}
		for _, hash := range cited {
			j, ok := h.at[hash]
			if !ok {
				return nil, fmt.Errorf("entry %s is stored before %s, which it cites", e.Hash, hash)
			}
			h.past[i].add(j, h.past[j])
		}
		h.at[e.Hash] = i
	}
	return h, nil
}

// place is an op of an entry, both by position.
type place struct{ entry, op int }

// wantDoc is what the log and the tail say of a document.
type wantDoc struct {
	updates [][]byte // of the log
	writes  []place  // of its updates
	deletes []place
}

func (s *site) verifySpace(v core.View, space core.SpaceRecord, entries []*log.Entry) error {
	s.t.Helper()
	h, err := newHistory(entries)
	if err != nil {
		return err
	}
	docs := map[core.DocumentID]*wantDoc{}
	doc := func(id core.DocumentID) *wantDoc {
		if docs[id] == nil {
			docs[id] = &wantDoc{}
		}
		return docs[id]
	}
	var names []int
	value := map[int]string{}
	for i, e := range entries {
		for n, op := range e.Ops {
			switch b := op.Body.(type) {
			case log.DocUpdate:
				d := doc(b.Doc)
				d.updates, d.writes = append(d.updates, b.Update), append(d.writes, place{i, n})
			case log.DocDelete:
				doc(b.Doc).deletes = append(doc(b.Doc).deletes, place{i, n})
			case log.SpaceMeta:
				names, value[i] = append(names, i), b.Name
			}
		}
	}
	if want := h.latest(names, value); space.Name != want {
		s.t.Errorf("name of the space = %q, want %q", space.Name, want)
	}
	if err := s.verifyHeads(v, space, h); err != nil {
		return err
	}
	stored, err := v.Docs(space.Key, "", math.MaxInt32)
	if err != nil {
		return err
	}
	for _, rec := range stored {
		d := docs[rec.ID]
		if d == nil {
			d = &wantDoc{}
		}
		if err := verifyDoc(s.t, v, rec, d, h); err != nil {
			return err
		}
		delete(docs, rec.ID)
	}
	for id, d := range docs {
		if len(d.writes) > 0 {
			s.t.Errorf("document %q is in the log and not stored", id)
		}
	}
	return nil
}

// latest returns the value of the causally latest write, then by clock and hash.
func (h *history) latest(writes []int, value map[int]string) string {
	maximal := slices.DeleteFunc(slices.Clone(writes), func(i int) bool {
		return slices.ContainsFunc(writes, func(j int) bool { return h.past[j].has(i) })
	})
	if len(maximal) == 0 {
		return ""
	}
	return value[slices.MaxFunc(maximal, func(i, j int) int {
		a, b := h.entries[i], h.entries[j]
		return cmp.Or(cmp.Compare(a.WallMs, b.WallMs), bytes.Compare(a.Hash[:], b.Hash[:]))
	})]
}

// verifyHeads checks the heads of writers and the frontiers.
func (s *site) verifyHeads(v core.View, space core.SpaceRecord, h *history) error {
	s.t.Helper()
	type chain struct {
		writer core.WriterID
		chain  core.Chain
	}
	want := map[chain]uint64{}
	cited := map[core.Hash]bool{}
	for _, e := range h.entries {
		want[chain{e.Writer, e.Chain}] = max(want[chain{e.Writer, e.Chain}], e.Seq)
		heads := e.Deps
		if e.Chain == core.ChainMembership {
			heads = e.Auth
		}
		for _, hash := range heads {
			cited[hash] = true
		}
		cited[e.Prev] = true
	}
	heads, err := v.Heads(space.Key)
	if err != nil {
		return err
	}
	got := map[chain]uint64{}
	for _, head := range heads {
		w, err := v.Writer(head.Writer)
		if err != nil {
			return err
		}
		got[chain{w.ID, head.Chain}] = head.Seq
		if i, ok := h.at[head.Hash]; !ok || h.entries[i].Writer != w.ID || h.entries[i].Seq != head.Seq {
			s.t.Errorf("head %s of writer %s is not its entry %d", head.Hash, w.ID, head.Seq)
		}
	}
	if !maps.Equal(got, want) {
		s.t.Errorf("heads = %v, want %v", got, want)
	}
	for _, kind := range []core.Chain{core.ChainMembership, core.ChainContent} {
		var open []core.Hash
		for _, e := range h.entries {
			if e.Chain == kind && !cited[e.Hash] {
				open = append(open, e.Hash)
			}
		}
		slices.SortFunc(open, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
		frontier, err := v.Frontier(space.Key, kind)
		if err != nil {
			return err
		}
		if got := hashesOf(frontier); !slices.Equal(got, open) {
			s.t.Errorf("frontier of chain %d = %s, want %s", kind, got, open)
		}
	}
	return nil
}

func hashesOf(frontier []core.FrontierRecord) []core.Hash {
	var hashes []core.Hash
	for _, f := range frontier {
		hashes = append(hashes, f.Hash)
	}
	return hashes
}

// content is all that is stored of a document's content.
type content struct {
	snapshot []byte
	ops      [][]byte // all of them that count
	ns       []int64  // their numbers
	tail     [][]byte
	pending  []byte
	clients  map[uint64]uint64
}

func readContent(v core.View, rec core.DocRecord) (c content, err error) {
	if c.snapshot, err = v.DocSnapshot(rec.Key); err != nil {
		return c, err
	}
	err = v.DocOps(rec.Key, 0, func(n int64, update []byte) error {
		if len(c.ns) > 0 && n <= c.ns[len(c.ns)-1] || n > rec.LastN {
			return fmt.Errorf("op %d of document %q comes after %v, the last is %d", n, rec.ID, c.ns, rec.LastN)
		}
		c.ops, c.ns = append(c.ops, update), append(c.ns, n)
		return nil
	})
	if err != nil {
		return c, err
	}
	tail, err := v.Tail(rec.Key)
	if err != nil {
		return c, err
	}
	for _, t := range tail {
		c.tail = append(c.tail, t.Update)
	}
	parts, err := v.DocPending(rec.Key)
	if err != nil {
		return c, err
	}
	var pending [][]byte
	for _, p := range parts {
		pending = append(pending, p.Update)
	}
	if len(pending) > 0 {
		if c.pending, err = yjs.Compact(pending...); err != nil {
			return c, err
		}
	}
	clients, err := v.DocClients(rec.Key)
	c.clients = map[uint64]uint64{}
	for _, client := range clients {
		c.clients[client.Client] = client.End
	}
	return c, err
}

// after returns the ops with numbers above n.
func (c content) after(n int64) [][]byte {
	at, _ := slices.BinarySearch(c.ns, n+1)
	return c.ops[at:]
}

// sum returns the size of updates together.
func sum(updates [][]byte) (n int64) {
	for _, u := range updates {
		n += int64(len(u))
	}
	return n
}

func verifyDoc(t testing.TB, v core.View, rec core.DocRecord, want *wantDoc, h *history) error {
	t.Helper()
	c, err := readContent(v, rec)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(c.ops, want.updates, bytes.Equal) {
		t.Errorf("document %q has %d ops, want the %d of the log", rec.ID, len(c.ops), len(want.updates))
		return nil
	}
	bad := func(what string, got, want any) {
		t.Helper()
		t.Errorf("%s of document %q = %v, want %v", what, rec.ID, got, want)
	}
	if got, want := rec.TailCount, int64(len(c.tail)); got != want {
		bad("tail count", got, want)
	}
	if got, want := rec.TailBytes, sum(c.tail); got != want {
		bad("tail bytes", got, want)
	}
	if got, want := rec.OpBytes, sum(c.after(rec.ThroughN)); got != want {
		bad("op bytes", got, want)
	}
	if got, want := rec.SnapBytes, int64(len(c.snapshot)); got != want {
		bad("snapshot bytes", got, want)
	}
	if rec.ThroughN > 0 {
		state, err := yjs.Compact(c.ops[:len(c.ops)-len(c.after(rec.ThroughN))]...)
		if err != nil {
			return err
		}
		if !bytes.Equal(state, c.snapshot) {
			bad("snapshot", fmt.Sprintf("%x", c.snapshot), fmt.Sprintf("%x", state))
		}
	} else if c.snapshot != nil {
		bad("snapshot", "there", "none")
	}
	if got, want := rec.Hidden, want.hidden(h) && len(c.tail) == 0; got != want {
		bad("hidden", got, want)
	}
	return verifyContent(t, v, rec, c)
}

// hidden reports whether one of the deletes has all updates in its past.
func (d *wantDoc) hidden(h *history) bool {
	return slices.ContainsFunc(d.deletes, func(del place) bool {
		return !slices.ContainsFunc(d.writes, func(write place) bool {
			if write.entry == del.entry {
				return write.op > del.op
			}
			return !h.past[del.entry].has(write.entry)
		})
	})
}

// verifyContent checks what is known of the document's Yjs clients.
func verifyContent(t testing.TB, v core.View, rec core.DocRecord, c content) error {
	t.Helper()
	doc, err := yjs.Load(yjs.Options{}, slices.Concat(c.ops, c.tail)...)
	if err != nil {
		return err
	}
	ends := doc.Ends()
	if !maps.Equal(c.clients, ends) {
		t.Errorf("ends of document %q = %v, want %v", rec.ID, c.clients, ends)
	}
	if got, want := c.pending != nil, doc.HasPending(); got != want {
		t.Errorf("pending of document %q = %v, want %v", rec.ID, got, want)
	}
	deleted := map[uint64][]core.ClockRange{}
	for _, update := range slices.Concat(c.ops, c.tail) {
		u, err := yjs.ParseUpdate(update)
		if err != nil {
			return err
		}
		err = u.Deletes(func(client uint64, r yjs.Range) error {
			deleted[client] = append(deleted[client], core.ClockRange{Clock: r.Clock, Len: r.Len})
			return nil
		})
		if err != nil {
			return err
		}
	}
	for client, ranges := range deleted {
		want := joined(ranges)
		got, err := v.DeletedRanges(rec.Key, client, 0, math.MaxInt64)
		if err != nil {
			return err
		}
		if !slices.Equal(got, want) {
			t.Errorf("deleted ranges of client %d in document %q = %v, want %v", client, rec.ID, got, want)
		}
	}
	for client := range ends {
		got, err := v.DeletedRanges(rec.Key, client, 0, math.MaxInt64)
		if err != nil {
			return err
		}
		if deleted[client] == nil && len(got) > 0 {
			t.Errorf("deleted ranges of client %d in document %q = %v, want none", client, rec.ID, got)
		}
	}
	return nil
}

// joined returns ranges in order, merged where they overlap or touch.
func joined(ranges []core.ClockRange) []core.ClockRange {
	slices.SortFunc(ranges, func(a, b core.ClockRange) int { return cmp.Compare(a.Clock, b.Clock) })
	var out []core.ClockRange
	for _, r := range ranges {
		if n := len(out); n > 0 && r.Clock <= out[n-1].Clock+out[n-1].Len {
			out[n-1].Len = max(out[n-1].Len, r.Clock+r.Len-out[n-1].Clock)
			continue
		}
		out = append(out, r)
	}
	return out
}

// verifyCache compares the heads in memory with the rows.
func (s *site) verifyCache() {
	s.t.Helper()
	err := s.CachedHeads(s.ctx(), func(v core.View, heads []replica.CachedHead, _ int) error {
		for _, h := range heads {
			rec, err := v.DocByKey(h.Record.Key)
			if errors.Is(err, core.ErrNotFound) {
				s.t.Errorf("document %q is cached and not stored", h.Record.ID)
				continue
			}
			if err != nil {
				return err
			}
			if fmt.Sprint(h.Record) != fmt.Sprint(rec) {
				s.t.Errorf("cached document = %+v, want %+v", h.Record, rec)
			}
			pending, err := v.DocPending(rec.Key)
			if err != nil {
				return err
			}
			if fmt.Sprint(h.Pending) != fmt.Sprint(pending) {
				s.t.Errorf("cached pending content of %q = %x, want %x", rec.ID, h.Pending, pending)
			}
			clients, err := v.DocClients(rec.Key)
			if err != nil {
				return err
			}
			want, ends := map[uint64]core.DocClient{}, map[uint64]uint64{}
			for _, c := range clients {
				want[c.Client], ends[c.Client] = c, c.End
			}
			if !maps.EqualFunc(h.Clients, want, sameClient) {
				s.t.Errorf("cached clients of %q = %v, want %v", rec.ID, h.Clients, want)
			}
			if vector := yjs.EncodeStateVector(ends); !bytes.Equal(h.Vector, vector) {
				s.t.Errorf("cached state vector of %q = %x, want %x", rec.ID, h.Vector, vector)
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func sameClient(a, b core.DocClient) bool {
	return a.Client == b.Client && a.End == b.End && a.Owner == b.Owner && bytes.Equal(a.Foreign, b.Foreign)
}

// dump describes all of a space that replicas must agree on, by key.
func (s *site) dump(space core.SpaceID) map[string]string {
	s.t.Helper()
	lines := map[string]string{}
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		lines["name"] = rec.Name
		lines["created"] = fmt.Sprint(rec.Creator, rec.CreatedAtMs)
		docs, err := v.Docs(rec.Key, "", math.MaxInt32)
		if err != nil {
			return err
		}
		for _, d := range docs {
			c, err := readContent(v, d)
			if err != nil {
				return err
			}
			after := slices.Concat(c.after(d.ThroughN), c.tail)
			if c.snapshot != nil {
				after = append(after, c.snapshot)
			}
			state, err := yjs.Compact(after...)
			if err != nil {
				return err
			}
			lines["hidden "+d.ID] = fmt.Sprint(d.Hidden)
			lines["ends "+d.ID] = fmt.Sprint(c.clients)
			lines["waiting "+d.ID] = fmt.Sprintf("%x", c.pending)
			lines["state "+d.ID] = fmt.Sprintf("%d bytes, %x", len(state), sha256.Sum256(state))
		}
		heads, err := v.Heads(rec.Key)
		if err != nil {
			return err
		}
		for _, head := range heads {
			w, err := v.Writer(head.Writer)
			if err != nil {
				return err
			}
			lines[fmt.Sprintf("head %s/%d", w.ID, head.Chain)] = fmt.Sprint(head.Seq, " ", head.Hash)
		}
		for _, chain := range []core.Chain{core.ChainMembership, core.ChainContent} {
			frontier, err := v.Frontier(rec.Key, chain)
			if err != nil {
				return err
			}
			lines[fmt.Sprintf("frontier %d", chain)] = fmt.Sprint(hashesOf(frontier))
		}
		return nil
	})
	return lines
}

// waiting returns how many bytes of a space are parked.
func (s *site) waiting(space core.SpaceID) (bytes int64) {
	s.t.Helper()
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		_, bytes, err = v.ParkedBytes(rec.Key, core.PeerID{})
		return err
	})
	return bytes
}

func wantEqual(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(got))
	for key := range want {
		if _, ok := got[key]; !ok {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if got[key] != want[key] {
			t.Errorf("%s: %s = %q, want %q", what, key, got[key], want[key])
		}
	}
}
