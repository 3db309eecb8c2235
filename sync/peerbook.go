package somasync

import (
	"context"
	"fmt"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

// peerBook is the address book of the directory, read once and written through.
type peerBook struct {
	writing sync.Mutex // held while a change is on its way to the disk

	mu    sync.Mutex
	known map[core.PeerID]core.PeerAddresses
}

func newPeerBook() *peerBook { return &peerBook{} }

// load reads the address book. Again, it also forgets what the directory has forgotten.
func (b *peerBook) load(ctx context.Context, book core.AddressBook) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.read(ctx, book)
}

func (b *peerBook) read(ctx context.Context, book core.AddressBook) error {
	list, err := book.KnownPeers(ctx)
	if err != nil {
		return fmt.Errorf("read the address book: %w", err)
	}
	known := make(map[core.PeerID]core.PeerAddresses, len(list))
	for _, p := range list {
		known[p.Peer] = p
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = known
	return nil
}

// get returns what is known of a peer.
func (b *peerBook) get(peer core.PeerID) core.PeerAddresses {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.known[peer]
	p.Peer = peer
	return p
}

// update changes what is known of a peer, durably. fn must not change slices that it is
// given; it returns false to leave things as they are.
func (b *peerBook) update(ctx context.Context, book core.AddressBook, peer core.PeerID, fn func(*core.PeerAddresses) bool) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.mu.Lock()
	loaded := b.known != nil
	b.mu.Unlock()
	if !loaded {
		if err := b.read(ctx, book); err != nil {
			return err
		}
	}
	p := b.get(peer)
	if !fn(&p) {
		return nil
	}
	if err := book.PutPeer(ctx, p); err != nil {
		return fmt.Errorf("write the address book: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known[peer] = p
	return nil
}
