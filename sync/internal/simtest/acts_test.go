package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/sync/internal/peertest"
)

// kind is a kind of step.
type kind struct {
	name   string
	weight int
	play   func(w *world, r *rand.Rand) error
}

// kinds is what can happen, with how often it does.
var kinds = []kind{
	{"type", 30, (*world).typeWord},
	{"burst", 3, (*world).burst},
	{"page", 8, (*world).actOnPages},
	{"blob", 8, (*world).putBlob},
	{"invite", 8, (*world).invite},
	{"join", 10, (*world).join},
	{"add member", 5, (*world).addMember},
	{"set role", 2, (*world).setRole},
	{"remove member", 2, (*world).removeMember},
	{"leave", 1, (*world).leave},
	{"introduce", 6, (*world).introduce},
	{"look", 4, (*world).look},

	{"part", 3, (*world).part},
	{"heal", 3, (*world).healNetwork},
	{"weather", 3, (*world).weather},
	{"stop node", 2, (*world).stopNode},
	{"start node", 3, (*world).startNode},
	{"turn off", 2, (*world).turnOff},
	{"turn on", 4, (*world).turnOn},
	{"kill", 3, (*world).kill},
	{"back up", 2, (*world).backUp},
	{"restore", 1, (*world).restore},
	{"roll back", 1, (*world).rollBack},
}

// place returns a space and a machine with one of some roles in it.
func (w *world) place(r *rand.Rand, roles ...soma.Role) (*plot, *machine) {
	p := w.plots[r.IntN(len(w.plots))]
	found := w.who(r, func(m *machine) bool {
		for _, role := range roles {
			if w.role(m, p) == role {
				return true
			}
		}
		return false
	})
	if len(found) == 0 {
		return p, nil
	}
	return p, found[0]
}

func (w *world) typeWord(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner, soma.RoleEditor)
	if m == nil {
		return nil
	}
	return w.write(r, p, m)
}

func (w *world) write(r *rand.Rand, p *plot, m *machine) error {
	w.words++
	word := fmt.Sprintf("w%d.%d", m.n, w.words)
	doc := soma.DocumentID(fmt.Sprint("document-", r.IntN(3)))
	err := peertest.Type(w.ctx, m.DB, p.id, doc, word, r.Uint64())
	if role := w.role(m, p); errors.Is(err, soma.ErrForbidden) && role != soma.RoleOwner && role != soma.RoleEditor {
		return nil // it lost the right in the meantime
	}
	if err != nil {
		return err
	}
	w.tell("%v types %s into %s of %.12s", m, word, doc, p.id)
	w.notes = append(w.notes, note{by: m, plot: p, word: word})
	return nil
}

func (w *world) burst(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner, soma.RoleEditor)
	if m == nil {
		return nil
	}
	for range 20 + r.IntN(60) {
		if err := w.write(r, p, m); err != nil {
			return err
		}
		if r.IntN(4) == 0 {
			time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
		}
	}
	return nil
}

func (w *world) actOnPages(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner, soma.RoleEditor)
	if m == nil {
		return nil
	}
	var ids []soma.DocumentID
	tree, err := m.Pages().Tree(w.ctx, p.id)
	if err != nil {
		return err
	}
	var walk func([]*soma.PageNode)
	walk = func(nodes []*soma.PageNode) {
		for _, n := range nodes {
			ids = append(ids, n.ID)
			walk(n.Children)
		}
	}
	walk(tree)
	if len(ids) == 0 || r.IntN(3) == 0 {
		page := soma.NewPage{Title: fmt.Sprint("page ", r.IntN(1000))}
		if len(ids) > 0 && r.IntN(2) == 0 {
			page.Parent = ids[r.IntN(len(ids))]
		}
		created, err := m.Pages().Create(w.ctx, p.id, page)
		if err == nil {
			w.tell("%v creates page %s", m, created.ID)
			p.pages[created.ID] = m
		}
		return err
	}
	id := ids[r.IntN(len(ids))]
	switch r.IntN(4) {
	case 0:
		_, err = m.Pages().Rename(w.ctx, p.id, id, fmt.Sprint("renamed ", r.IntN(1000)))
	case 1:
		err = m.Pages().Delete(w.ctx, p.id, id)
	default:
		_, err = m.Pages().Move(w.ctx, p.id, id, soma.PageTarget{Parent: ids[r.IntN(len(ids))]})
		if errors.Is(err, soma.ErrPageCycle) {
			err = nil
		}
	}
	w.tell("%v changes page %s", m, id)
	return err
}

