package collection

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// merge makes of a collection what one window wants. Every row tells by its versionKey
// whether the window wrote it: it is the one that is stored, an earlier one that the row
// has seen, so that the window's is a stale copy, or a new one, which is a write. A row
// that the value lacks was deleted by the window if the window knew it as it is.
//
// What to do is planned outside of the transaction, because the host is asked what it
// thinks of values, and again inside only if the collection has changed meanwhile.
type merge struct {
	c       *Collections
	name    string
	rows    []snapshotRow
	base    int64
	window  string
	storage *storage
	wrote   map[string]int64 // by the window since base

	heads   *heads // as of plan.seq
	plan    *plan
	checked map[int]bool   // rows that may be stored
	hidden  map[int64]bool // whether windows do not see a stored row, by the number of its change
}

// plan is what is to be done to a collection as of one change.
type plan struct {
	seq     int64
	puts    []put
	deletes []*head // in order of position; those that windows do not see stay
	same    bool    // nothing but puts and deletes tells the value from the collection
}

// put is a row to be stored.
type put struct {
	row  int
	key  string // stored form
	head *head  // of what is stored
	recalled
}

// recalled is what is known of a key.
type recalled struct {
	updatedAtMs int64 // of what is stored, or of its tombstone; -1 for neither
	seen        bool  // it had the version in question once
	damaged     bool  // what is stored: it says nothing, and its place is lost
}

// prepare plans, and asks the host about what is to be done.
func (m *merge) prepare(ctx context.Context) error {
	r, err := m.c.reader(ctx, m.name)
	if err != nil {
		return err
	}
	if m.window != "" {
		m.wrote = m.storage.wrote(m.window, m.base)
	}
	var schema int64
	var unsure []core.RecordRow
	err = m.c.store.Read(ctx, func(v core.CollectionView) error {
		row, err := v.Collection(m.name)
		if err != nil && !isNotFound(err) {
			return err
		}
		schema = row.Schema
		if m.heads = m.storage.take(row.Seq); m.heads == nil {
			if m.heads, err = readHeads(v, &row); err != nil {
				return err
			}
		}
		if m.plan, err = m.makePlan(v, &row, r.nowMs, r.rules); err != nil {
			return err
		}
		unsure, err = m.unsure(v, &row)
		return err
	})
	if err == nil {
		err = m.ask(r, schema, unsure)
	}
	if err != nil {
		m.giveBack()
	}
	return err
}

// giveBack lets the next SetItem have the heads, which are as they were.
func (m *merge) giveBack() {
	if m.heads != nil {
		m.storage.put(m.heads)
		m.heads = nil
	}
}

// unsure returns the rows to be deleted of which it is not known whether windows see them.
func (m *merge) unsure(v core.CollectionView, row *core.CollectionRow) ([]core.RecordRow, error) {
	var all []core.RecordRow
	for _, d := range m.plan.deletes {
		if _, known := m.hidden[d.Seq]; known {
			continue
		}
		rec, err := v.Record(row.Key, d.Key)
		switch {
		case err == nil:
			all = append(all, rec)
		case isNotFound(err): // its key is damaged
			m.hidden[d.Seq] = true
		default:
			return nil, err
		}
	}
	return all, nil
}

// ask finds out what only the host knows: which values may be stored, which can be read.
func (m *merge) ask(r *reader, schema int64, unsure []core.RecordRow) error {
	for _, p := range m.plan.puts {
		if m.checked[p.row] {
			continue
		}
		key, value := DecodeKey(p.key), m.rows[p.row].data
		if err := checkValue(r.rules, p.key, value); err != nil {
			return fmt.Errorf("value of record %q: %w", key, err)
		}
		if _, err := r.rules.check(key, value); err != nil {
			return Invalid(m.name, key, err)
		}
		m.checked[p.row] = true
	}
	for _, rec := range unsure {
		record, err := r.read(rec, schema)
		m.hidden[rec.Seq] = err != nil || !isObject(record.Value)
	}
	return nil
}

// makePlan compares the value with what is stored.
func (m *merge) makePlan(v core.CollectionView, row *core.CollectionRow, nowMs int64, rules *Rules) (*plan, error) {
	if m.base > row.Seq {
		return nil, fmt.Errorf("baseSeq %d, the newest change of collection %q is %d: %w", m.base, m.name, row.Seq, core.ErrInvalidSeq)
	}
	p := &plan{seq: row.Seq, same: true}
	m.heads.plans++
	fresh := map[string]bool{} // keys that are not stored
	met, last := 0, int64(0)
	for i := range m.rows {
		given := &m.rows[i]
		key, h, err := m.heads.find(given.name)
		if err != nil {
			return nil, badKey(string(given.name), err).err(m.name)
		}
		if h == nil && fresh[key] || h != nil && h.plan == m.heads.plans {
			return nil, rowFault{key: key, why: "the key is there twice"}.err(m.name)
		}
		position := int64(math.MaxInt64) // where the row is to be afterwards: the end for a new one
		if h == nil {
			fresh[key] = true
		} else {
			h.plan = m.heads.plans
			met++
			if !rules.expired(h.UpdatedAtMs, nowMs) {
				position = h.Position
			}
		}
		if position < last {
			p.same = false
		}
		last = position
		if h != nil && h.VersionKey == string(given.version) {
			p.same = p.same && position == h.Position
			continue
		}
		known, err := m.recall(v, row, key, h, string(given.version))
		if err != nil {
			return nil, err
		}
		p.same = p.same && !known.seen && !known.damaged
		if !known.seen {
			p.puts = append(p.puts, put{row: i, key: key, head: h, recalled: known})
		}
	}
	if met < len(m.heads.rows) {
		m.planDeletes(p, nowMs, rules)
	}
	return p, nil
}

