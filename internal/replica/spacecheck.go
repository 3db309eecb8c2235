package replica

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// docsPage is how many documents one read of a check takes.
const docsPage = 256

// spaceCheck compares what follows from the log of a space with what is stored. Each
// step is looked at only if those that it builds upon are sound.
type spaceCheck struct {
	*logWalk
	w    *work         // reads only
	kept []*notedEntry // of noted, those that count
}

func (r *Replica) verifySpace(ctx context.Context, v core.View, id core.SpaceID, found *problems) error {
	space, err := v.Space(id)
	if err != nil {
		return err
	}
	c := spaceCheck{logWalk: newLogWalk(v, space, found), w: &work{Tx: readOnly{View: v}, r: r}}
	c.w.authorities = map[int64]*authority{space.Key: {cachedAuthority: &cachedAuthority{Authority: c.authority}, space: &c.space}}
	for _, step := range []func(context.Context) error{
		c.run, c.checkGenesis, c.checkHeads, c.checkMembers, c.checkStates, c.checkNames, c.findKept, c.checkPages, c.checkBlobs, c.checkDocs, c.checkParked,
	} {
		before := len(*found)
		if err := step(ctx); err != nil {
			return err
		}
		if len(*found) > before {
			return nil
		}
	}
	return nil
}

// in returns a problem in a table of the space.
func (c *spaceCheck) in(table string) Problem { return Problem{Space: c.space.ID, Table: table} }

func (c *spaceCheck) checkGenesis(context.Context) error {
	problem := c.in("space")
	switch {
	case c.genesis == nil:
		problem.Detail, problem.Lost = "it has no entries", len(*c.problems) == 0 // else that may be why
	case c.space.Creator != c.genesis.Peer:
		problem.Detail = fmt.Sprintf("creator is %s, should be %s", c.space.Creator, c.genesis.Peer)
	case c.space.CreatedAtMs != int64(c.genesis.WallMs):
		problem.Detail = fmt.Sprintf("created_at_ms is %d, should be %d", c.space.CreatedAtMs, c.genesis.WallMs)
	default:
		return nil
	}
	return c.add(problem)
}

func (c *spaceCheck) checkHeads(context.Context) error {
	got, err := c.v.Heads(c.space.Key)
	if err != nil {
		return err
	}
	want := make([]core.HeadRecord, 0, len(c.heads))
	for _, head := range c.heads {
		want = append(want, head)
	}
	if err := compareRows(c.problems, c.in("writer_head"), got, want); err != nil {
		return err
	}
	for chain, open := range c.frontier {
		got, err := c.v.Frontier(c.space.Key, chain)
		if err != nil {
			return err
		}
		want := make([]core.FrontierRecord, 0, len(open))
		for hash, entry := range open {
			want = append(want, core.FrontierRecord{Entry: entry, Hash: hash})
		}
		if err := compareRows(c.problems, c.in("frontier"), got, want); err != nil {
			return err
		}
	}
	return nil
}

func (c *spaceCheck) checkMembers(context.Context) error {
	now := c.authority.Now()
	members, err := c.v.Members(c.space.Key)
	if err != nil {
		return err
	}
	if err := compareRows(c.problems, c.in("member"), members, memberRecords(now)); err != nil {
		return err
	}
	invites, err := c.v.Invites(c.space.Key)
	if err != nil {
		return err
	}
	return compareRows(c.problems, c.in("invite"), invites, inviteRecords(now))
}

// checkStates judges all content anew.
func (c *spaceCheck) checkStates(context.Context) error {
	all, err := c.w.judgeAll(c.w.authorities[c.space.Key], c.authors, nil, nil)
	if err != nil {
		return err
	}
	want := make([]core.VerdictRecord, len(all))
	for i, j := range all {
		want[i] = j.verdict()
		if stored := c.void[j.rec.Key]; stored.IsZero() == (j.state() == core.EntryVoid) {
			if err := c.wrongState(j.rec.Hash); err != nil {
				return err
			}
		}
		delete(c.void, j.rec.Key)
	}
	for _, hash := range c.void {
		if err := c.wrongState(hash); err != nil {
			return err
		}
	}
	got, err := c.v.Verdicts(c.space.Key)
	if err != nil {
		return err
	}
	return compareRows(c.problems, c.in("verdict"), got, want)
}

func (c *spaceCheck) wrongState(entry core.Hash) error {
	problem := c.in("entry")
	problem.Entry, problem.Detail = entry, "the state is not what its author's right says"
	return c.add(problem)
}

// fieldRow is a core.FieldWrite that can be compared.
type fieldRow struct {
	Entry  int64
	Hash   core.Hash
	WallMs uint64
	Value  string
}

func fieldRows(writes []core.FieldWrite) []fieldRow {
	rows := make([]fieldRow, len(writes))
	for i, f := range writes {
		rows[i] = fieldRow{f.Entry, f.Hash, f.WallMs, string(f.Value)}
	}
	return rows
}

func (c *spaceCheck) checkNames(context.Context) error {
	writes, err := c.maximal(c.names)
	if err != nil {
		return err
	}
	got, err := c.v.FieldWrites(c.space.Key, "", fieldName)
	if err != nil {
		return err
	}
	if err := compareRows(c.problems, c.in("field"), fieldRows(got), fieldRows(writes)); err != nil {
		return err
	}
	var name string
	if len(writes) > 0 {
		name = string(slices.MaxFunc(writes, compareFields).Value)
	}
	if c.space.Name == name {
		return nil
	}
	problem := c.in("space")
	problem.Detail = fmt.Sprintf("name is %q, should be %q", c.space.Name, name)
	return c.add(problem)
}

