package somasync

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// stuck is a stream whose end waits for a peer that does not read.
type stuck struct {
	network.Stream
	resets, goOn chan struct{}
}

func (s stuck) Reset() error {
	close(s.resets)
	<-s.goOn
	return nil
}

// While the stream of somebody who was removed ends, everybody else is still known.
func TestGuardDoesNotWaitForWhoIsRemoved(t *testing.T) {
	for name, end := range map[string]func(*guard){
		"set":   func(g *guard) { g.set(map[peer.ID]bool{"member": true}, nil) },
		"renew": func(g *guard) { g.renew(map[peer.ID]bool{"removed": true}) },
	} {
		g := &guard{admitted: map[peer.ID]bool{"member": true, "removed": true}}
		st := stuck{resets: make(chan struct{}), goOn: make(chan struct{})}
		g.streams = map[peer.ID]map[*guardedStream]struct{}{"removed": {{Stream: st, guard: g}: {}}}
		ended, asked := make(chan struct{}), make(chan bool, 1)
		go func() {
			defer close(ended)
			end(g)
		}()
		<-st.resets
		go func() { asked <- g.admits("member") }()
		select {
		case is := <-asked:
			if !is {
				t.Errorf("%s: a member is not admitted", name)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: nobody can be told from a stranger while a stream ends", name)
		}
		close(st.goOn)
		<-ended
	}
}
