package soma_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// team is a space, and the databases of those who work in it, who exchange archives.
type team struct {
	t     *testing.T
	space soma.SpaceID
	dbs   map[string]*soma.DB
	dirs  map[string]string
}

// newTeam has ann found a space, and the others join by tickets for editors.
func newTeam(t *testing.T, others ...string) *team {
	t.Helper()
	const founder = "ann"
	m := &team{t: t, dbs: map[string]*soma.DB{}, dirs: map[string]string{}}
	m.open(founder)
	space, err := m.dbs[founder].Spaces().Create(t.Context(), soma.NewSpace{Name: "Team"})
	if err != nil {
		t.Fatal(err)
	}
	m.space = space.ID
	for _, name := range others {
		m.open(name)
		ticket := m.invite(soma.RoleEditor, soma.InviteOptions{})
		m.send(founder, name)
		m.join(name, ticket)
		m.send(name, founder)
	}
	m.sync()
	return m
}

func (m *team) open(name string) {
	m.dirs[name] = m.t.TempDir()
	m.dbs[name] = somatest.OpenDir(m.t, m.dirs[name])
}

// reopen closes somebody's database and opens it again.
func (m *team) reopen(name string) {
	m.t.Helper()
	m.must("Close", m.dbs[name].Close())
	m.dbs[name] = somatest.OpenDir(m.t, m.dirs[name])
}

func (m *team) ctx() context.Context         { return m.t.Context() }
func (m *team) peer(name string) soma.PeerID { return m.dbs[name].PeerID() }

func (m *team) must(what string, err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%s: %v", what, err)
	}
}

// invite has ann make an invite.
func (m *team) invite(role soma.Role, opts soma.InviteOptions) string {
	m.t.Helper()
	ticket, err := m.dbs["ann"].Spaces().Invite(m.ctx(), m.space, role, opts)
	m.must("Invite", err)
	return ticket
}

func (m *team) join(name, ticket string) soma.Space {
	m.t.Helper()
	space, err := m.dbs[name].Spaces().Join(m.ctx(), ticket)
	m.must("Join", err)
	return space
}

// send brings all that one has of the space to others.
func (m *team) send(from string, to ...string) {
	m.t.Helper()
	var archive bytes.Buffer
	err := m.dbs[from].Spaces().Export(m.ctx(), m.space, &archive)
	if errors.Is(err, soma.ErrNotFound) {
		return // it has nothing yet
	}
	m.must("Export", err)
	for _, name := range to {
		m.must("Import at "+name, m.dbs[name].Spaces().Import(m.ctx(), bytes.NewReader(archive.Bytes())))
	}
}

// sync brings everybody to the same log.
func (m *team) sync() {
	m.t.Helper()
	for range 2 {
		for from := range m.dbs {
			for to := range m.dbs {
				if from != to {
					m.send(from, to)
				}
			}
		}
	}
}

