package replica

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mutate"
	"github.com/soma-sdk/soma/internal/yjs"
)

// resolution is what a document is, as a function of its entries: DESIGN 5.9 and 5.10,
// decisions 0007 and 0008.
type resolution struct {
	yjs.Placed
	voidDeletes []yjs.ClientRange // what the deletions in void updates name
	lost        []core.LostRecord
	loses       bool // the draft does
	empty       bool // nothing kept
	epoch       []byte
}

// resolver computes resolutions. It reads only.
type resolver struct {
	view  core.View
	past  *past
	space int64
	self  core.PeerID
	rank  func(p, q core.PeerID) (int, error)

	elections map[string]election // by the keys of the claims: many clientIDs may have the same
}

func (w *work) resolver(space *core.SpaceRecord) *resolver {
	return &resolver{
		view: w.Tx, past: w.pastOf(space), space: space.Key, self: w.r.self.peer, elections: map[string]election{},
		rank: func(p, q core.PeerID) (int, error) {
			a, err := w.authority(space)
			if err != nil {
				return 0, err
			}
			return a.CompareRank(p, q), nil
		},
	}
}

// version is one of the updates that a document is made of.
type version struct {
	*author
	bytes  []byte
	update *yjs.Update
	of     map[uint64]bool // whose content it holds
}

func (v *version) holds(client uint64) bool {
	if v.of == nil {
		v.of = map[uint64]bool{}
		for client := range v.update.Content() {
			v.of[client] = true
		}
	}
	return v.of[client]
}

// without returns the update without content that is lost, and with other deletions if
// they are not nil.
func (v *version) without(lost, deletes map[uint64][]yjs.Range) []byte {
	if len(lost) == 0 && deletes == nil {
		return v.bytes
	}
	v.update.SubtractRanges(lost)
	if deletes != nil {
		v.update.SetDeletes(deletes)
	}
	return v.update.Encode()
}

// author is where an update comes from: an entry, or this replica's tail.
type author struct {
	rec     core.EntryRecord // Key 0 for the tail
	peer    core.PeerID
	lamport uint64
}

// resolve returns what a document is. A draft, if it is not nil, counts as one more
// update of the tail.
func (r *resolver) resolve(doc int64, draft []byte) (resolution, error) {
	d := &dispute{resolver: r, owners: map[uint64]core.PeerID{}}
	if err := d.read(doc, draft); err != nil {
		return resolution{}, err
	}
	return d.settle(doc, draft != nil)
}

// dispute is the updates of one document, and who of their authors prevails.
type dispute struct {
	*resolver
	kept   []version // in the order in which they came here
	void   []version
	owners map[uint64]core.PeerID
}

func (d *dispute) read(doc int64, draft []byte) error {
	authors := map[int64]*author{}
	add := func(to *[]version, entry int64, update []byte) error {
		u, err := yjs.ParseUpdate(update)
		if err != nil {
			return err
		}
		a := authors[entry]
		if a == nil {
			if a, err = d.author(entry); err != nil {
				return err
			}
			authors[entry] = a
		}
		*to = append(*to, version{author: a, bytes: update, update: u})
		return nil
	}
	if err := d.view.DocOps(doc, 0, func(op core.DocOp) error { return add(&d.kept, op.Entry, op.Update) }); err != nil {
		return err
	}
	if err := d.view.DocVoidOps(doc, 0, func(op core.DocOp) error { return add(&d.void, op.Entry, op.Update) }); err != nil {
		return err
	}
	tail, err := d.view.Tail(doc)
	if err != nil {
		return err
	}
	for _, t := range tail {
		if err := add(&d.kept, 0, t.Update); err != nil {
			return err
		}
	}
	if draft != nil {
		return add(&d.kept, 0, draft)
	}
	return nil
}

func (d *dispute) author(entry int64) (*author, error) {
	if entry == 0 {
		return &author{peer: d.self, lamport: log.MaxCounter + 1}, nil
	}
	rec, err := d.view.EntryByKey(entry)
	if err != nil {
		return nil, err
	}
	a := &author{rec: rec}
	return a, a.read()
}

// read fills in what the header says.
func (a *author) read() error {
	h, err := log.DecodeHeader(a.rec.Entry.Header)
	if err != nil {
		return err
	}
	a.peer, a.lamport = h.Peer, h.Lamport
	return nil
}

