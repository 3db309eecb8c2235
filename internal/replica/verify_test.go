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
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs"
)

// verify looks for damage, and at what Verify takes from the code that it checks:
// which entries are in the past of others, and how Yjs reads a document.
func (s *site) verify() {
	s.t.Helper()
	spaces, err := s.Spaces(s.ctx())
	if err != nil {
		s.t.Fatalf("Spaces = %v", err)
	}
	for _, space := range spaces {
		entries := s.decoded(space.ID)
		s.view(func(v core.View) error { return s.verifySpace(v, space.SpaceRecord, entries) })
	}
	s.verifyCache()
	s.wantSound("all that is stored")
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
	err = v.DocOps(rec.Key, 0, func(op core.DocOp) error {
		if len(c.ns) > 0 && op.N <= c.ns[len(c.ns)-1] || op.N > rec.LastN {
			return fmt.Errorf("op %d of document %q comes after %v, the last is %d", op.N, rec.ID, c.ns, rec.LastN)
		}
		c.ops, c.ns = append(c.ops, op.Update), append(c.ns, op.N)
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
	if got, want := rec.Hidden, want.hidden(h) && len(c.tail) == 0; got != want {
		t.Errorf("document %q is hidden: %v, want %v", rec.ID, got, want)
	}
	state, err := yjs.Compact(slices.Concat(c.ops, c.tail)...)
	if err != nil {
		return err
	}
	doc, err := yjs.Load(yjs.Options{}, somatest.WithoutEarly(t, state)) // deletions ahead of their content do not count
	if err != nil {
		return err
	}
	if ends := doc.Ends(); !maps.Equal(c.clients, ends) {
		t.Errorf("ends of document %q = %v, want %v", rec.ID, c.clients, ends)
	}
	if got, want := c.pending != nil, doc.HasPending(); got != want {
		t.Errorf("pending of document %q = %v, want %v", rec.ID, got, want)
	}
	return nil
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
			if !maps.Equal(h.Clients, want) {
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
		pages, err := v.Pages(rec.Key, "", math.MaxInt32)
		if err != nil {
			return err
		}
		for _, p := range pages {
			p.Space, p.UpdatedAtMs = 0, 0
			lines["page "+p.ID] = fmt.Sprintf("%+v", p)
		}
		moves, err := v.PageMovesFrom(rec.Key, core.PageStamp{})
		if err != nil {
			return err
		}
		for _, m := range moves {
			m.Entry = 0
			lines[fmt.Sprintf("move %+v", m.PageStamp)] = fmt.Sprintf("%+v", m)
		}
		blobs, err := v.Blobs(rec.Key, core.Hash{}, math.MaxInt32)
		if err != nil {
			return err
		}
		for _, b := range blobs {
			b.Space, b.UpdatedAtMs = 0, 0
			lines["blob "+b.Hash.String()] = fmt.Sprintf("%+v", b)
		}
		for _, cleared := range []bool{false, true} {
			drafts, err := v.OldestDrafts(cleared, core.DraftPlace{}, math.MaxInt32)
			if err != nil {
				return err
			}
			for i, d := range drafts {
				d.Key = 0
				lines[fmt.Sprintf("draft %t %d", cleared, i)] = fmt.Sprintf("%+v", d)
			}
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
		_, _, bytes, err = v.ParkedBytes(rec.Key, core.PeerID{})
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