// members describes the members that somebody sees.
func (m *team) members(at string) string {
	m.t.Helper()
	members, err := m.dbs[at].Spaces().Members(m.ctx(), m.space)
	m.must("Members", err)
	var out []string
	for _, member := range members {
		name := member.Peer.String()
		for known, db := range m.dbs {
			if db.PeerID() == member.Peer {
				name = known
			}
		}
		out = append(out, fmt.Sprintf("%s %s", name, member.Role))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (m *team) wantMembers(want string) {
	m.t.Helper()
	for name := range m.dbs {
		if got := m.members(name); got != want {
			m.t.Errorf("members at %s = %s, want %s", name, got, want)
		}
	}
}

// typed is what a client with its own Yjs client ID adds to the root "text": after what
// it typed before, or after another client's last unit.
func typed(client, clock uint64, after *[2]uint64, text string) []byte {
	b := []byte{1, 1}
	b = binary.AppendUvarint(binary.AppendUvarint(b, client), clock)
	if after == nil {
		b = append(b, 4, 1, 4, 't', 'e', 'x', 't')
	} else {
		b = append(b, 0x84)
		b = binary.AppendUvarint(binary.AppendUvarint(b, after[0]), after[1])
	}
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(append(b, text...), 0)
}

func (m *team) upsert(name string, doc soma.DocumentID, update []byte) {
	m.t.Helper()
	_, err := m.dbs[name].Documents().Upsert(m.ctx(), m.space, doc, update)
	m.must("Upsert by "+name, err)
}

func (m *team) text(name string, doc soma.DocumentID) string {
	m.t.Helper()
	text, err := m.dbs[name].Documents().Text(m.ctx(), m.space, doc)
	if err != nil {
		return err.Error()
	}
	return text
}

func (m *team) wantText(doc soma.DocumentID, want string) {
	m.t.Helper()
	for name := range m.dbs {
		if got := m.text(name, doc); got != want {
			m.t.Errorf("text of %q at %s = %q, want %q", doc, name, got, want)
		}
	}
	var states [][]byte
	for _, db := range m.dbs {
		d, err := db.Documents().Get(m.ctx(), m.space, doc)
		m.must("Get", err)
		states = append(states, slices.Concat(d.Update, d.Epoch))
	}
	for _, s := range states[1:] {
		if !bytes.Equal(s, states[0]) {
			m.t.Errorf("states of %q differ: %x and %x", doc, states[0], s)
		}
	}
}

func TestJoining(t *testing.T) {
	m := newTeam(t, "bob")
	m.wantMembers("ann owner, bob editor")
	space, err := m.dbs["bob"].Spaces().Get(m.ctx(), m.space)
	if err != nil || space.Role != soma.RoleEditor || space.Name != "Team" {
		t.Errorf("Get = %+v, %v, want an editor's Team", space, err)
	}
	m.upsert("bob", "page", typed(1, 0, nil, "Hello"))
	m.sync()
	m.wantText("page", "Hello")

	// A ticket before the space: it is used when the space comes.
	m.open("cid")
	ticket := m.invite(soma.RoleViewer, soma.InviteOptions{Uses: 2})
	if space := m.join("cid", ticket); space.ID != m.space || space.Role != soma.RoleNone {
		t.Errorf("Join of a space that is not here = %+v, want no role", space)
	}
	m.sync()
	m.wantMembers("ann owner, bob editor, cid viewer")
	if space := m.join("cid", ticket); space.Role != soma.RoleViewer {
		t.Errorf("Join again = %+v, want a viewer", space)
	}
	// And one before the invite.
	m.open("dan")
	m.send("ann", "dan")
	ticket = m.invite(soma.RoleCache, soma.InviteOptions{})
	if space := m.join("dan", ticket); space.Role != soma.RoleNone {
		t.Errorf("Join by an invite that is not here = %+v, want no role", space)
	}
	m.sync()
	m.wantMembers("ann owner, bob editor, cid viewer, dan cache")
}

func TestTickets(t *testing.T) {
	m := newTeam(t)
	spaces := m.dbs["ann"].Spaces()
	expires := time.Now().Add(time.Hour)
	ticket := m.invite(soma.RoleEditor, soma.InviteOptions{Uses: 3, ExpiresAt: expires, Addresses: []string{"/ip4/127.0.0.1/tcp/1"}})
	got, err := soma.ParseTicket(ticket)
	if err != nil || got.SpaceID != m.space || got.Role != soma.RoleEditor || got.ExpiresAtMs != expires.UnixMilli() || len(got.Addresses) != 1 {
		t.Errorf("ParseTicket = %+v, %v", got, err)
	}
	invites, err := spaces.Invites(m.ctx(), m.space)
	if err != nil || len(invites) != 1 || invites[0].ID != got.Invite || invites[0].Uses != 3 || invites[0].By != m.peer("ann") {
		t.Errorf("Invites = %+v, %v", invites, err)
	}
	for name, text := range map[string]string{"empty": "", "cut": ticket[:len(ticket)-1], "other": "soma9" + ticket[5:]} {
		if _, err := spaces.Join(m.ctx(), text); !errors.Is(err, soma.ErrInvalidTicket) {
			t.Errorf("Join(%s) = %v, want ErrInvalidTicket", name, err)
		}
	}
	old := m.invite(soma.RoleEditor, soma.InviteOptions{ExpiresAt: time.Now().Add(-time.Hour)})
	m.open("bob")
	m.send("ann", "bob")
	if _, err := m.dbs["bob"].Spaces().Join(m.ctx(), old); !errors.Is(err, soma.ErrTicketExpired) {
		t.Errorf("Join by an old ticket = %v, want ErrTicketExpired", err)
	}
	for _, invite := range []string{ticket, got.Invite.String()} {
		if err := spaces.RevokeInvite(m.ctx(), m.space, invite); err != nil {
			t.Errorf("RevokeInvite(%q) = %v", invite, err)
		}
	}
	if err := spaces.RevokeInvite(m.ctx(), m.space, strings.Repeat("ab", 32)); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("RevokeInvite(unknown) = %v, want ErrNotFound", err)
	}
	if err := spaces.RevokeInvite(m.ctx(), m.space, "x"); !errors.Is(err, soma.ErrInvalidTicket) {
		t.Errorf("RevokeInvite(nonsense) = %v, want ErrInvalidTicket", err)
	}
	m.send("ann", "bob")
	if _, err := m.dbs["bob"].Spaces().Join(m.ctx(), ticket); !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Join by a revoked invite = %v, want ErrForbidden", err)
	}
	for name, call := range map[string]func() error{
		"owner": func() error {
			_, err := spaces.Invite(m.ctx(), m.space, soma.RoleOwner, soma.InviteOptions{})
			return err
		},
		"no role": func() error { _, err := spaces.Invite(m.ctx(), m.space, 0, soma.InviteOptions{}); return err },
		"uses": func() error {
			_, err := spaces.Invite(m.ctx(), m.space, soma.RoleEditor, soma.InviteOptions{Uses: soma.MaxInviteUses + 1})
			return err
		},
		"less uses": func() error {
			_, err := spaces.Invite(m.ctx(), m.space, soma.RoleEditor, soma.InviteOptions{Uses: -1})
			return err
		},
		"long ago": func() error {
			_, err := spaces.Invite(m.ctx(), m.space, soma.RoleEditor, soma.InviteOptions{ExpiresAt: time.UnixMilli(-5)})
			return err
		},
		"kind":       func() error { _, err := spaces.Join(m.ctx(), ticket, soma.AsKind(9)); return err },
		"nil option": func() error { _, err := spaces.Join(m.ctx(), ticket, nil); return err },
	} {
		if err := call(); !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("%s: %v, want ErrInvalidOption", name, err)
		}
	}
}

