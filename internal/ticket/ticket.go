// Package ticket is the text form of an invitation to a space: what one person
// sends another.
//
//	ticket = "soma1." base64url(body checksum)          without padding
//	body   = CBOR [space, seed, role, expiresMs, [address, ...]]
//
// where space is the hash of the space's genesis, seed makes the invite's Ed25519
// key, and checksum is the first four bytes of sha2-256("soma1." body). Whoever has
// the text can join: it is a secret. The digit is the version.
package ticket

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
)

// The limits of a ticket.
const (
	MaxBytes        = 8 << 10 // of the text
	MaxAddresses    = 16
	MaxAddressBytes = 256
)

const (
	prefix        = "soma1."
	checksumBytes = 4
	maxCounter    = 1<<53 - 1
)

// Ticket is what a ticket says.
type Ticket struct {
	Space     core.SpaceID
	Seed      [ed25519.SeedSize]byte
	Role      uint8    // that the invite gives, for showing
	ExpiresMs uint64   // in ms since 1970, 0 for never
	Addresses []string // where the space can be had, in the form of the network
}

// Key returns the private key of the invite.
func (t Ticket) Key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(t.Seed[:]) }

// Invite returns the invite that the ticket belongs to.
func (t Ticket) Invite() core.InviteID {
	return core.InviteID(t.Key().Public().(ed25519.PublicKey))
}

// wire is a ticket's body as it is encoded.
type wire struct {
	_         struct{} `cbor:",toarray"`
	Space     []byte
	Seed      []byte
	Role      uint8
	ExpiresMs uint64
	Addresses []string
}

var encoding, decoding = modes()

// modes returns how bodies are written and read: strictly, and within small bounds.
func modes() (cbor.EncMode, cbor.DecMode) {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty
	enc, err := opts.EncMode()
	if err != nil { // unreachable: the options are constant
		panic(err)
	}
	dec, err := cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8RejectInvalid,
		MaxNestedLevels: 4, MaxArrayElements: 16,
	}.DecMode()
	if err != nil { // unreachable, as above
		panic(err)
	}
	return enc, dec
}

// Encode returns the text of a ticket.
func (t Ticket) Encode() (string, error) {
	space, err := t.Space.Hash()
	if err != nil {
		return "", err
	}
	if err := t.check(); err != nil {
		return "", err
	}
	body, err := encoding.Marshal(wire{Space: space[:], Seed: t.Seed[:], Role: t.Role, ExpiresMs: t.ExpiresMs, Addresses: t.Addresses})
	if err != nil {
		return "", fmt.Errorf("encode ticket: %w", err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(append(body, checksum(body)...)), nil
}

// Parse reads the text of a ticket; space around it is dropped. What is none is
// core.ErrInvalidTicket.
func Parse(text string) (Ticket, error) {
	if len(text) > MaxBytes {
		return Ticket{}, fmt.Errorf("%d bytes, at most %d are allowed: %w", len(text), MaxBytes, core.ErrInvalidTicket)
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), prefix)
	if !ok {
		return Ticket{}, fmt.Errorf("does not begin with %q: %w", prefix, core.ErrInvalidTicket)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(b) < checksumBytes {
		return Ticket{}, fmt.Errorf("not base64url: %w", core.ErrInvalidTicket)
	}
	body, sum := b[:len(b)-checksumBytes], b[len(b)-checksumBytes:]
	if !bytes.Equal(sum, checksum(body)) {
		return Ticket{}, fmt.Errorf("checksum does not match, it was not copied whole: %w", core.ErrInvalidTicket)
	}
	return decode(body)
}

func decode(body []byte) (Ticket, error) {
	var w wire
	if err := decoding.Unmarshal(body, &w); err != nil {
		return Ticket{}, fmt.Errorf("%w: %w", core.ErrInvalidTicket, err)
	}
	t := Ticket{Role: w.Role, ExpiresMs: w.ExpiresMs, Addresses: w.Addresses}
	if len(w.Space) != len(core.Hash{}) || len(w.Seed) != len(t.Seed) {
		return Ticket{}, fmt.Errorf("wrong length of a field: %w", core.ErrInvalidTicket)
	}
	t.Space = core.SpaceIDFromHash(core.Hash(w.Space))
	copy(t.Seed[:], w.Seed)
	if len(t.Addresses) == 0 {
		t.Addresses = nil
	}
	return t, t.check()
}

func (t Ticket) check() error {
	switch {
	case t.ExpiresMs > maxCounter:
		return fmt.Errorf("expires at %d: %w", t.ExpiresMs, core.ErrInvalidTicket)
	case len(t.Addresses) > MaxAddresses:
		return fmt.Errorf("%d addresses, at most %d are allowed: %w", len(t.Addresses), MaxAddresses, core.ErrInvalidTicket)
	}
	for _, a := range t.Addresses {
		if a == "" || len(a) > MaxAddressBytes || !utf8.ValidString(a) {
			return fmt.Errorf("address of %d bytes: %w", len(a), core.ErrInvalidTicket)
		}
	}
	return nil
}

func checksum(body []byte) []byte {
	sum := sha256.New()
	sum.Write([]byte(prefix))
	sum.Write(body)
	return sum.Sum(nil)[:checksumBytes]
}
