package store

import (
	"crypto/ed25519"

	"github.com/soma-sdk/soma/internal/core"
)

// peerCache remembers interned peers: they never change once committed. The
// writer forgets it after a rollback, when a key may be given out again.
type peerCache struct {
	keys map[core.PeerID]int64
	ids  map[int64]core.PeerID
}

// maxCachedPeers bounds the cache; a space of thousands of members fits.
const maxCachedPeers = 1 << 14

func (p *peerCache) add(key int64, id core.PeerID) {
	if p.keys == nil || len(p.keys) >= maxCachedPeers {
		p.keys, p.ids = make(map[core.PeerID]int64), make(map[int64]core.PeerID)
	}
	p.keys[id], p.ids[key] = key, id
}

func (p *peerCache) forget() { p.keys, p.ids = nil, nil }

// peerKey returns the key of a peer, or 0 when no row names it. The zero peer
// has no row.
func (v *view) peerKey(id core.PeerID) (int64, error) {
	if v.c == nil {
		return 0, errEnded
	}
	if key := v.c.peers.keys[id]; key != 0 || id.IsZero() {
		return key, nil
	}
	r, err := v.c.one("SELECT id FROM peer WHERE key = ?", []byte(id.Key()))
	if err != nil || r == nil {
		return 0, wrap("read peer", err)
	}
	key := r.int(0)
	if err := r.bad(); err != nil {
		return 0, err
	}
	if key == 0 {
		return 0, damaged("key of a peer")
	}
	v.c.peers.add(key, id)
	return key, nil
}

// peerID is the inverse of peerKey.
func (v *view) peerID(key int64) (core.PeerID, error) {
	if id, ok := v.c.peers.ids[key]; ok || key == 0 {
		return id, nil
	}
	r, err := v.c.one("SELECT key FROM peer WHERE id = ?", key)
	if err != nil {
		return core.PeerID{}, wrap("read peer", err)
	}
	if r == nil {
		return core.PeerID{}, damaged("peer of a row")
	}
	var pub [ed25519.PublicKeySize]byte
	r.fixed(0, pub[:])
	if err := r.bad(); err != nil {
		return core.PeerID{}, err
	}
	id := core.PeerIDFromKey(pub[:])
	v.c.peers.add(key, id)
	return id, nil
}

// ensurePeer returns the key of a peer, interning it if needed.
func (t *tx) ensurePeer(id core.PeerID) (int64, error) {
	key, err := t.peerKey(id)
	if err != nil || key != 0 || id.IsZero() {
		return key, err
	}
	key, err = t.c.insert("INSERT INTO peer (key) VALUES (?)", []byte(id.Key()))
	if err != nil {
		return 0, wrap("write peer", err)
	}
	t.c.peers.add(key, id)
	return key, nil
}

// peerRef is the column that refers to a peer: NULL for the zero peer.
func peerRef(key int64) any {
	if key == 0 {
		return nil
	}
	return key
}
