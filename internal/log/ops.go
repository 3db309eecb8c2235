package log

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
)

// OpNumber says what an op does. See RangeOf for what the number itself states.
type OpNumber uint64

// The ops. A number is given once and for all, and so is the shape of its body.
//
//	number   op             body
//	     1   member.add     [peer, role, kind]
//	     2   member.role    [peer, role, cut]
//	     3   member.remove  [peer, purge, cut]
//	     4   member.ack     [peer]
//	     8   invite.create  [invite, role, uses, expiresMs]
//	     9   invite.revoke  [invite]
//	    32   invite.redeem  [invite, kind, proof]
//	    33   member.leave   [cut]
//	    64   writer.retire  [[incarnation, ...]]
//	    96   page.put       [page, field, value]
//	    97   page.move      [page, parent, position, reorder]
//	    98   page.delete    [page]
//	   104   doc.update     [document, update]
//	   105   doc.delete     [document]
//	   112   blob.put       [hash, size, mime, name]
//	   113   blob.remove    [hash]
//	   160   space.meta     [name]
//	   192   checkpoint     reserved
//
// where cut = [[incarnation, seq, hash], ...], strictly ascending by incarnation
// and hash.
const (
	OpMemberAdd    OpNumber = 1
	OpMemberRole   OpNumber = 2
	OpMemberRemove OpNumber = 3
	OpMemberAck    OpNumber = 4
	OpInviteCreate OpNumber = 8
	OpInviteRevoke OpNumber = 9
	OpInviteRedeem OpNumber = 32
	OpMemberLeave  OpNumber = 33
	OpWriterRetire OpNumber = 64
	OpPagePut      OpNumber = 96
	OpPageMove     OpNumber = 97
	OpPageDelete   OpNumber = 98
	OpDocUpdate    OpNumber = 104
	OpDocDelete    OpNumber = 105
	OpBlobPut      OpNumber = 112
	OpBlobRemove   OpNumber = 113
	OpSpaceMeta    OpNumber = 160
	OpCheckpoint   OpNumber = 192
)

var opNames = map[OpNumber]string{
	OpMemberAdd:    "member.add",
	OpMemberRole:   "member.role",
	OpMemberRemove: "member.remove",
	OpMemberAck:    "member.ack",
	OpInviteCreate: "invite.create",
	OpInviteRevoke: "invite.revoke",
	OpInviteRedeem: "invite.redeem",
	OpMemberLeave:  "member.leave",
	OpWriterRetire: "writer.retire",
	OpPagePut:      "page.put",
	OpPageMove:     "page.move",
	OpPageDelete:   "page.delete",
	OpDocUpdate:    "doc.update",
	OpDocDelete:    "doc.delete",
	OpBlobPut:      "blob.put",
	OpBlobRemove:   "blob.remove",
	OpSpaceMeta:    "space.meta",
	OpCheckpoint:   "checkpoint",
}

// String returns the op's name, or its number for one without.
func (n OpNumber) String() string {
	if name, ok := opNames[n]; ok {
		return name
	}
	return fmt.Sprintf("op %d", uint64(n))
}

// Range is a run of op numbers that share a chain and the capability they need.
type Range struct {
	First, Last OpNumber
	Chain       core.Chain
	Needs       Capability
}

// ranges is the table that old versions judge new ops by.
var ranges = [...]Range{
	{0, 31, core.ChainMembership, CapManage},
	{32, 63, core.ChainMembership, CapSelf},
	{64, 95, core.ChainContent, CapMember},
	{96, 159, core.ChainContent, CapWrite},
	{160, 191, core.ChainContent, CapManage},
	{192, 223, core.ChainContent, CapManage}, // reserved for checkpoints
}

// RangeOf returns the range of an op number:
//
//	  0- 31  membership  manage
//	 32- 63  membership  self: what anybody may say about themselves, joiners too
//	 64- 95  content     any member
//	 96-159  content     write
//	160-191  content     manage
//	192-223  content     manage; reserved for checkpoints
//
// Other numbers have none, and an entry with such an op is refused.
func RangeOf(n OpNumber) (Range, bool) {
	for _, r := range ranges {
		if n >= r.First && n <= r.Last {
			return r, true
		}
	}
	return Range{}, false
}

// OpID tells ops apart, so that an op that was sealed into two entries counts once.
type OpID [opIDBytes]byte

// String returns the ID in lower-case hex.
func (id OpID) String() string { return hex.EncodeToString(id[:]) }

// NewOpID returns a random ID.
func NewOpID(random io.Reader) (id OpID) {
	core.Fill(random, id[:])
	return id
}

// Op is one thing that an entry does.
type Op struct {
	ID   OpID
	Body Body
}

