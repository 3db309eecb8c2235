package plain

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Verdict is the outcome for a set of entries.
type Verdict struct {
	Roles   map[core.PeerID]log.Role // 0 for who is no member any more
	Invites map[core.InviteID]Offer
	Ignored map[log.Act]bool // acts without effect
	Cuts    map[log.Act]bool // acts that took a role, or part of it

	joined    map[*deed]bool
	effective []*deed
	rank      func(core.PeerID) int
	of        Set
}

// Offer is an invite.
type Offer struct {
	Role    log.Role
	Uses    int // left
	Made    bool
	Revoked bool
}

// Open reports whether somebody can join by it.
func (o Offer) Open() bool { return o.Made && !o.Revoked && o.Uses > 0 }

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

func (s *Space) concurrent(a, b *log.Entry) bool {
	return a != b && !s.auth[a.Hash][b.Hash] && !s.auth[b.Hash][a.Hash]
}

func (s *Space) deeds(e *log.Entry) []*deed {
	var all []*deed
	before := s.Before(e.Hash)
	for i, op := range e.Ops {
		d := &deed{Act: log.Act{Entry: e.Hash, Op: i}, e: e, body: op.Body, ends: map[core.InviteID]bool{}}
		switch b := op.Body.(type) {
		case log.MemberAdd:
			d.target = b.Peer
		case log.MemberRole:
			d.target = b.Peer
			for _, c := range []log.Capability{log.CapMember, log.CapRead, log.CapWrite, log.CapManage} {
				d.against = d.against || before.Roles[b.Peer].Has(c) && !b.Role.Has(c)
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
			d.target, d.invite, d.role = e.Peer, b.Invite, before.Invites[b.Invite].Role
		}
		_, leaves := op.Body.(log.MemberLeave)
		if _, removes := op.Body.(log.MemberRemove); removes || leaves {
			for h := range s.auth[e.Hash] {
				for _, op := range s.Entries[h].Ops {
					if s.Entries[h].Peer != d.target {
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
func (s *Space) aims(r, d *deed) bool {
	if !s.concurrent(r.e, d.e) {
		return false
	}
	if !r.target.IsZero() && (r.target == d.e.Peer || r.target == d.target) {
		return true
	}
	return d.invite != core.InviteID{} && r.ends[d.invite]
}

// order is line 2. A member who was never added has rank 0.
func (s *Space) order(of Set) (order []*log.Entry, rank func(core.PeerID) int) {
	for h := range of {
		order = append(order, s.Entries[h])
	}
	slices.SortFunc(order, compare)
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

// Judge is lines 2 to 6.
func (s *Space) Judge(of Set) *Verdict {
	order, rank := s.order(of)
	var deeds, candidates []*deed
	for _, e := range order {
		deeds = append(deeds, s.deeds(e)...)
	}
	acks := map[*deed]int{}
	for _, d := range deeds {
		if d.against {
			candidates = append(candidates, d)
			acks[d] = s.acks(d, deeds)
		}
	}
	slices.SortFunc(candidates, func(a, b *deed) int {
		return cmp.Or(cmp.Compare(acks[b], acks[a]), cmp.Compare(rank(a.e.Peer), rank(b.e.Peer)),
			cmp.Compare(a.e.Lamport, b.e.Lamport), bytes.Compare(a.Entry[:], b.Entry[:]), cmp.Compare(a.Op, b.Op))
	})
	candidates = s.pastFirst(candidates)
	for {
		taken := map[*deed]bool{}
		for _, r := range candidates {
			stopped := false
			for other := range taken {
				stopped = stopped || other.e.Peer != r.e.Peer && other.target == r.e.Peer && s.concurrent(other.e, r.e)
			}
			if stopped {
				continue
			}
			taken[r] = true
			if _, lacking := s.replay(of, deeds, taken); slices.Contains(lacking, r) {
				delete(taken, r)
			}
		}
		v, lacking := s.replay(of, deeds, taken)
		if len(lacking) == 0 {
			v.rank = rank
			return v
		}
		first := slices.DeleteFunc(slices.Clone(lacking), func(d *deed) bool {
			return slices.ContainsFunc(lacking, func(o *deed) bool { return s.auth[d.Entry][o.Entry] || d.Entry == o.Entry && o.Op < d.Op })
		})
		for i, r := range slices.Backward(candidates) {
			if slices.Contains(first, r) {
				candidates = slices.Delete(candidates, i, i+1)
				break
			}
		}
	}
}

// pastFirst puts before each of some candidates, otherwise in order, those in its past.
func (s *Space) pastFirst(sorted []*deed) (out []*deed) {
	placed := map[*deed]bool{}
	var place func(d *deed)
	place = func(d *deed) {
		placed[d] = true
		for _, o := range sorted {
			if !placed[o] && s.auth[d.Entry][o.Entry] {
				place(o)
			}
		}
		out = append(out, d)
	}
	for _, d := range sorted {
		if !placed[d] {
			place(d)
		}
	}
	return out
}

// acks is the first key of line 3.
func (s *Space) acks(r *deed, deeds []*deed) int {
	involved := map[core.PeerID]bool{r.e.Peer: true, r.target: true}
	common := maps.Clone(s.auth[r.Entry])
	rivals := false
	for _, d := range deeds {
		if !d.against || d.e.Peer == r.e.Peer || !s.concurrent(d.e, r.e) || d.target != r.e.Peer && r.target != d.e.Peer {
			continue
		}
		rivals = true
		involved[d.e.Peer], involved[d.target] = true, true
		maps.DeleteFunc(common, func(h core.Hash, _ bool) bool { return !s.auth[d.Entry][h] })
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
func (s *Space) replay(of Set, deeds []*deed, taken map[*deed]bool) (*Verdict, []*deed) {
	spent := map[*deed]bool{}
	for {
		v, lacking, more := s.replayWithout(of, deeds, taken, spent)
		if len(more) == 0 {
			return v, lacking
		}
		for _, d := range more {
			spent[d] = true
		}
	}
}

func (s *Space) replayWithout(of Set, deeds []*deed, taken, spent map[*deed]bool) (v *Verdict, lacking, overspent []*deed) {
	v = &Verdict{
		Roles: map[core.PeerID]log.Role{}, Invites: map[core.InviteID]Offer{},
		Ignored: map[log.Act]bool{}, Cuts: map[log.Act]bool{}, joined: map[*deed]bool{}, of: of,
	}
	for _, d := range deeds {
		ignored := spent[d] || d.against && !taken[d]
		for r := range taken {
			ignored = ignored || !d.against && s.aims(r, d)
		}
		if !ignored && (!s.stands(d, v.effective) || !v.apply(d)) {
			ignored = true
			if d.against {
				lacking = append(lacking, d)
			}
		}
		if ignored {
			v.Ignored[d.Act] = true
		} else {
			v.effective = append(v.effective, d)
		}
	}
	for id, offer := range v.Invites {
		var joins []*deed
		for _, d := range v.effective {
			if v.joined[d] && d.invite == id {
				joins = append(joins, d)
			}
		}
		seen := func(d *deed) *log.Entry { // the first entry by an owner that knows of it
			var first *log.Entry
			for h, e := range s.Entries {
				if v.of[h] && s.auth[h][d.Entry] && s.Before(h).Roles[e.Peer] == log.RoleOwner && (first == nil || compare(e, first) < 0) {
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
				return compare(x, y)
			}
			return compare(a.e, b.e)
		})
		if offer.Uses < 0 {
			overspent = append(overspent, joins[len(joins)+offer.Uses:]...)
		}
	}
	return v, lacking, overspent
}

// stands reports whether the effective deeds in the past of d allow it.
func (s *Space) stands(d *deed, effective []*deed) bool {
	past := s.auth[d.Entry]
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

func (v *Verdict) apply(d *deed) bool {
	if c, ok := d.body.(log.InviteCreate); ok {
		if f := v.Invites[c.Invite]; !f.Made {
			v.Invites[c.Invite] = Offer{c.Role, int(c.Uses), true, f.Revoked}
		}
	}
	if !d.target.IsZero() {
		was := v.Roles[d.target]
		role := d.changes(was)
		owners := 0
		for _, r := range v.Roles {
			if r == log.RoleOwner {
				owners++
			}
		}
		if was == log.RoleOwner && role != log.RoleOwner && owners == 1 {
			return false
		}
		v.Roles[d.target] = role
		if _, redeems := d.body.(log.InviteRedeem); redeems && was == 0 {
			v.joined[d] = true
			f := v.Invites[d.invite]
			f.Uses--
			v.Invites[d.invite] = f
		}
		if d.against {
			v.Cuts[d.Act] = true
		}
	}
	for id := range d.ends {
		f := v.Invites[id]
		f.Revoked = true
		v.Invites[id] = f
	}
	return true
}
