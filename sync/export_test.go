package somasync

// HoldPulls takes all turns to pull, until release.
func (n *Node) HoldPulls() (release func()) {
	n.mu.Lock()
	s := n.session
	n.mu.Unlock()
	for range maxPulls {
		s.pulling <- struct{}{}
	}
	return func() {
		for range maxPulls {
			s.pulling.leave()
		}
	}
}
