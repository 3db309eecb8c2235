package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// badInput is a space with an owner's site, an owner's second directory that writes
// entries by hand, and an editor who does.
type badInput struct {
	*site
	space, other core.SpaceID
	a, bob       *author
	first        *log.Entry // a's, before it knew of bob
	next         *log.Entry // a's, good and not handed in
	own          *log.Entry // by the site, which knows of bob
	added        *log.Entry // the act that made bob an editor
}

func newBadInput(t *testing.T) *badInput {
	t.Helper()
	s := openSite(t, siteOptions{})
	w := &badInput{site: s, space: s.create("one"), other: s.create("another")}
	s.upsert(w.other, "doc", insert(1, 0, "elsewhere"))
	w.a, w.bob = newAuthor(t, s.id.Key(), w.space, 1), newAuthor(t, stranger(2), w.space, 2)
	w.first = w.a.write(nil, update("doc", insert(2, 0, "one ")))
	s.wantStatus(w.space, core.EntryAccepted, w.first.Raw)
	if err := s.AddMember(s.ctx(), w.space, w.bob.peer(), log.RoleEditor, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	s.upsert(w.space, "doc", insert(1, 0, "kept"))
	s.seal()
	for _, e := range s.decoded(w.space) {
		if e.Chain == core.ChainMembership {
			w.added = e
		} else {
			w.own = e
		}
	}
	w.next = w.a.sign(w.a.header(), update("doc", insert(2, 4, "two")))
	return w
}

// change makes a's next entry with another header.
func (w *badInput) change(edit func(h *log.Header)) core.Entry {
	h := w.a.header()
	edit(&h)
	return w.a.sign(h, update("doc", insert(2, 4, "two"))).Raw
}

// field makes a's next entry with a field that package log would not sign.
func (w *badInput) field(at int, value any) core.Entry {
	return w.a.forge(w.next, nil, func(f []any) { f[at] = value })
}

// ops makes a's next entry of other bytes for its ops.
func (w *badInput) ops(ops []byte) core.Entry { return w.a.forge(w.next, ops, nil) }

// body makes a's next entry of an op of a later version with any bytes for its body.
func (w *badInput) body(body ...byte) core.Entry {
	return w.ops(append(append([]byte{0x81, 0x83, 0x18, 150, 0x50}, make([]byte, 16)...), body...))
}

// headerBytes makes a's next entry with other bytes for its header.
func (w *badInput) headerBytes(edit func(header []byte) []byte) core.Entry {
	return w.a.signed(edit(bytes.Clone(w.next.Raw.Header)), w.next.Raw.Ops)
}

// acts makes the first act of an author's.
func (w *badInput) acts(a *author, bodies ...log.Body) *log.Entry {
	return a.sign(log.Header{
		Space: a.genesis, Incarnation: a.incarnation, Chain: core.ChainMembership, Seq: 1,
		Auth: []core.Hash{w.added.Hash}, Lamport: w.added.Lamport + 1,
	}, bodies...)
}

// byBob makes the first content of the editor.
func (w *badInput) byBob(bodies ...log.Body) core.Entry {
	h := w.bob.header()
	h.Auth, h.Lamport = []core.Hash{w.added.Hash}, w.added.Lamport+1
	return w.bob.sign(h, bodies...).Raw
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
func rawOp(number log.OpNumber, body ...any) any {
	return []any{uint64(number), make([]byte, 16), slices.Concat([]any{}, body)}
}

// manyHashes returns hashes of nothing, in order.
func manyHashes(n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = bytes.Repeat([]byte{byte(i)}, 32)
	}
	return out
}

// bystander is what must not change when bad input comes.
type bystander struct {
	state    map[string]string
	export   []byte
	forks    string
	writer   core.WriterID
	waiting  int64
	rejected int
}

func (w *badInput) look() bystander {
	w.t.Helper()
	var b bystander
	var stream bytes.Buffer
	if err := w.Export(w.ctx(), w.space, &stream); err != nil {
		w.t.Fatalf("Export = %v", err)
	}
	rejected, err := w.Rejected(w.ctx(), w.space)
	if err != nil {
		w.t.Fatalf("Rejected = %v", err)
	}
	b.state, b.export, b.waiting, b.rejected = w.dump(w.space), stream.Bytes(), w.waiting(w.space), len(rejected)
	b.forks = fmt.Sprint(w.forks(w.space))
	b.writer, _ = w.Writer()
	members, err := w.Members(w.ctx(), w.space)
	if err != nil {
		w.t.Fatalf("Members = %v", err)
	}
	b.state["members"] = fmt.Sprint(members)
	return b
}

// offer hands an entry in and fails if that leaves more than so many bytes that wait.
func (w *badInput) offer(t *testing.T, entry core.Entry, waits int) core.Outcome {
	t.Helper()
	before := w.look()
	ctx, cancel := context.WithCancel(w.ctx())
	defer cancel()
	heard := w.hub.Subscribe(ctx)
	o := w.accept(w.space, entry)[0]
	end := events.DomainEvent{Kind: events.SpaceChanged, Source: events.SourceDaemon, SpaceID: "the end"}
	w.hub.Emit(end)
	if ev := <-heard; ev.SpaceID != end.SpaceID {
		t.Errorf("event = %+v, want none", ev)
	}
	after := w.look()
	wantEqual(t, "after bad input", after.state, before.state)
	if !bytes.Equal(after.export, before.export) {
		t.Errorf("export has %d bytes, want the same %d: bad input is not forwarded", len(after.export), len(before.export))
	}
	if after.waiting != before.waiting+int64(waits) {
		t.Errorf("%d bytes wait, want %d more than %d", after.waiting, waits, before.waiting)
	}
	if after.writer != before.writer || after.forks != before.forks || after.rejected != before.rejected {
		t.Errorf("the writer is %s, forks are %s, %d are rejected, want %s, %s and %d",
			after.writer, after.forks, after.rejected, before.writer, before.forks, before.rejected)
	}
	return o
}

// TestBadInput hands in entries that break a rule, each of them one. The bytes of each
// part by themselves are tested in internal/log.
func TestBadInput(t *testing.T) {
	w := newBadInput(t)
	a, next := w.a, w.next
	strange := newAuthor(t, stranger(7), w.space, 1)
	elsewhere := newAuthor(t, w.id.Key(), w.other, 1)
	flipped := next.Raw
	flipped.Sig = bytes.Clone(flipped.Sig)
	flipped.Sig[5] ^= 1
	otherOps := bytes.Clone(next.Raw.Ops)
	otherOps[len(otherOps)-1] ^= 1
	tooMany := make([]any, log.MaxOps+1)
	for i := range tooMany {
		id := bytes.Repeat([]byte{byte(i)}, 16)
		id[0] = byte(i >> 8)
		tooMany[i] = []any{uint64(log.OpDocDelete), id, []any{"doc"}}
	}
	member := rawOp(log.OpMemberAdd, []byte(strange.peer().Key()), uint64(log.RoleOwner), uint64(log.KindDevice))
	type bad struct {
		name  string
		entry core.Entry
		want  log.Reason
	}
	for _, c := range []bad{
		{"wrong signature: of another entry", core.Entry{Header: next.Raw.Header, Ops: next.Raw.Ops, Sig: w.first.Raw.Sig}, log.ReasonSignature},
		{"wrong signature: one bit", flipped, log.ReasonSignature},
		{"wrong signature: short", core.Entry{Header: next.Raw.Header, Ops: next.Raw.Ops, Sig: next.Raw.Sig[:63]}, log.ReasonSignature},
		{"wrong signature: by another key", strange.signed(next.Raw.Header, next.Raw.Ops), log.ReasonSignature},
		{"wrong space: made for another", elsewhere.sign(elsewhere.header(), update("doc", insert(9, 0, "x"))).Raw, log.ReasonSpace},
		{"wrong space: a genesis", w.entries(w.other)[0], log.ReasonSpace},
		{"wrong space: a chain of another", w.entries(w.other)[2], log.ReasonSpace},
		{"wrong space: no genesis", w.field(fieldSpace, w.added.Hash[:]), log.ReasonSpace},
		{"gap in seq", w.change(func(h *log.Header) { h.Seq = 3 }), log.ReasonPrev},
		{"seq beyond numbers", w.field(fieldSeq, uint64(log.MaxCounter+1)), log.ReasonCounter},
		{"wrong prev: of another writer", w.change(func(h *log.Header) { h.Prev = w.own.Hash }), log.ReasonPrev},
		{"wrong prev: of the membership chain", w.change(func(h *log.Header) { h.Prev = a.genesis }), log.ReasonPrev},
		{"wrong prev: itself behind it", w.change(func(h *log.Header) { h.Seq, h.Lamport = 1<<40, 1<<40 }), log.ReasonPrev},
		{"wrong prev: none", w.field(fieldPrev, []byte{}), log.ReasonFirstEntry},
		{"wrong lamport: too low", w.change(func(h *log.Header) { h.Lamport-- }), log.ReasonLamport},
		{"wrong lamport: too high", w.change(func(h *log.Header) { h.Lamport = 1 << 50 }), log.ReasonLamport},
		{"wrong lamport: zero", w.field(fieldLamport, 0), log.ReasonCounter},
		{"auth closure: less than deps know", a.sign(a.header(w.own), update("doc", insert(2, 4, "two"))).Raw, log.ReasonAuthBehind},
		{"auth closure: none in a first entry", a.forge(w.first, nil, func(f []any) { f[fieldAuth] = []any{} }), log.ReasonFirstEntry},
		{"auth closure: known by prev", w.change(func(h *log.Header) { h.Auth = []core.Hash{a.genesis} }), log.ReasonAuthRedundant},
		{"auth closure: content", w.change(func(h *log.Header) { h.Auth = []core.Hash{w.own.Hash} }), log.ReasonAuthChain},
		{"deps: own entry", w.change(func(h *log.Header) { h.Deps = []core.Hash{w.first.Hash} }), log.ReasonDepsOwn},
		{"deps: membership", w.change(func(h *log.Header) { h.Deps = []core.Hash{w.added.Hash} }), log.ReasonDepsChain},
		{"deps: of an act", a.forge(w.acts(a), nil, func(f []any) { f[fieldDeps] = []any{w.own.Hash[:]} }), log.ReasonMembershipDeps},
		{"deps: not in order", w.field(fieldDeps, []any{bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32)}), log.ReasonHeadOrder},
		{"too many heads: deps", w.field(fieldDeps, manyHashes(log.MaxHeads+1)), log.ReasonTooManyHeads},
		{"too many heads: auth", w.field(fieldAuth, manyHashes(log.MaxHeads+1)), log.ReasonTooManyHeads},
		{"too many ops", w.ops(encode(t, tooMany)), log.ReasonTooManyOps},
		{"oversize: ops", w.ops(make([]byte, log.MaxOpsBytes+1)), log.ReasonOpsTooLarge},
		{"oversize: says so", a.forge(next, nil, func(f []any) { f[fieldOpsSize] = log.MaxOpsBytes + 1 }), log.ReasonOpsTooLarge},
		{"oversize: header", a.signed(make([]byte, log.MaxHeaderBytes+1), nil), log.ReasonHeaderTooLarge},
		{"other ops than signed", core.Entry{Header: next.Raw.Header, Ops: otherOps, Sig: next.Raw.Sig}, log.ReasonOpsHash},
		{"fewer ops than signed", core.Entry{Header: next.Raw.Header, Ops: next.Raw.Ops[1:], Sig: next.Raw.Sig}, log.ReasonOpsSize},
		{"wrong version", w.field(fieldVersion, 2), log.ReasonVersion},
		{"wrong key ID", w.field(fieldKeyID, 1), log.ReasonKeyID},
		{"wrong chain", w.field(fieldChain, 2), log.ReasonChain},
		{"nobody's", w.field(fieldPeer, make([]byte, 32)), log.ReasonPeer},
		{"op of an unassigned number", w.ops(encode(t, []any{rawOp(250)})), log.ReasonOpNumber},
		{"op with the ID of another", w.ops(encode(t, []any{rawOp(log.OpDocDelete, "a"), rawOp(log.OpDocDelete, "b")})), log.ReasonOpID},
		{"op of another shape", w.ops(encode(t, []any{rawOp(log.OpDocDelete, 1)})), log.ReasonOpBody},
		{"membership op in content", w.ops(encode(t, []any{member})), log.ReasonOpChain},
		{"content op on the membership chain", a.forge(w.acts(a), encode(t, []any{rawOp(log.OpDocDelete, "doc")}), nil), log.ReasonOpChain},
		{"no member", strange.sign(strange.header(), update("doc", insert(9, 0, "x"))).Raw, log.ReasonNotMember},
		{"no member, no ops", strange.sign(strange.header()).Raw, log.ReasonNotMember},
		{"no member, an act", w.acts(strange).Raw, log.ReasonNotMember},
		{"no right: an editor's name for the space", w.byBob(log.SpaceMeta{Name: "bob's"}), log.ReasonCapability},
		{"no right: an editor's act", w.acts(w.bob, log.MemberAdd{Peer: strange.peer(), Role: log.RoleOwner, Kind: log.KindDevice}).Raw, log.ReasonCapability},
		{"no right: an editor's act of a later version", w.acts(w.bob, log.UnknownOp{Op: 7, Raw: []byte{0x80}}).Raw, log.ReasonCapability},
		{"no right: an invite that is not there", w.acts(strange, log.InviteRedeem{Invite: core.InviteID{1}, Kind: log.KindDevice}).Raw, log.ReasonInvite},
		{"no Yjs update", a.sign(a.header(), update("doc", []byte("no update"))).Raw, replica.ReasonUpdate},
		{"no Yjs update: empty", a.sign(a.header(), update("doc", nil)).Raw, replica.ReasonUpdate},
		{"no Yjs update: half", a.sign(a.header(), update("doc", insert(2, 4, "two")[:9])).Raw, replica.ReasonUpdate},
		{"no Yjs update: the second", a.sign(a.header(), update("a", insert(2, 4, "two")), update("b", []byte{1})).Raw, replica.ReasonUpdate},
		{"hostile CBOR: no header", a.signed(nil, nil), log.ReasonEncoding},
		{"hostile CBOR: reserved", a.signed([]byte{0x1c}, nil), log.ReasonEncoding},
		{"hostile CBOR: arrays in arrays", a.signed(bytes.Repeat([]byte{0x81}, 4000), nil), log.ReasonEncoding},
		{"hostile CBOR: indefinite header", w.headerBytes(func(h []byte) []byte { h[0] = 0x9f; return h }), log.ReasonEncoding},
		{"hostile CBOR: header is a map", w.headerBytes(func(h []byte) []byte { h[0] = 0xaf; return h }), log.ReasonEncoding},
		{"hostile CBOR: one field more", w.headerBytes(func(h []byte) []byte { h[0]++; return append(h, 0) }), log.ReasonEncoding},
		{"hostile CBOR: bytes behind", w.headerBytes(func(h []byte) []byte { return append(h, 0) }), log.ReasonEncoding},
		{"hostile CBOR: cut short", w.headerBytes(func(h []byte) []byte { return h[:len(h)-1] }), log.ReasonEncoding},
		{"hostile CBOR: long number", w.headerBytes(func(h []byte) []byte { return slices.Insert(h, 1, 0x18) }), log.ReasonEncoding},
		{"hostile CBOR: huge length", w.headerBytes(func(h []byte) []byte {
			return slices.Replace(h, 2, 4, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		}), log.ReasonEncoding},
		{"hostile CBOR: a zero hash for none", a.forge(w.first, nil, func(f []any) { f[fieldPrev] = make([]byte, 32) }), log.ReasonEncoding},
		{"hostile CBOR: a nonce", w.field(fieldNonce, make([]byte, 16)), log.ReasonEncoding},
		{"hostile CBOR: ops are none", w.ops([]byte{0xff, 0xff}), log.ReasonEncoding},
		{"hostile CBOR: ops claim to be many", w.ops([]byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), log.ReasonEncoding},
		{"hostile CBOR: indefinite ops", w.ops([]byte{0x9f, 0xff}), log.ReasonEncoding},
		{"hostile CBOR: indefinite string", w.body(0x81, 0x5f, 0x41, 0x00, 0xff), log.ReasonEncoding},
		{"hostile CBOR: map with a key twice", w.body(0x81, 0xa2, 0x01, 0x02, 0x01, 0x02), log.ReasonEncoding},
		{"hostile CBOR: float", w.body(0x81, 0xf9, 0x3c, 0x00), log.ReasonEncoding},
		{"hostile CBOR: tag", w.body(0x81, 0xc0, 0x60), log.ReasonEncoding},
		{"hostile CBOR: text that is none", w.body(0x81, 0x61, 0xff), log.ReasonEncoding},
		{"hostile CBOR: deep", w.body(append(bytes.Repeat([]byte{0x81}, log.MaxDepth), 0x80)...), log.ReasonTooDeep},
		{"hostile CBOR: very deep", w.body(append(bytes.Repeat([]byte{0x81}, 500_000), 0x80)...), log.ReasonTooDeep},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := w.offer(t, c.entry, 0)
			var rejected *log.RejectedError
			if o.Status != core.EntryRejected || !errors.As(o.Err, &rejected) || rejected.Reason != c.want || o.Hash != c.entry.Hash() {
				t.Errorf("entry is %s: %v, want rejected: %s", o.Status, o.Err, c.want)
			}
			if !errors.Is(o.Err, core.ErrInvalidEntry) {
				t.Errorf("error = %v, want ErrInvalidEntry", o.Err)
			}
		})
	}

	// One bad entry does not hold up the others of its batch.
	outcomes := w.accept(w.space, flipped, next.Raw, flipped)
	if got := []core.EntryStatus{outcomes[0].Status, outcomes[1].Status, outcomes[2].Status}; !slices.Equal(got,
		[]core.EntryStatus{core.EntryRejected, core.EntryAccepted, core.EntryRejected}) {
		t.Errorf("batch = %v, want rejected, accepted, rejected", got)
	}
	w.wantStatus(w.space, core.EntryKnown, next.Raw, w.first.Raw)
}

