package identity

import (
	"encoding/binary"
	"fmt"
)

// Mark tells a file from its copies: the device, the inode and the time of
// birth, each as 8 bytes, big-endian, and zero where the system does not tell.
// A copy has another mark. An unequal mark need not be a copy, as devices are
// numbered anew at times; the cost is one incarnation.
//
// Marks are compared with ==. The zero Mark, of systems that tell nothing,
// equals itself, so there Record.Ahead alone finds restored databases.
type Mark [24]byte

// MarkOf returns the mark of a file, following links. A database keeps its mark
// as long as it is written in place, as SQLite does, also for VACUUM.
func MarkOf(path string) (Mark, error) {
	m, err := markOf(path)
	if err != nil {
		return Mark{}, fmt.Errorf("read mark of %s: %w", path, err)
	}
	return m, nil
}

// ParseMark returns the mark that was kept as bytes, m[:]. Other bytes give
// false: what cannot be compared counts as different.
func ParseMark(b []byte) (Mark, bool) {
	var m Mark
	return m, copy(m[:], b) == len(m) && len(b) == len(m)
}

func newMark(device, inode, birthNs uint64) Mark {
	var m Mark
	binary.BigEndian.PutUint64(m[0:], device)
	binary.BigEndian.PutUint64(m[8:], inode)
	binary.BigEndian.PutUint64(m[16:], birthNs)
	return m
}
