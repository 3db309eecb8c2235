package core

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash is the sha2-256 digest of an entry's header bytes. It names the entry.
type Hash [sha256.Size]byte

// IsZero reports whether h names no entry.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash parses the text that String returns, or returns ErrInvalidID.
func ParseHash(s string) (h Hash, err error) {
	if len(s) != hex.EncodedLen(len(h)) || strings.ToLower(s) != s {
		return Hash{}, fmt.Errorf("hash of %d characters: %w", len(s), ErrInvalidID)
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("hash: %w", ErrInvalidID)
	}
	return h, nil
}

// WriterID is hash(peer ID, incarnation): one member writing from one copy of
// one directory.
type WriterID [sha256.Size]byte

// String returns the ID in lower-case hex.
func (w WriterID) String() string { return hex.EncodeToString(w[:]) }

// WriterDigits is how many hex digits a writer has.
const WriterDigits = 2 * len(WriterID{})

// Digit returns the hex digit at a depth, from 0 to 15.
func (w WriterID) Digit(depth int) byte {
	if depth%2 == 0 {
		return w[depth/2] >> 4
	}
	return w[depth/2] & 15
}

// InviteID names an invite: the Ed25519 public key whose private half its ticket
// holds.
type InviteID [32]byte

// String returns the ID in lower-case hex.
func (i InviteID) String() string { return hex.EncodeToString(i[:]) }

// Chain tells the two chains of a writer apart.
type Chain uint8

// The chains of a writer. Each counts its own seq from 1.
const (
	ChainMembership Chain = 0
	ChainContent    Chain = 1
)

// ChainID names a chain of a writer. Chains are in order of writer, then chain.
type ChainID struct {
	Writer WriterID
	Chain  Chain
}

// Compare returns -1, 0 or 1.
func (c ChainID) Compare(o ChainID) int {
	return cmp.Or(bytes.Compare(c.Writer[:], o.Writer[:]), cmp.Compare(c.Chain, o.Chain))
}

// Entry is a signed entry as it travels and as it is stored: the header, the
// ops beside it, and the signature over the header. Package log reads it.
type Entry struct {
	Header []byte
	Ops    []byte
	Sig    []byte
}

// Hash returns the hash that names the entry.
func (e Entry) Hash() Hash { return sha256.Sum256(e.Header) }

// Size returns what the entry costs to hold or to send, in bytes.
func (e Entry) Size() int { return len(e.Header) + len(e.Ops) + len(e.Sig) }
