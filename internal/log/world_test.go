package log_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// keyOf returns a key that is the same in every run.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("soma test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func peerOf(key ed25519.PrivateKey) core.PeerID {
	return core.PeerIDFromKey(key.Public().(ed25519.PublicKey))
}

func opID(n int) log.OpID {
	sum := sha256.Sum256(fmt.Appendf(nil, "op %d", n))
	return log.OpID(sum[:16])
}

func incarnationOf(n byte) core.Incarnation { return core.Incarnation(bytes.Repeat([]byte{n}, 16)) }

// memory is a Past.
type memory struct {
	all       map[core.Hash]log.Ancestor
	authority *log.Authority
}

func newMemory() memory {
	return memory{all: map[core.Hash]log.Ancestor{}, authority: log.NewAuthority()}
}

// clone returns a memory from which entries can be deleted.
func (m memory) clone() memory { return memory{all: maps.Clone(m.all), authority: m.authority} }

func (m memory) Ancestor(hash core.Hash) (log.Ancestor, error) {
	a, ok := m.all[hash]
	if !ok {
		return log.Ancestor{}, fmt.Errorf("memory: %w", core.ErrNotFound)
	}
	return a, nil
}

func (m memory) State(heads []core.Hash) (*log.State, error) { return m.authority.At(heads) }

// take admits an entry and remembers it.
func (m memory) take(t testing.TB, e *log.Entry) *log.Entry {
	t.Helper()
	set, err := log.Admit(e, m)
	if err != nil {
		t.Fatalf("Admit = %v", err)
	}
	m.all[e.Hash] = e.AsAncestor(set)
	if e.Chain == core.ChainMembership {
		if err := m.authority.Add(e, set); err != nil {
			t.Fatalf("Add = %v", err)
		}
	}
	return e
}

