package replica

import (
	"context"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// Document is a document's state.
type Document struct {
	core.DocRecord
	Update      []byte // canonical, with what waits
	StateVector []byte // without what waits
	Pending     bool
}

// stored is what the store holds of a document's content.
type stored struct {
	core.DocRecord
	updates [][]byte // snapshot, ops after it, tail
	vector  []byte
	pending bool
	compact bool // the snapshot is all there is
}

// state returns the canonical state as one update.
func (s *stored) state() ([]byte, error) {
	if s.compact {
		return s.updates[0], nil
	}
	state, err := yjs.Compact(s.updates...)
	if err != nil {
		return nil, fmt.Errorf("document %q: %w: %w", s.ID, core.ErrCorrupt, err)
	}
	return state, nil
}

// read collects a document's content, and has it compacted if that is worth it. Its cost
// does not depend on the length of its history, since compaction bounds the ops after the
// snapshot.
func (r *Replica) read(ctx context.Context, space core.SpaceID, doc core.DocumentID) (*stored, error) {
	s, err := r.collect(ctx, space, doc)
	if err == nil && r.worthCompacting(s) {
		r.compactor.add(s.Key)
	}
	return s, err
}

func (r *Replica) collect(ctx context.Context, space core.SpaceID, doc core.DocumentID) (*stored, error) {
	var s *stored
	err := r.readSpace(ctx, space, func(v core.View, rec *core.SpaceRecord) error {
		d, err := v.Doc(rec.Key, doc)
		if err != nil {
			return err
		}
		if d.Hidden {
			return core.ErrNotFound
		}
		s = &stored{DocRecord: d}
		return s.read(v)
	})
	return s, err
}

// worthCompacting reports whether the next read should find a document compacted:
// it has paused, nobody wrote to it since the directory was opened, or the process that
// should have compacted it ended before.
func (r *Replica) worthCompacting(s *stored) bool {
	paused := s.LoggedAtMs < r.opened || r.now().UnixMilli()-s.LoggedAtMs >= r.timing.Quiet.Milliseconds()
	return needsCompaction(&s.DocRecord) || (paused && s.LastN > s.ThroughN && s.OpBytes+s.SnapBytes >= worthCompactBytes)
}

func (s *stored) read(v core.View) error {
	snapshot, err := v.DocSnapshot(s.Key)
	if err != nil {
		return err
	}
	if snapshot != nil {
		s.updates = append(s.updates, snapshot)
	}
	err = v.DocOps(s.Key, s.ThroughN, func(op core.DocOp) error {
		s.updates = append(s.updates, op.Update)
		return nil
	})
	if err != nil {
		return err
	}
	tail, err := v.Tail(s.Key)
	if err != nil {
		return err
	}
	for _, t := range tail {
		s.updates = append(s.updates, t.Update)
	}
	s.compact = snapshot != nil && len(s.updates) == 1
	clients, err := v.DocClients(s.Key)
	if err != nil {
		return err
	}
	ends := make(map[uint64]uint64, len(clients))
	for _, c := range clients {
		ends[c.Client] = c.End
	}
	s.vector = yjs.EncodeStateVector(ends)
	s.pending, err = v.DocIsPending(s.Key)
	return err
}

// Get returns a document's state. It returns core.ErrNotFound for an unknown space
// and for an unknown or deleted document.
func (r *Replica) Get(ctx context.Context, space core.SpaceID, doc core.DocumentID) (Document, error) {
	s, err := r.read(ctx, space, doc)
	if err != nil {
		return Document{}, err
	}
	state, err := s.state()
	if err != nil {
		return Document{}, err
	}
	if len(s.Epoch) > 0 { // void content counts as had, and is not there
		if s.vector, err = yjs.StateVector(state); err != nil {
			return Document{}, damaged("state", &head{DocRecord: s.DocRecord}, err)
		}
	}
	return Document{DocRecord: s.DocRecord, Update: state, StateVector: s.vector, Pending: s.pending}, nil
}

// Diff returns what a holder of the state vector lacks, and all deletions, as a v1
// update. An empty vector asks for everything. It also returns
// core.ErrInvalidVector.
func (r *Replica) Diff(ctx context.Context, space core.SpaceID, doc core.DocumentID, stateVector []byte) ([]byte, error) {
	if len(stateVector) == 0 {
		stateVector = []byte{0}
	}
	if err := yjs.ValidateStateVector(stateVector); err != nil {
		return nil, fmt.Errorf("%w: %w", core.ErrInvalidVector, err)
	}
	s, err := r.read(ctx, space, doc)
	if err != nil {
		return nil, err
	}
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	return yjs.Diff(state, stateVector)
}

// Load returns a document ready for reading its content.
func (r *Replica) Load(ctx context.Context, space core.SpaceID, doc core.DocumentID) (*yjs.Doc, error) {
	s, err := r.read(ctx, space, doc)
	if err != nil {
		return nil, err
	}
	return s.load()
}

// Docs returns up to limit documents that are not deleted, with IDs greater than
// after, in order of ID, and the ID to go on after, "" at the end.
func (r *Replica) Docs(ctx context.Context, space core.SpaceID, after core.DocumentID, limit int) (docs []core.DocRecord, next core.DocumentID, err error) {
	err = r.readSpace(ctx, space, func(v core.View, rec *core.SpaceRecord) error {
		docs, err = v.Docs(rec.Key, after, limit)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(docs) == limit {
		next = docs[limit-1].ID
	}
	visible := docs[:0]
	for _, d := range docs {
		if !d.Hidden {
			visible = append(visible, d)
		}
	}
	return visible, next, nil
}
