package replica

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// wanted is ranges of a log as rows of the store name them.
type wanted struct {
	of     map[storedChain][]core.Range // in order, and apart
	chains []storedChain                // in order of ChainID
	count  uint64                       // how many entries they hold, about
	resets int                          // of logs
	size   uint64                       // and the log
}

// storedChain is a core.ChainID as rows of the store name it.
type storedChain struct {
	writer int64
	chain  core.Chain
}

// has reports whether an entry is in the ranges.
func (w *wanted) has(rec *core.EntryRecord) bool {
	ranges := w.of[storedChain{rec.Writer, rec.Chain}]
	i, _ := slices.BinarySearchFunc(ranges, rec.Seq, func(r core.Range, seq uint64) int { return cmp.Compare(r.To, seq) })
	return i < len(ranges) && ranges[i].From <= rec.Seq
}

// add adds a range of a chain that ends with a seq.
func (w *wanted) add(key storedChain, r core.Range, high uint64) {
	r.From, r.To = max(r.From, 1), min(r.To, high, math.MaxInt64)
	if r.From > r.To {
		return
	}
	if w.of[key] == nil {
		w.chains = append(w.chains, key)
	}
	w.of[key] = append(w.of[key], r)
}

// settle puts ranges in order, and together where they overlap.
func (w *wanted) settle() {
	for key, ranges := range w.of {
		slices.SortFunc(ranges, func(a, b core.Range) int { return cmp.Compare(a.From, b.From) })
		apart := ranges[:1]
		for _, r := range ranges[1:] {
			if last := &apart[len(apart)-1]; r.From <= last.To+1 {
				last.To = max(last.To, r.To)
			} else {
				apart = append(apart, r)
			}
		}
		for _, r := range apart {
			w.count += r.To - r.From + 1
		}
		w.of[key] = apart
	}
}

// sparseness is how many times more entries a log must have than are wanted for them to be
// looked up one by one, instead of being picked from a read of all.
const sparseness = 8

// Entries implements core.SharedLog. Each call reads as much of the log as it returns, or
// up to 8 times as much. Where it looks entries up one by one, it notes for the next call
// which.
func (r *Replica) Entries(
	ctx context.Context, id core.SpaceID, ranges []core.Range, after core.Cursor, maxBytes int,
) ([]core.Entry, core.Cursor, error) {
	w := &wanted{of: map[storedChain][]core.Range{}}
	err := r.withLog(ctx, id, func(c *cachedLog, _ core.Incarnation) error {
		for _, want := range ranges {
			if row := c.tree.rows[want.ChainID()]; row != nil {
				w.add(storedChain{row.key, row.Chain}, want, row.high())
			}
		}
		w.size, w.resets = c.tree.size, r.logs.resets
		return nil
	})
	if err != nil || len(w.of) == 0 || after.Chain > core.ChainContent {
		return nil, after, r.orAwaited(ctx, id, err)
	}
	w.settle()
	var recs []core.EntryRecord
	err = r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) (err error) {
		if w.count*sparseness >= w.size {
			recs, err = pick(v, space, w, after, maxBytes)
		} else {
			recs, err = r.lookUp(v, space, w, ranges, after, maxBytes)
		}
		return err
	})
	if err != nil || len(recs) == 0 {
		return nil, after, err
	}
	entries := make([]core.Entry, len(recs))
	last := int64(0)
	for i := range recs {
		entries[i] = recs[i].Entry
		last = max(last, recs[i].Key)
	}
	end := recs[len(recs)-1]
	return entries, core.Cursor{Chain: end.Chain, Row: end.Key}, r.syncTo(ctx, last)
}

// minPick is how much pick reads at least at a time, in bytes.
const minPick = 64 << 10

