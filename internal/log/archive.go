package log

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// An archive is the entries of one space as a stream:
//
//	"soma-archive-v1\n"
//	record: CBOR [1, hash of the genesis]
//	record: the frame of an entry, for each entry in causal order
//	length 0
//	record: CBOR [number of entries, sha2-256 of all bytes before this record]
//
// where a record is a length of four bytes, big-endian, and so many bytes.
const (
	archiveMagic   = "soma-archive-v1\n"
	archiveVersion = 1
	// maxArchiveHead bounds the first and the last record.
	maxArchiveHead = 64
	// archiveStep is how much is allocated before the first byte of it was seen.
	archiveStep = 16 << 10
)

// ArchiveWriter writes an archive. It is for one goroutine.
type ArchiveWriter struct {
	w     io.Writer
	sum   hash.Hash
	count uint64
	buf   []byte
	err   error // the first one sticks: a stream with a hole is no archive
}

// NewArchiveWriter starts an archive of the space on w. The caller must Close
// it, and close w if need be.
func NewArchiveWriter(w io.Writer, space core.SpaceID) (*ArchiveWriter, error) {
	genesis, err := space.Hash()
	if err != nil {
		return nil, fmt.Errorf("write archive of space %s: %w", space, err)
	}
	a := &ArchiveWriter{w: w, sum: sha256.New()}
	a.write([]byte(archiveMagic))
	a.record(appendBytes(append(make([]byte, 0, maxArchiveHead), majorArray<<5|2, archiveVersion), genesis[:]))
	return a, a.result()
}

// Write adds an entry. Entries come in causal order: none before one it cites.
func (a *ArchiveWriter) Write(raw core.Entry) error {
	if a.err == nil && (len(raw.Header) > MaxHeaderBytes || len(raw.Ops) > MaxOpsBytes || len(raw.Sig) != signatureBytes) {
		return fmt.Errorf("write entry %s to archive: %w", raw.Hash(), core.ErrInvalidEntry)
	}
	// The frame lies behind its own length, so that one call writes both.
	a.buf = AppendFrame(append(a.buf[:0], 0, 0, 0, 0), raw)
	binary.BigEndian.PutUint32(a.buf, uint32(len(a.buf)-4))
	a.write(a.buf)
	a.count++
	return a.result()
}

// Close writes the trailer, without which the archive is refused.
func (a *ArchiveWriter) Close() error {
	if errors.Is(a.err, core.ErrClosed) {
		return nil
	}
	a.write([]byte{0, 0, 0, 0})
	trailer, err := encoding.Marshal([]any{a.count, a.sum.Sum(nil)})
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	a.record(trailer)
	if err := a.result(); err != nil {
		return err
	}
	a.err = core.ErrClosed
	return nil
}

func (a *ArchiveWriter) record(b []byte) {
	a.write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	a.write(b)
}

func (a *ArchiveWriter) write(b []byte) {
	if a.err != nil {
		return
	}
	_, a.err = a.w.Write(b)
	a.sum.Write(b)
}

func (a *ArchiveWriter) result() error {
	if a.err != nil {
		return fmt.Errorf("write archive: %w", a.err)
	}
	return nil
}

// ArchiveReader reads an archive and holds one entry at a time. It is for one goroutine.
type ArchiveReader struct {
	r     *bufio.Reader // may read ahead: nothing follows an archive
	sum   hash.Hash
	count uint64
	space core.Hash
	err   error // the first one sticks, io.EOF too
}

// NewArchiveReader reads the start of an archive. What is no archive is
// core.ErrInvalidArchive; errors of r other than its end are returned as such.
func NewArchiveReader(r io.Reader) (*ArchiveReader, error) {
	a := &ArchiveReader{r: bufio.NewReader(r), sum: sha256.New()}
	if err := a.start(); err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return a, nil
}

