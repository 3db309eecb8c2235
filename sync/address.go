package somasync

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/internal/core"
)

// maxAddressBytes bounds the text of an address that somebody gives.
const maxAddressBytes = 1024

// networkID returns libp2p's form of a peer ID.
func networkID(p core.PeerID) peer.ID { return peer.ID(p.Bytes()) }

// memberID returns the member that a peer is. A key of another kind is nobody's.
func memberID(id peer.ID) (core.PeerID, bool) {
	p, err := core.PeerIDFromBytes([]byte(id))
	return p, err == nil
}

func networkKey(key ed25519.PrivateKey) (crypto.PrivKey, error) {
	k, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("key of the host: %w", err)
	}
	return k, nil
}

func parseAddrs(texts []string) ([]ma.Multiaddr, error) {
	addrs := make([]ma.Multiaddr, 0, len(texts))
	for _, text := range texts {
		a, err := parseAddr(text)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

func parseAddr(text string) (ma.Multiaddr, error) {
	if len(text) > maxAddressBytes {
		return nil, fmt.Errorf("address of %d bytes: %w", len(text), core.ErrInvalidAddress)
	}
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w: %w", text, core.ErrInvalidAddress, err)
	}
	return a, nil
}

// parsePeerAddr reads an address that ends with who is there, an Ed25519 key.
func parsePeerAddr(text string) (peer.AddrInfo, error) {
	a, err := parseAddr(text)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("address %q: %w: %w", text, core.ErrInvalidAddress, err)
	}
	if _, ok := memberID(info.ID); !ok {
		return peer.AddrInfo{}, fmt.Errorf("address %q is not of an Ed25519 key: %w", text, core.ErrInvalidAddress)
	}
	if len(info.Addrs) == 0 {
		return peer.AddrInfo{}, fmt.Errorf("address %q says who, but not where: %w", text, core.ErrInvalidAddress)
	}
	return *info, nil
}

func addressTexts(addrs []ma.Multiaddr) []string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return texts
}

// mergeAddrs returns addresses without repetitions, the first ones first, and at most as
// many as the address book keeps.
func mergeAddrs(lists ...[]ma.Multiaddr) []ma.Multiaddr {
	var merged []ma.Multiaddr
	for _, list := range lists {
		for _, a := range list {
			if len(merged) < core.MaxPeerAddresses && !slices.ContainsFunc(merged, a.Equal) {
				merged = append(merged, a)
			}
		}
	}
	return merged
}

func hasNew(before, now []ma.Multiaddr) bool {
	return slices.ContainsFunc(now, func(a ma.Multiaddr) bool { return !slices.ContainsFunc(before, a.Equal) })
}

// knownAddrs returns the addresses of the address book that this version understands.
func knownAddrs(p core.PeerAddresses) (addrs []ma.Multiaddr) {
	for _, text := range p.Addresses {
		if a, err := parseAddr(text); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
