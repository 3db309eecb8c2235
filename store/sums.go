package store

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/soma-sdk/soma/internal/core"
)

// Entries are signed, and most other rows follow from them. What does neither has a
// checksum in its row.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is the checksum of the fields of a row, which their sizes keep apart.
func sumOf(fields ...[]byte) int64 {
	var sum uint32
	var size [8]byte
	for _, f := range fields {
		binary.BigEndian.PutUint64(size[:], uint64(len(f)))
		sum = crc32.Update(crc32.Update(sum, castagnoli, size[:]), castagnoli, f)
	}
	return int64(sum)
}

func sumOfTail(doc int64, rec core.TailRecord) int64 {
	var key [16]byte
	binary.BigEndian.PutUint64(key[:], uint64(doc))
	binary.BigEndian.PutUint64(key[8:], uint64(rec.N))
	return sumOf(key[:], rec.OpID, rec.Update)
}

func sumOfEarly(doc int64, update []byte) int64 {
	return sumOf(binary.BigEndian.AppendUint64(nil, uint64(doc)), update)
}

func sumOfJoining(space core.SpaceID, ticket []byte) int64 { return sumOf([]byte(space), ticket) }
