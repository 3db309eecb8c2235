package log

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// MemberRole changes the role of a member. Where that takes a capability away,
// Cut says which of the member's content was seen, and so stays.
type MemberRole struct {
	Peer core.PeerID
	Role Role
	Cut  []CutHead
}

// Number implements Body.
func (MemberRole) Number() OpNumber { return OpMemberRole }
func (b MemberRole) wire() any      { return []any{[]byte(b.Peer.Key()), b.Role, wireCut(b.Cut)} }

// MemberRemove takes a member out of the space, with the invites that they made
// and the one they came by. Cut is as in MemberRole.
type MemberRemove struct {
	Peer  core.PeerID
	Purge bool // content beyond Cut goes even where others have built upon it
	Cut   []CutHead
}

// Number implements Body.
func (MemberRemove) Number() OpNumber { return OpMemberRemove }

func (b MemberRemove) wire() any { return []any{[]byte(b.Peer.Key()), b.Purge, wireCut(b.Cut)} }

// MemberLeave takes the author out of the space.
type MemberLeave struct {
	Cut []CutHead // what the author wrote, as far as this directory knows
}

// Number implements Body.
func (MemberLeave) Number() OpNumber { return OpMemberLeave }
func (b MemberLeave) wire() any      { return []any{wireCut(b.Cut)} }

// MemberAck says that its author, an owner, stands by a member. Where two owners
// remove each other, the one who more others stand by stays.
type MemberAck struct {
	Peer core.PeerID
}

// Number implements Body.
func (MemberAck) Number() OpNumber { return OpMemberAck }
func (b MemberAck) wire() any      { return []any{[]byte(b.Peer.Key())} }

// InviteCreate lets Uses holders of the invite's private key become members.
type InviteCreate struct {
	Invite    core.InviteID // its public key
	Role      Role          // any but RoleOwner
	Uses      uint64        // 1 to MaxInviteUses
	ExpiresMs uint64        // in ms since 1970, 0 for never; advisory, since clocks are
}

// Number implements Body.
func (InviteCreate) Number() OpNumber { return OpInviteCreate }

func (b InviteCreate) wire() any {
	return []any{b.Invite[:], b.Role, b.Uses, b.ExpiresMs}
}

// InviteRevoke ends an invite.
type InviteRevoke struct {
	Invite core.InviteID
}

// Number implements Body.
func (InviteRevoke) Number() OpNumber { return OpInviteRevoke }
func (b InviteRevoke) wire() any      { return []any{b.Invite[:]} }

// InviteRedeem makes its author a member. Proof is the invite's signature over
// space, invite and author, so that only who holds the ticket can use it, and
// nobody else with what they send.
type InviteRedeem struct {
	Invite core.InviteID
	Kind   Kind
	Proof  [signatureBytes]byte
}

// Number implements Body.
func (InviteRedeem) Number() OpNumber { return OpInviteRedeem }
func (b InviteRedeem) wire() any      { return []any{b.Invite[:], b.Kind, b.Proof[:]} }

// Redeem returns the op by which joiner uses an invite, whose private key is key.
func Redeem(key ed25519.PrivateKey, space core.Hash, joiner core.PeerID, kind Kind) InviteRedeem {
	b := InviteRedeem{Invite: core.InviteID(key.Public().(ed25519.PublicKey)), Kind: kind}
	copy(b.Proof[:], ed25519.Sign(key, b.proven(space, joiner)))
	return b
}

// proves reports whether the invite lets joiner into the space.
func (b InviteRedeem) proves(space core.Hash, joiner core.PeerID) bool {
	return ed25519.Verify(b.Invite[:], b.proven(space, joiner), b.Proof[:])
}

func (b InviteRedeem) proven(space core.Hash, joiner core.PeerID) []byte {
	out := make([]byte, 0, len(inviteDomain)+3*keyBytes)
	out = append(out, inviteDomain...)
	out = append(out, space[:]...)
	out = append(out, b.Invite[:]...)
	return append(out, joiner.Key()...)
}

const inviteDomain = "soma-invite-v1\x00"

// CutHead is the last entry of one chain of a member's content that whoever cut
// it had seen. All that leads up to it is within the cut.
type CutHead struct {
	Incarnation core.Incarnation
	Seq         uint64
	Hash        core.Hash
}

// compareCutHeads orders a cut.
func compareCutHeads(a, b CutHead) int {
	if c := bytes.Compare(a.Incarnation[:], b.Incarnation[:]); c != 0 {
		return c
	}
	return compareHashes(a.Hash, b.Hash)
}

func wireCut(cut []CutHead) any {
	out := make([]any, len(cut))
	for i, h := range cut {
		out[i] = []any{h.Incarnation[:], h.Seq, h.Hash[:]}
	}
	return out
}