// pick reads the log in order, and returns what is wanted of it.
func pick(v core.View, space *core.SpaceRecord, w *wanted, after core.Cursor, maxBytes int) ([]core.EntryRecord, error) {
	var recs []core.EntryRecord
	size := 0
	for ; after.Chain <= core.ChainContent; after = (core.Cursor{Chain: after.Chain + 1}) {
		read := v.EntriesAfter
		if after.Chain == core.ChainMembership {
			read = v.MembershipAfter
		}
		for {
			page, err := read(space.Key, after.Row, max(maxBytes-size, minPick))
			if err != nil {
				return nil, err
			}
			if len(page) == 0 {
				break
			}
			for i := range page {
				if page[i].Chain != after.Chain || !w.has(&page[i]) {
					continue
				}
				recs = append(recs, page[i])
				if size += page[i].Entry.Size(); size > maxBytes {
					return recs, nil
				}
			}
			after.Row = page[len(page)-1].Key
		}
	}
	return recs, nil
}

// plan is the rows of entries that a reader will ask for.
type plan struct {
	space  core.SpaceID
	of     core.Hash  // of the ranges
	resets int        // of logs when it was made
	keys   [2][]int64 // by chain, in order
}

// maxPlans bounds the plans that are kept, and maxPlanKeys what they hold together.
const (
	maxPlans    = 16
	maxPlanKeys = 1 << 20
)

func (p *plan) size() int { return len(p.keys[0]) + len(p.keys[1]) }

// lookUp returns what is wanted, read row by row.
func (r *Replica) lookUp(
	v core.View, space *core.SpaceRecord, w *wanted, ranges []core.Range, after core.Cursor, maxBytes int,
) ([]core.EntryRecord, error) {
	of := sumOfRanges(ranges)
	p := r.logs.plan(space.ID, of)
	if p == nil || after == (core.Cursor{}) {
		p = &plan{space: space.ID, of: of, resets: w.resets}
		for _, key := range w.chains {
			for _, want := range w.of[key] {
				keys, err := v.ChainKeys(space.Key, key.writer, key.chain, want.From, want.To)
				if err != nil {
					return nil, err
				}
				p.keys[key.chain] = append(p.keys[key.chain], keys...)
			}
		}
		slices.Sort(p.keys[0])
		slices.Sort(p.keys[1])
	}
	left := make([]int64, 0, 64)
	for chain := after.Chain; chain <= core.ChainContent; chain++ {
		i := 0
		if chain == after.Chain {
			var found bool
			if i, found = slices.BinarySearch(p.keys[chain], after.Row); found {
				i++
			}
		}
		left = append(left, p.keys[chain][i:]...)
	}
	recs, err := v.EntriesByKey(left, maxBytes)
	if err == nil && len(recs) < len(left) {
		r.logs.keepPlan(p)
	}
	return recs, err
}

func sumOfRanges(ranges []core.Range) core.Hash {
	h := sha256.New()
	var b [17]byte
	for _, r := range ranges {
		h.Write(r.Writer[:])
		b[0] = byte(r.Chain)
		binary.BigEndian.PutUint64(b[1:], r.From)
		binary.BigEndian.PutUint64(b[9:], r.To)
		h.Write(b[:])
	}
	return core.Hash(h.Sum(nil))
}

// plan returns the plan of ranges, or nil.
func (l *logs) plan(space core.SpaceID, of core.Hash) *plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.plans {
		if p.space == space && p.of == of {
			return p
		}
	}
	return nil
}

// keepPlan keeps a plan as the newest.
func (l *logs) keepPlan(p *plan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.resets != l.resets {
		return
	}
	l.plans = slices.DeleteFunc(l.plans, func(o *plan) bool { return o.space == p.space && o.of == p.of })
	l.plans = append(l.plans, p)
	size := 0
	for _, p := range l.plans {
		size += p.size()
	}
	for len(l.plans) > 1 && (len(l.plans) > maxPlans || size > maxPlanKeys) {
		size -= l.plans[0].size()
		l.plans = l.plans[1:]
	}
}