func (w *world) putBlob(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner, soma.RoleEditor)
	if m == nil {
		return nil
	}
	w.blobs++
	size := []int{10, 5_000, 70_000, 400_000}[r.IntN(4)]
	content := peertest.Bytes(w.seed<<16+uint64(w.blobs), size)
	info, err := m.Blobs().Put(w.ctx, p.id, bytes.NewReader(content), soma.PutOptions{Name: fmt.Sprint("blob ", w.blobs)})
	if err != nil {
		return err
	}
	w.tell("%v puts blob %s of %d bytes", m, info.CID, size)
	p.puts[info.CID] = put{by: m, bytes: content}
	return nil
}

func (w *world) invite(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner)
	if m == nil {
		return nil
	}
	role := []soma.Role{soma.RoleEditor, soma.RoleEditor, soma.RoleViewer}[r.IntN(3)]
	text, err := m.Spaces().Invite(w.ctx, p.id, role, soma.InviteOptions{Uses: 1 + r.IntN(3)})
	if err != nil {
		return err
	}
	w.tell("%v invites to %.12s", m, p.id)
	p.tickets = append(p.tickets, text)
	return w.use(r, p, m, text)
}

// use lets somebody who is not in a space join it.
func (w *world) use(r *rand.Rand, p *plot, by *machine, text string) error {
	found := w.who(r, func(m *machine) bool { return w.role(m, p) == soma.RoleNone })
	if len(found) == 0 {
		return nil
	}
	_, err := found[0].Spaces().Join(w.ctx, text)
	if errors.Is(err, soma.ErrForbidden) {
		return nil
	}
	w.tell("%v joins %.12s", found[0], p.id)
	if by != nil {
		w.give(p, by, found[0])
		if t, err := soma.ParseTicket(text); err == nil && len(t.Addresses) > 0 { // those of a node that runs
			w.met[pairOf(by, found[0])] = true
		}
	} else {
		p.struck[found[0].n] = true // by an old ticket: whether it counts is for the log
	}
	return err
}

func (w *world) join(r *rand.Rand) error {
	p := w.plots[r.IntN(len(w.plots))]
	if len(p.tickets) == 0 || r.IntN(4) > 0 {
		return w.invite(r)
	}
	return w.use(r, p, nil, p.tickets[r.IntN(len(p.tickets))])
}

func (w *world) addMember(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner)
	if m == nil {
		return nil
	}
	other := w.machines[r.IntN(len(w.machines))]
	if _, is := w.memberRole(m, p, other.peer); is || other.DB == nil {
		return nil
	}
	role := []soma.Role{soma.RoleOwner, soma.RoleEditor, soma.RoleEditor, soma.RoleViewer, soma.RoleCache}[r.IntN(5)]
	if err := m.Spaces().AddMember(w.ctx, p.id, soma.NewMember{Peer: other.peer, Role: role}); err != nil {
		return err
	}
	w.tell("%v adds %v to %.12s as %v", m, other, p.id, role)
	w.give(p, m, other)
	// Without a ticket nothing tells it of the space, so it gets it as a file.
	var archive bytes.Buffer
	if err := m.Spaces().Export(w.ctx, p.id, &archive); err != nil {
		return err
	}
	if err := other.Spaces().Import(w.ctx, &archive); err != nil {
		return err
	}
	return w.connect(m, other)
}

// memberRole says what a member may do, as a machine knows it.
func (w *world) memberRole(m *machine, p *plot, peer soma.PeerID) (soma.Role, bool) {
	members, err := m.Spaces().Members(w.ctx, p.id)
	if err != nil {
		return soma.RoleNone, false
	}
	for _, member := range members {
		if member.Peer == peer {
			return member.Role, true
		}
	}
	return soma.RoleNone, false
}

