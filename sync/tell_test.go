package somasync

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/sync/internal/wire"
)

// sealed returns a signed record about a peer.
func sealed(t *testing.T, about peer.ID, by crypto.PrivKey) []byte {
	t.Helper()
	rec := peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: about, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.1/tcp/1")}})
	envelope, err := record.Seal(rec, by)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func newIdentity(t *testing.T) (crypto.PrivKey, peer.ID) {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, id
}

func TestOpenRecord(t *testing.T) {
	t.Parallel()
	key, id := newIdentity(t)
	other, _ := newIdentity(t)
	good := sealed(t, id, key)
	p, rec, err := openRecord(good)
	if want, _ := memberID(id); err != nil || p != want || len(rec.Addrs) != 1 {
		t.Errorf("openRecord = %v, %+v, %v, want a record of %v", p, rec, err, want)
	}
	for name, raw := range map[string][]byte{
		"nothing": nil, "garbage": []byte("garbage"), "a cut record": good[:len(good)-1], "the record of another": sealed(t, id, other),
	} {
		if _, _, err := openRecord(raw); !wire.IsOffence(err) {
			t.Errorf("openRecord of %s = %v, want an offence", name, err)
		}
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if _, _, err := openRecord(bad); err == nil {
			t.Fatalf("openRecord with byte %d changed succeeds, want an error", i)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, rec, err := openRecord(raw)
		if err == nil && networkID(p) != rec.PeerID {
			t.Errorf("openRecord = %v, %v, want the same peer", p, rec.PeerID)
		}
	})
}

func TestAddressesAreBounded(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]addresses{
		"many records": {Records: make([][]byte, recordsPerFrame+1)},
		"a large one":  {Records: [][]byte{make([]byte, maxRecordBytes+1)}},
	} {
		if err := m.Check(); !wire.IsOffence(err) {
			t.Errorf("Check of %s = %v, want an offence", name, err)
		}
	}
	full := addresses{}
	for range recordsPerFrame {
		full.Records = append(full.Records, make([]byte, maxRecordBytes))
	}
	b, err := wire.Encode(full)
	if err != nil || len(b) > maxRecordsFrame {
		t.Errorf("the largest message has %d bytes, %v, want at most %d", len(b), err, maxRecordsFrame)
	}
	if maxRecordsFrame > wire.MaxFrameBytes {
		t.Errorf("maxRecordsFrame = %d, want at most %d", maxRecordsFrame, wire.MaxFrameBytes)
	}
}
