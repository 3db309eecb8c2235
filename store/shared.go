package store

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const (
	ackColumns      = "space, peer, writer, chain, tips, sum"
	exchangeColumns = "space, peer, epoch, row, at_ms, sum"
	addressColumns  = "peer, addresses, seen_ms, blocked, sum"
)

// ackOf reads a row and reports whether it is sound.
func ackOf(r *row) (a core.AckRecord, sound bool) {
	tips := r.blob(4)
	a = core.AckRecord{Peer: peerOf(r, 1), Chain: core.Chain(r.int(3))}
	r.fixed(2, a.Writer[:])
	if r.int(5) != sumOfAck(core.SpaceID(r.text(0)), a, r.int(3), tips) {
		return a, false
	}
	for ; len(tips) >= tipSize; tips = tips[tipSize:] {
		a.Tips = append(a.Tips, core.Tip{Seq: binary.BigEndian.Uint64(tips), Hash: core.Hash(tips[8:tipSize])})
	}
	return a, len(tips) == 0
}

// tipSize is the size of a tip in a row.
const tipSize = 8 + len(core.Hash{})

func bytesOfTips(tips []core.Tip) []byte {
	b := make([]byte, 0, len(tips)*tipSize)
	for _, t := range tips {
		b = append(binary.BigEndian.AppendUint64(b, t.Seq), t.Hash[:]...)
	}
	return b
}

func sumOfAck(space core.SpaceID, a core.AckRecord, chain int64, tips []byte) int64 {
	return sumOf([]byte(space), a.Peer.Key(), a.Writer[:], numbers(chain), tips)
}

// peerOf reads a column that names a peer in full.
func peerOf(r *row, i int) core.PeerID {
	var key [ed25519.PublicKeySize]byte
	r.fixed(i, key[:])
	return core.PeerIDFromKey(key[:])
}

func exchangeOf(r *row) (e core.ExchangeRecord, sound bool) {
	e = core.ExchangeRecord{Peer: peerOf(r, 1), Mark: core.Mark{Row: r.int(3)}, AtMs: r.int(4)}
	r.fixed(2, e.Mark.Epoch[:])
	return e, r.int(5) == sumOfExchange(core.SpaceID(r.text(0)), e)
}

func sumOfExchange(space core.SpaceID, e core.ExchangeRecord) int64 {
	return sumOf([]byte(space), e.Peer.Key(), e.Mark.Epoch[:], numbers(e.Mark.Row, e.AtMs))
}

func addressesOf(r *row) (p core.PeerAddresses, sound bool) {
	p = core.PeerAddresses{Peer: peerOf(r, 0), SeenMs: r.int(2), Blocked: r.int(3) == 1}
	b := r.blob(1)
	if r.int(4) != sumOf(p.Peer.Key(), b, numbers(r.int(2), r.int(3))) {
		return p, false
	}
	p.Addresses, sound = core.ReadTexts(b)
	return p, sound
}

// sound collects the rows of a statement that are sound. Damage in a column makes a row
// that is not.
func sound[T any](v *view, sql string, args []any, read func(*row) (T, bool)) ([]T, error) {
	var all []T
	err := v.c.each(sql, args, func(r *row) bool {
		rec, ok := read(r)
		if r.bad() == nil && ok {
			all = append(all, rec)
		}
		return true
	})
	return all, err
}

// Acks implements core.View.
func (v *view) Acks(space core.SpaceID) ([]core.AckRecord, error) {
	all, err := sound(v, "SELECT "+ackColumns+" FROM ack WHERE space = ? ORDER BY peer, writer, chain", []any{string(space)}, ackOf)
	return all, wrap("list acknowledgements", err)
}

// Exchanges implements core.View.
func (v *view) Exchanges(space core.SpaceID) ([]core.ExchangeRecord, error) {
	all, err := sound(v, "SELECT "+exchangeColumns+" FROM exchange WHERE space = ? ORDER BY peer", []any{string(space)}, exchangeOf)
	return all, wrap("list exchanges", err)
}

