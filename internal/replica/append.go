package replica

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// append seals ops into an own content entry at the end of the log and returns
// it with its row. Ops must fit into one entry.
func (w *work) append(space *core.SpaceRecord, bodies ...log.Body) (*log.Entry, *core.EntryRecord, error) {
	return w.extend(space, core.ChainContent, bodies)
}

// act is append for the membership chain.
func (w *work) act(space *core.SpaceRecord, bodies ...log.Body) error {
	_, _, err := w.extend(space, core.ChainMembership, bodies)
	return err
}

func (w *work) extend(space *core.SpaceRecord, chain core.Chain, bodies []log.Body) (*log.Entry, *core.EntryRecord, error) {
	ops := make([]log.Op, len(bodies))
	for i, body := range bodies {
		ops[i] = w.op(body)
	}
	for {
		header, more, err := w.header(space, chain)
		if err != nil {
			return nil, nil, err
		}
		if !more {
			return w.seal(space, header, ops)
		}
		// More heads than an entry may cite: an op-less one gathers some first.
		if _, _, err := w.seal(space, header, nil); err != nil {
			return nil, nil, err
		}
	}
}

// op gives an op its ID.
func (w *work) op(body log.Body) log.Op {
	return log.Op{ID: log.NewOpID(w.r.random), Body: body}
}

// header returns the header of the next own entry of a chain, and whether more heads
// are left than it can cite.
func (w *work) header(space *core.SpaceRecord, chain core.Chain) (h log.Header, more bool, err error) {
	self := w.r.self
	genesis, err := space.ID.Hash()
	if err != nil {
		return h, false, err
	}
	h = log.Header{
		Space: genesis, Incarnation: self.incarnation, Chain: chain, Seq: 1,
		WallMs: uint64(max(w.nowMs, 0)),
	}
	past := w.pastOf(space)
	var base []core.Hash
	head, err := w.WriterHead(space.Key, self.writerKey, chain)
	switch {
	case err == nil:
		prev, err := past.Ancestor(head.Hash)
		if err != nil {
			return h, false, err
		}
		h.Seq, h.Prev, base = head.Seq+1, head.Hash, prev.AuthSet
		if chain == core.ChainMembership {
			base = []core.Hash{head.Hash}
		}
	case !errors.Is(err, core.ErrNotFound):
		return h, false, err
	}
	members, err := w.frontier(space, core.ChainMembership)
	if err != nil {
		return h, false, err
	}
	if h.Auth, err = log.NewAuth(past, base, members); err != nil {
		return h, false, err
	}
	if chain == core.ChainContent {
		if h.Deps, err = w.frontier(space, core.ChainContent); err != nil {
			return h, false, err
		}
		h.Deps = slices.DeleteFunc(h.Deps, func(hash core.Hash) bool { return hash == h.Prev })
	}
	if len(h.Auth) > log.MaxHeads || len(h.Deps) > log.MaxHeads {
		more = true
		h.Auth = h.Auth[:min(len(h.Auth), log.MaxHeads)]
		h.Deps = h.Deps[:min(len(h.Deps), log.MaxHeads)]
	}
	return h, more, w.setLamport(space, &h)
}

// setLamport sets a header's lamport by what it cites.
func (w *work) setLamport(space *core.SpaceRecord, h *log.Header) error {
	cited := slices.Concat(h.Auth, h.Deps)
	if h.Seq > 1 {
		cited = append(cited, h.Prev)
	}
	h.Lamport = 0
	for _, hash := range cited {
		a, err := w.pastOf(space).Ancestor(hash)
		if err != nil {
			return err
		}
		h.Lamport = max(h.Lamport, a.Lamport)
	}
	h.Lamport++
	return nil
}

func (w *work) frontier(space *core.SpaceRecord, chain core.Chain) ([]core.Hash, error) {
	records, err := w.Frontier(space.Key, chain)
	if err != nil {
		return nil, err
	}
	hashes := make([]core.Hash, len(records))
	for i, f := range records {
		hashes[i] = f.Hash
	}
	return hashes, nil
}

// seal signs an own entry, passes it through the same gate as those of others and
// stores it.
func (w *work) seal(space *core.SpaceRecord, h log.Header, ops []log.Op) (*log.Entry, *core.EntryRecord, error) {
	if h.Seq == 1 && h.Chain == core.ChainContent {
		retire, err := w.retire(space)
		if err != nil {
			return nil, nil, err
		}
		ops = append(retire, ops...)
	}
	e, err := log.Seal(w.r.self.key, h, ops)
	if err != nil {
		return nil, nil, err
	}
	rec, err := w.admit(space, e)
	if err != nil {
		return nil, nil, fmt.Errorf("own entry refused: %w", err)
	}
	w.made()
	return e, rec, w.countSealed()
}

