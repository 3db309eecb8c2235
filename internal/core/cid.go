package core

import (
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// CID names bytes: a CIDv1 (raw, sha2-256) in its canonical text, lower-case base32. It
// is what multiformats makes of the same bytes in JavaScript.
type CID string

// maxCIDBytes bounds what is looked at as a CID. The text of a valid one has 59 bytes.
const maxCIDBytes = 128

var blobPrefix = cid.Prefix{Version: 1, Codec: cid.Raw, MhType: multihash.SHA2_256, MhLength: 32}

// CIDFromHash returns the CID of the bytes with a sha2-256 hash.
func CIDFromHash(h Hash) CID {
	mh, err := multihash.Encode(h[:], multihash.SHA2_256)
	if err != nil { // unreachable: 32 bytes are a sha2-256 digest
		panic(err)
	}
	return CID(cid.NewCidV1(cid.Raw, mh).String())
}

// Hash returns the sha2-256 hash that a CID holds, or ErrInvalidCID for any other codec or
// hash, and for any other spelling of a CID than the canonical one.
func (c CID) Hash() (h Hash, err error) {
	if len(c) > maxCIDBytes {
		return h, fmt.Errorf("cid of %d bytes: %w", len(c), ErrInvalidCID)
	}
	parsed, err := cid.Decode(string(c))
	if err != nil || parsed.Prefix() != blobPrefix || parsed.String() != string(c) {
		return h, fmt.Errorf("cid %q: %w", string(c), ErrInvalidCID)
	}
	copy(h[:], parsed.Hash()[2:])
	return h, nil
}
