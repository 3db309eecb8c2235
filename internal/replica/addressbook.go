package replica

import (
	"context"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/ticket"
)

// KnownPeers implements core.AddressBook.
func (r *Replica) KnownPeers(ctx context.Context) ([]core.PeerAddresses, error) {
	var all []core.PeerAddresses
	err := r.store.Read(ctx, func(v core.View) (err error) {
		all, err = v.PeerAddresses()
		return err
	})
	if err != nil {
		return nil, err
	}
	gone, err := r.strangersOf(ctx, all)
	if err != nil || len(gone) == 0 {
		return all, err
	}
	err = r.store.Write(ctx, func(tx core.Tx) error {
		for _, peer := range gone {
			if err := tx.DeletePeerAddresses(peer); err != nil {
				return err
			}
		}
		return nil
	})
	return slices.DeleteFunc(all, func(p core.PeerAddresses) bool { return slices.Contains(gone, p.Peer) }), err
}

// strangersOf returns which of some peers are neither blocked nor members of any space.
func (r *Replica) strangersOf(ctx context.Context, peers []core.PeerAddresses) (gone []core.PeerID, err error) {
	err = r.reading(ctx, func(c *circle) {
		for _, p := range peers {
			if !p.Blocked && !c.knows(p.Peer) {
				gone = append(gone, p.Peer)
			}
		}
	})
	return gone, err
}

// knows reports whether a peer and the local member are members of the same space.
func (c *circle) knows(peer core.PeerID) bool {
	for _, crowd := range c.crowds {
		if crowd.self && crowd.has(peer) {
			return true
		}
	}
	return false
}

// PutPeer implements core.AddressBook. What is beyond the bounds is left out, and of
// strangers that are not blocked nothing is kept.
func (r *Replica) PutPeer(ctx context.Context, p core.PeerAddresses) error {
	p.Addresses = slices.DeleteFunc(slices.Clone(p.Addresses), func(a string) bool { return len(a) > ticket.MaxAddressBytes })
	p.Addresses = p.Addresses[:min(len(p.Addresses), core.MaxPeerAddresses)]
	gone, err := r.strangersOf(ctx, []core.PeerAddresses{p})
	if err != nil {
		return err
	}
	return r.store.Write(ctx, func(tx core.Tx) error {
		if len(gone) > 0 {
			return tx.DeletePeerAddresses(p.Peer)
		}
		return tx.PutPeerAddresses(p)
	})
}