// Every mutator asks for the capability first: nothing is stored, no event fires.
func TestRolesAreEnforced(t *testing.T) {
	m := newTeam(t, "bob")
	m.upsert("ann", "page", typed(1, 0, nil, "x"))
	m.sync()
	spaces := m.dbs["bob"].Spaces()
	ticket := m.invite(soma.RoleViewer, soma.InviteOptions{})
	m.sync()
	write := map[string]func() error{
		"upsert": func() error {
			_, err := m.dbs["bob"].Documents().Upsert(m.ctx(), m.space, "page", typed(2, 0, nil, "y"))
			return err
		},
		"delete": func() error { return m.dbs["bob"].Documents().Delete(m.ctx(), m.space, "page") },
	}
	manage := map[string]func() error{
		"rename": func() error { _, err := spaces.Rename(m.ctx(), m.space, "mine"); return err },
		"add": func() error {
			return spaces.AddMember(m.ctx(), m.space, soma.NewMember{Peer: somatest.Open(t).PeerID(), Role: soma.RoleEditor})
		},
		"role":   func() error { return spaces.SetRole(m.ctx(), m.space, m.peer("ann"), soma.RoleViewer) },
		"remove": func() error { return spaces.RemoveMember(m.ctx(), m.space, m.peer("ann"), soma.RemoveOptions{}) },
		"invite": func() error {
			_, err := spaces.Invite(m.ctx(), m.space, soma.RoleViewer, soma.InviteOptions{})
			return err
		},
		"revoke": func() error { return spaces.RevokeInvite(m.ctx(), m.space, ticket) },
		"adopt":  func() error { return spaces.Adopt(m.ctx(), m.space, soma.EntryID(strings.Repeat("ab", 32))) },
	}
	forbidden := func(role soma.Role, calls map[string]func() error) {
		t.Helper()
		var before, after bytes.Buffer
		m.must("Export", spaces.Export(m.ctx(), m.space, &before))
		ctx, cancel := context.WithCancel(m.ctx())
		defer cancel()
		events := m.dbs["bob"].Subscribe(ctx)
		for name, call := range calls {
			if err := call(); !errors.Is(err, soma.ErrForbidden) {
				t.Errorf("%s by %s = %v, want ErrForbidden", name, role, err)
			}
		}
		m.must("Export", spaces.Export(m.ctx(), m.space, &after))
		if !bytes.Equal(before.Bytes(), after.Bytes()) {
			t.Errorf("forbidden calls by %s stored something", role)
		}
		select {
		case ev := <-events:
			t.Errorf("forbidden calls by %s fired %+v", role, ev)
		case <-time.After(20 * time.Millisecond):
		}
	}
	can := func(want ...soma.Capability) {
		t.Helper()
		for _, c := range []soma.Capability{soma.CapRead, soma.CapWrite, soma.CapManage} {
			if got, err := spaces.Can(m.ctx(), m.space, c); err != nil || got != slices.Contains(want, c) {
				t.Errorf("Can(%v) = %v, %v", c, got, err)
			}
		}
	}
	can(soma.CapRead, soma.CapWrite)
	forbidden(soma.RoleEditor, manage)
	for _, role := range []soma.Role{soma.RoleViewer, soma.RoleCache} {
		m.must("SetRole", m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer("bob"), role))
		m.sync()
		m.wantMembers("ann owner, bob " + role.String())
		forbidden(role, manage)
		forbidden(role, write)
		m.send("bob", "ann") // it forwards what it has
	}
	can()
	m.must("Leave", spaces.Leave(m.ctx(), m.space))
	m.sync()
	m.wantMembers("ann owner")
	forbidden(soma.RoleNone, write)
	if err := spaces.Leave(m.ctx(), m.space); !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Leave again = %v, want ErrForbidden", err)
	}
	for name, err := range map[string]error{
		"last owner leaves": m.dbs["ann"].Spaces().Leave(m.ctx(), m.space),
		"is removed":        m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("ann"), soma.RemoveOptions{}),
		"is demoted":        m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer("ann"), soma.RoleEditor),
	} {
		if !errors.Is(err, soma.ErrLastOwner) {
			t.Errorf("%s: %v, want ErrLastOwner", name, err)
		}
	}
	for name, err := range map[string]error{
		"remove a stranger": m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("bob"), soma.RemoveOptions{}),
		"role of one":       m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer("bob"), soma.RoleEditor),
		"unknown space":     m.dbs["ann"].Spaces().Leave(m.ctx(), "nowhere"),
	} {
		if !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	if err := m.dbs["ann"].Spaces().AddMember(m.ctx(), m.space, soma.NewMember{Peer: m.peer("ann"), Role: soma.RoleEditor}); !errors.Is(err, soma.ErrExists) {
		t.Errorf("AddMember of a member = %v, want ErrExists", err)
	}
	m.must("AddMember", m.dbs["ann"].Spaces().AddMember(m.ctx(), m.space, soma.NewMember{Peer: m.peer("bob"), Role: soma.RoleOwner, Kind: soma.KindBot}))
	m.sync()
	m.wantMembers("ann owner, bob owner")
	can(soma.CapRead, soma.CapWrite, soma.CapManage)
}

