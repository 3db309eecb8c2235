package log

import (
	"bytes"
	"crypto/sha256"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
)

// Header is the hashed and signed part of an entry.
type Header struct {
	Space       core.Hash // hash of the genesis header; zero in a genesis
	Peer        core.PeerID
	Incarnation core.Incarnation
	Chain       core.Chain
	Seq         uint64      // from 1 on each chain of a writer
	Prev        core.Hash   // the entry with Seq - 1; zero when Seq is 1
	Auth        []core.Hash // membership heads new since Prev, strictly ascending
	Deps        []core.Hash // content heads of others new since Prev, strictly ascending
	Lamport     uint64      // 1 + the maximum over Prev, Auth and Deps
	WallMs      uint64      // the author's clock, in ms since 1970: shown, never trusted
	KeyID       uint64      // 0: plain
	OpsHash     core.Hash
	OpsSize     uint64
	Nonce       [nonceBytes]byte // makes a genesis unique; encoded in a genesis only
}

// IsGenesis reports whether the header is that of the first entry of a space.
func (h *Header) IsGenesis() bool { return h.Space.IsZero() }

// ChainID returns the chain that the header is on.
func (h *Header) ChainID() core.ChainID {
	return core.ChainID{Writer: h.writer(), Chain: h.Chain}
}

// writer returns the writer that the header names.
func (h *Header) writer() core.WriterID { return WriterIDOf(h.Peer, h.Incarnation) }

// WriterIDOf returns the writer that a member is under an incarnation.
func WriterIDOf(peer core.PeerID, incarnation core.Incarnation) core.WriterID {
	b := make([]byte, 0, len(writerDomain)+keyBytes+incarnationBytes)
	b = append(b, writerDomain...)
	b = append(b, peer.Key()...)
	b = append(b, incarnation[:]...)
	return sha256.Sum256(b)
}

// The domains keep hashes and signatures of different things apart.
const (
	writerDomain = "soma-writer-v1\x00"
	entryDomain  = "soma-entry-v1\x00"
)

// headerFields is the number of elements of a header.
const headerFields = 15

// wireHeader is a header as it is encoded: an array in this order.
type wireHeader struct {
	_           struct{} `cbor:",toarray"`
	Version     uint64
	Space       []byte
	Peer        []byte
	Incarnation []byte
	Chain       uint64
	Seq         uint64
	Prev        []byte
	Auth        []core.Hash
	Deps        []core.Hash
	Lamport     uint64
	WallMs      uint64
	KeyID       uint64
	OpsHash     []byte
	OpsSize     uint64
	Nonce       []byte
}

// encoding writes deterministic CBOR, in which an empty string is never null.
var encoding = func() cbor.EncMode {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty
	mode, err := opts.EncMode()
	if err != nil { // unreachable: the options are constant
		panic(err)
	}
	return mode
}()

func (h *Header) encode() ([]byte, error) {
	w := wireHeader{
		Version:     Version,
		Space:       encodeHash(h.Space),
		Peer:        h.Peer.Key(),
		Incarnation: h.Incarnation[:],
		Chain:       uint64(h.Chain),
		Seq:         h.Seq,
		Prev:        encodeHash(h.Prev),
		Auth:        h.Auth,
		Deps:        h.Deps,
		Lamport:     h.Lamport,
		WallMs:      h.WallMs,
		KeyID:       h.KeyID,
		OpsHash:     h.OpsHash[:],
		OpsSize:     h.OpsSize,
	}
	if h.IsGenesis() {
		w.Nonce = h.Nonce[:]
	}
	return encoding.Marshal(w)
}

func encodeHash(h core.Hash) []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

