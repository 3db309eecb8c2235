package collection

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// A row remembers the version keys that it had: the first seenSize bytes of their SHA-256,
// the oldest first. A window that writes back what it once read is told by them from one
// that writes something new.
const (
	seenSize = 8
	maxSeen  = 64
)

// remember adds a version key to what a row has seen. The slice given is not changed.
func remember(seen []byte, versionKey string) []byte {
	sum := sha256.Sum256([]byte(versionKey))
	if excess := len(seen) + seenSize - maxSeen*seenSize; excess > 0 {
		seen = seen[excess:]
	}
	return append(bytes.Clone(seen), sum[:seenSize]...)
}

// hasSeen reports whether versionKey is among those that seen remembers.
func hasSeen(seen []byte, versionKey string) bool {
	sum := sha256.Sum256([]byte(versionKey))
	for ; len(seen) >= seenSize; seen = seen[seenSize:] {
		if bytes.Equal(seen[:seenSize], sum[:seenSize]) {
			return true
		}
	}
	return false
}

// newVersionKey returns a random UUID (RFC 9562, version 4).
func newVersionKey() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, says crypto/rand
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	for i, at := range [...]int{8, 13, 18, 23} {
		text[at] = '-'
		from := 4 + 2*i
		hex.Encode(text[at+1:], id[from:min(from+2+4*(i/3), 16)])
	}
	return string(text[:])
}
