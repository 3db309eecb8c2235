package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// logWalk reads the log of a space from its start, admits every entry once more, and
// computes what follows from all of them. It keeps what is at the front of the log, and
// a counter for each document; not the log.
type logWalk struct {
	*problems
	v     core.View
	space core.SpaceRecord

	authority *log.Authority
	known     map[core.Hash]knownAncestor
	computed  map[core.Hash][]core.Hash // the auth sets of entries that name another
	at        int64                     // key of the entry that is being admitted
	later     bool                      // it cites one that is stored after it
	broken    bool                      // some entry was not admitted: what follows is not known

	genesis  *log.Header
	authors  map[core.PeerID]bool // of content
	void     map[int64]core.Hash  // entries that are stored as void
	heads    map[headRef]core.HeadRecord
	frontier map[core.Chain]map[core.Hash]int64
	names    []core.FieldWrite
	places   *past
	docs     map[core.DocumentID]*docOps

	noted []*notedEntry
}

type knownAncestor struct {
	log.Ancestor
	key int64
}

type headRef struct {
	writer int64
	chain  core.Chain
}

// docOps is how far the ops of a document have been counted.
type docOps struct {
	key int64 // 0 for a document that is not stored
	n   int64
	by  core.PeerID
	bad bool
}

func newLogWalk(v core.View, space core.SpaceRecord, found *problems) *logWalk {
	l := &logWalk{
		problems: found, v: v, space: space,
		authority: log.NewAuthority(), known: map[core.Hash]knownAncestor{}, computed: map[core.Hash][]core.Hash{},
		authors: map[core.PeerID]bool{}, void: map[int64]core.Hash{}, heads: map[headRef]core.HeadRecord{},
		frontier: map[core.Chain]map[core.Hash]int64{core.ChainMembership: {}, core.ChainContent: {}},
		docs:     map[core.DocumentID]*docOps{},
		places:   newPast(v, space.Key),
	}
	l.places.count = 0
	l.places.frontier = func(int64, core.Chain) ([]core.FrontierRecord, error) {
		var open []core.FrontierRecord
		for hash, entry := range l.frontier[core.ChainContent] {
			open = append(open, core.FrontierRecord{Entry: entry, Hash: hash})
		}
		return open, nil
	}
	return l
}

// run walks. Signatures are verified a page at a time, on all processors.
func (l *logWalk) run(ctx context.Context) error {
	for after := int64(0); ; {
		page, err := l.v.EntriesAfter(l.space.Key, after, batchBytes)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, a := range inspectStored(page) {
			after = page[i].Key
			if err := l.visit(&page[i], &a); err != nil {
				return err
			}
		}
	}
}

func (l *logWalk) visit(rec *core.EntryRecord, a *arrival) error {
	problem := Problem{Space: l.space.ID, Entry: rec.Hash, Table: "entry", Lost: true}
	if a.err != nil {
		l.broken = true
		problem.Detail = a.err.Error()
		return l.add(problem)
	}
	l.at, l.later = rec.Key, false
	authSet, err := log.Admit(a.entry, l)
	var waiting *log.WaitingError
	switch {
	case errors.As(err, &waiting), log.ReasonOf(err) != "":
		l.broken = true
		problem.Detail, problem.Lost = err.Error(), !l.later
		return l.add(problem)
	case errors.Is(err, core.ErrCorrupt) && len(*l.problems) > 0:
		return nil // it builds upon what was told already
	case err != nil:
		return err
	}
	if err := l.checkAuth(rec, authSet); err != nil {
		return err
	}
	if a.entry.Chain == core.ChainMembership {
		if err := l.authority.Add(a.entry, authSet); err != nil {
			return err
		}
	}
	return l.follow(rec, a.entry)
}

// checkAuth compares an entry's auth set with the one that was computed.
func (l *logWalk) checkAuth(rec *core.EntryRecord, authSet []core.Hash) error {
	var stored []core.Hash
	var err error
	if rec.Auth != 0 {
		stored, err = l.v.AuthSet(rec.Auth)
	}
	if err == nil && slices.Equal(stored, authSet) {
		return nil
	}
	if err != nil && !isNotFound(err) && !errors.Is(err, core.ErrCorrupt) {
		return err
	}
	l.computed[rec.Hash] = authSet
	return l.add(Problem{Space: l.space.ID, Entry: rec.Hash, Table: "auth_set", Detail: fmt.Sprintf("set %d is not that of the entry", rec.Auth)})
}

