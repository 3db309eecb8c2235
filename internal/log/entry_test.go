package log_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

func TestDecodeReturnsWhatWasSealed(t *testing.T) {
	for _, e := range newWorld(t).entries() {
		got, err := log.Decode(e.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.VerifySignature(); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, e) {
			t.Errorf("Decode = %+v, want %+v", got, e)
		}
		if got.Hash != e.Raw.Hash() || got.Writer != log.WriterIDOf(e.Peer, e.Incarnation) {
			t.Errorf("hash %v, writer %v", got.Hash, got.Writer)
		}
	}
}

func TestSpaceOfAnEntry(t *testing.T) {
	w := newWorld(t)
	want := core.SpaceIDFromHash(w.genesis.Hash)
	for _, e := range w.entries() {
		if got := e.SpaceID(); got != want {
			t.Errorf("SpaceID = %s, want %s", got, want)
		}
	}
}

func TestDocUpdateKnowsItsPlace(t *testing.T) {
	w := newWorld(t)
	for _, size := range []int{0, 1, 23, 24, 255, 256, 65535, 65536, log.MaxDocUpdateBytes} {
		update := bytes.Repeat([]byte{0x5a}, size)
		e := seal(t, w.owner, w.update.Header,
			log.Op{ID: opID(1), Body: log.DocUpdate{Doc: strings.Repeat("d", core.MaxIDBytes), Update: update}})
		got := e.Ops[0].Body.(log.DocUpdate)
		if got.Length != size || !bytes.Equal(e.Raw.Ops[got.Offset:got.Offset+got.Length], update) {
			t.Errorf("update of %d bytes: offset %d, length %d", size, got.Offset, got.Length)
		}
		if over := len(e.Raw.Ops) - size; over > log.OpsOverhead+log.DocUpdateOverhead {
			t.Errorf("update of %d bytes takes %d more, at most %d were promised", size, over, log.OpsOverhead+log.DocUpdateOverhead)
		}
	}
	for _, op := range w.update.Ops {
		b := op.Body.(log.DocUpdate)
		if !bytes.Equal(w.update.Raw.Ops[b.Offset:b.Offset+b.Length], b.Update) {
			t.Errorf("%s lies elsewhere than at %d", b.Doc, b.Offset)
		}
	}
}

func TestSealRefusesWhatDecodeWould(t *testing.T) {
	w := newWorld(t)
	doc := func(id int, size int) log.Op {
		return log.Op{ID: opID(id), Body: log.DocUpdate{Doc: "d", Update: make([]byte, size)}}
	}
	for name, c := range map[string]struct {
		ops  []log.Op
		want log.Reason
	}{
		"too large":  {[]log.Op{doc(1, log.MaxOpsBytes)}, log.ReasonOpsTooLarge},
		"empty name": {[]log.Op{{ID: opID(1), Body: log.SpaceMeta{}}}, log.ReasonOpBody},
		"no body":    {[]log.Op{{ID: opID(1)}}, log.ReasonOpBody},
		"raw nil":    {[]log.Op{{ID: opID(1), Body: log.UnknownOp{Op: opOfNewer}}}, log.ReasonEncoding},
		"raw broken": {[]log.Op{{ID: opID(1), Body: log.UnknownOp{Op: opOfNewer, Raw: []byte{0x82}}}}, log.ReasonOpBody},
		"raw known":  {[]log.Op{{ID: opID(1), Body: log.UnknownOp{Op: log.OpDocDelete, Raw: []byte{0x80}}}}, log.ReasonOpBody},
		"twice":      {[]log.Op{doc(1, 1), doc(1, 2)}, log.ReasonOpID},
		"membership": {[]log.Op{{ID: opID(1), Body: log.MemberAdd{Peer: w.update.Peer, Role: 1, Kind: 1}}}, log.ReasonOpChain},
	} {
		_, err := log.Seal(w.owner, w.update.Header, c.ops)
		wantReason(t, name, err, c.want)
	}
	_, err := log.Seal(w.owner, w.update.Header, []log.Op{doc(1, log.MaxOpsBytes)})
	if !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("Seal(too large) = %v, want ErrTooLarge", err)
	}
	if _, err := log.Seal(w.owner[:63], w.update.Header, nil); err == nil {
		t.Error("Seal took a short key")
	}
	if _, err := log.SealGenesis(nil, core.Incarnation{}, 1, rand.Reader); err == nil {
		t.Error("SealGenesis took no key")
	}
}

