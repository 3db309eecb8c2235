package wire

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Limits of entries in frames.
const (
	// EntriesBytes is what the entries of a frame sum up to at most, unless there is one.
	EntriesBytes = 256 << 10
	// MaxEntries bounds how many entries a frame has.
	MaxEntries = 4096
	// MaxEntriesFrame bounds a frame of entries.
	MaxEntriesFrame = max(log.MaxFrameBytes, EntriesBytes+MaxEntries*entryOverhead) + 64
	// entryOverhead is what a message adds to an entry at most.
	entryOverhead = 1 + 3 + 5 + 2
)

// Tag names a space between two peers (package share).
type Tag [16]byte

// Digest16 is the beginning of the digest of a space's log.
type Digest16 [16]byte

// Shorten returns the beginning of a digest.
func Shorten(h core.Hash) Digest16 { return Digest16(h[:16]) }

// Entry is a core.Entry as it is sent.
type Entry struct {
	_      struct{} `cbor:",toarray"`
	Header []byte
	Ops    []byte
	Sig    []byte
}

// Size returns what the entry counts, as core.Entry.Size does.
func (e Entry) Size() int { return len(e.Header) + len(e.Ops) + len(e.Sig) }

// FromCore returns entries as they are sent.
func FromCore(entries []core.Entry) []Entry {
	out := make([]Entry, len(entries))
	for i, e := range entries {
		out[i] = Entry{Header: e.Header, Ops: e.Ops, Sig: e.Sig}
	}
	return out
}

// ToCore returns sent entries as entries.
func ToCore(entries []Entry) []core.Entry {
	out := make([]core.Entry, len(entries))
	for i, e := range entries {
		out[i] = core.Entry{Header: e.Header, Ops: e.Ops, Sig: e.Sig}
	}
	return out
}

// CheckEntries returns an error unless entries may be in one frame.
func CheckEntries(entries []Entry) error {
	if len(entries) == 0 || len(entries) > MaxEntries {
		return Excess("%d entries in a frame", len(entries))
	}
	size := 0
	for _, e := range entries {
		one := e.Size()
		if one > log.MaxEntryBytes {
			return Excess("an entry of %d bytes", one)
		}
		size += one
	}
	if size > EntriesBytes && len(entries) > 1 {
		return Excess("%d bytes of entries in a frame", size)
	}
	return nil
}

// Split cuts entries into runs of up to most bytes, unless there is one, that may each be in
// one frame. most is at most EntriesBytes.
func Split(entries []core.Entry, most int) [][]core.Entry {
	var runs [][]core.Entry
	start, size := 0, 0
	for i, e := range entries {
		if i > start && (size+e.Size() > most || i-start == MaxEntries) {
			runs = append(runs, entries[start:i])
			start, size = i, 0
		}
		size += e.Size()
	}
	if start < len(entries) {
		runs = append(runs, entries[start:])
	}
	return runs
}
