package log_test

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// rejection is an entry that breaks exactly the rule want.
type rejection struct {
	name string
	raw  core.Entry
	want log.Reason
}

// rejections breaks every rule there is, and some in several ways.
func rejections(t testing.TB, w *world) []rejection {
	t.Helper()
	var all []rejection
	add := func(want log.Reason, name string, raw core.Entry) {
		all = append(all, rejection{string(want) + ": " + name, raw, want})
	}
	// head edits the header of an entry, body gives the update entry other ops.
	head := func(want log.Reason, name string, e *log.Entry, edit func(f []any)) {
		add(want, name, forge(t, w.owner, e, nil, edit))
	}
	body := func(want log.Reason, name string, ops []byte) { add(want, name, forge(t, w.owner, w.update, ops, nil)) }
	ops := func(want log.Reason, name string, ops ...any) { body(want, name, encode(t, ops)) }
	// twist edits the bytes of a header.
	twist := func(name string, e *log.Entry, old, new string) {
		t.Helper()
		if bytes.Count(e.Raw.Header, []byte(old)) == 0 {
			t.Fatalf("%s: the header has no %x", name, old)
		}
		header := bytes.Replace(e.Raw.Header, []byte(old), []byte(new), 1)
		add(log.ReasonEncoding, name, core.Entry{Header: header, Ops: e.Raw.Ops, Sig: sign(w.owner, header)})
	}
	stranger := keyOf("stranger")
	zero := make([]byte, 32)
	hash := func(h core.Hash) []byte { return h[:] }
	heads := func(n int) (out []any) {
		for i := range n {
			out = append(out, hash(core.Hash{byte(i)}))
		}
		return out
	}
	nest := func(n int) []byte { return append(bytes.Repeat([]byte{0x81}, n-1), 0x80) }
	opBytes := func(body []byte) []byte {
		id := opID(1)
		return append(append(append([]byte{0x81, 0x83, 0x18, byte(opOfNewer)}, 0x50), id[:]...), body...)
	}

	// The header by itself.
	twist("array of 14", w.update, "\x8f\x01", "\x8e\x01")
	twist("array of 16", w.update, "\x8f\x01", "\x90\x01")
	twist("long array head", w.update, "\x8f\x01", "\x98\x0f\x01")
	twist("indefinite array", w.update, "\x8f\x01", "\x9f\x01")
	twist("long version", w.update, "\x8f\x01", "\x8f\x18\x01")
	twist("map", w.update, "\x8f\x01", "\xaf\x01")
	twist("tagged", w.update, "\x8f\x01", "\xc1\x8f\x01")
	twist("version is a float", w.update, "\x8f\x01", "\x8f\xf9\x3c\x00")
	twist("space is text", w.update, "\x8f\x01\x58\x20", "\x8f\x01\x78\x20")
	twist("long length", w.update, "\x8f\x01\x58\x20", "\x8f\x01\x59\x00\x20")
	twist("length beyond the input", w.update, "\x8f\x01\x58\x20", "\x8f\x01\x5b\x7f\xff\xff\xff\xff\xff\xff\xff")
	twist("null for no auth and deps", w.update, "\x80\x80\x04", "\xf6\xf6\x04")
	twist("trailing byte", w.update, string(w.update.Raw.Header), string(w.update.Raw.Header)+"\x00")
	twist("truncated", w.update, string(w.update.Raw.Header), string(w.update.Raw.Header[:100]))
	add(log.ReasonEncoding, "empty", core.Entry{Sig: make([]byte, 64)})
	head(log.ReasonEncoding, "short key", w.update, func(f []any) { f[fPeer] = zero[:31] })
	head(log.ReasonEncoding, "no incarnation", w.update, func(f []any) { f[fIncarnation] = []byte{} })
	head(log.ReasonEncoding, "negative seq", w.update, func(f []any) { f[fSeq] = -1 })
	head(log.ReasonEncoding, "seq is a bignum", w.update, func(f []any) { f[fSeq] = []byte{1} })
	head(log.ReasonEncoding, "nonce outside a genesis", w.update, func(f []any) { f[fNonce] = zero[:16] })
	head(log.ReasonEncoding, "genesis without nonce", w.genesis, func(f []any) { f[fNonce] = []byte{} })
	head(log.ReasonEncoding, "zero space", w.genesis, func(f []any) { f[fSpace] = zero })
	head(log.ReasonEncoding, "zero prev", w.retire, func(f []any) { f[fPrev] = zero })
	head(log.ReasonEncoding, "short head", w.retire, func(f []any) { f[fAuth] = []any{zero[:31], zero[:31]} })
	head(log.ReasonEncoding, "heads beyond the input", w.update, func(f []any) { f[fDeps] = make([]any, 33) })
	head(log.ReasonVersion, "2", w.update, func(f []any) { f[fVersion] = 2 })
	add(log.ReasonVersion, "2 of another shape", core.Entry{Header: encode(t, []any{2, "x"}), Sig: make([]byte, 64)})
	head(log.ReasonKeyID, "1", w.update, func(f []any) { f[fKeyID] = 1 })
	add(log.ReasonHeaderTooLarge, "one more", core.Entry{Header: make([]byte, log.MaxHeaderBytes+1), Sig: make([]byte, 64)})
	head(log.ReasonTooManyHeads, "auth", w.retire, func(f []any) { f[fAuth] = heads(65) })
	head(log.ReasonTooManyHeads, "deps", w.merge, func(f []any) { f[fDeps] = heads(65) })
	head(log.ReasonCounter, "seq 0", w.update, func(f []any) { f[fSeq] = 0 })
	head(log.ReasonCounter, "seq 2^53", w.update, func(f []any) { f[fSeq] = uint64(1) << 53 })
	head(log.ReasonCounter, "lamport 0", w.update, func(f []any) { f[fLamport] = 0 })
	head(log.ReasonCounter, "lamport 2^64-1", w.update, func(f []any) { f[fLamport] = ^uint64(0) })
	head(log.ReasonCounter, "wallMs 2^53", w.update, func(f []any) { f[fWallMs] = uint64(1) << 53 })
	head(log.ReasonPeer, "zero", w.update, func(f []any) { f[fPeer] = zero })
	head(log.ReasonChain, "2", w.update, func(f []any) { f[fChain] = 2 })
	head(log.ReasonHeadOrder, "auth twice", w.retire, func(f []any) { f[fAuth] = []any{zero, zero} })
	head(log.ReasonHeadOrder, "deps descending", w.merge, func(f []any) { f[fDeps] = []any{hash(core.Hash{2}), hash(core.Hash{1})} })
	head(log.ReasonMembershipDeps, "one", w.acts, func(f []any) { f[fDeps] = []any{hash(w.update.Hash)} })
	head(log.ReasonFirstEntry, "seq 1 with prev", w.retire, func(f []any) { f[fPrev] = hash(w.update.Hash) })
	head(log.ReasonFirstEntry, "seq 2 without prev", w.meta, func(f []any) { f[fPrev] = []byte{} })
	head(log.ReasonFirstEntry, "content without auth", w.retire, func(f []any) { f[fAuth] = []any{} })
	head(log.ReasonFirstEntry, "membership without auth", w.acts, func(f []any) { f[fAuth] = []any{} })

	// A genesis.
	head(log.ReasonGenesis, "content", w.genesis, func(f []any) { f[fChain] = 1 })
	head(log.ReasonGenesis, "seq 2", w.genesis, func(f []any) { f[fSeq] = 2 })
	head(log.ReasonGenesis, "prev", w.genesis, func(f []any) { f[fPrev] = hash(w.update.Hash) })
	head(log.ReasonGenesis, "auth", w.genesis, func(f []any) { f[fAuth] = []any{hash(w.acts.Hash)} })
	head(log.ReasonGenesis, "lamport 2", w.genesis, func(f []any) { f[fLamport] = 2 })
	genesis := func(name string, ops ...any) {
		add(log.ReasonGenesis, name, forge(t, w.owner, w.genesis, encode(t, append([]any{}, ops...)), nil))
	}
	me, other := []byte(peerOf(w.owner).Key()), []byte(peerOf(stranger).Key())
	member := func(id int, who []byte, role, kind int) any {
		return rawOp(int(log.OpMemberAdd), id, []any{who, role, kind})
	}
	genesis("no ops")
	genesis("two ops", member(1, me, 1, 1), member(2, other, 1, 1))
	genesis("another op", rawOp(int(log.OpMemberAck), 1, []any{me}))
	genesis("another member", member(1, other, 1, 1))
	genesis("editor", member(1, me, 2, 1))
	genesis("cache", member(1, me, 1, 3))

	// The ops.
	head(log.ReasonOpsSize, "one less", w.update, func(f []any) { f[fOpsSize] = len(w.update.Raw.Ops) - 1 })
	head(log.ReasonOpsHash, "zero", w.update, func(f []any) { f[fOpsHash] = zero })
	head(log.ReasonOpsTooLarge, "says the header", w.update, func(f []any) { f[fOpsSize] = log.MaxOpsBytes + 1 })
	body(log.ReasonOpsTooLarge, "one more", make([]byte, log.MaxOpsBytes+1))
	body(log.ReasonEncoding, "no ops, no bytes", []byte{})
	body(log.ReasonEncoding, "no array", []byte{0xf6})
	body(log.ReasonEncoding, "array of nothing", []byte{0x9a, 0x7f, 0xff, 0xff, 0xff})
	body(log.ReasonEncoding, "trailing byte", append(bytes.Clone(w.update.Raw.Ops), 0))
	body(log.ReasonEncoding, "trailing byte after none", []byte{0x80, 0x80})
	body(log.ReasonEncoding, "indefinite", []byte{0x9f, 0xff})
	ops(log.ReasonEncoding, "op of two", []any{int(opOfNewer), opID(1)}, "padding so that the array may have one element")
	ops(log.ReasonEncoding, "op of four", append(rawOp(int(opOfNewer), 1, []any{}), 1))
	ops(log.ReasonEncoding, "short ID", []any{int(opOfNewer), zero[:15], []any{1, 2}})
	ops(log.ReasonEncoding, "body is no array", rawOp(int(opOfNewer), 1, "text"))
	body(log.ReasonEncoding, "map in a body", opBytes([]byte{0x81, 0xa1, 0x01, 0x02}))
	body(log.ReasonEncoding, "map with a key twice", opBytes([]byte{0x81, 0xa2, 0x01, 0x02, 0x01, 0x02}))
	body(log.ReasonEncoding, "float in a body", opBytes([]byte{0x81, 0xf9, 0x3c, 0x00}))
	body(log.ReasonEncoding, "undefined in a body", opBytes([]byte{0x81, 0xf7}))
	body(log.ReasonEncoding, "long simple value", opBytes([]byte{0x81, 0xf8, 0x20}))
	body(log.ReasonEncoding, "two spellings of null", opBytes([]byte{0x81, 0xf8, 0x16}))
	body(log.ReasonEncoding, "tag in a body", opBytes([]byte{0x81, 0xc0, 0x60}))
	body(log.ReasonEncoding, "indefinite string", opBytes([]byte{0x81, 0x5f, 0x41, 0x00, 0xff}))
	body(log.ReasonEncoding, "text not UTF-8", opBytes([]byte{0x81, 0x61, 0xff}))
	body(log.ReasonEncoding, "long integer", opBytes([]byte{0x81, 0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}))
	body(log.ReasonEncoding, "array beyond the input", opBytes([]byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}))
	body(log.ReasonEncoding, "inner array beyond the input", opBytes([]byte{0x81, 0x9a, 0x7f, 0xff, 0xff, 0xff}))
	body(log.ReasonTooDeep, "17", opBytes(nest(log.MaxDepth+1)))
	body(log.ReasonTooDeep, "100,000", opBytes(nest(100_000)))
	var many []any
	for i := range log.MaxOps + 1 {
		many = append(many, rawOp(int(log.OpDocDelete), i, []any{"d"}))
	}
	ops(log.ReasonTooManyOps, "257", many...)
	for _, n := range []int{224, 255, 256, 1 << 20} {
		ops(log.ReasonOpNumber, strconv.Itoa(n), rawOp(n, 1, []any{}))
	}
	ops(log.ReasonOpChain, "membership on content", member(1, other, 1, 1))
	add(log.ReasonOpChain, "content on membership",
		forge(t, w.owner, w.acts, encode(t, []any{rawOp(int(log.OpDocDelete), 1, []any{"d"})}), nil))
	ops(log.ReasonOpID, "twice", rawOp(int(log.OpDocDelete), 1, []any{"d"}), rawOp(int(opOfNewer), 1, []any{}))

	// The bodies.
	wrong := func(op log.OpNumber, name string, body ...any) {
		e := w.update
		if op < 64 {
			e = w.acts
		}
		if body == nil {
			body = []any{}
		}
		add(log.ReasonOpBody, op.String()+" "+name, forge(t, w.owner, e, encode(t, []any{rawOp(int(op), 1, body)}), nil))
	}
	wrong(log.OpMemberAdd, "empty")
	wrong(log.OpMemberAdd, "longer", other, 1, 1, 1)
	wrong(log.OpMemberAdd, "zero key", zero, 1, 1)
	wrong(log.OpMemberAdd, "role 0", other, 0, 1)
	wrong(log.OpMemberAdd, "role 5", other, 5, 1)
	wrong(log.OpMemberAdd, "role 257", other, 257, 1)
	wrong(log.OpMemberAdd, "kind 0", other, 1, 0)
	wrong(log.OpMemberAdd, "kind 4", other, 1, 4)
	head1 := []any{zero[:16], 1, zero}
	wrong(log.OpMemberRole, "empty")
	wrong(log.OpMemberRole, "zero key", zero, 1, []any{})
	wrong(log.OpMemberRole, "role 0", other, 0, []any{})
	wrong(log.OpMemberRole, "no cut", other, 1)
	wrong(log.OpMemberRemove, "empty")
	wrong(log.OpMemberRemove, "purge is a number", other, 1, []any{})
	wrong(log.OpMemberRemove, "purge is null", other, nil, []any{})
	wrong(log.OpMemberRemove, "cut of bytes", other, true, zero)
	wrong(log.OpMemberRemove, "head of two", other, true, []any{[]any{zero[:16], make([]byte, 40)}})
	wrong(log.OpMemberRemove, "head at 0", other, true, []any{[]any{zero[:16], 0, zero}})
	wrong(log.OpMemberRemove, "head at 2^53", other, true, []any{[]any{zero[:16], uint64(1) << 53, zero}})
	wrong(log.OpMemberRemove, "short head", other, true, []any{[]any{zero[:16], 1, zero[:31]}, 1})
	wrong(log.OpMemberRemove, "head twice", other, true, []any{head1, head1})
	wrong(log.OpMemberRemove, "too many heads", other, true, func() (out []any) {
		for i := range log.MaxCut + 1 {
			out = append(out, []any{append([]byte{byte(i >> 8), byte(i)}, zero[:14]...), 1, zero})
		}
		return out
	}())
	wrong(log.OpMemberLeave, "empty")
	wrong(log.OpMemberLeave, "head twice", []any{head1, head1})
	wrong(log.OpMemberAck, "empty")
	wrong(log.OpMemberAck, "zero key", zero)
	wrong(log.OpInviteCreate, "empty")
	wrong(log.OpInviteCreate, "zero", zero, 2, 1, 0)
	wrong(log.OpInviteCreate, "for owners", other, 1, 1, 0)
	wrong(log.OpInviteCreate, "role 5", other, 5, 1, 0)
	wrong(log.OpInviteCreate, "no use", other, 2, 0, 0)
	wrong(log.OpInviteCreate, "too many uses", other, 2, log.MaxInviteUses+1, 0)
	wrong(log.OpInviteCreate, "expires at 2^53", other, 2, 1, uint64(1)<<53)
	wrong(log.OpInviteRevoke, "empty")
	wrong(log.OpInviteRevoke, "zero", zero)
	wrong(log.OpInviteRedeem, "empty")
	wrong(log.OpInviteRedeem, "kind 0", other, 0, make([]byte, 64))
	wrong(log.OpInviteRedeem, "short proof", other, 1, make([]byte, 63))
	wrong(log.OpWriterRetire, "empty")
	wrong(log.OpWriterRetire, "none", []any{})
	wrong(log.OpWriterRetire, "twice", []any{zero[:16], zero[:16]})
	wrong(log.OpWriterRetire, "short", []any{zero[:15], zero[:15]})
	wrong(log.OpWriterRetire, "too many", func() (out []any) {
		for i := range log.MaxRetired + 1 {
			out = append(out, append([]byte{byte(i >> 8), byte(i)}, zero[:14]...))
		}
		return out
	}())
	wrong(log.OpSpaceMeta, "empty", "")
	wrong(log.OpSpaceMeta, "too long", strings.Repeat("x", log.MaxSpaceNameBytes+1))
	wrong(log.OpSpaceMeta, "line", "a\nb")
	wrong(log.OpSpaceMeta, "longer", "a", "b")
	wrong(log.OpSpaceMeta, "bytes", []byte("a"))
	wrong(log.OpDocUpdate, "no update", "d")
	wrong(log.OpDocUpdate, "longer", "d", []byte{1}, 1)
	wrong(log.OpDocUpdate, "no ID", "", []byte{1})
	wrong(log.OpDocUpdate, "control", "a\x00", []byte{1})
	wrong(log.OpDocUpdate, "text", "d", "update")
	wrong(log.OpDocDelete, "long ID", strings.Repeat("x", core.MaxIDBytes+1))
	wrong(log.OpDocDelete, "number", 1)
	wrong(log.OpPagePut, "no ID", "", 1, "title")
	wrong(log.OpPagePut, "no value", "p", 1)
	wrong(log.OpPagePut, "longer", "p", 1, "title", 1)
	wrong(log.OpPagePut, "long title", "p", 1, strings.Repeat("x", log.MaxPageTitleBytes+1))
	wrong(log.OpPagePut, "title of two lines", "p", 1, "a\u2028b")
	wrong(log.OpPagePut, "title of bytes", "p", 1, []byte("title"))
	wrong(log.OpPagePut, "archived is text", "p", 2, "yes")
	wrong(log.OpPagePut, "archived is null", "p", 2, nil)
	wrong(log.OpPagePut, "large field", "p", 3, make([]byte, log.MaxPageValueBytes))
	wrong(log.OpPagePut, "field is text", "p", "title", "a")
	wrong(log.OpPageMove, "no ID", "", "", []byte{1}, false)
	wrong(log.OpPageMove, "parent", "p", "a\x00", []byte{1}, false)
	wrong(log.OpPageMove, "no position", "p", "", []byte{}, false)
	wrong(log.OpPageMove, "long position", "p", "", bytes.Repeat([]byte{1}, log.MaxPositionBytes+1), false)
	wrong(log.OpPageMove, "position with nothing before it", "p", "", []byte{1, 0}, false)
	wrong(log.OpPageMove, "position of text", "p", "", "a", false)
	wrong(log.OpPageMove, "reorder is a number", "p", "", []byte{1}, 1)
	wrong(log.OpPageMove, "shorter", "p", "", []byte{1})
	wrong(log.OpPageDelete, "no ID", "")
	wrong(log.OpPageDelete, "longer", "p", 1)
	wrong(log.OpBlobPut, "short hash", zero[:31], 1, "", "")
	wrong(log.OpBlobPut, "long hash", append(bytes.Clone(zero), 0), 1, "", "")
	wrong(log.OpBlobPut, "hash is text", strings.Repeat("0", 32), 1, "", "")
	wrong(log.OpBlobPut, "size", zero, uint64(log.MaxCounter+1), "", "")
	wrong(log.OpBlobPut, "negative size", zero, -1, "", "")
	wrong(log.OpBlobPut, "size is text", zero, "1", "", "")
	wrong(log.OpBlobPut, "type of two lines", zero, 1, "text/plain\nx: y", "")
	wrong(log.OpBlobPut, "type that is not ASCII", zero, 1, "text/plain\u00a0", "")
	wrong(log.OpBlobPut, "type with DEL", zero, 1, "text/plain\x7f", "")
	wrong(log.OpBlobPut, "long type", zero, 1, strings.Repeat("x", log.MaxMIMEBytes+1), "")
	wrong(log.OpBlobPut, "type is null", zero, 1, nil, "")
	wrong(log.OpBlobPut, "name with a slash", zero, 1, "", "a/b")
	wrong(log.OpBlobPut, "name with a backslash", zero, 1, "", `a\b`)
	wrong(log.OpBlobPut, "name is a folder", zero, 1, "", "..")
	wrong(log.OpBlobPut, "name is this folder", zero, 1, "", ".")
	wrong(log.OpBlobPut, "name with NUL", zero, 1, "", "a\x00")
	wrong(log.OpBlobPut, "name of two lines", zero, 1, "", "a\u2029b")
	wrong(log.OpBlobPut, "long name", zero, 1, "", strings.Repeat("x", log.MaxBlobNameBytes+1))
	wrong(log.OpBlobPut, "no name", zero, 1, "")
	wrong(log.OpBlobPut, "longer", zero, 1, "", "", 1)
	wrong(log.OpBlobRemove, "no hash")
	wrong(log.OpBlobRemove, "empty hash", zero[:0])
	wrong(log.OpBlobRemove, "longer", zero, 1)

	// The signature.
	bad := w.update.Raw
	bad.Sig = sign(stranger, bad.Header)
	add(log.ReasonSignature, "of another", bad)
	bad.Sig = bytes.Clone(w.update.Raw.Sig)
	bad.Sig[63] |= 0xe0 // S beyond the group's order: a second spelling
	add(log.ReasonSignature, "second spelling", bad)
	bad.Sig = nil
	add(log.ReasonSignature, "none", bad)

	// The past.
	head(log.ReasonSpace, "a content entry", w.retire, func(f []any) { f[fSpace] = hash(w.update.Hash) })
	head(log.ReasonSpace, "a later membership entry", w.retire, func(f []any) { f[fSpace] = hash(w.acts.Hash) })
	head(log.ReasonPrev, "of another writer", w.meta, func(f []any) { f[fPrev] = hash(w.remove.Hash) })
	head(log.ReasonPrev, "of the other chain", w.merge, func(f []any) { f[fPrev] = hash(w.acts.Hash) })
	head(log.ReasonPrev, "two back", w.update, func(f []any) { f[fPrev] = hash(w.retire.Hash) })
	head(log.ReasonPrev, "further on", w.meta, func(f []any) { f[fPrev] = hash(w.update.Hash) })
	head(log.ReasonAuthChain, "content", w.retire, func(f []any) { f[fAuth] = []any{hash(w.remove.Hash)} })
	head(log.ReasonAuthRedundant, "had by prev", w.meta, func(f []any) { f[fAuth] = []any{hash(w.genesis.Hash)} })
	head(log.ReasonAuthRedundant, "had by another", w.retire, func(f []any) {
		both := sorted(w.genesis.Hash, w.acts.Hash)
		f[fAuth] = []any{hash(both[0]), hash(both[1])}
	})
	head(log.ReasonAuthRedundant, "prev itself", w.acts, func(f []any) {
		f[fSeq], f[fPrev], f[fAuth], f[fLamport] = 2, hash(w.acts.Hash), []any{hash(w.acts.Hash)}, 3
	})
	head(log.ReasonAuthRedundant, "in the past of prev", w.acts, func(f []any) {
		f[fSeq], f[fPrev], f[fLamport] = 2, hash(w.acts.Hash), 3
	})
	head(log.ReasonAuthBehind, "deps know more", w.update, func(f []any) {
		f[fDeps], f[fLamport] = []any{hash(w.unknown.Hash)}, 7
	})
	head(log.ReasonDepsChain, "membership", w.merge, func(f []any) { f[fDeps] = []any{hash(w.acts.Hash)} })
	head(log.ReasonDepsOwn, "own", w.update, func(f []any) { f[fDeps] = []any{hash(w.retire.Hash)} })
	head(log.ReasonLamport, "one less", w.update, func(f []any) { f[fLamport] = 3 })
	head(log.ReasonLamport, "one more", w.update, func(f []any) { f[fLamport] = 5 })
	head(log.ReasonLamport, "of auth", w.unknown, func(f []any) { f[fLamport] = 3 })
	head(log.ReasonLamport, "of deps", w.merge, func(f []any) { f[fLamport] = 3 })
	head(log.ReasonLamport, "membership", w.acts, func(f []any) { f[fLamport] = 3 })
	add(log.ReasonNotMember, "content", forge(t, stranger, w.retire, nil, nil))
	add(log.ReasonNotMember, "no ops", forge(t, stranger, w.retire, []byte{0x80}, nil))
	add(log.ReasonNotMember, "membership without ops", forge(t, stranger, w.acts, nil, nil))
	add(log.ReasonInvite, "never made", forge(t, stranger, w.acts,
		encode(t, []any{rawOp(int(log.OpInviteRedeem), 1, []any{other, 1, make([]byte, 64)})}), nil))
	return all
}