// other returns a member of a space without the machine itself and the founder.
func (w *world) other(r *rand.Rand, p *plot, m *machine) (*machine, soma.Role) {
	for _, n := range r.Perm(len(w.machines)) {
		other := w.machines[n]
		if other == m || other == p.founder {
			continue
		}
		if role, is := w.memberRole(m, p, other.peer); is {
			return other, role
		}
	}
	return nil, soma.RoleNone
}

func (w *world) setRole(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner)
	if m == nil {
		return nil
	}
	other, was := w.other(r, p, m)
	if other == nil {
		return nil
	}
	role := []soma.Role{soma.RoleOwner, soma.RoleEditor, soma.RoleViewer}[r.IntN(3)]
	w.tell("%v makes %v of %.12s, who was %v, %v", m, other, p.id, was, role)
	if role != soma.RoleOwner && was != soma.RoleViewer {
		p.struck[other.n] = true
	}
	w.give(p, m, other)
	return w.allowed(m.Spaces().SetRole(w.ctx, p.id, other.peer, role))
}

func (w *world) removeMember(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner)
	if m == nil {
		return nil
	}
	other, _ := w.other(r, p, m)
	if other == nil {
		return nil
	}
	w.tell("%v removes %v from %.12s", m, other, p.id)
	p.struck[other.n] = true
	return w.allowed(m.Spaces().RemoveMember(w.ctx, p.id, other.peer, soma.RemoveOptions{Purge: r.IntN(4) == 0}))
}

func (w *world) leave(r *rand.Rand) error {
	p, m := w.place(r, soma.RoleOwner, soma.RoleEditor, soma.RoleViewer)
	if m == nil || m == p.founder {
		return nil
	}
	w.tell("%v leaves %.12s", m, p.id)
	p.struck[m.n] = true
	return w.allowed(m.Spaces().Leave(w.ctx, p.id))
}

// allowed forgives what another act, which came in between, made impossible.
func (w *world) allowed(err error) error {
	if errors.Is(err, soma.ErrForbidden) || errors.Is(err, soma.ErrNotFound) || errors.Is(err, soma.ErrLastOwner) {
		return nil
	}
	return err
}

func (w *world) introduce(r *rand.Rand) error {
	on := w.who(r, func(*machine) bool { return true })
	if len(on) < 2 {
		return nil
	}
	return w.connect(on[0], on[1])
}

// connect tells a machine where another is. Whether that can be reached now does not matter.
func (w *world) connect(from, to *machine) error {
	if from.DB == nil || from == to {
		return nil
	}
	err := from.Sync().Connect(w.ctx, address(to.n)+"/p2p/"+to.peer.String())
	w.tell("%v dials %v: %v", from, to, err == nil)
	if errors.Is(err, soma.ErrUnreachable) || errors.Is(err, soma.ErrSyncOff) {
		return nil
	}
	w.met[pairOf(from, to)] = true
	return err
}

func pairOf(a, b *machine) [2]int { return [2]int{min(a.n, b.n), max(a.n, b.n)} }

func (w *world) part(r *rand.Rand) error {
	w.net.set(func() {
		for _, m := range w.machines {
			w.net.island[m.n] = r.IntN(2)
		}
		w.tell("islands %v", w.net.island)
	})
	return nil
}

func (w *world) healNetwork(*rand.Rand) error {
	w.net.heal()
	return nil
}

func (w *world) weather(r *rand.Rand) error {
	w.net.set(func() {
		w.net.latency = []time.Duration{time.Millisecond, 20 * time.Millisecond, 150 * time.Millisecond, 600 * time.Millisecond}[r.IntN(4)]
		w.net.loss = []float64{0, 0, 0.01, 0.05, 0.15}[r.IntN(5)]
		w.tell("latency %v, loss %v", w.net.latency, w.net.loss)
	})
	return nil
}

func (w *world) any(r *rand.Rand) *machine {
	return w.machines[r.IntN(len(w.machines))]
}

func (w *world) stopNode(r *rand.Rand) error {
	m := w.any(r)
	if m.DB == nil {
		return nil
	}
	w.tell("the node of %v stops", m)
	return m.Sync().Stop(w.ctx)
}

