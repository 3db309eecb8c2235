package log_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// oracle is DESIGN 5.2 to 5.6 with the amendments of decision 0006, as plain as can
// be: sets are maps, nothing is remembered but the state before each entry, and
// everything is computed from the start.
type oracle struct {
	entries map[core.Hash]*log.Entry
	past    map[core.Hash]set
	before  map[core.Hash]*verdict
}

type set map[core.Hash]bool

// verdict is the outcome for a set of entries.
type verdict struct {
	roles   map[core.PeerID]log.Role
	invites map[core.InviteID]offer
	ignored map[log.Act]bool
	cuts    map[log.Act]bool
	joined  map[*deed]bool
	of      set
}

type offer struct {
	role    log.Role
	uses    int
	made    bool
	revoked bool
}

// deed is an op, with what its past says of it.
type deed struct {
	log.Act
	e       *log.Entry
	body    log.Body
	target  core.PeerID
	invite  core.InviteID
	against bool
	role    log.Role // that a redemption gives
	ends    map[core.InviteID]bool
}

func newOracle(r *realm) *oracle {
	o := &oracle{entries: map[core.Hash]*log.Entry{}, past: map[core.Hash]set{}, before: map[core.Hash]*verdict{}}
	for _, e := range r.entries {
		if e.Chain != core.ChainMembership {
			continue
		}
		past := set{}
		for _, h := range r.sets[e.Hash] {
			past[h] = true
			maps.Copy(past, o.past[h])
		}
		o.entries[e.Hash], o.past[e.Hash] = e, past
		o.before[e.Hash] = o.judge(past)
	}
	return o
}

func (o *oracle) concurrent(a, b *log.Entry) bool {
	return a != b && !o.past[a.Hash][b.Hash] && !o.past[b.Hash][a.Hash]
}

func (o *oracle) deeds(e *log.Entry) []*deed {
	var all []*deed
	before := o.before[e.Hash]
	for i, op := range e.Ops {
		d := &deed{Act: log.Act{Entry: e.Hash, Op: i}, e: e, body: op.Body, ends: map[core.InviteID]bool{}}
		switch b := op.Body.(type) {
		case log.MemberAdd:
			d.target = b.Peer
		case log.MemberRole:
			d.target = b.Peer
			for _, c := range []log.Capability{log.CapMember, log.CapRead, log.CapWrite, log.CapManage} {
				d.against = d.against || before.roles[b.Peer].Has(c) && !b.Role.Has(c)
			}
		case log.MemberRemove:
			d.target, d.against = b.Peer, true
		case log.MemberLeave:
			d.target, d.against = e.Peer, true
		case log.MemberAck:
			d.target = b.Peer
		case log.InviteCreate:
			d.invite = b.Invite
		case log.InviteRevoke:
			d.invite, d.against = b.Invite, true
			d.ends[b.Invite] = true
		case log.InviteRedeem:
			d.target, d.invite, d.role = e.Peer, b.Invite, before.invites[b.Invite].role
		}
		_, leaves := op.Body.(log.MemberLeave)
		if _, removes := op.Body.(log.MemberRemove); removes || leaves {
			for h := range o.past[e.Hash] {
				for _, op := range o.entries[h].Ops {
					if o.entries[h].Peer != d.target {
						continue
					}
					switch b := op.Body.(type) {
					case log.InviteCreate:
						d.ends[b.Invite] = true
					case log.InviteRedeem:
						d.ends[b.Invite] = true
					}
				}
			}
		}
		all = append(all, d)
	}
	return all
}

// aims reports whether r, which takes away, hits d.
func (o *oracle) aims(r, d *deed) bool {
	if !o.concurrent(r.e, d.e) {
		return false
	}
	if !r.target.IsZero() && (r.target == d.e.Peer || r.target == d.target) {
		return true
	}
	return d.invite != core.InviteID{} && r.ends[d.invite]
}

// order is line 2.
func (o *oracle) order(of set) (order []*log.Entry, rank func(core.PeerID) int) {
	for h := range of {
		order = append(order, o.entries[h])
	}
	slices.SortFunc(order, compareEntries)
	return order, func(p core.PeerID) int {
		for at, e := range order {
			for i, op := range e.Ops {
				add, adds := op.Body.(log.MemberAdd)
				_, redeems := op.Body.(log.InviteRedeem)
				if adds && add.Peer == p || redeems && e.Peer == p {
					return at<<9 + i
				}
			}
		}
		return 0 // nobody acts who was never added
	}
}

