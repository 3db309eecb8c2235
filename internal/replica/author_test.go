package replica_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// author writes entries without a replica, so that a test decides what they say.
type author struct {
	t           testing.TB
	key         ed25519.PrivateKey
	incarnation core.Incarnation
	genesis     core.Hash
	last        *log.Entry // on the content chain
}

// newAuthor returns a writer of the space with its own incarnation.
func newAuthor(t testing.TB, key ed25519.PrivateKey, space core.SpaceID, incarnation byte) *author {
	t.Helper()
	genesis, err := space.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return &author{t: t, key: key, incarnation: core.Incarnation{incarnation}, genesis: genesis}
}

// stranger returns a key that no space knows.
func stranger(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// header returns that of the author's next content entry.
func (a *author) header(deps ...*log.Entry) log.Header {
	h := log.Header{
		Space: a.genesis, Incarnation: a.incarnation, Chain: core.ChainContent, Seq: 1,
		Auth: []core.Hash{a.genesis}, Lamport: 1, WallMs: 1_700_000_000_000,
	}
	if a.last != nil {
		h.Seq, h.Prev, h.Auth, h.Lamport = a.last.Seq+1, a.last.Hash, nil, a.last.Lamport
	}
	for _, dep := range deps {
		h.Deps = append(h.Deps, dep.Hash)
		h.Lamport = max(h.Lamport, dep.Lamport)
	}
	slices.SortFunc(h.Deps, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
	h.Lamport++
	return h
}

// sign makes an entry of a header, which need not be right.
func (a *author) sign(h log.Header, bodies ...log.Body) *log.Entry {
	a.t.Helper()
	ops := make([]log.Op, len(bodies))
	for i, b := range bodies {
		ops[i] = log.Op{ID: log.NewOpID(rand.Reader), Body: b}
	}
	e, err := log.Seal(a.key, h, ops)
	if err != nil {
		a.t.Fatal(err)
	}
	return e
}

// write makes the author's next entry, with everything in deps in its past.
func (a *author) write(deps []*log.Entry, bodies ...log.Body) *log.Entry {
	a.t.Helper()
	a.last = a.sign(a.header(deps...), bodies...)
	return a.last
}

// The fields of a header that tests forge, by position.
const (
	fieldVersion = iota
	fieldSpace
	fieldPeer
	_ // incarnation
	fieldChain
	fieldSeq
	fieldPrev
	fieldAuth
	fieldDeps
	fieldLamport
	_ // wallMs
	fieldKeyID
	fieldOpsHash
	fieldOpsSize
	fieldNonce
)

// forge changes an entry in ways that package log would not sign. nil ops leave
// the entry's own.
func (a *author) forge(e *log.Entry, ops []byte, edit func(fields []any)) core.Entry {
	a.t.Helper()
	var fields []any
	if err := cbor.Unmarshal(e.Raw.Header, &fields); err != nil {
		a.t.Fatal(err)
	}
	if ops == nil {
		ops = e.Raw.Ops
	}
	sum := sha256.Sum256(ops)
	fields[fieldOpsHash], fields[fieldOpsSize] = sum[:], len(ops)
	if edit != nil {
		edit(fields)
	}
	header := encode(a.t, fields)
	return a.signed(header, ops)
}

func (a *author) peer() core.PeerID { return peerOf(a.key) }

func (a *author) signed(header, ops []byte) core.Entry {
	return core.Entry{Header: header, Ops: ops, Sig: ed25519.Sign(a.key, append([]byte("soma-entry-v1\x00"), header...))}
}

func update(doc string, body []byte) log.DocUpdate { return log.DocUpdate{Doc: doc, Update: body} }

func raws(entries ...*log.Entry) []core.Entry {
	out := make([]core.Entry, len(entries))
	for i, e := range entries {
		out[i] = e.Raw
	}
	return out
}