// What a removed member writes without knowing, or as if not knowing, is void: it is
// nowhere to be read, and reported. What arrived before the removal stays.
func TestRemovedMembersWriteInVain(t *testing.T) {
	m := newTeam(t, "bob", "cid")
	m.upsert("bob", "page", typed(2, 0, nil, "before "))
	m.upsert("bob", "other", typed(2, 0, nil, "untouched"))
	m.sync()
	m.upsert("bob", "page", typed(2, 7, &[2]uint64{2, 6}, "after "))
	m.upsert("bob", "new", typed(2, 0, nil, "new"))
	m.must("Remove", m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("bob"), soma.RemoveOptions{}))
	events := m.dbs["ann"].Subscribe(m.ctx())
	m.send("bob", "ann") // entries that cite old heads
	if got := m.text("ann", "page"); got != "before " {
		t.Errorf("text at ann = %q, want what came before the removal", got)
	}
	if ev := <-events; ev.DocumentID != "page" || ev.Reason != "rebuilt" { // its epoch is another
		t.Errorf("void entries fired %+v", ev)
	}
	select {
	case ev := <-events:
		t.Errorf("void entries fired %+v", ev)
	case <-time.After(20 * time.Millisecond):
	}
	m.send("bob", "cid") // who does not know yet, and shows it
	if got := m.text("cid", "page"); got != "before after " {
		t.Errorf("text at cid = %q, want all", got)
	}
	events = m.dbs["cid"].Subscribe(m.ctx())
	m.sync()
	m.wantMembers("ann owner, cid editor")
	m.wantText("page", "before ")
	m.wantText("other", "untouched")
	for name := range m.dbs {
		if got := m.text(name, "new"); !strings.Contains(got, "not found") {
			t.Errorf("a document that a removed member made is at %s: %q", name, got)
		}
	}
	changed := map[string]bool{}
	for len(changed) < 4 {
		ev := <-events
		changed[fmt.Sprintf("%s %s %s", ev.Kind, ev.DocumentID, ev.Reason)] = true
	}
	for _, want := range []string{"document-changed page rebuilt", "document-changed new deleted", "space-changed  members", "spaces-changed  "} {
		if !changed[want] {
			t.Errorf("events at cid = %v, want %q", changed, want)
		}
	}
	for name, db := range m.dbs {
		rejected, err := db.Spaces().Rejected(m.ctx(), m.space)
		if err != nil || len(rejected) == 0 {
			t.Fatalf("Rejected at %s = %+v, %v", name, rejected, err)
		}
		docs := map[soma.DocumentID]bool{}
		for _, r := range rejected {
			if r.Member != m.peer("bob") || r.Reason != soma.RejectedRemoved || r.By != m.peer("ann") || r.Kept {
				t.Errorf("Rejected at %s = %+v", name, r)
			}
			for _, d := range r.Documents {
				docs[d] = true
			}
		}
		if len(docs) != 2 || !docs["page"] || !docs["new"] {
			t.Errorf("documents of rejections at %s = %v", name, docs)
		}
	}
	// An editor that still shows void text does not bring it back.
	doc, err := m.dbs["cid"].Documents().Get(m.ctx(), m.space, "page")
	m.must("Get", err)
	if len(doc.Epoch) == 0 {
		t.Error("the document has no epoch")
	}
	m.upsert("cid", "page", typed(2, 7, &[2]uint64{2, 6}, "after "))
	m.sync()
	m.wantText("page", "before ")
	// But what it typed at clocks that are taken is not swallowed.
	if _, err := m.dbs["cid"].Documents().Upsert(m.ctx(), m.space, "page", typed(2, 7, &[2]uint64{2, 6}, "other")); !errors.Is(err, soma.ErrStaleDocument) {
		t.Errorf("Upsert at clocks of void content = %v, want ErrStaleDocument", err)
	}
	if _, err := m.dbs["cid"].Documents().Upsert(m.ctx(), m.space, "page", typed(3, 0, nil, "x"), soma.WithEpoch(nil)); !errors.Is(err, soma.ErrStaleDocument) {
		t.Errorf("Upsert with an old epoch = %v, want ErrStaleDocument", err)
	}
	if _, err := m.dbs["cid"].Documents().Upsert(m.ctx(), m.space, "page", typed(3, 0, &[2]uint64{2, 12}, "on top"), soma.WithEpoch(doc.Epoch)); err != nil {
		t.Errorf("Upsert with the epoch = %v", err)
	}
	m.sync()
	m.wantText("page", "before on top") // its place is behind what is void
	// Adopting it makes it count.
	rejected, err := m.dbs["ann"].Spaces().Rejected(m.ctx(), m.space)
	m.must("Rejected", err)
	for _, r := range rejected {
		m.must("Adopt", m.dbs["ann"].Spaces().Adopt(m.ctx(), m.space, r.Entry))
	}
	m.sync()
	m.wantText("page", "before after on top")
	m.wantText("new", "new")
}