func compareEntries(a, b *log.Entry) int {
	return cmp.Or(cmp.Compare(a.Lamport, b.Lamport), bytes.Compare(a.Hash[:], b.Hash[:]))
}

// judge is lines 2 to 6.
func (o *oracle) judge(of set) *verdict {
	order, rank := o.order(of)
	var deeds, candidates []*deed
	for _, e := range order {
		deeds = append(deeds, o.deeds(e)...)
	}
	acks := map[*deed]int{}
	for _, d := range deeds {
		if d.against {
			candidates = append(candidates, d)
			acks[d] = o.acks(d, deeds)
		}
	}
	slices.SortFunc(candidates, func(a, b *deed) int {
		return cmp.Or(cmp.Compare(acks[b], acks[a]), cmp.Compare(rank(a.e.Peer), rank(b.e.Peer)),
			cmp.Compare(a.e.Lamport, b.e.Lamport), bytes.Compare(a.Entry[:], b.Entry[:]), cmp.Compare(a.Op, b.Op))
	})
	for {
		taken := map[*deed]bool{}
		for _, r := range candidates {
			stopped := false
			for other := range taken {
				stopped = stopped || other.e.Peer != r.e.Peer && other.target == r.e.Peer && o.concurrent(other.e, r.e)
			}
			if stopped {
				continue
			}
			taken[r] = true
			if _, lacking := o.replay(of, deeds, taken); slices.Contains(lacking, r) {
				delete(taken, r)
			}
		}
		v, lacking := o.replay(of, deeds, taken)
		if len(lacking) == 0 {
			return v
		}
		for i, r := range slices.Backward(candidates) {
			if slices.Contains(lacking, r) {
				candidates = slices.Delete(candidates, i, i+1)
				break
			}
		}
	}
}

// acks is the first key of line 3.
func (o *oracle) acks(r *deed, deeds []*deed) int {
	involved := map[core.PeerID]bool{r.e.Peer: true, r.target: true}
	common := maps.Clone(o.past[r.Entry])
	rivals := false
	for _, d := range deeds {
		if !d.against || d.e.Peer == r.e.Peer || !o.concurrent(d.e, r.e) || d.target != r.e.Peer && r.target != d.e.Peer {
			continue
		}
		rivals = true
		involved[d.e.Peer], involved[d.target] = true, true
		maps.DeleteFunc(common, func(h core.Hash, _ bool) bool { return !o.past[d.Entry][h] })
	}
	by := map[core.PeerID]bool{}
	for _, d := range deeds {
		if ack, ok := d.body.(log.MemberAck); ok && rivals && ack.Peer == r.e.Peer && common[d.Entry] && !involved[d.e.Peer] {
			by[d.e.Peer] = true
		}
	}
	return len(by)
}

// replay is line 5.
func (o *oracle) replay(of set, deeds []*deed, taken map[*deed]bool) (*verdict, []*deed) {
	spent := map[*deed]bool{}
	for {
		v, lacking, more := o.replayWithout(of, deeds, taken, spent)
		if len(more) == 0 {
			return v, lacking
		}
		for _, d := range more {
			spent[d] = true
		}
	}
}

func (o *oracle) replayWithout(of set, deeds []*deed, taken, spent map[*deed]bool) (v *verdict, lacking, overspent []*deed) {
	v = &verdict{
		roles: map[core.PeerID]log.Role{}, invites: map[core.InviteID]offer{},
		ignored: map[log.Act]bool{}, cuts: map[log.Act]bool{}, joined: map[*deed]bool{}, of: of,
	}
	var effective []*deed
	for _, d := range deeds {
		ignored := spent[d] || d.against && !taken[d]
		for r := range taken {
			ignored = ignored || !d.against && o.aims(r, d)
		}
		if !ignored && (!o.stands(d, effective) || !v.apply(d)) {
			ignored = true
			if d.against {
				lacking = append(lacking, d)
			}
		}
		if ignored {
			v.ignored[d.Act] = true
		} else {
			effective = append(effective, d)
		}
	}
	for id, offer := range v.invites {
		var joins []*deed
		for _, d := range effective {
			if v.joined[d] && d.invite == id {
				joins = append(joins, d)
			}
		}
		seen := func(d *deed) *log.Entry { // the first entry by an owner that knows of it
			var first *log.Entry
			for h, e := range o.entries {
				inSet := slices.ContainsFunc(deeds, func(x *deed) bool { return x.Entry == h || o.past[x.Entry][h] }) || v.of[h]
				if inSet && o.past[h][d.Entry] && o.before[h].roles[e.Peer] == log.RoleOwner && (first == nil || compareEntries(e, first) < 0) {
					first = e
				}
			}
			return first
		}
		slices.SortFunc(joins, func(a, b *deed) int {
			x, y := seen(a), seen(b)
			switch {
			case x == nil && y != nil:
				return 1
			case x != nil && y == nil:
				return -1
			case x != nil && x != y:
				return compareEntries(x, y)
			}
			return compareEntries(a.e, b.e)
		})
		if offer.uses < 0 {
			overspent = append(overspent, joins[len(joins)+offer.uses:]...)
		}
	}
	return v, lacking, overspent
}