// countSealed counts one more own entry under the incarnation.
func (w *work) countSealed() error {
	sealed, err := w.Meta(metaSealed)
	if err != nil {
		return err
	}
	w.marks(number(sealed) + 1)
	return w.SetMeta(metaSealed, bytesOf(w.mark.sealed))
}

// retireBytes is the most that retire adds to an entry.
const retireBytes = 64 + 17*log.MaxRetired

// retire returns the op that names the earlier incarnations of this directory
// that wrote in the space, for the first entry of a new one.
func (w *work) retire(space *core.SpaceRecord) ([]log.Op, error) {
	var gone []core.Incarnation
	for _, incarnation := range w.r.self.retired {
		rec, err := w.WriterByID(log.WriterIDOf(w.r.self.peer, incarnation))
		if errors.Is(err, core.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, err = w.WriterHead(space.Key, rec.Key, core.ChainContent)
		if errors.Is(err, core.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		gone = append(gone, incarnation)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	gone = gone[max(0, len(gone)-log.MaxRetired):]
	slices.SortFunc(gone, func(a, b core.Incarnation) int { return bytes.Compare(a[:], b[:]) })
	return []log.Op{w.op(log.WriterRetire{Incarnations: gone})}, nil
}

// admit checks an entry against its past and stores it, without applying its ops.
// It returns the row, or what log.Admit returns.
func (w *work) admit(space *core.SpaceRecord, e *log.Entry) (*core.EntryRecord, error) {
	return w.admitAs(space, e, 0)
}

// admitAs is admit for an entry that has its row already, unless key is 0.
func (w *work) admitAs(space *core.SpaceRecord, e *log.Entry, key int64) (*core.EntryRecord, error) {
	past := w.pastOf(space)
	a, err := w.authority(space) // as it is before the entry
	if err != nil {
		return nil, err
	}
	authSet, err := log.Admit(e, past)
	if err != nil {
		return nil, err
	}
	rec := &core.EntryRecord{
		Key: key, Space: space.Key, Chain: e.Chain, Seq: e.Seq, Hash: e.Hash, State: core.EntryKept, Entry: e.Raw,
	}
	rec.Writer, err = w.EnsureWriter(core.WriterRecord{ID: e.Writer, Peer: e.Peer, Incarnation: e.Incarnation})
	if err != nil {
		return nil, err
	}
	if len(authSet) > 0 {
		if rec.Auth, err = w.EnsureAuthSet(space.Key, authSet); err != nil {
			return nil, err
		}
	}
	if e.Chain == core.ChainContent {
		if _, err := w.contestsOf(space); err != nil {
			return nil, err
		}
		if err := past.place(&e.Header, rec); err != nil {
			return nil, err
		}
	}
	if key == 0 {
		err = w.InsertEntry(rec)
	} else {
		err = w.SetEntry(*rec)
	}
	if err != nil {
		return nil, err
	}
	if key == 0 {
		w.keepStored(space, rec, e)
	}
	past.known[e.Hash] = e.AsAncestor(authSet)
	delete(w.forks, rec.Writer)
	if e.Chain == core.ChainContent {
		head := *rec
		head.Entry = core.Entry{Header: e.Raw.Header}
		w.arrived = append(w.arrived, &arrivedEntry{space, author{rec: head, peer: e.Peer, lamport: e.Lamport}})
	}
	if e.Chain == core.ChainMembership {
		if err := a.Add(e, authSet); err != nil {
			return nil, err
		}
	}
	return rec, w.advance(space, rec, e)
}

// advance moves the writer's head and the frontier over a new entry.
func (w *work) advance(space *core.SpaceRecord, rec *core.EntryRecord, e *log.Entry) error {
	head, err := w.WriterHead(rec.Space, rec.Writer, rec.Chain)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}
	if rec.Seq > head.Seq {
		err = w.PutWriterHead(core.HeadRecord{
			Space: rec.Space, Writer: rec.Writer, Chain: rec.Chain, Seq: rec.Seq, Entry: rec.Key, Hash: rec.Hash,
		})
	} else { // the branch that is longer, or came first, keeps the head
		err = w.noteFork(space, rec, e)
	}
	if err != nil {
		return err
	}
	cited := e.Deps
	if e.Chain == core.ChainMembership {
		cited = e.Auth
	}
	if e.Seq > 1 {
		cited = append(slices.Clone(cited), e.Prev)
	}
	for _, hash := range cited {
		if err := w.RemoveFrontier(rec.Space, rec.Chain, hash); err != nil {
			return err
		}
	}
	return w.AddFrontier(rec.Space, rec.Chain, core.FrontierRecord{Entry: rec.Key, Hash: rec.Hash})
}