// before orders entries by lamport, then hash.
func (a *author) before(b *author) bool {
	return cmp.Or(cmp.Compare(a.lamport, b.lamport), bytes.Compare(a.rec.Hash[:], b.rec.Hash[:])) < 0
}

// settle puts the updates together.
func (d *dispute) settle(doc int64, draft bool) (resolution, error) {
	out := resolution{empty: len(d.kept) == 0}
	standings, err := yjs.Settle(updatesOf(d.kept), d.prevails)
	if err != nil {
		return out, err
	}
	deletes, err := d.countedDeletes(standings)
	if err != nil {
		return out, err
	}
	losers := map[int64]map[uint64][]yjs.Range{}
	kept := make([][]byte, len(d.kept))
	for i, v := range d.kept {
		lost := standings[i].Lost
		kept[i] = v.without(lost, deletes[i])
		if v.rec.Key == 0 {
			out.loses = draft && i == len(d.kept)-1 && len(lost) > 0
			continue
		}
		if len(lost) > 0 {
			if losers[v.rec.Key] == nil { // several updates may be of one entry
				losers[v.rec.Key] = map[uint64][]yjs.Range{}
			}
			yjs.AddRanges(losers[v.rec.Key], lost)
		}
	}
	out.lost = lostRecords(doc, losers)
	void, err := d.voidUpdates()
	if err != nil {
		return out, err
	}
	if out.voidDeletes, err = yjs.DeletesOf(void); err != nil {
		return out, err
	}
	if mutate.On(mutate.VoidPlaces) {
		void = nil
	}
	if out.Placed, err = yjs.Place(kept, void); err != nil {
		return out, err
	}
	lost, err := d.lostByHash(out.lost)
	out.epoch = epochOf(out.Void, out.voidDeletes, lost)
	return out, err
}

func updatesOf(versions []version) []*yjs.Update {
	updates := make([]*yjs.Update, len(versions))
	for i, v := range versions {
		updates[i] = v.update
	}
	return updates
}

// voidUpdates returns the void updates, where several hold different content at the
// same clocks the earliest.
func (d *dispute) voidUpdates() ([][]byte, error) {
	standings, err := yjs.Settle(updatesOf(d.void), func(_ uint64, i, k int) (bool, error) {
		return earlier(d.void, i, k), nil
	})
	if err != nil {
		return nil, err
	}
	void := make([][]byte, len(d.void))
	for i, v := range d.void {
		void[i] = v.without(standings[i].Lost, nil)
	}
	return void, nil
}

// lostRecords returns the rows for what entries lost, in order.
func lostRecords(doc int64, losers map[int64]map[uint64][]yjs.Range) []core.LostRecord {
	var lost []core.LostRecord
	for _, entry := range slices.Sorted(maps.Keys(losers)) {
		for _, l := range yjs.InOrder(losers[entry]) {
			lost = append(lost, core.LostRecord{
				Doc: doc, Entry: entry, Client: l.Client, Range: core.ClockRange{Clock: l.Range.Clock, Len: l.Range.Len},
			})
		}
	}
	return lost
}

// prevails decides between two updates that hold different content at the same
// clocks: that of the clientID's owner, then the earlier one.
func (d *dispute) prevails(client uint64, i, k int) (bool, error) {
	a, b := &d.kept[i], &d.kept[k]
	if a.peer != b.peer && !mutate.On(mutate.ClaimOwner) {
		owner, err := d.owner(client)
		if err != nil {
			return false, err
		}
		if owns := a.peer == owner; owns != (b.peer == owner) {
			return owns, nil
		}
	}
	return earlier(d.kept, i, k), nil
}

// earlier orders updates by their entries, then as they are there.
func earlier(list []version, i, k int) bool {
	if list[i].author == list[k].author {
		return i < k
	}
	return list[i].before(list[k].author)
}