// stands reports whether the effective deeds in the past of d allow it.
func (o *oracle) stands(d *deed, effective []*deed) bool {
	past := o.past[d.Entry]
	if len(past) == 0 {
		return true
	}
	var role log.Role
	made, ended := false, false
	for _, x := range effective {
		if !past[x.Entry] {
			continue
		}
		if x.target == d.e.Peer {
			role = x.changes(role)
		}
		if _, creates := x.body.(log.InviteCreate); creates && x.invite == d.invite {
			made = true
		}
		ended = ended || x.ends[d.invite]
	}
	switch d.body.(type) {
	case log.InviteRedeem:
		return made && !ended
	case log.MemberLeave:
		return role != 0
	}
	return role == log.RoleOwner
}

func (d *deed) changes(role log.Role) log.Role {
	switch b := d.body.(type) {
	case log.MemberAdd:
		if role == 0 {
			return b.Role
		}
	case log.InviteRedeem:
		if role == 0 {
			return d.role
		}
	case log.MemberRole:
		raises := true
		for _, c := range []log.Capability{log.CapMember, log.CapRead, log.CapWrite, log.CapManage} {
			raises = raises && (!role.Has(c) || b.Role.Has(c))
		}
		if role != 0 && (!d.against || !raises) {
			return b.Role
		}
	case log.MemberRemove, log.MemberLeave:
		return 0
	}
	return role
}

func (v *verdict) apply(d *deed) bool {
	if c, ok := d.body.(log.InviteCreate); ok {
		if f := v.invites[c.Invite]; !f.made {
			v.invites[c.Invite] = offer{c.Role, int(c.Uses), true, f.revoked}
		}
	}
	if !d.target.IsZero() {
		was := v.roles[d.target]
		role := d.changes(was)
		owners := 0
		for _, r := range v.roles {
			if r == log.RoleOwner {
				owners++
			}
		}
		if was == log.RoleOwner && role != log.RoleOwner && owners == 1 {
			return false
		}
		v.roles[d.target] = role
		if _, redeems := d.body.(log.InviteRedeem); redeems && was == 0 {
			v.joined[d] = true
			f := v.invites[d.invite]
			f.uses--
			v.invites[d.invite] = f
		}
		if d.against {
			v.cuts[d.Act] = true
		}
	}
	for id := range d.ends {
		f := v.invites[id]
		f.revoked = true
		v.invites[id] = f
	}
	return true
}

