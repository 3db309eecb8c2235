package replica

import (
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// ReasonMembers is the reason of the event for a change of members.
const ReasonMembers = "members"

// authority is who may do what in a space, for the length of one job.
type authority struct {
	*cachedAuthority
	space  *core.SpaceRecord
	before *log.State                 // at the start of the job
	judge  map[core.PeerID]bool       // whose entries have to be judged again at its end
	judged map[core.PeerID]*log.State // whose entries came, and by what they were judged
	joined []core.Hash                // redemptions of others that came in this job
}

// authority returns who may do what in a space. The entries that it follows from
// are read once and kept by the writer's goroutine.
func (w *work) authority(space *core.SpaceRecord) (*authority, error) {
	if a := w.authorities[space.Key]; a != nil {
		return a, nil
	}
	cache := w.r.heads
	whole := cache.authorities[space.Key]
	if whole == nil {
		whole = &cachedAuthority{Authority: log.NewAuthority()}
		if err := readAuthority(w.Tx, space.Key, whole.Authority); err != nil {
			return nil, err
		}
		if len(cache.authorities) >= MaxCachedAuthorities {
			clear(cache.authorities)
		}
		cache.authorities[space.Key] = whole
	}
	n := whole.Len()
	w.OnRollback(func() {
		whole.Truncate(n)
		whole.void, whole.contests = nil, nil
	})
	a := &authority{
		cachedAuthority: whole, space: space, before: whole.Now(),
		judge: map[core.PeerID]bool{}, judged: map[core.PeerID]*log.State{},
	}
	if w.authorities == nil {
		w.authorities = map[int64]*authority{}
	}
	w.authorities[space.Key] = a
	return a, nil
}

// readAuthority adds the membership entries of a space.
func readAuthority(v core.View, space int64, a *log.Authority) error {
	for after := int64(0); ; {
		page, err := v.MembershipAfter(space, after, batchBytes)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			e, err := log.Decode(rec.Entry)
			if err != nil {
				return fmt.Errorf("membership entry %s: %w: %w", rec.Hash, core.ErrCorrupt, err)
			}
			var heads []core.Hash
			if rec.Auth != 0 {
				if heads, err = v.AuthSet(rec.Auth); err != nil {
					return err
				}
			}
			if err := a.Add(e, heads); err != nil {
				return err
			}
			after = rec.Key
		}
	}
}

// settleMembers brings rows and verdicts up to date with what a job did to the
// members of a space, or let it learn of entries.
func (w *work) settleMembers(a *authority) error {
	now := a.Now()
	if now != a.before {
		if err := w.SetMembers(a.space.Key, memberRecords(now), inviteRecords(now)); err != nil {
			return err
		}
		w.membersAre(a.space.ID, now)
		for _, m := range a.before.Members() {
			if now.Role(m.Peer) == 0 {
				if err := w.forgetPeer(a.space.ID, m.Peer); err != nil {
					return err
				}
			}
		}
		if founded := a.before.Owners() == 0; !founded && !sameMembers(a.before, now) {
			w.changed(events.SpaceChanged, a.space.ID, "", ReasonMembers)
			w.changed(events.SpacesChanged, "", "", "")
		}
		for peer := range now.Changed(a.before) {
			a.judge[peer] = true
		}
		if err := w.remakeContested(a.space); err != nil { // ranks may be others
			return err
		}
		a.before = now
	}
	for peer, by := range a.judged {
		if by != now {
			a.judge[peer] = true
		}
	}
	clear(a.judged)
	if len(a.judge) == 0 {
		return nil
	}
	peers := a.judge
	a.judge = map[core.PeerID]bool{}
	return w.judgeAgain(a, peers)
}

// witness notes in the log that an owner knows of redemptions that came, unless one has:
// until then somebody else with the same ticket could take the place of who joined by it.
func (w *work) witness(a *authority) error {
	joined := a.joined
	a.joined = nil
	if len(joined) == 0 || a.Now().Role(w.r.self.peer) != log.RoleOwner || !slices.ContainsFunc(joined, a.Unseen) {
		return nil
	}
	return w.act(a.space)
}

func memberRecords(s *log.State) []core.MemberRecord {
	members := s.Members()
	recs := make([]core.MemberRecord, len(members))
	for i, m := range members {
		recs[i] = core.MemberRecord{Peer: m.Peer, Role: uint8(m.Role), Kind: uint8(m.Kind), By: m.By, Since: m.Since}
	}
	return recs
}

func inviteRecords(s *log.State) []core.InviteRecord {
	invites := s.Invites()
	recs := make([]core.InviteRecord, len(invites))
	for i, v := range invites {
		recs[i] = core.InviteRecord{ID: v.ID, Role: uint8(v.Role), By: v.By, Uses: int64(v.Uses), ExpiresMs: int64(v.ExpiresMs)}
	}
	return recs
}

func sameMembers(a, b *log.State) bool {
	return slices.EqualFunc(a.Members(), b.Members(), func(x, y log.Member) bool {
		return x.Peer == y.Peer && x.Role == y.Role && x.Kind == y.Kind
	})
}

// permitted returns a space in which the local member has a capability:
// core.ErrNotFound, core.ErrForbidden.
func (w *work) permitted(id core.SpaceID, needs log.Capability) (*core.SpaceRecord, error) {
	space, err := w.space(id)
	if err != nil {
		return nil, err
	}
	a, err := w.authority(space)
	if err != nil {
		return nil, err
	}
	if !a.Now().Allows(w.r.self.peer, needs) {
		return nil, core.ErrForbidden
	}
	return space, nil
}