func TestRejections(t *testing.T) {
	w := newWorld(t)
	covered := map[log.Reason]bool{}
	for _, r := range rejections(t, w) {
		err := judge(r.raw, w.past)
		wantReason(t, r.name, err, r.want)
		if !strings.Contains(err.Error(), string(r.want)) {
			t.Errorf("%s: text %q does not name the rule", r.name, err)
		}
		var rejected *log.RejectedError
		if errors.As(err, &rejected) && rejected.Hash != r.raw.Hash() && r.want != log.ReasonHeaderTooLarge {
			t.Errorf("%s: rejected %s, want %s", r.name, rejected.Hash, r.raw.Hash())
		}
		covered[r.want] = true
	}
	covered[log.ReasonCapability] = true // TestCapabilities: an owner has them all
	for _, reason := range allReasons(t) {
		if !covered[reason] {
			t.Errorf("no entry is rejected for %q", reason)
		}
	}
}

// allReasons reads the constants from the source, so that none can be forgotten.
func allReasons(t *testing.T) []log.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reject.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []log.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, log.Reason(value))
		return true
	})
	if len(out) < 30 {
		t.Fatalf("found %d reasons only", len(out))
	}
	return out
}

func TestLimitsAreTooLarge(t *testing.T) {
	w := newWorld(t)
	for _, r := range rejections(t, w) {
		large := strings.Contains(string(r.want), "too-")
		if got := errors.Is(judge(r.raw, w.past), core.ErrTooLarge); got != large {
			t.Errorf("%s: is ErrTooLarge = %v, want %v", r.name, got, large)
		}
	}
}
