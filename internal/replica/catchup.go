package replica

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// maxCatchUp is how many ops are added to an instance. If more came, reading the document
// anew costs less, since its ops were compacted.
const maxCatchUp = 256

// catchUp brings an instance up to date with what is committed. The record of a document
// that was never written has no key. core.ErrNotFound says that there is no such space.
func (r *Replica) catchUp(ctx context.Context, in *instance) error {
	if in.doc != nil && r.live.nothingSince(in.jobs) {
		return ctx.Err()
	}
	for {
		clock, jobs := r.live.now()
		s, writable, ops, err := r.missing(ctx, in)
		switch {
		case err != nil:
			return err
		case !ops:
			if err := r.loadLive(in, s, clock); err != nil {
				return err
			}
		case !r.live.follows(in):
			in.doc = nil
			continue
		default:
			if err := in.apply(s.updates); err != nil {
				return damaged("content", &head{DocRecord: s.DocRecord}, err)
			}
		}
		in.rec, in.writable, in.jobs = s.DocRecord, writable, jobs
		return r.chooseClient(in)
	}
}

// missing reads what an instance lacks: ops, or else all of the document. writable says
// whether the local member may write in the space.
func (r *Replica) missing(ctx context.Context, in *instance) (s *stored, writable, ops bool, err error) {
	key := in.of.key
	err = r.store.Read(ctx, func(v core.View) error {
		space, err := v.Space(key.space)
		if err != nil {
			return err
		}
		m, err := v.Member(space.Key, r.self.peer)
		if err != nil && !isNotFound(err) {
			return err
		}
		writable = err == nil && log.Role(m.Role).Has(log.CapWrite)
		s = &stored{}
		s.DocRecord, err = v.Doc(space.Key, key.doc)
		if isNotFound(err) {
			s.DocRecord, err = core.DocRecord{Space: space.Key}, nil
		}
		if err != nil {
			return err
		}
		if ops = in.follows(&s.DocRecord); ops {
			return s.readSince(v, in.rec.LastN, in.rec.TailCount)
		}
		return s.read(v)
	})
	return s, writable, ops, err
}

// follows reports whether a document's new ops lead from the instance to its state.
func (in *instance) follows(d *core.DocRecord) bool {
	n := d.LastN - in.rec.LastN
	return in.doc != nil && in.rec.Key == d.Key && bytes.Equal(in.rec.Epoch, d.Epoch) && n >= 0 && n <= maxCatchUp
}

// readSince collects the updates that came after the n-th sealed op, and after an update
// of the tail.
func (s *stored) readSince(v core.View, n, tail int64) error {
	if s.LastN != n {
		tail = 0 // sealed, and so among the ops
		err := v.DocOps(s.Key, n, func(op core.DocOp) error {
			s.updates = append(s.updates, op.Update)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if s.TailCount == tail {
		return nil
	}
	updates, err := v.Tail(s.Key)
	if err != nil {
		return err
	}
	for _, t := range updates {
		if t.N > tail {
			s.updates = append(s.updates, t.Update)
		}
	}
	return nil
}

// loadLive reads an instance anew. Its client stays, unless the document was rebuilt.
func (r *Replica) loadLive(in *instance, s *stored, clock uint64) error {
	if in.rec.Key != s.Key || !bytes.Equal(in.rec.Epoch, s.Epoch) {
		in.client = 0
	}
	doc, err := yjs.Load(yjs.Options{}, s.updates...)
	if err != nil {
		in.drop()
		return damaged("content", &head{DocRecord: s.DocRecord}, err)
	}
	in.doc, in.read = doc, clock
	if in.client != 0 {
		in.doc.SetClientID(in.client)
	}
	in.count()
	return nil
}

// apply adds updates to an instance.
func (in *instance) apply(updates [][]byte) error {
	for _, u := range updates {
		if err := in.doc.Apply(u); err != nil {
			in.drop()
			return err
		}
		in.grow(u)
	}
	return nil
}

// chooseClient gives an instance a client of its own, if it has none or somebody else
// wrote under it.
func (r *Replica) chooseClient(in *instance) error {
	if in.client != 0 && in.doc.ClientID() == in.client && in.doc.End(in.client) == in.end {
		return nil
	}
	for {
		var b [4]byte
		if _, err := io.ReadFull(r.random, b[:]); err != nil {
			return err
		}
		client := uint64(binary.LittleEndian.Uint32(b[:]))
		if client != 0 && in.doc.End(client) == 0 {
			in.client, in.end = client, 0
			in.doc.SetClientID(client)
			return nil
		}
	}
}