func decodeCut(s *scanner) ([]CutHead, error) {
	n := s.array(1 + (1 + incarnationBytes) + 1 + (2 + hashBytes))
	switch {
	case s.err != nil:
		return nil, s.err
	case n > MaxCut:
		return nil, fmt.Errorf("cut of %d heads, at most %d are allowed", n, MaxCut)
	case n == 0:
		return nil, nil
	}
	cut := make([]CutHead, n)
	for i := range cut {
		s.arrayOf(3)
		copy(cut[i].Incarnation[:], s.fixed(incarnationBytes))
		cut[i].Seq = s.uint()
		copy(cut[i].Hash[:], s.fixed(hashBytes))
		switch {
		case s.err != nil:
			return nil, s.err
		case cut[i].Seq == 0 || cut[i].Seq > MaxCounter:
			return nil, fmt.Errorf("cut at seq %d", cut[i].Seq)
		case i > 0 && compareCutHeads(cut[i-1], cut[i]) >= 0:
			return nil, fmt.Errorf("cut is not strictly ascending at %d", i)
		}
	}
	return cut, nil
}

func decodePeer(s *scanner) (core.PeerID, error) {
	p := core.PeerIDFromKey(s.fixed(keyBytes))
	if s.err == nil && p.IsZero() {
		return p, fmt.Errorf("the key is zero")
	}
	return p, s.err
}

func decodeRole(s *scanner) (Role, error) {
	role := s.uint()
	if s.err == nil && (role < uint64(RoleOwner) || role > uint64(RoleCache)) {
		return 0, fmt.Errorf("role %d", role)
	}
	return Role(role), s.err
}

func decodeKind(s *scanner) (Kind, error) {
	kind := s.uint()
	if s.err == nil && (kind < uint64(KindDevice) || kind > uint64(KindCache)) {
		return 0, fmt.Errorf("kind %d", kind)
	}
	return Kind(kind), s.err
}

func decodeInvite(s *scanner) (id core.InviteID, err error) {
	copy(id[:], s.fixed(keyBytes))
	if s.err == nil && id == (core.InviteID{}) {
		return id, fmt.Errorf("the invite is zero")
	}
	return id, s.err
}

func decodeMemberAdd(s *scanner) (Body, error) {
	s.arrayOf(3)
	var b MemberAdd
	var err error
	if b.Peer, err = decodePeer(s); err != nil {
		return nil, err
	}
	if b.Role, err = decodeRole(s); err != nil {
		return nil, err
	}
	b.Kind, err = decodeKind(s)
	return b, err
}

func decodeMemberRole(s *scanner) (Body, error) {
	s.arrayOf(3)
	var b MemberRole
	var err error
	if b.Peer, err = decodePeer(s); err != nil {
		return nil, err
	}
	if b.Role, err = decodeRole(s); err != nil {
		return nil, err
	}
	b.Cut, err = decodeCut(s)
	return b, err
}

func decodeMemberRemove(s *scanner) (Body, error) {
	s.arrayOf(3)
	var b MemberRemove
	var err error
	if b.Peer, err = decodePeer(s); err != nil {
		return nil, err
	}
	b.Purge = s.bool()
	b.Cut, err = decodeCut(s)
	return b, err
}

func decodeMemberLeave(s *scanner) (Body, error) {
	s.arrayOf(1)
	cut, err := decodeCut(s)
	return MemberLeave{Cut: cut}, err
}

func decodeMemberAck(s *scanner) (Body, error) {
	s.arrayOf(1)
	peer, err := decodePeer(s)
	return MemberAck{Peer: peer}, err
}

func decodeInviteCreate(s *scanner) (Body, error) {
	s.arrayOf(4)
	var b InviteCreate
	var err error
	if b.Invite, err = decodeInvite(s); err != nil {
		return nil, err
	}
	if b.Role, err = decodeRole(s); err != nil {
		return nil, err
	}
	b.Uses, b.ExpiresMs = s.uint(), s.uint()
	switch {
	case s.err != nil:
		return nil, s.err
	case b.Role == RoleOwner:
		return nil, fmt.Errorf("an invite cannot make owners")
	case b.Uses == 0 || b.Uses > MaxInviteUses:
		return nil, fmt.Errorf("invite of %d uses, want 1 to %d", b.Uses, MaxInviteUses)
	case b.ExpiresMs > MaxCounter:
		return nil, fmt.Errorf("invite expires at %d", b.ExpiresMs)
	}
	return b, nil
}

func decodeInviteRevoke(s *scanner) (Body, error) {
	s.arrayOf(1)
	id, err := decodeInvite(s)
	return InviteRevoke{Invite: id}, err
}

func decodeInviteRedeem(s *scanner) (Body, error) {
	s.arrayOf(3)
	var b InviteRedeem
	var err error
	if b.Invite, err = decodeInvite(s); err != nil {
		return nil, err
	}
	if b.Kind, err = decodeKind(s); err != nil {
		return nil, err
	}
	copy(b.Proof[:], s.fixed(signatureBytes))
	return b, s.err
}