func (a *ArchiveReader) start() error {
	magic, err := a.read(len(archiveMagic))
	if err != nil {
		return err
	}
	if string(magic) != archiveMagic {
		return fmt.Errorf("no archive of this version: %w", core.ErrInvalidArchive)
	}
	head, err := a.record(maxArchiveHead)
	if err != nil {
		return err
	}
	s := &scanner{b: head}
	s.arrayOf(2)
	version := s.uint()
	copy(a.space[:], s.fixed(hashBytes))
	switch err := s.end(); {
	case err != nil:
		return invalidArchive("header", err)
	case version != archiveVersion:
		return fmt.Errorf("version %d: %w", version, core.ErrInvalidArchive)
	}
	return nil
}

// Space returns the space that the archive says it holds. Entries are not
// checked against it.
func (a *ArchiveReader) Space() core.SpaceID { return core.SpaceIDFromHash(a.space) }

// Next returns the next entry, which belongs to the caller, or io.EOF at the
// end of a whole archive. Entries are given out before the end is seen, so a
// truncated archive shows as core.ErrInvalidArchive after its last entry. What
// an entry says is for Decode and Admit to judge.
func (a *ArchiveReader) Next() (core.Entry, error) {
	if a.err != nil {
		return core.Entry{}, a.err
	}
	raw, err := a.next()
	if err != nil {
		a.err = err
		if err != io.EOF { //nolint:errorlint // our own, never wrapped
			a.err = fmt.Errorf("read archive after %d entries: %w", a.count, err)
		}
		return core.Entry{}, a.err
	}
	a.count++
	return raw, nil
}

func (a *ArchiveReader) next() (core.Entry, error) {
	frame, err := a.record(MaxFrameBytes)
	if err != nil {
		return core.Entry{}, err
	}
	if len(frame) == 0 {
		return core.Entry{}, a.finish()
	}
	raw, err := DecodeFrame(frame)
	if err != nil {
		return core.Entry{}, invalidArchive("entry", err)
	}
	return raw, nil
}

// finish checks the trailer and returns io.EOF if all is well.
func (a *ArchiveReader) finish() error {
	sum := a.sum.Sum(nil)
	trailer, err := a.record(maxArchiveHead)
	if err != nil {
		return err
	}
	s := &scanner{b: trailer}
	s.arrayOf(2)
	count := s.uint()
	want := s.fixed(sha256.Size)
	switch err := s.end(); {
	case err != nil:
		return invalidArchive("trailer", err)
	case count != a.count:
		return fmt.Errorf("trailer counts %d entries: %w", count, core.ErrInvalidArchive)
	case !bytes.Equal(sum, want):
		return fmt.Errorf("checksum does not match: %w", core.ErrInvalidArchive)
	}
	switch _, err := a.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("bytes after the trailer: %w", core.ErrInvalidArchive)
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return err
	}
}

// record reads a length, which is at most limit, and so many bytes.
func (a *ArchiveReader) record(limit int) ([]byte, error) {
	length, err := a.read(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length)
	if n > uint32(limit) {
		return nil, fmt.Errorf("record of %d bytes, at most %d are allowed: %w", n, limit, core.ErrInvalidArchive)
	}
	return a.read(int(n))
}

// read returns the next n bytes. It grows with what is there rather than
// trusting n, so a short input costs little whatever lengths it claims.
func (a *ArchiveReader) read(n int) ([]byte, error) {
	var b []byte
	for len(b) < n {
		start := len(b)
		step := min(n-start, max(start, archiveStep))
		b = slices.Grow(b, step)[:start+step]
		if _, err := io.ReadFull(a.r, b[start:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("input ends: %w", core.ErrInvalidArchive)
		} else if err != nil {
			return nil, err
		}
	}
	a.sum.Write(b)
	return b, nil
}

// invalidArchive makes err one about the archive: an entry that cannot be read
// means that the archive is damaged, not that its author did wrong.
func invalidArchive(part string, err error) error {
	return fmt.Errorf("%s: %v: %w", part, detail(err), core.ErrInvalidArchive)
}
