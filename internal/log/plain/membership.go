package plain

import (
	"cmp"
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
	leaves  bool
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
		_, d.leaves = op.Body.(log.MemberLeave)
		if _, removes := op.Body.(log.MemberRemove); removes || d.leaves {
			for h := range s.auth[e.Hash] {
				for _, op := range s.Entries[h].Ops {
					if s.Entries[h].Peer != d.target {
						continue
					}
					switch b := op.Body.(type) {
					case log.InviteCreate:
						d.ends[b.Invite] = true
					case log.InviteRedeem:
						if removes {
							d.ends[b.Invite] = true
						}
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

// order is line 2.
func (s *Space) order(of Set) (order []*log.Entry) {
	for h := range of {
		order = append(order, s.Entries[h])
	}
	slices.SortFunc(order, compare)
	return order
}

// candidate is the deeds of an entry that take away: its leaves, or all others.
type candidate struct {
	e      *log.Entry
	leaves bool
	deeds  []*deed
	acks   int
	rank   place
}

// place is where in the order an act stands.
type place struct {
	e  *log.Entry
	op int
}

func (p place) compare(o place) int { return cmp.Or(compare(p.e, o.e), cmp.Compare(p.op, o.op)) }

// added returns the first act by which a peer was added that lies in all of some pasts.
func (s *Space) added(p core.PeerID, in ...core.Hash) (first place, found bool) {
	for h, e := range s.Entries {
		if slices.ContainsFunc(in, func(k core.Hash) bool { return !s.auth[k][h] }) {
			continue
		}
		for i, op := range e.Ops {
			add, adds := op.Body.(log.MemberAdd)
			_, redeems := op.Body.(log.InviteRedeem)
			if at := (place{e, i}); (adds && add.Peer == p || redeems && e.Peer == p) && (!found || at.compare(first) < 0) {
				first, found = at, true
			}
		}
	}
	return first, found
}

// rank returns where the peer was first added, for CompareRank.
func (s *Space) rank(of Set) func(core.PeerID) int {
	order := s.order(of)
	return func(p core.PeerID) int {
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

// trial is the walk of line 4 and the replay of line 5.
type trial struct {
	s     *Space
	of    Set
	deeds []*deed
	spent map[*deed]bool // redemptions beyond what their invite allows

	taken map[*deed]bool
	mum   map[*deed]bool // leaves that others got ahead of
}

// effective returns the deeds that have effect, but for the last owner.
func (t *trial) effective() (effective []*deed) {
	for _, d := range t.deeds {
		counts := !t.spent[d] && d.against == t.taken[d] && t.s.stands(d, effective)
		for r := range t.taken {
			counts = counts && (d.against || t.mum[r] || !t.s.aims(r, d))
		}
		if counts {
			effective = append(effective, d)
		}
	}
	return effective
}

// Judge is lines 2 to 6.
func (s *Space) Judge(of Set) *Verdict {
	t := &trial{s: s, of: of, spent: map[*deed]bool{}}
	for _, e := range s.order(of) {
		t.deeds = append(t.deeds, s.deeds(e)...)
	}
	candidates := s.candidates(t.deeds)
	for {
		v := t.settle(candidates)
		more := t.overspent(v)
		for _, d := range more {
			if !slices.ContainsFunc(more, func(o *deed) bool { return s.auth[d.Entry][o.Entry] }) {
				t.spent[d] = true
			}
		}
		if len(more) == 0 {
			v.rank = s.rank(of)
			return v
		}
	}
}

// candidates is line 3.
func (s *Space) candidates(deeds []*deed) (all []*candidate) {
	for _, d := range deeds {
		if !d.against {
			continue
		}
		at := slices.IndexFunc(all, func(c *candidate) bool { return c.e == d.e && c.leaves == d.leaves })
		if at < 0 {
			at = len(all)
			all = append(all, &candidate{e: d.e, leaves: d.leaves})
		}
		all[at].deeds = append(all[at].deeds, d)
	}
	for _, c := range all {
		s.rankOf(c, all, deeds)
	}
	slices.SortStableFunc(all, func(a, b *candidate) int {
		switch {
		case a.leaves && !b.leaves:
			return 1
		case b.leaves && !a.leaves:
			return -1
		case a.leaves:
			return compare(a.e, b.e)
		}
		return cmp.Or(cmp.Compare(b.acks, a.acks), a.rank.compare(b.rank), compare(a.e, b.e))
	})
	return s.pastFirst(all)
}

// rankOf finds the first two keys of line 3.
func (s *Space) rankOf(c *candidate, all []*candidate, deeds []*deed) {
	involved := map[core.PeerID]bool{}
	var sides []*candidate
	involve := func(o *candidate) {
		sides = append(sides, o)
		for _, d := range o.deeds {
			involved[d.e.Peer], involved[d.target] = true, true
		}
	}
	involve(c)
	c.rank, _ = s.added(c.e.Peer, c.e.Hash)
	for _, r := range all {
		rivals := slices.ContainsFunc(r.deeds, func(d *deed) bool { return d.target == c.e.Peer }) ||
			slices.ContainsFunc(c.deeds, func(d *deed) bool { return d.target == r.e.Peer })
		if c.leaves || r.leaves || r.e.Peer == c.e.Peer || !rivals || !s.concurrent(r.e, c.e) {
			continue
		}
		involve(r)
		if at, found := s.added(c.e.Peer, c.e.Hash, r.e.Hash); found && c.rank.compare(at) < 0 {
			c.rank = at
		}
	}
	by := map[core.PeerID]bool{}
	for _, d := range deeds {
		ack, ok := d.body.(log.MemberAck)
		unknown := slices.ContainsFunc(sides, func(o *candidate) bool { return !s.auth[o.e.Hash][d.Entry] })
		if ok && len(sides) > 1 && ack.Peer == c.e.Peer && !unknown && !involved[d.e.Peer] {
			by[d.e.Peer] = true
		}
	}
	c.acks = len(by)
}

// pastFirst puts before each of some candidates, otherwise in order, those in its past.
func (s *Space) pastFirst(sorted []*candidate) (out []*candidate) {
	placed := map[*candidate]bool{}
	var place func(c *candidate)
	place = func(c *candidate) {
		placed[c] = true
		for _, o := range sorted {
			if !placed[o] && s.auth[c.e.Hash][o.e.Hash] {
				place(o)
			}
		}
		out = append(out, c)
	}
	for _, c := range sorted {
		if !placed[c] {
			place(c)
		}
	}
	return out
}

// settle is lines 4 to 6, but for what is beyond the uses of invites.
func (t *trial) settle(candidates []*candidate) *Verdict {
	dropped := map[*deed]bool{}
	for {
		t.walk(candidates, dropped)
		v, lacking := t.replay()
		if len(lacking) == 0 {
			return v
		}
		first := slices.DeleteFunc(slices.Clone(lacking), func(d *deed) bool {
			return slices.ContainsFunc(lacking, func(o *deed) bool { return t.s.auth[d.Entry][o.Entry] })
		})
		for _, d := range lacking {
			delete(t.taken, d)
		}
		without := t.effective()
		gone := slices.DeleteFunc(slices.Clone(first), func(d *deed) bool { return t.s.stands(d, without) })
		for _, c := range slices.Backward(candidates) {
			if len(gone) == 0 {
				gone = slices.DeleteFunc(slices.Clone(first), func(d *deed) bool { return !slices.Contains(c.deeds, d) })
			}
		}
		for _, d := range gone {
			dropped[d] = true
		}
	}
}

// walk is line 4.
func (t *trial) walk(candidates []*candidate, dropped map[*deed]bool) {
	t.taken, t.mum = map[*deed]bool{}, map[*deed]bool{}
	for _, c := range candidates {
		blocked := false
		for r := range t.taken {
			blocked = blocked || r.e.Peer != c.e.Peer && r.target == c.e.Peer && t.s.concurrent(r.e, c.e)
		}
		if blocked && !c.leaves || !t.s.stands(c.deeds[0], t.effective()) {
			continue
		}
		for _, d := range c.deeds {
			if !dropped[d] {
				t.taken[d], t.mum[d] = true, blocked
			}
		}
	}
}

// replay is line 5. It returns the taken deeds that lack standing, or would remove the
// last owner.
func (t *trial) replay() (v *Verdict, lacking []*deed) {
	v = &Verdict{
		Roles: map[core.PeerID]log.Role{}, Invites: map[core.InviteID]Offer{},
		Ignored: map[log.Act]bool{}, Cuts: map[log.Act]bool{}, joined: map[*deed]bool{},
	}
	effective := t.effective()
	for _, d := range t.deeds {
		if slices.Contains(effective, d) && v.apply(d) {
			v.effective = append(v.effective, d)
			continue
		}
		v.Ignored[d.Act] = true
		if t.taken[d] {
			lacking = append(lacking, d)
		}
	}
	return v, lacking
}

// overspent returns the redemptions beyond what their invites allow.
func (t *trial) overspent(v *Verdict) (over []*deed) {
	for id, offer := range v.Invites {
		var joins []*deed
		for _, d := range v.effective {
			if v.joined[d] && d.invite == id {
				joins = append(joins, d)
			}
		}
		slices.SortFunc(joins, func(a, b *deed) int {
			x, y := t.seen(a, v), t.seen(b, v)
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
			over = append(over, joins[len(joins)+offer.Uses:]...)
		}
	}
	return over
}

// seen returns the first entry by an owner, by effect, that knows of a redemption.
func (t *trial) seen(d *deed, v *Verdict) (first *log.Entry) {
	for h := range t.of {
		e := t.s.Entries[h]
		counts := t.s.auth[h][d.Entry] && t.s.Before(h).Roles[e.Peer] == log.RoleOwner && t.s.role(e, v.effective) == log.RoleOwner
		for r := range t.taken {
			counts = counts && (t.mum[r] || r.target != e.Peer || !t.s.concurrent(r.e, e))
		}
		if counts && (first == nil || compare(e, first) < 0) {
			first = e
		}
	}
	return first
}

// role returns the role that the effective deeds in its past give to the author of an entry.
func (s *Space) role(e *log.Entry, effective []*deed) (role log.Role) {
	for _, x := range effective {
		if s.auth[e.Hash][x.Entry] && x.target == e.Peer {
			role = x.changes(role)
		}
	}
	return role
}

// stands reports whether the effective deeds in the past of d allow it.
func (s *Space) stands(d *deed, effective []*deed) bool {
	past := s.auth[d.Entry]
	if len(past) == 0 {
		return true
	}
	made, ended := false, false
	for _, x := range effective {
		if !past[x.Entry] {
			continue
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
		return s.role(d.e, effective) != 0
	}
	return s.role(d.e, effective) == log.RoleOwner
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
		lowers := false
		for _, c := range []log.Capability{log.CapMember, log.CapRead, log.CapWrite, log.CapManage} {
			lowers = lowers || role.Has(c) && !b.Role.Has(c)
		}
		if role != 0 && d.against == lowers {
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