// dump describes a verdict; dumpState the same of a State.
func (v *verdict) dump(r *realm) string {
	var lines []string
	for p, role := range v.roles {
		if role != 0 {
			lines = append(lines, fmt.Sprintf("%s %s", r.names[p], role))
		}
	}
	for id, f := range v.invites {
		if f.made && !f.revoked && f.uses > 0 {
			lines = append(lines, fmt.Sprintf("invite %x %s %d", id[:4], f.role, f.uses))
		}
	}
	for a := range v.ignored {
		lines = append(lines, fmt.Sprintf("ignored %s %d", a.Entry, a.Op))
	}
	for a := range v.cuts {
		lines = append(lines, fmt.Sprintf("cut %s %d", a.Entry, a.Op))
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

func (r *realm) dumpState(s *log.State) string {
	var lines []string
	for _, m := range s.Members() {
		lines = append(lines, fmt.Sprintf("%s %s", r.names[m.Peer], m.Role))
	}
	for _, f := range s.Invites() {
		lines = append(lines, fmt.Sprintf("invite %x %s %d", f.ID[:4], f.Role, f.Uses))
	}
	for a := range s.Ignored() {
		lines = append(lines, fmt.Sprintf("ignored %s %d", a.Entry, a.Op))
	}
	for _, c := range s.Cuts() {
		lines = append(lines, fmt.Sprintf("cut %s %d", c.Entry, c.Op))
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

// drawRealm makes a history: anybody does anything, mostly on old knowledge.
func drawRealm(t *rapid.T, r *realm) {
	names := []string{"ann", "bob", "cid", "dan", "eve"}
	invites := []string{"i", "j"}
	name := rapid.SampledFrom(names)
	role := rapid.SampledFrom([]log.Role{log.RoleOwner, log.RoleOwner, log.RoleOwner, log.RoleEditor, log.RoleViewer, log.RoleCache})
	for range rapid.IntRange(1, 14).Draw(t, "entries") {
		who := name.Draw(t, "who")
		var auth []core.Hash
		for _, e := range rapid.SliceOfN(rapid.SampledFrom(r.entries), 1, 3).Draw(t, "auth") {
			auth = append(auth, e.Hash)
		}
		if rapid.IntRange(0, 2).Draw(t, "all") == 0 {
			auth = r.heads()
		}
		var bodies []log.Body
		for range rapid.SampledFrom([]int{1, 1, 1, 1, 2, 0}).Draw(t, "ops") {
			switch rapid.IntRange(0, 10).Draw(t, "op") {
			case 0, 1:
				bodies = append(bodies, r.add(name.Draw(t, "peer"), role.Draw(t, "role")))
			case 2, 3:
				bodies = append(bodies, r.remove(name.Draw(t, "peer")))
			case 4, 5:
				bodies = append(bodies, r.role(name.Draw(t, "peer"), role.Draw(t, "role")))
			case 6:
				bodies = append(bodies, log.MemberAck{Peer: r.peer(name.Draw(t, "peer"))})
			case 7:
				bodies = append(bodies, r.invite(rapid.SampledFrom(invites).Draw(t, "invite"), log.RoleEditor, uint64(rapid.IntRange(1, 2).Draw(t, "uses"))))
			case 8:
				bodies = append(bodies, log.InviteRevoke{Invite: r.invite(rapid.SampledFrom(invites).Draw(t, "invite"), 0, 0).Invite})
			case 9:
				bodies = append(bodies, r.redeem(rapid.SampledFrom(invites).Draw(t, "invite"), who))
			case 10:
				bodies = append(bodies, log.MemberLeave{})
			}
		}
		_, _ = r.write(who, core.ChainMembership, auth, bodies...) // what is not admissible is not there
	}
}

// TestAuthorityAgainstOracle compares states of all entries and of parts of them,
// reached in different orders, with the plain definition.
func TestAuthorityAgainstOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRealm(t, "ann")
		if rapid.Bool().Draw(rt, "start with three owners") {
			r.act("ann", nil, r.add("bob", log.RoleOwner), r.add("cid", log.RoleOwner))
		}
		drawRealm(rt, r)
		o := newOracle(r)
		all := set{}
		for h := range o.entries {
			all[h] = true
		}
		want := o.judge(all).dump(r)
		for name, a := range map[string]*log.Authority{"as made": r.authority, "reversed": r.again(true), "again": r.again(false)} {
			if got := r.dumpState(a.Now()); got != want {
				rt.Fatalf("%s: state = %s\nwant %s", name, got, want)
			}
		}
		for range 3 {
			part := set{}
			var heads []core.Hash
			for _, e := range rapid.SliceOfN(rapid.SampledFrom(r.entries), 1, 3).Draw(rt, "heads") {
				heads = append(heads, e.Hash)
				part[e.Hash] = true
				maps.Copy(part, o.past[e.Hash])
			}
			want := o.judge(part).dump(r)
			for name, a := range map[string]*log.Authority{"as made": r.authority, "reversed": r.again(true)} {
				s, err := a.At(heads)
				if err != nil {
					rt.Fatal(err)
				}
				if got := r.dumpState(s); got != want {
					rt.Fatalf("%s, after %d heads: state = %s\nwant %s", name, len(heads), got, want)
				}
			}
		}
	})
}
