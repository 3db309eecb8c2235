package somasync

import (
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/soma-sdk/soma/internal/core"
)

// gater keeps blocked peers from an own host. To a host of the host program none can be
// given, so that streams are refused there.
type gater struct{ refuses func(core.PeerID) bool }

func (g gater) allows(id peer.ID) bool {
	p, ok := memberID(id)
	return !ok || !g.refuses(p) // a relay may have another kind of key
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g gater) InterceptPeerDial(id peer.ID) bool { return g.allows(id) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g gater) InterceptAddrDial(id peer.ID, _ ma.Multiaddr) bool { return g.allows(id) }

// InterceptAccept implements connmgr.ConnectionGater.
func (g gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements connmgr.ConnectionGater.
func (g gater) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	return g.allows(id)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g gater) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.allows(c.RemotePeer()), 0
}