// maximal returns those writes of one field that count and are causally maximal. They
// must be in the order of their entries.
func (c *spaceCheck) maximal(all []core.FieldWrite) ([]core.FieldWrite, error) {
	past := c.w.pastOf(&c.space)
	var writes []core.FieldWrite
	for _, n := range all {
		rec, err := c.v.EntryByKey(n.Entry)
		if err != nil {
			return nil, err
		}
		if rec.State != core.EntryKept {
			continue
		}
		earlier := make([]core.EntryRecord, len(writes))
		for i, f := range writes {
			if earlier[i], err = c.v.EntryByKey(f.Entry); err != nil {
				return nil, err
			}
		}
		replaced, err := past.knows(&rec, earlier)
		if err != nil {
			return nil, err
		}
		var left []core.FieldWrite
		for i, f := range writes {
			if !replaced[i] && f.Hash != n.Hash {
				left = append(left, f)
			}
		}
		writes = append(left, n)
	}
	return writes, nil
}

func (c *spaceCheck) checkDocs(ctx context.Context) error {
	for after := core.DocumentID(""); ; {
		page, err := c.v.Docs(c.space.Key, after, docsPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			after = page[i].ID
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.checkDoc(&page[i]); err != nil {
				return err
			}
		}
	}
}

func (c *spaceCheck) checkDoc(rec *core.DocRecord) error {
	counted := docOps{by: rec.CreatedBy}
	if d := c.docs[rec.ID]; d != nil {
		counted = *d
	}
	var found differences
	found.compare("doc", "last_n", rec.LastN, counted.n)
	found.compare("doc", "created_by", rec.CreatedBy, counted.by)
	extra, err := c.v.OpRecords(rec.Key, counted.n, 1)
	if err != nil {
		return err
	}
	found.compare("doc_op", "ops that the log does not hold", len(extra), 0)
	first, err := c.v.OpRecords(rec.Key, math.MinInt64, 1)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		found.compare("doc_op", "number of the first op", first[0].N, int64(1))
	}
	lost := false
	if len(found) == 0 {
		if found, lost, err = c.checkContent(rec, counted.n); err != nil {
			return err
		}
	}
	for _, d := range found {
		if err := c.add(Problem{Space: c.space.ID, Document: rec.ID, Table: d.table, Detail: d.detail, Lost: lost}); err != nil {
			return err
		}
	}
	return nil
}

// checkContent compares a document with what its ops make. What cannot be made is lost.
func (c *spaceCheck) checkContent(rec *core.DocRecord, ops int64) (found differences, lost bool, err error) {
	tail, err := c.v.Tail(rec.Key)
	if err != nil {
		return differences{{"tail", err.Error(), true}}, true, onlyCorrupt(err)
	}
	if ops == 0 && len(tail) == 0 {
		return differences{{"doc", "the document has no content", true}}, false, nil
	}
	for i, t := range tail {
		found.compare("tail", "number", t.N, int64(i+1))
	}
	if len(found) > 0 {
		return found, true, nil
	}
	d, err := c.w.derive(&c.space, rec)
	if err != nil {
		return differences{{"doc", err.Error(), true}}, true, onlyCorrupt(err)
	}
	found, err = c.w.differences(rec, d)
	return found, false, err
}

func (c *spaceCheck) checkParked(ctx context.Context) error {
	for after := (core.Hash{}); ; {
		page, err := c.v.ParkedAfter(c.space.Key, after, batchBytes)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		raws := make([]core.Entry, len(page))
		for i := range page {
			raws[i] = page[i].Entry
		}
		for i, a := range inspectAll(raws) {
			after = page[i].Hash
			if err := c.checkWaiting(&page[i], &a); err != nil {
				return err
			}
		}
	}
}

func (c *spaceCheck) checkWaiting(rec *core.ParkedRecord, a *arrival) error {
	problem := c.in("parked")
	problem.Entry = rec.Hash
	switch {
	case a.err != nil:
		problem.Detail = a.err.Error() + "; it is dropped, to be sent again"
		return c.add(problem)
	case a.entry.Hash != rec.Hash:
		problem.Detail = "the hash is not that of the entry"
		return c.add(problem)
	case a.entry.Peer != rec.Author:
		problem.Detail = "the author is not that of the entry"
		return c.add(problem)
	}
	here, err := c.here(rec.Missing)
	if err != nil {
		return err
	}
	cited := slices.Concat(a.entry.Auth, a.entry.Deps, []core.Hash{a.entry.Space, a.entry.Prev})
	newer := slices.ContainsFunc(a.entry.Ops, func(op log.Op) bool { _, unknown := op.Body.(log.UnknownOp); return unknown })
	switch {
	case rec.Missing.IsZero() && !newer:
		problem.Detail = "it waits for nothing"
	case !rec.Missing.IsZero() && !slices.Contains(cited, rec.Missing):
		problem.Detail = fmt.Sprintf("it waits for %s, which it does not cite", rec.Missing)
	case here:
		problem.Detail = fmt.Sprintf("it waits for %s, which is here", rec.Missing)
	default:
		return nil
	}
	return c.add(problem)
}

// here reports whether the log holds an entry.
func (c *spaceCheck) here(hash core.Hash) (bool, error) {
	_, err := c.v.EntryHeader(c.space.Key, hash)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
