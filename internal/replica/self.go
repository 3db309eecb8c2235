package replica

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/log"
)

// Keys of the meta table.
const (
	metaIncarnation = "incarnation" // 16 bytes
	metaRetired     = "retired"     // the incarnations before it, 16 bytes each
	metaSealed      = "sealed"      // own entries under it, big-endian
	metaMark        = "mark"        // identity.Mark of the database file
	metaBackup      = "backup"      // set in copies made by Backup
	metaSynced      = "synced"      // how often sync wrote
)

// self is who this directory writes as. After Open only the writer's goroutine
// reads and changes the incarnation and what hangs on it.
type self struct {
	peer        core.PeerID
	key         ed25519.PrivateKey
	incarnation core.Incarnation
	retired     []core.Incarnation
	writer      core.WriterID
	writerKey   int64
	claims      []int64 // when peers claimed to have own entries that are not here, in ms
	doubts      []int64 // when what peers reminded of was of no use, in ms

	mu     sync.Mutex
	state  *identity.State
	marked mark
}

// mark is a high-water mark: own sealed entries under an incarnation, the
// ordinal-th of this directory.
type mark struct {
	incarnation core.Incarnation
	ordinal     int
	sealed      uint64
}

// openSelf reads the incarnation and mints a new one where the directory is a
// copy, or older than what was done with it.
func openSelf(ctx context.Context, c Config) (*self, error) {
	state, err := identity.OpenState(c.Dir)
	if err != nil {
		return nil, err
	}
	var record *identity.Record // nil says nothing: the other facts decide
	switch r, err := state.Read(); {
	case err == nil:
		record = &r
	case !errors.Is(err, core.ErrNotFound):
		c.Logger.Warn("high-water mark unreadable", "err", err)
	}
	mark, err := identity.MarkOf(c.Database)
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	s := &self{peer: c.Identity.PeerID(), key: c.Identity.Key(), state: state}
	copied := false
	err = c.Store.WriteSynced(ctx, func(tx core.Tx) (err error) {
		copied, err = s.settle(tx, record, mark, c.Random)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("decide on the incarnation: %w", err), state.Close())
	}
	if copied {
		c.Logger.Warn("directory is a copy or a restored backup: it goes on as another writer of the same member")
	}
	if record != nil && record.Incarnation != s.incarnation { // else the next Open would mint again
		if err := state.Update(identity.Record{Incarnation: s.incarnation}); err != nil {
			c.Logger.Warn("high-water mark not written", "err", err)
		}
	}
	return s, nil
}

// settle decides whether the incarnation still holds, or the directory was copied or
// restored, and records it.
func (s *self) settle(tx core.Tx, record *identity.Record, mark identity.Mark, random io.Reader) (copied bool, err error) {
	var stored [5][]byte
	for i, key := range []string{metaIncarnation, metaRetired, metaSealed, metaMark, metaBackup} {
		if stored[i], err = tx.Meta(key); err != nil {
			return false, err
		}
	}
	incarnation, retired, sealed, marked, backup := stored[0], stored[1], stored[2], stored[3], stored[4]
	if len(retired)%len(core.Incarnation{}) != 0 || (incarnation != nil && len(incarnation) != len(core.Incarnation{})) {
		return false, fmt.Errorf("incarnation: %w", core.ErrCorrupt)
	}
	for ; len(retired) > 0; retired = retired[len(core.Incarnation{}):] {
		s.retired = append(s.retired, core.Incarnation(retired[:len(core.Incarnation{})]))
	}
	was, known := identity.ParseMark(marked)
	if incarnation != nil {
		s.incarnation = core.Incarnation(incarnation)
		ahead := record != nil && record.Ahead(s.incarnation, number(sealed))
		if !known || was != mark || ahead || backup != nil {
			s.retired = append(s.retired, s.incarnation)
			incarnation, copied = nil, true
			if err := tx.SetMeta(metaEpoch, nil); err != nil { // rows are given out anew
				return false, err
			}
		}
	}
	if incarnation == nil {
		s.incarnation = identity.NewIncarnation(random)
		if err := s.record(tx, mark); err != nil {
			return false, err
		}
	}
	s.writer = log.WriterIDOf(s.peer, s.incarnation)
	s.writerKey, err = tx.EnsureWriter(core.WriterRecord{ID: s.writer, Peer: s.peer, Incarnation: s.incarnation})
	return copied, err
}

// record stores a new incarnation.
func (s *self) record(tx core.Tx, mark identity.Mark) error {
	var retired []byte
	for _, i := range s.retired {
		retired = append(retired, i[:]...)
	}
	for _, m := range []struct {
		key   string
		value []byte
	}{
		{metaIncarnation, s.incarnation[:]},
		{metaRetired, retired},
		{metaSealed, bytesOf(0)},
		{metaMark, mark[:]},
		{metaBackup, nil},
	} {
		if err := tx.SetMeta(m.key, m.value); err != nil {
			return err
		}
	}
	return nil
}

// mint goes on under a new incarnation, since somebody else writes under this one.
func (w *work) mint() error {
	s := w.r.self
	incarnation, retired, writer, writerKey := s.incarnation, s.retired, s.writer, s.writerKey
	w.OnRollback(func() { s.incarnation, s.retired, s.writer, s.writerKey = incarnation, retired, writer, writerKey })
	value, err := w.Meta(metaMark)
	if err != nil {
		return err
	}
	file, _ := identity.ParseMark(value) // else the next Open mints again
	s.retired = append(slices.Clip(retired), incarnation)
	s.incarnation = identity.NewIncarnation(w.r.random)
	if err := s.record(w, file); err != nil {
		return err
	}
	s.writer = log.WriterIDOf(s.peer, s.incarnation)
	for _, h := range w.r.heads.heads { // what was written before is another's
		h.writers = writersUnknown
	}
	s.writerKey, err = w.EnsureWriter(core.WriterRecord{ID: s.writer, Peer: s.peer, Incarnation: s.incarnation})
	w.marks(0)
	return err
}

// marks notes the high-water mark that holds after the commit.
func (w *work) marks(sealed uint64) {
	s := w.r.self
	w.mark = &mark{incarnation: s.incarnation, ordinal: len(s.retired), sealed: sealed}
}

// raise raises the high-water mark beside the database. Calls may come out of order.
func (s *self) raise(m mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.ordinal < s.marked.ordinal || m.ordinal == s.marked.ordinal && m.sealed <= s.marked.sealed {
		return nil
	}
	s.marked = m
	return s.state.Update(identity.Record{Incarnation: m.incarnation, Sealed: m.sealed})
}

func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func bytesOf(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