// What somebody built upon in good faith stays, unless the removal says otherwise.
func TestHonestTextIsNotStranded(t *testing.T) {
	for _, purge := range []bool{false, true} {
		t.Run(fmt.Sprint("purge ", purge), func(t *testing.T) {
			m := newTeam(t, "bob", "cid")
			m.upsert("ann", "page", typed(1, 0, nil, "A"))
			m.sync()
			m.upsert("bob", "page", typed(2, 0, &[2]uint64{1, 0}, "B"))
			m.send("bob", "cid")
			m.upsert("cid", "page", typed(3, 0, &[2]uint64{2, 0}, "C"))
			m.must("Remove", m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("bob"), soma.RemoveOptions{Purge: purge}))
			m.upsert("bob", "page", typed(2, 1, &[2]uint64{2, 0}, "b")) // nobody builds upon this
			m.sync()
			want := "ABC"
			if purge {
				want = "AC"
			}
			m.wantText("page", want)
			rejected, err := m.dbs["ann"].Spaces().Rejected(m.ctx(), m.space)
			m.must("Rejected", err)
			kept := 0
			for _, r := range rejected {
				if r.Kept {
					kept++
					if r.VouchedBy != m.peer("cid") {
						t.Errorf("vouched by %s, want cid", r.VouchedBy)
					}
				}
			}
			if (kept > 0) == purge || kept == len(rejected) {
				t.Errorf("%d of %d rejected entries are kept", kept, len(rejected))
			}
		})
	}
}

