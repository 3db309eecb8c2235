package simtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

// explain tells how things are, of a run that fails.
func (w *world) explain() {
	for _, p := range w.plots {
		w.tell("%s, founded by %v:", p.id, p.founder)
		for _, m := range w.machines {
			if m.DB != nil {
				w.tell("  %v: %s", m, w.describe(m, p))
			}
		}
	}
	for _, m := range w.machines {
		if m.DB == nil {
			continue
		}
		var peers []string
		for _, s := range m.Sync().Peers() {
			peers = append(peers, w.name(s.Peer))
		}
		w.tell("%v has met %v, and is connected with %v", m, w.met, peers)
	}
}

// describe says what a machine knows of a space.
func (w *world) describe(m *machine, p *plot) string {
	role := w.role(m, p)
	if _, err := m.Spaces().Get(w.ctx, p.id); err != nil {
		return err.Error()
	}
	var members []string
	all, err := m.Spaces().Members(w.ctx, p.id)
	for _, member := range all {
		members = append(members, fmt.Sprint(w.name(member.Peer), " ", member.Role))
	}
	slices.Sort(members)
	words, wordsErr := peertest.Words(w.ctx, m.DB, p.id)
	var missing []string
	for _, n := range w.notes {
		if n.plot == p && !n.lost && p.trusted(n.by.n) && !words[n.word] {
			missing = append(missing, n.word)
		}
	}
	var rejected []string
	list, rejectedErr := m.Spaces().Rejected(w.ctx, p.id)
	for _, r := range list {
		rejected = append(rejected, fmt.Sprintf("%+v", r))
	}
	forks, forksErr := m.Spaces().Forks(w.ctx, p.id)
	status, statusErr := w.status(m, p)
	return fmt.Sprintf("%v, members %s, status %+v, %d words, without %s, %d forks, rejected %s, errors %v",
		role, strings.Join(members, ", "), status, len(words), strings.Join(missing, " "), len(forks), strings.Join(rejected, ", "),
		[]error{err, wordsErr, rejectedErr, forksErr, statusErr})
}

// name returns the number of a machine.
func (w *world) name(peer soma.PeerID) string {
	for _, m := range w.machines {
		if m.peer == peer {
			return fmt.Sprint(m.n)
		}
	}
	return peer.String()
}
