package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

// StateFile is the name of the high-water mark beside a database: one record of
// 64 bytes, written in place.
//
//	 0  8  "soma-st1"
//	 8 16  incarnation
//	24  8  own sealed entries, big-endian
//	32 32  sha2-256 of the bytes before
const StateFile = "identity.state"

const (
	stateMagic = "soma-st1"
	stateBytes = 64
)

// Record says how far a directory has written.
type Record struct {
	Incarnation core.Incarnation
	Sealed      uint64 // own entries sealed under the incarnation, in all spaces and chains
}

// Ahead reports whether the record tells of more than a database that writes
// under the incarnation and holds so many own sealed entries: it is then older
// than what was done with it.
func (r Record) Ahead(incarnation core.Incarnation, sealed uint64) bool {
	return r.Incarnation != incarnation || r.Sealed > sealed
}

// State is the open high-water mark of a directory. It is safe for concurrent use.
//
// It is kept apart from the database on purpose: whoever puts an older database
// in its place leaves it behind. A mark must be written after the transaction
// that sealed the entries is durable, else a crash would put it ahead, and
// before a peer may see them. It is not synced: after a power cut it may be old
// or damaged, and then it says nothing.
type State struct {
	mu   sync.Mutex
	f    *os.File // nil after Close
	last Record   // what the file holds, if known
	ok   bool
}

// OpenState opens the high-water mark of a directory, creating an empty one.
func OpenState(dir string) (*State, error) {
	f, err := os.OpenFile(filepath.Join(dir, StateFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open identity state: %w", err)
	}
	s := &State{f: f}
	s.last, err = s.read()
	s.ok = err == nil
	return s, nil
}

// Read returns what the file holds: core.ErrNotFound when nothing was written
// yet, core.ErrCorrupt when it is damaged. Both say that nothing is known; the
// second is worth a line in the log.
func (s *State) Read() (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return Record{}, fmt.Errorf("read identity state: %w", core.ErrClosed)
	}
	r, err := s.read()
	if err != nil {
		return Record{}, fmt.Errorf("read identity state: %w", err)
	}
	return r, nil
}

// Update raises the mark. A record that is not above the last one of its
// incarnation changes nothing, so calls may come out of order.
func (s *State) Update(r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return fmt.Errorf("update identity state: %w", core.ErrClosed)
	}
	if s.ok && !r.Ahead(s.last.Incarnation, s.last.Sealed) {
		return nil
	}
	if !s.ok { // a damaged file may also be too long
		if err := s.f.Truncate(0); err != nil {
			return fmt.Errorf("update identity state: %w", err)
		}
	}
	if _, err := s.f.WriteAt(r.encode(), 0); err != nil {
		s.ok = false // the file may hold anything now
		return fmt.Errorf("update identity state: %w", err)
	}
	s.last, s.ok = r, true
	return nil
}

// Close closes the file. It is idempotent.
func (s *State) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f = nil
	if err != nil {
		return fmt.Errorf("close identity state: %w", err)
	}
	return nil
}

func (s *State) read() (Record, error) {
	b := make([]byte, stateBytes+1) // one more, to notice a file that is too long
	n, err := s.f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Record{}, err
	}
	return decodeRecord(b[:n])
}

func (r Record) encode() []byte {
	b := make([]byte, 0, stateBytes)
	b = append(b, stateMagic...)
	b = append(b, r.Incarnation[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Sealed)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func decodeRecord(b []byte) (Record, error) {
	if len(b) == 0 {
		return Record{}, core.ErrNotFound
	}
	var r Record
	if len(b) == stateBytes {
		copy(r.Incarnation[:], b[8:])
		r.Sealed = binary.BigEndian.Uint64(b[24:])
	}
	// Comparing with what would be written checks magic, size and sum at once.
	if !bytes.Equal(r.encode(), b) {
		return Record{}, fmt.Errorf("record is not what was written: %w", core.ErrCorrupt)
	}
	return r, nil
}
