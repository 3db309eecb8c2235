package log

import (
	"encoding/binary"

	"github.com/soma-sdk/soma/internal/core"
)

// AppendFrame appends the wire form of an entry to dst: a CBOR array of its
// header, ops and signature. It does not look into them.
func AppendFrame(dst []byte, raw core.Entry) []byte {
	dst = append(dst, majorArray<<5|3)
	dst = appendBytes(dst, raw.Header)
	dst = appendBytes(dst, raw.Ops)
	return appendBytes(dst, raw.Sig)
}

// appendBytes appends a byte string without the copies a general encoder makes.
func appendBytes(dst, b []byte) []byte {
	const major = majorBytes << 5
	switch n := uint64(len(b)); { // not int, of which 1<<32 is none everywhere
	case n < 24:
		dst = append(dst, major|byte(n))
	case n < 1<<8:
		dst = append(dst, major|24, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n < 1<<32:
		dst = binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, major|27), uint64(n))
	}
	return append(dst, b...)
}

// DecodeFrame reads a frame that b consists of. The entry's slices alias b.
// Errors are RejectedErrors. The parts are within their limits; Decode reads them.
func DecodeFrame(b []byte) (core.Entry, error) {
	s := &scanner{b: b}
	s.arrayOf(3)
	raw := core.Entry{Header: s.bytes(), Ops: s.bytes(), Sig: s.fixed(signatureBytes)}
	if err := s.end(); err != nil {
		return core.Entry{}, err
	}
	switch {
	case len(raw.Header) > MaxHeaderBytes:
		return core.Entry{}, reject(ReasonHeaderTooLarge, "%d bytes, at most %d are allowed", len(raw.Header), MaxHeaderBytes)
	case len(raw.Ops) > MaxOpsBytes:
		return core.Entry{}, reject(ReasonOpsTooLarge, "%d bytes, at most %d are allowed", len(raw.Ops), MaxOpsBytes)
	}
	return raw, nil
}