// Two owners who remove each other: the senior one stays, on all machines.
func TestDuellingOwners(t *testing.T) {
	m := newTeam(t, "bob", "cid")
	for _, name := range []string{"bob", "cid"} {
		m.must("SetRole", m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer(name), soma.RoleOwner))
	}
	m.sync()
	m.must("Remove", m.dbs["cid"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("bob"), soma.RemoveOptions{}))
	m.must("Remove", m.dbs["bob"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("cid"), soma.RemoveOptions{}))
	m.sync()
	m.wantMembers("ann owner, bob owner")
}

// dump describes all of the space that everybody must agree on.
func (m *team) dump(name string) map[string]string {
	m.t.Helper()
	db := m.dbs[name]
	space, err := db.Spaces().Get(m.ctx(), m.space)
	m.must("Get", err)
	lines := map[string]string{"name": space.Name, "members": m.members(name)}
	rejected, err := db.Spaces().Rejected(m.ctx(), m.space)
	m.must("Rejected", err)
	for _, r := range rejected {
		lines["rejected "+string(r.Entry)] = fmt.Sprint(r.Member, r.Reason, r.By, r.Kept, r.Documents)
	}
	for info, err := range db.Documents().List(m.ctx(), m.space) {
		m.must("List", err)
		doc, err := db.Documents().Get(m.ctx(), m.space, info.ID)
		m.must("Get", err)
		lines["document "+info.ID] = fmt.Sprintf("%q %x %x %x", m.text(name, info.ID), doc.Update, doc.StateVector, doc.Epoch)
	}
	return lines
}

// act does something at random, as somebody who may or may not be allowed to.
func (m *team) act(r *rand.Rand, names []string, clocks map[string]uint64) {
	m.t.Helper()
	name := names[r.IntN(len(names))]
	db, other := m.dbs[name], m.dbs[names[r.IntN(len(names))]]
	doc := fmt.Sprint("doc-", r.IntN(3))
	role := []soma.Role{soma.RoleOwner, soma.RoleOwner, soma.RoleEditor, soma.RoleEditor, soma.RoleViewer}[r.IntN(5)]
	var err error
	switch n := r.IntN(26); {
	case n < 9: // type behind somebody's last unit that is known here, or at the start
		client := uint64(10 + slices.Index(names, name))
		var after *[2]uint64
		if d, err := db.Documents().Get(m.ctx(), m.space, doc); err == nil {
			ends, err := stateVector(d.StateVector)
			m.must("state vector", err)
			for c, end := range ends {
				if r.IntN(len(ends)) == 0 && c != client {
					after = &[2]uint64{c, uint64(r.IntN(int(end)))}
				}
			}
		}
		text := strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(4))
		key := name + doc
		if _, err = db.Documents().Upsert(m.ctx(), m.space, doc, typed(client, clocks[key], after, text)); err == nil {
			clocks[key] += uint64(len(text))
		}
	case n == 9:
		err = db.Documents().Delete(m.ctx(), m.space, doc)
	case n == 10:
		_, err = db.Spaces().Rename(m.ctx(), m.space, fmt.Sprint("name ", r.IntN(100)))
	case n == 11:
		err = db.Spaces().AddMember(m.ctx(), m.space, soma.NewMember{Peer: other.PeerID(), Role: role})
	case n < 14:
		err = db.Spaces().SetRole(m.ctx(), m.space, other.PeerID(), role)
	case n < 16:
		err = db.Spaces().RemoveMember(m.ctx(), m.space, other.PeerID(), soma.RemoveOptions{Purge: r.IntN(3) == 0})
	case n == 16:
		if r.IntN(4) == 0 {
			err = db.Spaces().Leave(m.ctx(), m.space)
		}
	case n == 17:
		var ticket string
		if ticket, err = db.Spaces().Invite(m.ctx(), m.space, soma.RoleEditor, soma.InviteOptions{}); err == nil {
			_, err = other.Spaces().Join(m.ctx(), ticket)
		}
	case n == 18:
		var rejected []soma.Rejection
		if rejected, err = db.Spaces().Rejected(m.ctx(), m.space); err == nil && len(rejected) > 0 {
			err = db.Spaces().Adopt(m.ctx(), m.space, rejected[r.IntN(len(rejected))].Entry)
		}
	case n == 19 && r.IntN(3) == 0:
		m.reopen(name)
	case n < 22: // under a clientID of somebody else, also ahead of them
		client := uint64(10 + r.IntN(len(names)))
		_, err = db.Documents().Upsert(m.ctx(), m.space, doc, typed(client, uint64(r.IntN(12)), nil, strings.Repeat("#", 1+r.IntN(6))))
	case n < 24: // what is there, and what is not
		_, err = db.Documents().Upsert(m.ctx(), m.space, doc, somatest.Deletion(uint64(10+r.IntN(len(names))), uint64(r.IntN(20)), uint64(1+r.IntN(8))))
	default:
		m.send(name, names[r.IntN(len(names))])
	}
	for _, fine := range []error{nil, soma.ErrForbidden, soma.ErrNotFound, soma.ErrExists, soma.ErrLastOwner, soma.ErrStaleDocument, soma.ErrClientIDTaken} {
		if errors.Is(err, fine) {
			return
		}
	}
	m.t.Fatalf("%s: %v", name, err)
}