// follow computes what an entry changes.
func (l *logWalk) follow(rec *core.EntryRecord, e *log.Entry) error {
	if l.genesis == nil {
		l.genesis = &e.Header
	}
	if rec.State != core.EntryKept {
		l.void[rec.Key] = rec.Hash
	}
	if err := l.checkPlace(rec, e); err != nil {
		return err
	}
	ref := headRef{rec.Writer, rec.Chain}
	if rec.Seq > l.heads[ref].Seq {
		l.heads[ref] = core.HeadRecord{
			Space: rec.Space, Writer: rec.Writer, Chain: rec.Chain, Seq: rec.Seq, Entry: rec.Key, Hash: rec.Hash,
		}
	}
	frontier := l.frontier[rec.Chain]
	for _, hash := range parentsOf(&e.Header) {
		delete(frontier, hash)
	}
	frontier[rec.Hash] = rec.Key
	if e.Chain == core.ChainMembership {
		return nil
	}
	if l.broken {
		return nil
	}
	l.authors[e.Peer] = true
	if trace := notedTrace(e, rec); trace != nil {
		l.noted = append(l.noted, trace)
	}
	for _, op := range e.Ops {
		var err error
		switch b := op.Body.(type) {
		case log.SpaceMeta:
			l.names = append(l.names, core.FieldWrite{Entry: rec.Key, Hash: rec.Hash, WallMs: e.WallMs, Value: []byte(b.Name)})
		case log.DocUpdate:
			err = l.checkOp(rec, e, b.Doc, int64(b.Offset), int64(b.Length))
		case log.DocDelete:
			if l.docs[b.Doc] != nil { // else it hides nothing
				err = l.checkOp(rec, e, b.Doc, 0, 0)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkPlace compares where a content entry stands, and what of all before it is not in
// its past.
func (l *logWalk) checkPlace(rec *core.EntryRecord, e *log.Entry) error {
	want := core.EntryRecord{Hash: rec.Hash}
	if e.Chain == core.ChainContent && !l.broken {
		if err := l.places.place(&e.Header, &want); err != nil {
			return err
		}
	}
	if l.broken || rec.Pos == want.Pos && bytes.Equal(rec.Gaps, want.Gaps) {
		return nil
	}
	return l.add(Problem{
		Space: l.space.ID, Entry: rec.Hash, Table: "entry",
		Detail: fmt.Sprintf("pos and gaps are %d, %x, should be %d, %x", rec.Pos, rec.Gaps, want.Pos, want.Gaps),
	})
}

// checkOp counts an op of a document and looks for its row.
func (l *logWalk) checkOp(rec *core.EntryRecord, e *log.Entry, id core.DocumentID, offset, length int64) error {
	d := l.docs[id]
	problem := Problem{Space: l.space.ID, Document: id, Entry: rec.Hash}
	if d == nil {
		d = &docOps{by: e.Peer}
		l.docs[id] = d
		doc, err := l.v.Doc(l.space.Key, id)
		switch {
		case isNotFound(err):
			problem.Table, problem.Detail = "doc", "the document is not stored"
			if err := l.add(problem); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		d.key = doc.Key
	}
	d.n++
	if d.key == 0 || d.bad {
		return nil
	}
	want := core.OpRecord{N: d.n, Entry: rec.Key, Offset: offset, Length: length}
	got, err := l.v.OpRecords(d.key, d.n-1, 1)
	if err != nil || len(got) == 1 && got[0] == want {
		return err
	}
	d.bad = true
	problem.Table, problem.Detail = "doc_op", fmt.Sprintf("op is %+v, should be %+v", got, want)
	return l.add(problem)
}

// Ancestor implements log.Past: what is stored later is not had yet.
func (l *logWalk) Ancestor(hash core.Hash) (log.Ancestor, error) {
	if a, ok := l.known[hash]; ok && a.key < l.at {
		return a.Ancestor, nil
	}
	rec, err := l.v.EntryHeader(l.space.Key, hash)
	if err == nil && rec.Key >= l.at {
		l.later = true
		err = fmt.Errorf("entry %s is stored later: %w", hash, core.ErrNotFound)
	}
	if err != nil {
		return log.Ancestor{}, err
	}
	authSet, ok := l.computed[hash]
	if !ok && rec.Auth != 0 {
		if authSet, err = l.v.AuthSet(rec.Auth); err != nil {
			return log.Ancestor{}, err
		}
	}
	h, err := log.DecodeHeader(rec.Entry.Header)
	if err != nil {
		return log.Ancestor{}, fmt.Errorf("entry %s: %w: %w", hash, core.ErrCorrupt, err)
	}
	if len(l.known) >= maxKnown {
		clear(l.known)
	}
	a := h.AsAncestor(hash, authSet)
	l.known[hash] = knownAncestor{a, rec.Key}
	return a, nil
}

// State implements log.Past.
func (l *logWalk) State(heads []core.Hash) (*log.State, error) { return l.authority.At(heads) }