// Body is what an op does: one of the Member, Invite, Page and Blob ops, WriterRetire,
// SpaceMeta, DocUpdate, DocDelete and UnknownOp.
type Body interface {
	Number() OpNumber
	// wire returns the body as the encoder takes it.
	wire() any
}

// MemberAdd makes a peer a member. In a genesis it names the author as the owner.
type MemberAdd struct {
	Peer core.PeerID
	Role Role
	Kind Kind
}

// Number implements Body.
func (MemberAdd) Number() OpNumber { return OpMemberAdd }
func (b MemberAdd) wire() any      { return []any{[]byte(b.Peer.Key()), b.Role, b.Kind} }

// WriterRetire says that the author writes no more under earlier incarnations.
// It names incarnations rather than writers, so it can name its author's only.
type WriterRetire struct {
	Incarnations []core.Incarnation // strictly ascending, 1 to MaxRetired
}

// Number implements Body.
func (WriterRetire) Number() OpNumber { return OpWriterRetire }
func (b WriterRetire) wire() any      { return []any{b.Incarnations} }

// Writers returns the retired writers of the entry's peer, in the order of Incarnations.
func (b WriterRetire) Writers(peer core.PeerID) []core.WriterID {
	out := make([]core.WriterID, len(b.Incarnations))
	for i, inc := range b.Incarnations {
		out[i] = WriterIDOf(peer, inc)
	}
	return out
}

// SpaceMeta names the space. See CheckSpaceName.
type SpaceMeta struct {
	Name string
}

// Number implements Body.
func (SpaceMeta) Number() OpNumber { return OpSpaceMeta }
func (b SpaceMeta) wire() any      { return []any{b.Name} }

// DocUpdate applies a Yjs update to a document. The bytes of the update are not
// looked into here.
type DocUpdate struct {
	Doc    core.DocumentID
	Update []byte
	// Offset and Length say where Update lies in the ops of the entry. Decode
	// and Seal set them; encoding ignores them.
	Offset, Length int
}

// Number implements Body.
func (DocUpdate) Number() OpNumber { return OpDocUpdate }
func (b DocUpdate) wire() any      { return []any{b.Doc, b.Update} }

// DocDelete hides a document. A concurrent or later update brings it back.
type DocDelete struct {
	Doc core.DocumentID
}

// Number implements Body.
func (DocDelete) Number() OpNumber { return OpDocDelete }
func (b DocDelete) wire() any      { return []any{b.Doc} }

// UnknownOp is an op that this version carries but does not read.
type UnknownOp struct {
	Op  OpNumber
	Raw []byte // the body: one CBOR array
}

// Number implements Body.
func (b UnknownOp) Number() OpNumber { return b.Op }
func (b UnknownOp) wire() any        { return cbor.RawMessage(b.Raw) }

// CheckSpaceName reports core.ErrInvalidName unless name may name a space:
// 1 to MaxSpaceNameBytes bytes of UTF-8 without control characters and line
// separators.
func CheckSpaceName(name string) error {
	if name == "" {
		return fmt.Errorf("space name is empty: %w", core.ErrInvalidName)
	}
	return checkLine("space name", name, MaxSpaceNameBytes)
}

// checkLine reports core.ErrInvalidName unless text is one line of UTF-8 of at most limit bytes.
func checkLine(what, text string, limit int) error {
	switch {
	case len(text) > limit:
		return fmt.Errorf("%s has %d bytes, at most %d are allowed: %w", what, len(text), limit, core.ErrInvalidName)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s is not UTF-8: %w", what, core.ErrInvalidName)
	}
	for i, r := range text {
		// Control characters are a closed set: unlike other classes it is the same
		// in all versions of Unicode, and so in all builds of this library.
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("%s has a control character at byte %d: %w", what, i, core.ErrInvalidName)
		}
	}
	return nil
}

// wireOp is an op as it is encoded.
type wireOp struct {
	_      struct{} `cbor:",toarray"`
	Number OpNumber
	ID     OpID
	Body   any
}

func encodeOps(ops []Op) ([]byte, error) {
	wire := make([]wireOp, len(ops))
	for i, op := range ops {
		if op.Body == nil {
			return nil, reject(ReasonOpBody, "op %d has no body", i)
		}
		wire[i] = wireOp{Number: op.Body.Number(), ID: op.ID, Body: op.Body.wire()}
	}
	b, err := encoding.Marshal(wire)
	if err != nil {
		return nil, reject(ReasonOpBody, "%v", err)
	}
	return b, nil
}

