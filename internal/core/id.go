package core

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// MaxIDBytes bounds every identifier a host chooses, in UTF-8 bytes.
const MaxIDBytes = 128

// SpaceID names a space: the CIDv1 (dag-cbor, sha2-256, lower-case base32) of
// the header of its genesis entry. It is minted by the library, so it is a type
// of its own.
type SpaceID string

// DocumentID names a document inside a space. Hosts choose it, so it is a plain
// string: printable UTF-8, 1 to MaxIDBytes bytes.
type DocumentID = string

// CheckID reports ErrInvalidID unless id is non-empty printable UTF-8 of at
// most MaxIDBytes bytes. The space U+0020 counts as printable; other white space,
// control, invisible and private-use characters do not.
func CheckID(kind, id string) error { return checkText(kind, id, MaxIDBytes) }

// MaxKeyBytes bounds the key of a record, which may be made of two IDs.
const MaxKeyBytes = 2 * MaxIDBytes

// CheckKey is CheckID for the key of a record, of at most MaxKeyBytes bytes.
func CheckKey(key string) error { return checkText("key", key, MaxKeyBytes) }

func checkText(kind, id string, limit int) error {
	switch {
	case id == "":
		return fmt.Errorf("%s is empty: %w", kind, ErrInvalidID)
	case len(id) > limit:
		return fmt.Errorf("%s has %d bytes, at most %d are allowed: %w", kind, len(id), limit, ErrInvalidID)
	case !utf8.ValidString(id):
		return fmt.Errorf("%s is not UTF-8: %w", kind, ErrInvalidID)
	}
	if i := strings.IndexFunc(id, unprintable); i >= 0 {
		return fmt.Errorf("%s has an unprintable character at byte %d: %w", kind, i, ErrInvalidID)
	}
	return nil
}

// unprintable lists code points rather than asking package unicode, whose answer
// changes with the Unicode version of the Go release: this rule decides which
// entries are admissible, so all builds must agree on it for ever.
func unprintable(r rune) bool {
	for _, u := range [...]struct{ first, last rune }{
		{0x0000, 0x001F},    // C0 controls
		{0x007F, 0x00A0},    // DEL, C1 controls, no-break space
		{0x00AD, 0x00AD},    // soft hyphen
		{0x061C, 0x061C},    // Arabic letter mark
		{0x1680, 0x1680},    // Ogham space
		{0x180E, 0x180E},    // Mongolian vowel separator
		{0x2000, 0x200F},    // spaces, zero width characters, directional marks
		{0x2028, 0x202F},    // line separators, directional marks, narrow space
		{0x205F, 0x206F},    // mathematical space, invisible operators, directional marks
		{0x3000, 0x3000},    // ideographic space
		{0xE000, 0xF8FF},    // private use
		{0xFDD0, 0xFDEF},    // noncharacters
		{0xFEFF, 0xFEFF},    // byte order mark
		{0xFFF0, 0xFFFB},    // specials
		{0xE0000, 0xE00FF},  // tags
		{0xF0000, 0x10FFFF}, // private use
	} {
		if r >= u.first && r <= u.last {
			return true
		}
	}
	return r&0xFFFE == 0xFFFE // noncharacters at the end of each plane
}

// spaceIDPrefix is what every space ID has in common: CIDv1, dag-cbor, sha2-256.
var spaceIDPrefix = cid.Prefix{Version: 1, Codec: cid.DagCBOR, MhType: multihash.SHA2_256, MhLength: 32}

// SpaceIDFromHash returns the ID of the space whose genesis header has the hash.
func SpaceIDFromHash(h Hash) SpaceID {
	mh, err := multihash.Encode(h[:], multihash.SHA2_256)
	if err != nil { // unreachable: 32 bytes are a sha2-256 digest
		panic(err)
	}
	return SpaceID(cid.NewCidV1(cid.DagCBOR, mh).String())
}

// Hash returns the hash of the genesis header that id names, or ErrInvalidID
// when id is not the canonical text of such a CID.
func (id SpaceID) Hash() (Hash, error) {
	if err := CheckID("space id", string(id)); err != nil {
		return Hash{}, err
	}
	c, err := cid.Decode(string(id))
	if err != nil || c.Prefix() != spaceIDPrefix || c.String() != string(id) {
		return Hash{}, fmt.Errorf("space id %q: %w", string(id), ErrInvalidID)
	}
	var h Hash
	copy(h[:], c.Hash()[2:])
	return h, nil
}

// peerPrefix is the protobuf and identity-multihash prefix of an Ed25519 key in
// libp2p's peer ID format (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md).
const peerPrefix = "\x00\x24\x08\x01\x12\x20"

// PeerID is a member's Ed25519 public key. Its text and its bytes are those of
// libp2p, without linking libp2p. The zero PeerID names nobody.
type PeerID struct{ key [ed25519.PublicKeySize]byte }

// PeerIDFromKey returns the PeerID of a public key of ed25519.PublicKeySize bytes.
func PeerIDFromKey(pub ed25519.PublicKey) PeerID {
	var p PeerID
	copy(p.key[:], pub)
	return p
}

// PeerIDFromBytes parses the 38 bytes that Bytes returns.
func PeerIDFromBytes(b []byte) (PeerID, error) {
	if len(b) != len(peerPrefix)+ed25519.PublicKeySize || string(b[:len(peerPrefix)]) != peerPrefix {
		return PeerID{}, fmt.Errorf("peer id of %d bytes: %w", len(b), ErrInvalidID)
	}
	return PeerIDFromKey(b[len(peerPrefix):]), nil
}

// ParsePeerID parses the text that String returns ("12D3KooW...").
func ParsePeerID(s string) (PeerID, error) {
	if len(s) > MaxIDBytes { // base58 is quadratic: bound it before decoding
		return PeerID{}, fmt.Errorf("peer id of %d bytes: %w", len(s), ErrInvalidID)
	}
	mh, err := multihash.FromB58String(s)
	if err != nil {
		return PeerID{}, fmt.Errorf("peer id %q: %w", s, ErrInvalidID)
	}
	p, err := PeerIDFromBytes(mh)
	if err == nil && p.String() != s {
		return PeerID{}, fmt.Errorf("peer id %q: %w", s, ErrInvalidID)
	}
	return p, err
}

// Key returns the public key. The caller owns the slice.
func (p PeerID) Key() ed25519.PublicKey { return append(ed25519.PublicKey(nil), p.key[:]...) }

// Bytes returns the binary form: libp2p's prefix and the key.
func (p PeerID) Bytes() []byte { return append([]byte(peerPrefix), p.key[:]...) }

// Compare orders peers by their keys.
func (p PeerID) Compare(o PeerID) int { return bytes.Compare(p.key[:], o.key[:]) }

// IsZero reports whether p names nobody.
func (p PeerID) IsZero() bool { return p == PeerID{} }

// String returns libp2p's base58 text, or "" for the zero PeerID.
func (p PeerID) String() string {
	if p.IsZero() {
		return ""
	}
	return multihash.Multihash(p.Bytes()).B58String()
}

// MarshalText implements encoding.TextMarshaler.
func (p PeerID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PeerID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = PeerID{}
		return nil
	}
	parsed, err := ParsePeerID(string(b))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}