// countedDeletes returns, for each update of whose deletions some do not count, those
// that do: those of content that its author had, or brought along.
func (d *dispute) countedDeletes(standings []yjs.Standing) ([]map[uint64][]yjs.Range, error) {
	counted := make([]map[uint64][]yjs.Range, len(d.kept))
	if mutate.On(mutate.DeletionReach) {
		return counted, nil
	}
	all := map[uint64][]yjs.Range{}
	for i := 0; i < len(d.kept); {
		end := i // of the updates of one entry
		deletes := map[uint64][]yjs.Range{}
		for ; end < len(d.kept) && d.kept[end].author == d.kept[i].author; end++ {
			yjs.AddRanges(all, standings[end].Held)
			yjs.AddRanges(deletes, d.kept[end].update.Deleted())
		}
		if len(deletes) > 0 {
			void, err := d.reachless(&d.kept[i].rec, i, end, deletes, standings, all)
			if err != nil {
				return nil, err
			}
			for k := i; k < end && len(void) > 0; k++ {
				counted[k] = yjs.Without(d.kept[k].update.Deleted(), void)
			}
		}
		i = end
	}
	return counted, nil
}

// reachless returns which deletions of an entry, whose updates are those from i to end,
// do not count: those of content that nobody has made, or that its author did not know.
func (d *dispute) reachless(by *core.EntryRecord, i, end int, deletes map[uint64][]yjs.Range, standings []yjs.Standing, all map[uint64][]yjs.Range) (map[uint64][]yjs.Range, error) {
	void := yjs.Without(deletes, all)
	if by.Key == 0 || seesAll(by) {
		return void, nil
	}
	unseen, err := d.unseen(by, i)
	if err != nil {
		return nil, err
	}
	unknown := map[uint64][]yjs.Range{}
	for _, k := range unseen {
		yjs.AddRanges(unknown, standings[k].Held)
	}
	if !yjs.Intersects(deletes, unknown) {
		return void, nil
	}
	known := map[uint64][]yjs.Range{} // the same content may have come both ways
	for k := range end {
		if _, not := slices.BinarySearch(unseen, k); !not {
			yjs.AddRanges(known, standings[k].Held)
		}
	}
	return yjs.Without(deletes, known), nil
}

// unseen returns which of the updates before the i-th its entry does not know.
func (d *dispute) unseen(by *core.EntryRecord, i int) ([]int, error) {
	past, known, err := d.past.pastOf(by)
	if err != nil {
		return nil, err
	}
	var unseen []int
	if !known {
		others := make([]core.EntryRecord, i)
		for k := range others {
			others[k] = d.kept[k].rec
		}
		knows, err := d.past.knows(by, others)
		if err != nil {
			return nil, err
		}
		for k := range others {
			if !knows[k] {
				unseen = append(unseen, k)
			}
		}
		return unseen, nil
	}
	for _, gap := range past.With(int(by.Pos)).Gaps {
		k := sort.Search(i, func(k int) bool { return int(d.kept[k].rec.Pos) >= gap.First })
		for ; k < i && int(d.kept[k].rec.Pos) < gap.End; k++ {
			unseen = append(unseen, k)
		}
	}
	return unseen, nil
}

// epochOf names what of a document is void or lost, nil for nothing.
func epochOf(structs, deletes []yjs.ClientRange, lost []string) []byte {
	if len(structs) == 0 && len(deletes) == 0 && len(lost) == 0 {
		return nil
	}
	sum := sha256.New()
	for _, v := range structs {
		fmt.Fprintf(sum, "void %d %d %d\n", v.Client, v.Range.Clock, v.Range.Len)
	}
	for _, v := range deletes {
		fmt.Fprintf(sum, "deletion %d %d %d\n", v.Client, v.Range.Clock, v.Range.Len)
	}
	for _, line := range lost {
		fmt.Fprintln(sum, line)
	}
	return sum.Sum(nil)[:epochBytes]
}

// epochBytes is the length of an epoch.
const epochBytes = 16

// lostByHash describes lost content in an order that is the same everywhere.
func (d *dispute) lostByHash(lost []core.LostRecord) ([]string, error) {
	lines := make([]string, len(lost))
	for i, l := range lost {
		rec, err := d.view.EntryByKey(l.Entry)
		if err != nil {
			return nil, err
		}
		lines[i] = fmt.Sprintf("lost %s %d %d %d", rec.Hash, l.Client, l.Range.Clock, l.Range.Len)
	}
	slices.Sort(lines)
	return lines, nil
}