func seal(t testing.TB, key ed25519.PrivateKey, h log.Header, ops ...log.Op) *log.Entry {
	t.Helper()
	e, err := log.Seal(key, h, ops)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func sorted(hashes ...core.Hash) []core.Hash {
	slices.SortFunc(hashes, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
	return hashes
}

// world is a space with an owner who writes from two directories, and one entry
// of each sort. The golden files are made of it, so it is the same in every run.
type world struct {
	past    memory
	owner   ed25519.PrivateKey
	genesis *log.Entry
	retire  *log.Entry // directory 1, content 1
	meta    *log.Entry // directory 1, content 2
	update  *log.Entry // directory 1, content 3
	remove  *log.Entry // directory 2, content 1
	merge   *log.Entry // directory 2, content 2: no ops, cites update
	acts    *log.Entry // directory 2, membership 1: no ops
	unknown *log.Entry // directory 2, content 3: an op of another version, cites acts
}

const testTime = 1_700_000_000_000

// opOfNewer is an op that this version does not know, which needs to write.
const opOfNewer log.OpNumber = 150

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{past: newMemory(), owner: keyOf("owner")}
	one, two := incarnationOf(1), incarnationOf(2)

	w.genesis = w.past.take(t, seal(t, w.owner,
		log.Header{Incarnation: one, Chain: core.ChainMembership, Seq: 1, Lamport: 1, WallMs: testTime, Nonce: [16]byte(bytes.Repeat([]byte{9}, 16))},
		log.Op{ID: opID(1), Body: log.MemberAdd{Peer: peerOf(w.owner), Role: log.RoleOwner, Kind: log.KindDevice}}))
	space := w.genesis.Hash
	w.retire = w.past.take(t, seal(t, w.owner,
		log.Header{Space: space, Incarnation: one, Chain: core.ChainContent, Seq: 1, Auth: []core.Hash{space}, Lamport: 2, WallMs: testTime + 1},
		log.Op{ID: opID(2), Body: log.WriterRetire{Incarnations: []core.Incarnation{incarnationOf(7), incarnationOf(8)}}}))
	w.meta = w.past.take(t, seal(t, w.owner,
		log.Header{Space: space, Incarnation: one, Chain: core.ChainContent, Seq: 2, Prev: w.retire.Hash, Lamport: 3, WallMs: testTime + 2},
		log.Op{ID: opID(3), Body: log.SpaceMeta{Name: "Notes ✎"}}))
	w.update = w.past.take(t, seal(t, w.owner,
		log.Header{Space: space, Incarnation: one, Chain: core.ChainContent, Seq: 3, Prev: w.meta.Hash, Lamport: 4, WallMs: testTime + 3},
		log.Op{ID: opID(4), Body: log.DocUpdate{Doc: "page-1", Update: bytes.Repeat([]byte{0xa5}, 300)}},
		log.Op{ID: opID(5), Body: log.DocUpdate{Doc: "page-2", Update: []byte{0, 0}}}))
	w.remove = w.past.take(t, seal(t, w.owner,
		log.Header{Space: space, Incarnation: two, Chain: core.ChainContent, Seq: 1, Auth: []core.Hash{space}, Lamport: 2, WallMs: testTime + 4},
		log.Op{ID: opID(6), Body: log.DocDelete{Doc: "page-1"}}))
	w.merge = w.past.take(t, seal(t, w.owner,
		log.Header{Space: space, Incarnation: two, Chain: core.ChainContent, Seq: 2, Prev: w.remove.Hash, Deps: []core.Hash{w.update.Hash}, Lamport: 5, WallMs: testTime + 5}))
	w.acts = w.past.take(t, seal(t, w.owner,
		log.Header{Space: space, Incarnation: two, Chain: core.ChainMembership, Seq: 1, Auth: []core.Hash{space}, Lamport: 2, WallMs: testTime + 6}))
	w.unknown = w.past.take(t, seal(t, w.owner,
		log.Header{Space: space, Incarnation: two, Chain: core.ChainContent, Seq: 3, Prev: w.merge.Hash, Auth: []core.Hash{w.acts.Hash}, Lamport: 6, WallMs: testTime + 7},
		log.Op{ID: opID(7), Body: log.UnknownOp{Op: opOfNewer, Raw: []byte("\x83\x01\x81\x20\xf6")}}))
	return w
}

// entries returns the entries in causal order.
func (w *world) entries() []*log.Entry {
	return []*log.Entry{w.genesis, w.retire, w.meta, w.update, w.remove, w.merge, w.acts, w.unknown}
}

// Fields of a header, by position.
const (
	fVersion = iota
	fSpace
	fPeer
	fIncarnation
	fChain
	fSeq
	fPrev
	fAuth
	fDeps
	fLamport
	fWallMs
	fKeyID
	fOpsHash
	fOpsSize
	fNonce
)

// forge signs an entry as the key, whatever it says: it takes e apart, lets edit
// change any field, and fits hash and size to ops unless they were edited.
func forge(t testing.TB, key ed25519.PrivateKey, e *log.Entry, ops []byte, edit func(f []any)) core.Entry {
	t.Helper()
	var f []any
	if err := cbor.Unmarshal(e.Raw.Header, &f); err != nil {
		t.Fatal(err)
	}
	if ops == nil {
		ops = e.Raw.Ops
	}
	sum := sha256.Sum256(ops)
	f[fPeer], f[fOpsHash], f[fOpsSize] = []byte(peerOf(key).Key()), sum[:], len(ops)
	if edit != nil {
		edit(f)
	}
	header := encode(t, f)
	return core.Entry{Header: header, Ops: ops, Sig: sign(key, header)}
}

func sign(key ed25519.PrivateKey, header []byte) []byte {
	return ed25519.Sign(key, append([]byte("soma-entry-v1\x00"), header...))
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rawOp is an op as the encoder takes it.
func rawOp(number, id int, body any) []any { return []any{number, opID(id), body} }

// judge does what a replica does with an entry that it receives.
func judge(raw core.Entry, past log.Past) error {
	e, err := log.Decode(raw)
	if err != nil {
		return err
	}
	if err := e.VerifySignature(); err != nil {
		return err
	}
	_, err = log.Admit(e, past)
	return err
}

func wantReason(t testing.TB, name string, err error, want log.Reason) {
	t.Helper()
	if got := log.ReasonOf(err); got != want || !errors.Is(err, core.ErrInvalidEntry) {
		t.Errorf("%s: %v, want a rejection for %q", name, err, want)
	}
}