func TestSealKeepsNoInput(t *testing.T) {
	w := newWorld(t)
	update, auth := []byte("some update"), []core.Hash{w.genesis.Hash}
	h := w.retire.Header
	h.Auth = auth
	e := seal(t, w.owner, h, log.Op{ID: opID(1), Body: log.DocUpdate{Doc: "d", Update: update}})
	update[0], auth[0] = 'X', core.Hash{}
	if got := e.Ops[0].Body.(log.DocUpdate).Update; string(got) != "some update" || e.Auth[0] != w.genesis.Hash {
		t.Errorf("the entry changed with the caller's slices: %q, %v", got, e.Auth)
	}
}

func TestGenesisesDiffer(t *testing.T) {
	key := keyOf("owner")
	a, err := log.SealGenesis(key, core.Incarnation{}, testTime, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := log.SealGenesis(key, core.Incarnation{}, testTime, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.Hash == b.Hash || a.Nonce == b.Nonce || a.Ops[0].ID == b.Ops[0].ID {
		t.Error("two spaces made in one millisecond are one")
	}
}

// The longest header must fit, and the comment at MaxHeaderBytes be true.
func TestLongestHeader(t *testing.T) {
	var heads []core.Hash
	for i := range log.MaxHeads {
		heads = append(heads, core.Hash{byte(i + 1)})
	}
	h := newWorld(t).update.Header
	h.Auth, h.Deps = heads, heads
	h.Seq, h.Lamport, h.WallMs = log.MaxCounter, log.MaxCounter, log.MaxCounter
	h.OpsSize = log.MaxOpsBytes
	b, err := log.EncodeHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.ReadHead(b); err != nil {
		t.Errorf("the longest header: %v", err)
	}
	if len(b) != 4546 || len(b) > log.MaxHeaderBytes {
		t.Errorf("the longest header has %d bytes, want 4546", len(b))
	}
}

func TestLimitsAreReached(t *testing.T) {
	w := newWorld(t)
	var ops []log.Op
	for i := range log.MaxOps {
		ops = append(ops, log.Op{ID: opID(i), Body: log.DocDelete{Doc: "d"}})
	}
	seal(t, w.owner, w.update.Header, ops...)

	retired := make([]core.Incarnation, log.MaxRetired)
	for i := range retired {
		retired[i][0] = byte(i)
	}
	seal(t, w.owner, w.update.Header, log.Op{ID: opID(1), Body: log.WriterRetire{Incarnations: retired}})
	seal(t, w.owner, w.update.Header, log.Op{ID: opID(1), Body: log.SpaceMeta{Name: strings.Repeat("n", log.MaxSpaceNameBytes)}})

	deep := append(bytes.Repeat([]byte{0x81}, log.MaxDepth-1), 0x80)
	seal(t, w.owner, w.update.Header, log.Op{ID: opID(1), Body: log.UnknownOp{Op: opOfNewer, Raw: deep}})

	exact := log.MaxOpsBytes - (1 + 1 + 2 + 17 + 1 + 2 + 5) // the document is called d
	e := seal(t, w.owner, w.update.Header, log.Op{ID: opID(1), Body: log.DocUpdate{Doc: "d", Update: make([]byte, exact)}})
	if len(e.Raw.Ops) != log.MaxOpsBytes {
		t.Errorf("ops of %d bytes, want %d", len(e.Raw.Ops), log.MaxOpsBytes)
	}
	frame := log.AppendFrame(nil, e.Raw)
	if len(frame) > log.MaxFrameBytes || e.Raw.Size() > log.MaxEntryBytes {
		t.Errorf("frame of %d bytes, at most %d were promised", len(frame), log.MaxFrameBytes)
	}
	if _, err := log.DecodeFrame(frame); err != nil {
		t.Error(err)
	}
}

func TestRetiredWritersAreTheAuthors(t *testing.T) {
	w := newWorld(t)
	got := w.retire.Ops[0].Body.(log.WriterRetire).Writers(w.retire.Peer)
	want := []core.WriterID{log.WriterIDOf(w.retire.Peer, incarnationOf(7)), log.WriterIDOf(w.retire.Peer, incarnationOf(8))}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Writers = %v, want %v", got, want)
	}
}

func TestCheckSpaceName(t *testing.T) {
	for _, good := range []string{"a", "👨‍👩‍👧 family", "two  spaces", strings.Repeat("x", 256)} {
		if err := log.CheckSpaceName(good); err != nil {
			t.Errorf("CheckSpaceName(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{"", "\xff", "a\nb", "\x00", "\u0085", "\u2028", strings.Repeat("x", 257)} {
		if err := log.CheckSpaceName(bad); !errors.Is(err, core.ErrInvalidName) {
			t.Errorf("CheckSpaceName(%q) = %v, want ErrInvalidName", bad, err)
		}
	}
}

func TestRanges(t *testing.T) {
	for n := range log.OpNumber(300) {
		r, ok := log.RangeOf(n)
		if want := n < 224; ok != want {
			t.Errorf("RangeOf(%d) = %v, want %v", n, ok, want)
		}
		if wantChain := n >= 64; ok && (r.Chain == core.ChainContent) != wantChain {
			t.Errorf("RangeOf(%d) is of chain %d", n, r.Chain)
		}
	}
	if _, ok := log.RangeOf(math.MaxUint64); ok {
		t.Error("RangeOf(max) is known")
	}
	for n, want := range map[log.OpNumber]log.Capability{
		log.OpMemberAdd: log.CapManage, log.OpMemberAck: log.CapManage, log.OpInviteRevoke: log.CapManage,
		log.OpInviteRedeem: log.CapSelf, log.OpWriterRetire: log.CapMember,
		log.OpPagePut: log.CapWrite, log.OpDocUpdate: log.CapWrite, log.OpDocDelete: log.CapWrite, log.OpBlobRemove: log.CapWrite,
		log.OpSpaceMeta: log.CapManage, log.OpCheckpoint: log.CapManage,
	} {
		if r, _ := log.RangeOf(n); r.Needs != want {
			t.Errorf("%s needs %d, want %d", n, r.Needs, want)
		}
	}
}

func TestRoles(t *testing.T) {
	caps := []log.Capability{log.CapSelf, log.CapMember, log.CapWrite, log.CapManage}
	for role, want := range map[log.Role]string{
		0: "1000", log.RoleOwner: "1111", log.RoleEditor: "1110", log.RoleViewer: "1100", log.RoleCache: "1100", 5: "1000",
	} {
		var got strings.Builder
		for _, c := range caps {
			got.WriteByte("01"[btoi(role.Has(c))])
		}
		if got.String() != want {
			t.Errorf("%s has %s, want %s", role, got.String(), want)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestSignatureCoversTheHeader(t *testing.T) {
	w := newWorld(t)
	raw := w.update.Raw
	raw.Sig = ed25519.Sign(w.owner, raw.Header) // without the domain
	e, err := log.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	wantReason(t, "no domain", e.VerifySignature(), log.ReasonSignature)
	raw.Sig = raw.Sig[:63]
	_, err = log.Decode(raw)
	wantReason(t, "short", err, log.ReasonSignature)
}

func TestFrameLimits(t *testing.T) {
	sig := make([]byte, 64)
	for name, c := range map[string]struct {
		raw  core.Entry
		want log.Reason
	}{
		"header":    {core.Entry{Header: make([]byte, log.MaxHeaderBytes+1), Sig: sig}, log.ReasonHeaderTooLarge},
		"ops":       {core.Entry{Ops: make([]byte, log.MaxOpsBytes+1), Sig: sig}, log.ReasonOpsTooLarge},
		"signature": {core.Entry{Sig: sig[:63]}, log.ReasonEncoding},
	} {
		_, err := log.DecodeFrame(log.AppendFrame(nil, c.raw))
		wantReason(t, name, err, c.want)
	}
	for name, frame := range map[string]string{"empty": "", "two": "\x82\x40\x40", "trailing": string(log.AppendFrame(nil, newWorld(t).genesis.Raw)) + "\x00"} {
		_, err := log.DecodeFrame([]byte(frame))
		wantReason(t, name, err, log.ReasonEncoding)
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{
		"owner":      log.RoleOwner,
		"editor":     log.RoleEditor,
		"viewer":     log.RoleViewer,
		"cache":      log.RoleCache,
		"role 9":     log.Role(9),
		"device":     log.KindDevice,
		"bot":        log.KindBot,
		"kind 9":     log.Kind(9),
		"doc.update": log.OpDocUpdate,
		"op 63":      log.OpNumber(63),
	} {
		if got.String() != want {
			t.Errorf("name is %q, want %q", got, want)
		}
	}
}
