package somasync

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/soma-sdk/soma/internal/core"
)

// listen has an own host listen. Where the system is to choose the port it is that of the
// last time, if nobody has it now: others come back to where they met this node.
func (s *session) listen(ctx context.Context) error {
	want := s.node.o.listen
	if len(want) == 0 {
		return nil
	}
	before := knownAddrs(s.node.book.get(s.self))
	addrs := make([]ma.Multiaddr, len(want))
	for i, a := range want {
		addrs[i] = a
		for _, old := range before {
			if isPortOf(a, old) && isFree(old) {
				addrs[i] = old
				break
			}
		}
	}
	if err := s.host.Network().Listen(addrs...); err != nil {
		if slices.EqualFunc(addrs, want, ma.Multiaddr.Equal) {
			return fmt.Errorf("listen: %w", err)
		}
		if err := s.host.Network().Listen(want...); err != nil { // somebody was faster
			return fmt.Errorf("listen: %w", err)
		}
	}
	s.rememberPorts(ctx)
	return nil
}

// rememberPorts keeps where the node listens, in its own place in the address book.
func (s *session) rememberPorts(ctx context.Context) {
	now := addressTexts(mergeAddrs(s.host.Network().ListenAddresses()))
	slices.Sort(now)
	err := s.node.book.update(ctx, s.replica, s.self, func(p *core.PeerAddresses) bool {
		changes := !slices.Equal(p.Addresses, now)
		p.Addresses = now
		return changes
	})
	if err != nil && !interrupted(err) {
		s.logger.Warn("soma: the ports were not noted", "error", err)
	}
}

// isPortOf reports whether old is where a host listened that was told to listen at a, with
// a port that the system chose.
func isPortOf(a, old ma.Multiaddr) bool {
	at, was := strings.Split(a.String(), "/"), strings.Split(old.String(), "/")
	if len(at) != len(was) {
		return false
	}
	chosen := false
	for i := range at {
		port := i > 0 && (at[i-1] == "tcp" || at[i-1] == "udp") && at[i] == "0"
		if at[i] != was[i] && !port {
			return false
		}
		chosen = chosen || port
	}
	return chosen
}

// isFree reports whether nobody else listens there. The host itself would not notice: its
// sockets share ports.
func isFree(a ma.Multiaddr) bool {
	inner, _ := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_QUIC_V1 })
	addr, err := manet.ToNetAddr(inner)
	if err != nil {
		return false
	}
	switch addr := addr.(type) {
	case *net.TCPAddr:
		l, err := net.ListenTCP("tcp", addr)
		return err == nil && l.Close() == nil
	case *net.UDPAddr:
		c, err := net.ListenUDP("udp", addr)
		return err == nil && c.Close() == nil
	}
	return false
}