// decodeOps reads the ops of an entry of the chain. Bodies alias b.
func decodeOps(b []byte, chain core.Chain) ([]Op, error) {
	if len(b) > MaxOpsBytes {
		return nil, reject(ReasonOpsTooLarge, "%d bytes, at most %d are allowed", len(b), MaxOpsBytes)
	}
	s := &scanner{b: b}
	n := s.array(minOpBytes)
	if n > MaxOps {
		return nil, reject(ReasonTooManyOps, "%d, at most %d are allowed", n, MaxOps)
	}
	if s.err != nil || n == 0 {
		return nil, s.end()
	}
	ops := make([]Op, n)
	seen := make(map[OpID]bool, n)
	for i := range ops {
		if err := decodeOp(s, chain, &ops[i]); err != nil {
			return nil, err
		}
		if seen[ops[i].ID] {
			return nil, reject(ReasonOpID, "%s occurs twice", ops[i].ID)
		}
		seen[ops[i].ID] = true
	}
	return ops, s.end()
}

func decodeOp(s *scanner, chain core.Chain, op *Op) error {
	s.arrayOf(3)
	number := OpNumber(s.uint())
	copy(op.ID[:], s.fixed(opIDBytes))
	if s.err != nil {
		return s.err
	}
	r, ok := RangeOf(number)
	if !ok {
		return reject(ReasonOpNumber, "%s", number)
	}
	if r.Chain != chain {
		return reject(ReasonOpChain, "%s on chain %d", number, chain)
	}
	start := s.off
	s.array(1)
	s.off = start
	s.skip(MaxDepth)
	if s.err != nil {
		return s.err
	}
	body := &scanner{b: s.b[:s.off:s.off], off: start}
	decode, ok := decoders[number]
	if !ok {
		op.Body = UnknownOp{Op: number, Raw: body.b[start:]}
		return nil
	}
	decoded, err := decode(body)
	if err == nil {
		err = body.end()
	}
	if err != nil {
		// The bytes are sound CBOR: what is wrong is what they say.
		return reject(ReasonOpBody, "%s: %v", number, detail(err))
	}
	op.Body = decoded
	return nil
}

// detail strips what a rejection says about itself, for use in another.
func detail(err error) any {
	if r, ok := err.(*RejectedError); ok { //nolint:errorlint // made by the scanner, never wrapped
		return r.Detail
	}
	return err
}

// decoders read the bodies of the ops that this version knows.
var decoders = map[OpNumber]func(*scanner) (Body, error){
	OpMemberAdd:    decodeMemberAdd,
	OpMemberRole:   decodeMemberRole,
	OpMemberRemove: decodeMemberRemove,
	OpMemberAck:    decodeMemberAck,
	OpInviteCreate: decodeInviteCreate,
	OpInviteRevoke: decodeInviteRevoke,
	OpInviteRedeem: decodeInviteRedeem,
	OpMemberLeave:  decodeMemberLeave,
	OpWriterRetire: decodeWriterRetire,
	OpSpaceMeta:    decodeSpaceMeta,
	OpPagePut:      decodePagePut,
	OpPageMove:     decodePageMove,
	OpPageDelete:   decodePageDelete,
	OpDocUpdate:    decodeDocUpdate,
	OpDocDelete:    decodeDocDelete,
	OpBlobPut:      decodeBlobPut,
	OpBlobRemove:   decodeBlobRemove,
}

func decodeWriterRetire(s *scanner) (Body, error) {
	s.arrayOf(1)
	n := s.array(1 + incarnationBytes)
	switch {
	case s.err != nil:
		return nil, s.err
	case n == 0 || n > MaxRetired:
		return nil, fmt.Errorf("%d incarnations, want 1 to %d", n, MaxRetired)
	}
	b := WriterRetire{Incarnations: make([]core.Incarnation, n)}
	for i := range b.Incarnations {
		copy(b.Incarnations[i][:], s.fixed(incarnationBytes))
		if s.err != nil {
			return nil, s.err
		}
		if i > 0 && bytes.Compare(b.Incarnations[i-1][:], b.Incarnations[i][:]) >= 0 {
			return nil, fmt.Errorf("incarnations are not strictly ascending at %d", i)
		}
	}
	return b, nil
}

func decodeSpaceMeta(s *scanner) (Body, error) {
	s.arrayOf(1)
	b := SpaceMeta{Name: s.text()}
	if s.err != nil {
		return nil, s.err
	}
	return b, CheckSpaceName(b.Name)
}

func decodeDocUpdate(s *scanner) (Body, error) {
	s.arrayOf(2)
	b := DocUpdate{Doc: s.text(), Update: s.bytes()}
	if s.err != nil {
		return nil, s.err
	}
	b.Length = len(b.Update)
	b.Offset = s.off - b.Length
	return b, core.CheckID("document id", b.Doc)
}

func decodeDocDelete(s *scanner) (Body, error) {
	s.arrayOf(1)
	b := DocDelete{Doc: s.text()}
	if s.err != nil {
		return nil, s.err
	}
	return b, core.CheckID("document id", b.Doc)
}