// recall looks up what is stored, and whether it had a version before.
func (m *merge) recall(v core.CollectionView, row *core.CollectionRow, key string, h *head, version string) (recalled, error) {
	r := recalled{updatedAtMs: -1, seen: m.storage.hadVersion(key, version)}
	if h != nil {
		rec, err := v.Record(row.Key, key)
		if r.damaged = rec.Damaged || isNotFound(err); r.damaged {
			return r, nil
		}
		r.updatedAtMs, r.seen = rec.UpdatedAtMs, r.seen || hasSeen(rec.Seen, version)
		return r, err
	}
	if row.Key == 0 || row.Tombstones == 0 {
		return r, nil
	}
	t, err := v.Tombstone(row.Key, key)
	if err != nil || t.Damaged {
		return r, ignoreNotFound(err)
	}
	r.updatedAtMs, r.seen = t.UpdatedAtMs, r.seen || hasSeen(t.Seen, version)
	return r, nil
}

// planDeletes looks at the rows that the value lacks: one that the window knew is to go.
func (m *merge) planDeletes(p *plan, nowMs int64, rules *Rules) {
	for key, h := range m.heads.rows {
		switch {
		case h.plan == m.heads.plans || rules.expired(h.UpdatedAtMs, nowMs):
		case h.Seq <= m.base || m.wrote[key] == h.Seq:
			p.deletes = append(p.deletes, h)
		default:
			p.same = false
		}
	}
	slices.SortFunc(p.deletes, func(a, b *head) int { return cmp.Compare(a.Position, b.Position) })
}

// run does what is planned.
func (m *merge) run(b *Batch) (StorageResult, error) {
	if m.plan.seq != b.row.Seq {
		if err := m.planAgain(b); err != nil {
			return StorageResult{}, err
		}
	}
	e := effect{b: b, heads: m.heads, same: m.plan.same, wrote: map[string]int64{}}
	m.heads = nil // from here on only a commit makes them right
	for _, d := range m.plan.deletes {
		if err := m.delete(&e, d); err != nil {
			return StorageResult{}, err
		}
	}
	for _, p := range m.plan.puts {
		if err := m.put(&e, p); err != nil {
			return StorageResult{}, err
		}
	}
	b.tx.OnCommit(func() {
		if e.heads.seq == e.b.row.Seq {
			m.storage.put(e.heads)
		}
		if m.window != "" && len(e.wrote) > 0 {
			m.storage.note(m.window, e.wrote)
		}
	})
	return StorageResult{Seq: b.row.Seq, Same: e.same}, nil
}

// planAgain plans for a collection that has changed since prepare.
func (m *merge) planAgain(b *Batch) (err error) {
	m.giveBack()
	if m.heads, err = readHeads(b.tx, b.row); err != nil {
		return err
	}
	if m.plan, err = m.makePlan(b.tx, b.row, b.nowMs, b.rules); err != nil {
		return err
	}
	for _, p := range m.plan.puts {
		if !m.checked[p.row] {
			return errAgain
		}
	}
	for _, d := range m.plan.deletes {
		if _, known := m.hidden[d.Seq]; !known {
			return errAgain
		}
	}
	return nil
}

// effect is what a merge has done so far.
type effect struct {
	b     *Batch
	heads *heads // right while heads.seq is the number of the newest change
	same  bool
	wrote map[string]int64
}

// apply makes a write and reports whether it did what it was to, and nothing else.
func (e *effect) apply(w Write) (bool, error) {
	seq := e.b.row.Seq
	applied, err := e.b.Apply(w)
	if err != nil {
		return false, err
	}
	alone := e.b.row.Seq == seq+1
	if alone && e.heads.seq == seq {
		e.heads.seq++
	}
	e.same = e.same && applied && alone
	return applied && alone, nil
}

func (m *merge) delete(e *effect, d *head) error {
	if m.hidden[d.Seq] {
		return nil
	}
	ok, err := e.apply(Write{Key: DecodeKey(d.Key), Delete: true, UpdatedAtMs: max(e.b.nowMs, d.UpdatedAtMs)})
	if ok {
		delete(e.heads.rows, d.Key)
	}
	return err
}

func (m *merge) put(e *effect, p put) error {
	row := &m.rows[p.row]
	w := Write{
		Key: DecodeKey(p.key), Value: bytes.Clone(row.data), VersionKey: string(row.version),
		UpdatedAtMs: min(max(e.b.nowMs, p.updatedAtMs+1, e.b.row.ClearedAtMs+1), MaxUpdatedAtMs),
	}
	ok, err := e.apply(w)
	if err != nil {
		return fmt.Errorf("record %q of collection %q: %w", w.Key, m.name, err)
	}
	if !ok {
		return nil
	}
	h := core.RecordHead{Position: e.b.row.Position, Key: p.key, Seq: e.b.row.Seq, UpdatedAtMs: w.UpdatedAtMs, VersionKey: w.VersionKey}
	if p.head != nil && !p.damaged {
		h.Position = p.head.Position
	}
	e.heads.rows[p.key] = &head{RecordHead: h}
	e.wrote[p.key] = h.Seq
	return nil
}