// PeerAddresses implements core.View.
func (v *view) PeerAddresses() ([]core.PeerAddresses, error) {
	all, err := sound(v, "SELECT "+addressColumns+" FROM address WHERE peer >= ? ORDER BY peer", []any{[]byte{}}, addressesOf)
	return all, wrap("list addresses", err)
}

// PutAck implements core.Tx.
func (t *tx) PutAck(space core.SpaceID, a core.AckRecord) error {
	if len(a.Tips) == 0 {
		_, err := t.c.exec("DELETE FROM ack WHERE space = ? AND peer = ? AND writer = ? AND chain = ?",
			string(space), []byte(a.Peer.Key()), a.Writer[:], int64(a.Chain))
		return wrap("remove an acknowledgement", err)
	}
	tips := bytesOfTips(a.Tips)
	_, err := t.c.exec("INSERT OR REPLACE INTO ack ("+ackColumns+") VALUES (?, ?, ?, ?, ?, ?)",
		string(space), []byte(a.Peer.Key()), a.Writer[:], int64(a.Chain), tips, sumOfAck(space, a, int64(a.Chain), tips))
	return wrap("write an acknowledgement", err)
}

// PutExchange implements core.Tx.
func (t *tx) PutExchange(space core.SpaceID, e core.ExchangeRecord) error {
	_, err := t.c.exec("INSERT OR REPLACE INTO exchange ("+exchangeColumns+") VALUES (?, ?, ?, ?, ?, ?)",
		string(space), []byte(e.Peer.Key()), e.Mark.Epoch[:], e.Mark.Row, e.AtMs, sumOfExchange(space, e))
	return wrap("write an exchange", err)
}

// ForgetPeer implements core.Tx.
func (t *tx) ForgetPeer(space core.SpaceID, peer core.PeerID) error {
	for _, table := range []string{"ack", "exchange"} {
		if _, err := t.c.exec("DELETE FROM "+table+" WHERE space = ? AND peer = ?", string(space), []byte(peer.Key())); err != nil {
			return fmt.Errorf("forget %s of %s: %w", table, peer, err)
		}
	}
	return nil
}

// PutPeerAddresses implements core.Tx.
func (t *tx) PutPeerAddresses(p core.PeerAddresses) error {
	addresses, blocked := core.AppendTexts([]byte{}, p.Addresses), int64(0)
	if p.Blocked {
		blocked = 1
	}
	_, err := t.c.exec("INSERT OR REPLACE INTO address ("+addressColumns+") VALUES (?, ?, ?, ?, ?)",
		[]byte(p.Peer.Key()), addresses, p.SeenMs, blocked, sumOf(p.Peer.Key(), addresses, numbers(p.SeenMs, blocked)))
	return wrap("write addresses of "+p.Peer.String(), err)
}

// DeletePeerAddresses implements core.Tx.
func (t *tx) DeletePeerAddresses(peer core.PeerID) error {
	_, err := t.c.exec("DELETE FROM address WHERE peer = ?", []byte(peer.Key()))
	return wrap("forget addresses of "+peer.String(), err)
}

// checkShared looks at what is known of peers. Nothing else says what is in there.
func (v *view) checkShared(fn func(core.Damage) error) error {
	for _, check := range []struct {
		table, columns string
		sound          func(*row) bool
	}{
		{"ack", ackColumns, func(r *row) bool { _, ok := ackOf(r); return ok }},
		{"exchange", exchangeColumns, func(r *row) bool { _, ok := exchangeOf(r); return ok }},
		{"address", addressColumns, func(r *row) bool { _, ok := addressesOf(r); return ok }},
	} {
		err := v.found(fn, "SELECT "+check.columns+" FROM "+check.table, nil, func(r *row) (core.Damage, bool) {
			ok := check.sound(r)
			return core.Damage{Table: check.table, Detail: "a row has another checksum", Lost: true}, r.bad() != nil || !ok
		})
		if err != nil {
			return err
		}
	}
	return nil
}
