package log_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Every fuzz target checks that what is decoded encodes to the same bytes, and
// that the CBOR library, which has no part in decoding, agrees that it is
// deterministic CBOR.

func FuzzDecodeEntry(f *testing.F) {
	w := newWorld(f)
	for _, e := range w.entries() {
		f.Add(e.Raw.Header, e.Raw.Ops, e.Raw.Sig)
	}
	for _, r := range rejections(f, w) {
		if r.raw.Size() < 8<<10 {
			f.Add(r.raw.Header, r.raw.Ops, r.raw.Sig)
		}
	}
	f.Fuzz(func(t *testing.T, header, ops, sig []byte) {
		raw := core.Entry{Header: header, Ops: ops, Sig: sig}
		e, err := log.Decode(raw)
		if err != nil {
			if log.ReasonOf(err) == "" {
				t.Fatalf("Decode = %v, want a rejection", err)
			}
			return
		}
		if again, err := log.EncodeHeader(e.Header); err != nil || !bytes.Equal(again, header) {
			t.Fatalf("header %x encodes as %x, %v", header, again, err)
		}
		if again, err := log.EncodeOps(e.Ops); err != nil || !bytes.Equal(again, ops) {
			t.Fatalf("ops %x encode as %x, %v", ops, again, err)
		}
		if again := reencode(t, header); !bytes.Equal(again, header) {
			t.Fatalf("header %x is %x in deterministic CBOR", header, again)
		}
		var waiting *log.WaitingError
		if _, err := log.Admit(e, w.past); err != nil && log.ReasonOf(err) == "" && !errors.As(err, &waiting) {
			t.Fatalf("Admit = %v", err)
		}
	})
}

func FuzzDecodeOps(f *testing.F) {
	w := newWorld(f)
	for _, e := range w.entries() {
		f.Add(e.Raw.Ops, byte(e.Chain))
	}
	for _, body := range []log.Body{
		log.MemberRole{Peer: w.genesis.Peer, Role: log.RoleViewer, Cut: []log.CutHead{{Seq: 1}, {Seq: 2, Hash: w.update.Hash}}},
		log.MemberRemove{Peer: w.genesis.Peer, Purge: true, Cut: []log.CutHead{{Seq: 9}}},
		log.MemberLeave{},
		log.MemberAck{Peer: w.genesis.Peer},
		log.InviteCreate{Invite: core.InviteID{1}, Role: log.RoleEditor, Uses: 1},
		log.InviteRevoke{Invite: core.InviteID{1}},
		log.InviteRedeem{Invite: core.InviteID{1}, Kind: log.KindBot},
	} {
		ops, err := log.EncodeOps([]log.Op{{Body: body}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ops, byte(core.ChainMembership))
	}
	for _, body := range []log.Body{
		log.PutTitle("p", "title"),
		log.PageMove{Page: "p", Parent: "q", Position: "a"},
		log.PageDelete{Page: "p"},
		log.BlobPut{Blob: w.update.Hash, Size: log.MaxCounter, MIME: "text/plain", Name: "a.txt"},
		log.BlobPut{},
		log.BlobRemove{Blob: w.update.Hash},
	} {
		ops, err := log.EncodeOps([]log.Op{{Body: body}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ops, byte(core.ChainContent))
	}
	for _, r := range rejections(f, w) {
		if len(r.raw.Ops) < 8<<10 {
			f.Add(r.raw.Ops, byte(1))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, chain byte) {
		ops, err := log.DecodeOps(b, core.Chain(chain&1))
		if err != nil {
			if log.ReasonOf(err) == "" {
				t.Fatalf("DecodeOps = %v, want a rejection", err)
			}
			return
		}
		if again, err := log.EncodeOps(ops); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("ops %x encode as %x, %v", b, again, err)
		}
		if again := reencode(t, b); !bytes.Equal(again, b) {
			t.Fatalf("ops %x are %x in deterministic CBOR", b, again)
		}
		for _, op := range ops {
			if u, ok := op.Body.(log.DocUpdate); ok && !bytes.Equal(b[u.Offset:u.Offset+u.Length], u.Update) {
				t.Fatalf("update %x is not at %d", u.Update, u.Offset)
			}
		}
	})
}

func FuzzDecodeFrame(f *testing.F) {
	for _, e := range newWorld(f).entries() {
		f.Add(log.AppendFrame(nil, e.Raw))
	}
	f.Add([]byte{})
	f.Add([]byte("\x83\x5b\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := log.DecodeFrame(b)
		if err != nil {
			if log.ReasonOf(err) == "" {
				t.Fatalf("DecodeFrame = %v, want a rejection", err)
			}
			return
		}
		if again := log.AppendFrame(nil, raw); !bytes.Equal(again, b) {
			t.Fatalf("frame %x encodes as %x", b, again)
		}
		if again := reencode(t, b); !bytes.Equal(again, b) {
			t.Fatalf("frame %x is %x in deterministic CBOR", b, again)
		}
	})
}

func FuzzArchive(f *testing.F) {
	w := newWorld(f)
	whole, _ := w.archive(f)
	f.Add(whole)
	f.Add(writeArchive(f, w.genesis.SpaceID()))
	f.Add(writeArchive(f, w.genesis.SpaceID(), w.genesis.Raw))
	f.Add([]byte("soma-archive-v1\n\x00\x00\x00\x24"))
	f.Fuzz(func(t *testing.T, b []byte) {
		space, entries, err := readArchive(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, core.ErrInvalidArchive) {
				t.Fatalf("error %v, want ErrInvalidArchive", err)
			}
			return
		}
		if again := writeArchive(t, space, entries...); !bytes.Equal(again, b) {
			t.Fatalf("archive %x is written as %x", b, again)
		}
	})
}