// stateVector reads client -> end.
func stateVector(b []byte) (map[uint64]uint64, error) {
	ends := map[uint64]uint64{}
	r := bytes.NewReader(b)
	n, err := binary.ReadUvarint(r)
	for ; n > 0 && err == nil; n-- {
		var client uint64
		if client, err = binary.ReadUvarint(r); err == nil {
			ends[client], err = binary.ReadUvarint(r)
		}
	}
	return ends, err
}

// TestTeamsConverge lets members work, promote, remove and invite each other without
// knowing what the others do, and exchange what they have now and then. In the end all
// have the same members, the same texts and the same rejections, and so has a machine
// that gets everything at once. SOMA_TEAM_SEEDS is the number of runs, SOMA_TEAM_SEED
// the first.
func TestTeamsConverge(t *testing.T) {
	seeds, first := 12, 1
	for name, n := range map[string]*int{"SOMA_TEAM_SEEDS": &seeds, "SOMA_TEAM_SEED": &first} {
		if text := os.Getenv(name); text != "" {
			var err error
			if *n, err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 77))
			m := newTeam(t, "bob", "cid", "dan")
			names := slices.Sorted(maps.Keys(m.dbs))
			for _, name := range names[1:] {
				if r.IntN(2) == 0 {
					m.must("SetRole", m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer(name), soma.RoleOwner))
				}
			}
			m.sync()
			clocks := map[string]uint64{}
			for range 30 + r.IntN(40) {
				m.act(r, names, clocks)
			}
			m.sync()
			m.open("new")
			m.send("ann", "new")
			m.reopen("bob")
			m.must("Rebuild", m.dbs["cid"].Rebuild(m.ctx()))
			want := m.dump("ann")
			for name := range m.dbs {
				got := m.dump(name)
				for _, key := range slices.Sorted(maps.Keys(mergedKeys(got, want))) {
					if got[key] != want[key] {
						t.Errorf("%s at %s = %s\nat ann %s", key, name, got[key], want[key])
					}
				}
			}
		})
	}
}

