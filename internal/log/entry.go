package log

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/soma-sdk/soma/internal/core"
)

// Entry is an entry that was read. Nothing in it may be changed: Header and Ops
// say what Raw says, and parts of them alias it.
type Entry struct {
	Header
	Ops    []Op
	Hash   core.Hash
	Writer core.WriterID
	Raw    core.Entry

	verified bool // the signature was found right
}

// SpaceHash returns the hash of the space's genesis: the entry's own in a genesis.
func (e *Entry) SpaceHash() core.Hash {
	if e.IsGenesis() {
		return e.Hash
	}
	return e.Space
}

// SpaceID returns the space that the entry belongs to.
func (e *Entry) SpaceID() core.SpaceID { return core.SpaceIDFromHash(e.SpaceHash()) }

// Seal makes an entry of h and ops and signs it. It sets the header's Peer,
// OpsHash and OpsSize; the rest is the caller's. What Decode would refuse is
// not signed but returned as a RejectedError. Whether the entry is admissible
// is for Admit to say. Input slices are not kept.
func Seal(key ed25519.PrivateKey, h Header, ops []Op) (*Entry, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("seal entry: key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	encoded, err := encodeOps(ops)
	if err != nil {
		return nil, fmt.Errorf("seal entry: %w", err)
	}
	h.Peer = core.PeerIDFromKey(key.Public().(ed25519.PublicKey))
	h.OpsHash = sha256.Sum256(encoded)
	h.OpsSize = uint64(len(encoded))
	header, err := h.encode()
	if err != nil {
		return nil, fmt.Errorf("seal entry: %w", err)
	}
	// Reading it back costs a tenth of the signature and means that nobody ever
	// signs what others refuse.
	e, err := decode(core.Entry{Header: header, Ops: encoded})
	if err != nil {
		return nil, fmt.Errorf("seal entry: %w", err)
	}
	e.Raw.Sig = ed25519.Sign(key, signed(header))
	e.verified = true
	return e, nil
}

// SealGenesis makes the first entry of a new space, which is owned by the key.
func SealGenesis(key ed25519.PrivateKey, incarnation core.Incarnation, wallMs uint64, random io.Reader) (*Entry, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("seal genesis: key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	h := Header{Incarnation: incarnation, Chain: core.ChainMembership, Seq: 1, Lamport: 1, WallMs: wallMs}
	core.Fill(random, h.Nonce[:])
	owner := MemberAdd{
		Peer: core.PeerIDFromKey(key.Public().(ed25519.PublicKey)),
		Role: RoleOwner,
		Kind: KindDevice,
	}
	return Seal(key, h, []Op{{ID: NewOpID(random), Body: owner}})
}

// Decode reads an entry and checks all that its own bytes can show but the
// signature. Errors are RejectedErrors. The entry keeps raw's slices: they must
// not change afterwards. Decode allocates a small multiple of the header and of
// the number of ops, whatever the bytes say; updates are not copied.
func Decode(raw core.Entry) (*Entry, error) {
	e, err := decode(raw)
	if err == nil && len(raw.Sig) != signatureBytes {
		err = about(e.Hash, reject(ReasonSignature, "%d bytes, want %d", len(raw.Sig), signatureBytes))
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// decode is Decode without a look at the signature.
func decode(raw core.Entry) (*Entry, error) {
	h, err := decodeHeader(raw.Header)
	if err != nil {
		if len(raw.Header) > MaxHeaderBytes { // not worth hashing
			return nil, err
		}
		return nil, about(raw.Hash(), err)
	}
	e := &Entry{Header: h, Hash: raw.Hash(), Writer: h.writer(), Raw: raw}
	if err := e.readOps(); err != nil {
		return nil, about(e.Hash, err)
	}
	return e, nil
}

// readOps checks the ops against the header and decodes them.
func (e *Entry) readOps() error {
	ops := e.Raw.Ops
	if uint64(len(ops)) != e.OpsSize {
		return reject(ReasonOpsSize, "%d bytes, the header says %d", len(ops), e.OpsSize)
	}
	if sha256.Sum256(ops) != e.OpsHash {
		return reject(ReasonOpsHash, "the ops are not those of the header")
	}
	var err error
	if e.Ops, err = decodeOps(ops, e.Chain); err != nil {
		return err
	}
	if e.IsGenesis() {
		return e.checkGenesisOps()
	}
	return nil
}

// checkGenesisOps wants exactly one op: the author becomes the owner. A space
// starts with one member, and all others come by ops that can be judged.
func (e *Entry) checkGenesisOps() error {
	if len(e.Ops) != 1 {
		return reject(ReasonGenesis, "%d ops, want 1", len(e.Ops))
	}
	add, ok := e.Ops[0].Body.(MemberAdd)
	switch {
	case !ok:
		return reject(ReasonGenesis, "op is %s, want %s", e.Ops[0].Body.Number(), OpMemberAdd)
	case add.Peer != e.Peer:
		return reject(ReasonGenesis, "adds another than its author")
	case add.Role != RoleOwner:
		return reject(ReasonGenesis, "adds its author as %s, want %s", add.Role, RoleOwner)
	case add.Kind == KindCache:
		return reject(ReasonGenesis, "adds its author as a %s", add.Kind)
	}
	return nil
}

// VerifySignature reports ReasonSignature unless the entry's peer signed it. It
// does the work once. It is safe to call from a goroutine that owns the entry.
func (e *Entry) VerifySignature() error {
	if e.verified {
		return nil
	}
	if !ed25519.Verify(e.Peer.Key(), signed(e.Raw.Header), e.Raw.Sig) {
		return about(e.Hash, reject(ReasonSignature, "not signed by %s", e.Peer))
	}
	e.verified = true
	return nil
}

// signed returns the bytes that a signature covers.
func signed(header []byte) []byte {
	b := make([]byte, 0, len(entryDomain)+len(header))
	return append(append(b, entryDomain...), header...)
}