func (w *world) startNode(r *rand.Rand) error {
	m := w.any(r)
	if m.DB == nil {
		return nil
	}
	w.tell("the node of %v starts", m)
	return m.Sync().Start(w.ctx)
}

func (w *world) turnOff(r *rand.Rand) error {
	m := w.any(r)
	w.tell("%v is turned off", m)
	return m.turnOff()
}

func (w *world) turnOn(r *rand.Rand) error {
	for _, n := range r.Perm(len(w.machines)) {
		if m := w.machines[n]; m.DB == nil {
			w.tell("%v is turned on", m)
			return m.turnOn()
		}
	}
	return nil
}

func (w *world) kill(r *rand.Rand) error {
	m := w.any(r)
	if m.DB == nil {
		return nil
	}
	w.tell("%v is killed", m)
	if err := m.kill(); err != nil {
		return err
	}
	if r.IntN(2) == 0 {
		return m.turnOn()
	}
	return nil
}

func (w *world) backUp(r *rand.Rand) (err error) {
	m := w.any(r)
	w.tell("%v is backed up", m)
	m.backup, err = m.image()
	m.notes = len(w.notes)
	return err
}

// goBack ends a program and makes its directory what it was.
func (w *world) goBack(r *rand.Rand, how string, back func(m *machine) error) error {
	for _, n := range r.Perm(len(w.machines)) {
		m := w.machines[n]
		if m.backup == nil {
			continue
		}
		w.tell("%v is %s", m, how)
		if err := m.turnOff(); err != nil {
			return err
		}
		if err := back(m); err != nil {
			return err
		}
		w.restored = true
		for pair := range w.met { // it has forgotten
			if pair[0] == m.n || pair[1] == m.n {
				delete(w.met, pair)
			}
		}
		for i := m.notes; i < len(w.notes); i++ {
			if w.notes[i].by == m {
				w.notes[i].lost = true // unless others have it
			}
		}
		for _, p := range w.plots { // so may be what it put, and whom it let in
			p.forget(m)
		}
		return m.turnOn()
	}
	return nil
}

// forget expects nothing any more of what a machine did beside typing.
func (p *plot) forget(m *machine) {
	for cid, b := range p.puts {
		if b.by == m {
			delete(p.puts, cid)
		}
	}
	for id, by := range p.pages {
		if by == m {
			delete(p.pages, id)
		}
	}
}

func (w *world) restore(r *rand.Rand) error {
	return w.goBack(r, "restored", func(m *machine) error { return m.replace(m.backup) })
}

func (w *world) rollBack(r *rand.Rand) error {
	return w.goBack(r, "rolled back", func(m *machine) error { return m.putBack(m.backup) })
}

// look checks that a machine that says that nothing is on it alone tells the truth.
func (w *world) look(r *rand.Rand) error {
	if w.restored || len(w.who(r, func(*machine) bool { return true })) < len(w.machines) {
		return nil // others may have had it, and lost it, or cannot be asked
	}
	for _, p := range w.plots {
		for _, m := range w.machines {
			if w.role(m, p) == soma.RoleNone {
				continue
			}
			s, err := w.status(m, p)
			if err != nil {
				return err
			}
			if s == nil || s.OnlyHere > 0 {
				continue
			}
			if err := w.elsewhere(m, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// elsewhere checks that all that a machine wrote is on some other.
func (w *world) elsewhere(m *machine, p *plot) error {
	there := map[string]bool{}
	for _, other := range w.machines {
		if other == m {
			continue
		}
		words, err := peertest.Words(w.ctx, other.DB, p.id)
		if errors.Is(err, soma.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		for word := range words {
			there[word] = true
		}
	}
	for _, n := range w.notes {
		if n.by == m && n.plot == p && p.trusted(m.n) && !there[n.word] {
			return fmt.Errorf("%v says that nothing of %s is on it alone, but %s is", m, p.id, n.word)
		}
	}
	return nil
}

// status returns how a space is on a machine, nil if it does not say.
func (w *world) status(m *machine, p *plot) (*soma.SpaceSyncStatus, error) {
	all, err := m.Sync().Status(w.ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range all.Spaces {
		if s.Space == p.id {
			return &s, nil
		}
	}
	return nil, nil
}