// decodeHeader reads and checks all that a header can show by itself.
func decodeHeader(b []byte) (Header, error) {
	if len(b) > MaxHeaderBytes {
		return Header{}, reject(ReasonHeaderTooLarge, "%d bytes, at most %d are allowed", len(b), MaxHeaderBytes)
	}
	s := &scanner{b: b}
	fields := s.array(1)
	if version := s.uint(); s.err == nil && version != Version { // before the rest, which is the version's business
		return Header{}, reject(ReasonVersion, "%d, this is %d", version, Version)
	}
	if s.err == nil && fields != headerFields {
		return Header{}, reject(ReasonEncoding, "header of %d elements, want %d", fields, headerFields)
	}
	var h Header
	copy(h.Space[:], s.optional(hashBytes))
	h.Peer = core.PeerIDFromKey(s.fixed(keyBytes))
	copy(h.Incarnation[:], s.fixed(incarnationBytes))
	chain := s.uint()
	h.Seq = s.uint()
	copy(h.Prev[:], s.optional(hashBytes))
	h.Auth = decodeHeads(s, "auth")
	h.Deps = decodeHeads(s, "deps")
	h.Lamport = s.uint()
	h.WallMs = s.uint()
	h.KeyID = s.uint()
	copy(h.OpsHash[:], s.fixed(hashBytes))
	h.OpsSize = s.uint()
	copy(h.Nonce[:], s.optional(nonceBytes))
	if err := s.end(); err != nil {
		return Header{}, err
	}
	if chain > uint64(core.ChainContent) {
		return Header{}, reject(ReasonChain, "%d", chain)
	}
	h.Chain = core.Chain(chain)
	if err := h.check(); err != nil {
		return Header{}, err
	}
	// What the scanner let through and the encoder writes otherwise is a second
	// spelling, such as a zero hash for none or a nonce outside a genesis.
	again, err := h.encode()
	if err != nil {
		return Header{}, err
	}
	if !bytes.Equal(again, b) {
		return Header{}, reject(ReasonEncoding, "header is not in its canonical form")
	}
	return h, nil
}

// decodeHeads reads auth or deps.
func decodeHeads(s *scanner, field string) []core.Hash {
	n := s.array(2 + hashBytes)
	if s.err != nil || n == 0 {
		return nil
	}
	if n > MaxHeads {
		s.err = reject(ReasonTooManyHeads, "%s has %d, at most %d are allowed", field, n, MaxHeads)
		return nil
	}
	heads := make([]core.Hash, n)
	for i := range heads {
		copy(heads[i][:], s.fixed(hashBytes))
		if s.err != nil {
			return nil
		}
		if i > 0 && bytes.Compare(heads[i-1][:], heads[i][:]) >= 0 {
			s.err = reject(ReasonHeadOrder, "%s is not strictly ascending at %d", field, i)
			return nil
		}
	}
	return heads
}

// check applies the rules on single fields and on how they go together.
func (h *Header) check() error {
	switch {
	case h.KeyID != 0:
		return reject(ReasonKeyID, "%d, only 0 is known", h.KeyID)
	case h.Peer.IsZero():
		return reject(ReasonPeer, "the key is zero")
	case h.Seq == 0 || h.Seq > MaxCounter:
		return reject(ReasonCounter, "seq is %d", h.Seq)
	case h.Lamport == 0 || h.Lamport > MaxCounter:
		return reject(ReasonCounter, "lamport is %d", h.Lamport)
	case h.WallMs > MaxCounter:
		return reject(ReasonCounter, "wallMs is %d", h.WallMs)
	case h.OpsSize > MaxOpsBytes:
		return reject(ReasonOpsTooLarge, "%d bytes, at most %d are allowed", h.OpsSize, MaxOpsBytes)
	case h.Chain == core.ChainMembership && len(h.Deps) > 0:
		return reject(ReasonMembershipDeps, "%d content entries cited", len(h.Deps))
	case h.IsGenesis():
		return h.checkGenesis()
	case h.Seq == 1 && !h.Prev.IsZero():
		return reject(ReasonFirstEntry, "seq 1 has a prev")
	case h.Seq > 1 && h.Prev.IsZero():
		return reject(ReasonFirstEntry, "seq %d has no prev", h.Seq)
	case h.Seq == 1 && len(h.Auth) == 0:
		return reject(ReasonFirstEntry, "seq 1 cites no membership")
	}
	return nil
}

func (h *Header) checkGenesis() error {
	switch {
	case h.Chain != core.ChainMembership:
		return reject(ReasonGenesis, "not on the membership chain")
	case h.Seq != 1 || !h.Prev.IsZero():
		return reject(ReasonGenesis, "not the first of its writer")
	case len(h.Auth) > 0:
		return reject(ReasonGenesis, "cites membership")
	case h.Lamport != 1:
		return reject(ReasonGenesis, "lamport is %d, want 1", h.Lamport)
	}
	return nil
}