// TestInputThatWaits hands in entries of which nobody can say yet that they are wrong:
// what they cite may still come. They are kept apart, and only so many of them, see
// TestParkingIsBounded.
func TestInputThatWaits(t *testing.T) {
	w := newBadInput(t)
	elsewhere := w.decoded(w.other)[1]
	unseen := newAuthor(t, w.id.Key(), w.space, 9)
	held := unseen.write(nil, update("held", insert(1, 0, "x")))
	for _, c := range []struct {
		name  string
		entry core.Entry
		want  log.WaitReason
	}{
		{"unknown deps", w.a.sign(w.a.header(held), update("doc", insert(2, 4, "two"))).Raw, log.WaitPast},
		{"unknown auth", w.change(func(h *log.Header) { h.Auth = []core.Hash{{7}} }), log.WaitPast},
		{"unknown prev", unseen.sign(unseen.header(), update("held", insert(1, 1, "y"))).Raw, log.WaitPast},
		{"unknown prev of a stranger", func() core.Entry {
			s := newAuthor(t, stranger(8), w.space, 1)
			s.write(nil)
			return s.write(nil).Raw
		}(), log.WaitPast},
		{"prev of another space", w.change(func(h *log.Header) { h.Prev = elsewhere.Hash }), log.WaitPast},
		{"deps of another space", w.change(func(h *log.Header) { h.Deps = []core.Hash{elsewhere.Hash} }), log.WaitPast},
		{"auth of another space", w.change(func(h *log.Header) { h.Auth = []core.Hash{w.decoded(w.other)[0].Hash} }), log.WaitPast},
		{"an act of a later version", w.acts(w.a, log.UnknownOp{Op: 7, Raw: []byte{0x80}}).Raw, log.WaitMembershipOp},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := w.offer(t, c.entry, c.entry.Size())
			var waiting *log.WaitingError
			if o.Status != core.EntryWaiting || !errors.As(o.Err, &waiting) || waiting.Reason != c.want {
				t.Errorf("entry is %s: %v, want that it waits: %s", o.Status, o.Err, c.want)
			}
			if again := w.offer(t, c.entry, 0); again.Status != core.EntryWaiting {
				t.Errorf("the entry again is %s, want that it waits", again.Status)
			}
		})
	}
	w.wantStatus(w.space, core.EntryAccepted, held.Raw)
	w.wantText(w.space, "held", "xy") // and what waited for it
}
