package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/soma-sdk/soma/internal/core"
)

// The database header, https://www.sqlite.org/fileformat2.html#the_database_header.
const (
	headerSize  = 100
	headerMagic = "SQLite format 3\x00"
)

// found is what the files say before SQLite opens them.
type found struct {
	exists        bool
	applicationID uint32
	userVersion   uint32
}

// inspect reads the database file and its log and refuses what is not a whole
// SQLite database. SQLite itself would create, replay or truncate files to find
// that out. It must run before any connection of this process is open: closing
// a file drops the locks that SQLite holds on it. The directory's lock sees to that.
func inspect(path string) (found, error) {
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return found{}, err
	}
	if err != nil {
		return found{}, inspectMissing(path)
	}
	if !info.Mode().IsRegular() {
		return found{}, fmt.Errorf("not a regular file: %w", core.ErrNotDatabase)
	}
	if info.Size() == 0 { // what create makes has its pages before it has its name
		return found{}, fmt.Errorf("file is empty: %w", core.ErrCorrupt)
	}
	h, err := readHeader(path)
	if err != nil {
		return found{}, err
	}
	pageSize, err := h.pageSize()
	if err != nil {
		return found{}, err
	}
	filePages := uint32(info.Size() / int64(pageSize))
	wal, err := readWAL(path+"-wal", pageSize, filePages)
	if err != nil {
		return found{}, err
	}
	if wal.pages > 0 {
		h = wal.header(h)
	} else {
		wal.pages = h.pages()
	}
	if h.applicationID() != applicationID {
		return found{}, fmt.Errorf("application id is %#x: %w", h.applicationID(), core.ErrNotDatabase)
	}
	if missing := int64(wal.pages) - int64(filePages) - int64(len(wal.beyond)); missing > 0 {
		return found{}, fmt.Errorf("%d of %d pages are missing: %w", missing, wal.pages, core.ErrCorrupt)
	}
	return found{exists: true, applicationID: h.applicationID(), userVersion: h.userVersion()}, nil
}

// inspectMissing refuses to start afresh beside a log: SQLite would delete it,
// and it may hold the newest data of a database that was moved away.
func inspectMissing(path string) error {
	info, err := os.Stat(path + "-wal")
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("database is missing, its log is not: %w", core.ErrCorrupt)
}

// header is the first headerSize bytes of a database.
type header []byte

// readHeader also finds out whether the file can be written: SQLite would open one
// that cannot be, and leave a log beside it that nobody can write either.
func readHeader(path string) (header, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	h := make(header, headerSize)
	n, err := io.ReadFull(f, h)
	if err := closing(f, nil); err != nil {
		return nil, err
	}
	switch {
	case n < len(headerMagic) || string(h[:len(headerMagic)]) != headerMagic:
		return nil, fmt.Errorf("not SQLite's format: %w", core.ErrNotDatabase)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("header is cut off: %w", core.ErrCorrupt)
	}
	return h, err
}

func (h header) pageSize() (int, error) {
	n := int(binary.BigEndian.Uint16(h[16:]))
	if n == 1 {
		n = 65536
	}
	if n < 512 || n&(n-1) != 0 {
		return 0, fmt.Errorf("page size is %d: %w", n, core.ErrCorrupt)
	}
	return n, nil
}

// pages returns the database's size, or 0 when the header does not know it.
func (h header) pages() uint32 {
	if binary.BigEndian.Uint32(h[24:]) != binary.BigEndian.Uint32(h[92:]) {
		return 0
	}
	return binary.BigEndian.Uint32(h[28:])
}

func (h header) userVersion() uint32   { return binary.BigEndian.Uint32(h[60:]) }
func (h header) applicationID() uint32 { return binary.BigEndian.Uint32(h[68:]) }

// The write-ahead log, https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
const (
	walHeaderSize  = 32
	frameHeader    = 24
	walMagic       = 0x377f0682 // the lowest bit says big-endian checksums
	walFileVersion = 3007000
)

// walState is what the committed part of a log changes about the database.
type walState struct {
	pages  uint32          // size of the database; 0 for an empty log
	first  []byte          // header on the newest page 1; nil if the log has none
	beyond map[uint32]bool // pages past the end of the database file that the log holds
}

func (w walState) header(main header) header {
	if w.first == nil {
		return main
	}
	return w.first
}

// readWAL follows the log as SQLite's recovery does: frames count while salt
// and running checksum fit, up to the last one that commits.
func readWAL(path string, pageSize int, filePages uint32) (walState, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return walState{}, nil
	}
	if err != nil {
		return walState{}, err
	}
	w, err := scanWAL(bufio.NewReaderSize(f, 1<<20), pageSize, filePages)
	return w, closing(f, err)
}

func scanWAL(r io.Reader, pageSize int, filePages uint32) (walState, error) {
	committed := walState{beyond: make(map[uint32]bool)}
	head := make([]byte, walHeaderSize)
	if ok, err := readWhole(r, head); !ok {
		return committed, err
	}
	magic := binary.BigEndian.Uint32(head)
	if magic&^1 != walMagic || binary.BigEndian.Uint32(head[4:]) != walFileVersion || binary.BigEndian.Uint32(head[8:]) != uint32(pageSize) {
		return committed, nil
	}
	sum := walSum{order: binary.LittleEndian}
	if magic&1 == 1 {
		sum.order = binary.BigEndian
	}
	if sum.add(head[:24]); !sum.matches(head[24:]) {
		return committed, nil
	}

	frame := make([]byte, frameHeader+pageSize)
	var first []byte
	var beyond []uint32
	for {
		if ok, err := readWhole(r, frame); !ok {
			return committed, err
		}
		if string(frame[8:16]) != string(head[16:24]) { // salt of an older run of the log
			return committed, nil
		}
		sum.add(frame[:8])
		if sum.add(frame[frameHeader:]); !sum.matches(frame[16:]) {
			return committed, nil
		}
		page := binary.BigEndian.Uint32(frame)
		if page == 1 {
			first = append([]byte(nil), frame[frameHeader:frameHeader+headerSize]...)
		}
		if page > filePages {
			beyond = append(beyond, page)
		}
		if size := binary.BigEndian.Uint32(frame[4:]); size != 0 {
			committed.commit(size, first, beyond)
			first, beyond = nil, nil
		}
	}
}

func (w *walState) commit(size uint32, first []byte, beyond []uint32) {
	w.pages = size
	if first != nil {
		w.first = first
	}
	for _, page := range beyond {
		w.beyond[page] = true
	}
	for page := range w.beyond {
		if page > size { // the database shrank since
			delete(w.beyond, page)
		}
	}
}

// readWhole fills b, or reports false at the end of the log or on an error.
func readWhole(r io.Reader, b []byte) (bool, error) {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}

// walSum is the log's running checksum.
type walSum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (s *walSum) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		s.s0 += s.order.Uint32(b) + s.s1
		s.s1 += s.order.Uint32(b[4:]) + s.s0
	}
}

func (s *walSum) matches(b []byte) bool {
	return binary.BigEndian.Uint32(b) == s.s0 && binary.BigEndian.Uint32(b[4:]) == s.s1
}