func mergedKeys(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func (m *team) remove(by, who string) {
	m.t.Helper()
	m.must("RemoveMember", m.dbs[by].Spaces().RemoveMember(m.ctx(), m.space, m.peer(who), soma.RemoveOptions{}))
}

func (m *team) promote(names ...string) {
	m.t.Helper()
	for _, name := range names {
		m.must("SetRole", m.dbs["ann"].Spaces().SetRole(m.ctx(), m.space, m.peer(name), soma.RoleOwner))
	}
	m.sync()
}

// wantAgreement compares everybody with a machine that gets everything at once.
func (m *team) wantAgreement() {
	m.t.Helper()
	m.sync()
	m.open("new")
	m.send("ann", "new")
	want := m.dump("new")
	for name := range m.dbs {
		if got := m.dump(name); !maps.Equal(got, want) {
			m.t.Errorf("%s has %v\nwant %v", name, got, want)
		}
	}
}

// Who vouched for the text of a removed member is removed as well.
func TestAVoucherFalls(t *testing.T) {
	m := newTeam(t, "bob", "cid", "dan", "own")
	m.promote("own")
	m.upsert("bob", "page", typed(2, 0, nil, "bob "))
	m.send("bob", "cid")
	m.upsert("cid", "page", typed(3, 0, &[2]uint64{2, 3}, "cid "))
	m.remove("ann", "bob")
	m.remove("own", "cid")
	m.send("cid", "dan")
	m.send("ann", "dan")
	if got := m.text("dan", "page"); got != "bob cid " {
		t.Errorf("text while cid vouches = %q", got)
	}
	m.send("own", "dan")
	m.wantAgreement()
	if got := m.text("dan", "page"); !strings.Contains(got, "not found") {
		t.Errorf("text when nobody does = %q, want none", got)
	}
}

// One entry vouches for some members, and knows why others are over.
func TestAVoucherKnowsOfSome(t *testing.T) {
	m := newTeam(t, "bob", "cid", "dan", "own")
	m.promote("own")
	m.upsert("bob", "b", typed(2, 0, nil, "bob"))
	m.upsert("cid", "c", typed(3, 0, nil, "cid"))
	m.remove("ann", "bob")
	m.remove("own", "cid")
	m.send("ann", "dan")
	m.send("bob", "dan")
	m.send("cid", "dan")
	m.upsert("dan", "d", typed(4, 0, nil, "dan"))
	m.send("own", "dan")
	m.wantAgreement()
	if got := m.text("ann", "c"); got != "cid" {
		t.Errorf("text that dan vouches for = %q, want cid", got)
	}
}

// A removal that is undone by another one, in the same archive as the content.
func TestVerdictsDoNotDependOnBatches(t *testing.T) {
	m := newTeam(t, "eve", "cid", "hub")
	m.promote("eve", "cid")
	m.open("bob")
	m.must("AddMember", m.dbs["eve"].Spaces().AddMember(m.ctx(), m.space, soma.NewMember{Peer: m.peer("bob"), Role: soma.RoleEditor}))
	m.send("eve", "bob")
	m.upsert("bob", "page", typed(2, 0, nil, "bob"))
	m.remove("cid", "eve")
	m.remove("ann", "cid")
	for _, from := range []string{"cid", "bob", "ann"} {
		m.send(from, "hub")
	}
	m.wantAgreement()
}

// More people join at the same time than an entry can cite.
func TestManyJoinAtOnce(t *testing.T) {
	m := newTeam(t)
	ticket := m.invite(soma.RoleEditor, soma.InviteOptions{Uses: 100})
	m.open("early") // has nothing but the ticket
	m.join("early", ticket)
	m.open("hub")
	m.send("ann", "hub")
	const joiners = 66
	for range joiners {
		m.open("joiner")
		m.send("ann", "joiner")
		m.join("joiner", ticket)
		m.send("joiner", "hub")
		m.must("Close", m.dbs["joiner"].Close())
		delete(m.dbs, "joiner")
	}
	m.send("hub", "early")
	m.open("late")
	m.send("hub", "late")
	if space := m.join("late", ticket); space.Role != soma.RoleEditor {
		t.Errorf("Join = %+v, want an editor", space)
	}
	m.wantAgreement()
	members, err := m.dbs["ann"].Spaces().Members(m.ctx(), m.space)
	if err != nil || len(members) != 1+joiners+2 {
		t.Errorf("%d members, %v, want %d", len(members), err, 1+joiners+2)
	}
}

// A removed member writes at the clocks of somebody else's editor: what that one types
// is not taken for had.
func TestVoidContentSwallowsNothing(t *testing.T) {
	m := newTeam(t, "bob")
	m.upsert("ann", "page", typed(1, 0, nil, "ann "))
	m.sync()
	m.remove("ann", "bob")
	m.upsert("bob", "page", typed(1, 4, &[2]uint64{1, 3}, "0123456789"))
	m.send("bob", "ann")
	docs := m.dbs["ann"].Documents()
	if _, err := docs.Upsert(m.ctx(), m.space, "page", typed(1, 4, &[2]uint64{1, 3}, "typed")); !errors.Is(err, soma.ErrStaleDocument) {
		t.Errorf("Upsert = %v, want ErrStaleDocument", err)
	}
	m.upsert("ann", "page", typed(7, 0, &[2]uint64{1, 3}, "typed")) // under a new clientID, as the error says
	if got := m.text("ann", "page"); got != "ann typed" {
		t.Errorf("text = %q, want %q", got, "ann typed")
	}
	m.wantAgreement()
}

func TestParsePeerID(t *testing.T) {
	self := somatest.Open(t).PeerID()
	if got, err := soma.ParsePeerID(self.String()); got != self || err != nil {
		t.Errorf("ParsePeerID(%q) = %v, %v, want %v", self, got, err, self)
	}
	for _, text := range []string{"", "12D3KooW", self.String() + "1", " " + self.String(), strings.Repeat("1", 1<<16)} {
		if got, err := soma.ParsePeerID(text); !errors.Is(err, soma.ErrInvalidID) {
			t.Errorf("ParsePeerID(%.80q) = %v, %v, want ErrInvalidID", text, got, err)
		}
	}
}
