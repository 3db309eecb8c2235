package log_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
)

// at returns an entry as all that somebody knows of.
func at(e *log.Entry) []core.Hash { return []core.Hash{e.Hash} }

// A removed owner who says late that they knew of another redemption first, of lower
// lamport, takes the place of nobody who joined.
func TestRemovedOwnerDisplacesNobody(t *testing.T) {
	for _, takes := range []string{"remove", "demote", "leave"} {
		r := newRealm(t, "ann")
		base := r.act("ann", nil, r.add("eve", log.RoleOwner), r.invite("i", log.RoleEditor, 1))
		for range 3 {
			r.act("ann", nil)
		}
		r.act("bob", nil, r.redeem("i", "bob"))
		switch takes {
		case "remove":
			r.act("ann", nil, r.remove("eve"))
		case "demote":
			r.act("ann", nil, r.role("eve", log.RoleViewer))
		case "leave":
			r.act("eve", nil, log.MemberLeave{})
			r.act("ann", nil)
		}
		want := r.roles(r.authority.Now())
		late := r.act("mal", at(base), r.redeem("i", "mal"))
		r.actAs(2, "eve", at(late))
		r.want(want)
	}
}

// Nor does somebody whom a removed owner let in late, and who says so.
func TestAccompliceDisplacesNobody(t *testing.T) {
	r := newRealm(t, "ann")
	base := r.act("ann", nil, r.add("eve", log.RoleOwner), r.invite("i", log.RoleEditor, 1))
	for range 3 {
		r.act("ann", nil)
	}
	r.act("bob", nil, r.redeem("i", "bob"))
	r.act("ann", nil, r.remove("eve"))
	mel := r.act("mel", at(base), r.redeem("i", "mel"))
	mal := r.act("eve", at(base), r.add("mal", log.RoleOwner))
	r.act("mal", []core.Hash{mal.Hash, mel.Hash})
	r.want("ann owner, bob editor")
}

// What an owner knew of while they were one counts after they were removed.
func TestRemovedOwnerSawFirst(t *testing.T) {
	r := newRealm(t, "ann")
	base := r.act("ann", nil, r.add("eve", log.RoleOwner), r.invite("i", log.RoleEditor, 1))
	ahead := r.act("ann", nil)
	bob := r.act("bob", at(ahead), r.redeem("i", "bob"))
	seen := r.act("eve", at(bob))
	mal := r.act("mal", at(base), r.redeem("i", "mal")) // of lower lamport
	r.act("ann", at(seen), r.remove("eve"))
	r.want("ann owner, bob editor")
	r.act("ann", append(at(mal), r.heads()...))
	r.want("ann owner, bob editor")
}

// A member who leaves on old heads takes nobody along who joined by the same invite.
func TestLeavingTakesNobodyAlong(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.invite("i", log.RoleEditor, 9))
	mal := r.act("mal", nil, r.redeem("i", "mal"))
	r.act("bob", nil, r.redeem("i", "bob"))
	r.act("ann", nil)
	r.act("mal", at(mal), log.MemberLeave{})
	r.want("ann owner, bob editor")
	r.act("dan", nil, r.redeem("i", "dan"))
	r.want("ann owner, bob editor, dan editor")
}

// A leave counts beside a demotion that it did not know of, and takes nothing back that
// its author had done.
func TestLeavingBesideACut(t *testing.T) {
	for _, senior := range []bool{true, false} {
		owner, leaver := "ann", "bob"
		if senior {
			owner, leaver = leaver, owner
		}
		r := newRealm(t, "ann")
		r.act("ann", nil, r.add("bob", log.RoleOwner))
		base := r.heads()
		r.act(leaver, nil, r.add("cid", log.RoleEditor), r.invite("i", log.RoleViewer, 3))
		r.act("dan", nil, r.redeem("i", "dan"))
		r.act(owner, nil, r.role(leaver, log.RoleViewer))
		r.want(fmt.Sprintf("%s, cid editor, dan viewer", both(owner, leaver)))
		r.actAs(2, leaver, base, log.MemberLeave{})
		r.want(fmt.Sprintf("%s owner, cid editor, dan viewer", owner))
	}
}

func both(owner, viewer string) string {
	all := []string{owner + " owner", viewer + " viewer"}
	slices.Sort(all)
	return all[0] + ", " + all[1]
}

// Nobody becomes senior by what was made behind the back of their rivals.
func TestNobodyBecomesSeniorLate(t *testing.T) {
	r := newRealm(t, "ann")
	base := r.act("ann", nil, r.add("eve", log.RoleOwner))
	r.act("ann", nil, r.add("bob", log.RoleOwner))
	zed := r.act("ann", nil, r.add("zed", log.RoleOwner))
	r.act("ann", nil, r.remove("eve"))
	r.act("bob", nil, r.remove("zed"))
	r.want("ann owner, bob owner")
	back := r.act("eve", at(base), r.add("zed", log.RoleOwner))
	r.act("zed", []core.Hash{zed.Hash, back.Hash}, r.remove("bob"))
	r.want("ann owner, bob owner")
}

// A promotion that does not know of a higher one takes nothing away.
func TestPromotionsAtTheSameTime(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner), r.add("cid", log.RoleViewer))
	base := r.heads()
	r.act("ann", base, r.role("cid", log.RoleOwner))
	for range 4 { // in either order
		r.act("bob", base, r.role("cid", log.RoleEditor))
	}
	r.want("ann owner, bob owner, cid owner")
}

// An invite that a former owner makes late is of no use, to nobody, whatever else it has
// in its past; nor is one that they came by.
func TestInvitesOfFormerOwners(t *testing.T) {
	r := newRealm(t, "ann")
	base := r.act("ann", nil, r.add("eve", log.RoleOwner), r.invite("k", log.RoleEditor, 9))
	r.act("kim", nil, r.redeem("k", "kim"))
	r.act("ann", nil, r.remove("eve"), r.remove("kim"))
	made := r.act("eve", at(base), r.invite("i", log.RoleEditor, 9))
	r.act("mal", at(made), r.redeem("i", "mal"))
	r.act("mel", at(base), r.redeem("k", "mel"))
	r.want("ann owner")
	for name, invite := range map[string]string{"of a former owner": "i", "that a former member came by": "k"} {
		_, err := r.write("joe", core.ChainMembership, r.heads(), r.redeem(invite, "joe"))
		wantReason(t, "an invite "+name, err, log.ReasonInvite)
		if v, made := r.authority.Now().Invite(r.invite(invite, 0, 0).Invite); made && v.Open() {
			t.Errorf("the invite %s is open", name)
		}
	}
	r.act("ann", nil, r.add("eve", log.RoleOwner)) // they come back: what was of no use stays so
	r.want("ann owner, eve owner")
	r.act("eve", nil, r.invite("j", log.RoleViewer, 2))
	r.act("kim", nil, r.redeem("j", "kim"))
	r.want("ann owner, eve owner, kim viewer")
}

// party is some owners who act while they are apart, and learn of each other at times.
type party struct {
	*realm
	rnd   *rand.Rand
	names []string
	knows map[string][]core.Hash // by name: the membership entries that they have
	n     int                    // invites

	copies bool
}

// newParty lets some of five be owners, and act.
func newParty(t testing.TB, rnd *rand.Rand, copies bool) *party {
	p := &party{realm: newRealm(t, "ann"), rnd: rnd, knows: map[string][]core.Hash{}, copies: copies}
	p.names = []string{"ann", "bob", "cid", "dan", "eve"}
	for _, name := range p.names[1 : 2+rnd.IntN(3)] {
		p.act("ann", nil, p.add(name, log.RoleOwner))
	}
	if rnd.IntN(2) == 0 {
		p.act("ann", nil, p.invite("1", log.RoleEditor, 1))
		p.n = 1
	}
	for _, name := range p.names {
		p.knows[name] = p.heads()
	}
	for range 5 + rnd.IntN(25) {
		p.step()
	}
	return p
}

// runs returns how many random runs a test makes; SOMA_LOG_RUNS sets it.
func runs(t *testing.T, usual int) uint64 {
	t.Helper()
	if s := os.Getenv("SOMA_LOG_RUNS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return uint64(n)
	}
	return uint64(usual)
}

// try acts as one of the party, on what they know, if they may. In some runs a copy of
// their directory does, now and then, with what somebody knew a while ago.
func (p *party) try(who string, bodies ...log.Body) {
	if p.copies && p.rnd.IntN(3) == 0 {
		own := p.last[who]
		p.last[who] = [2]*log.Entry{}
		p.incarnation++
		_, _ = p.write(who, core.ChainMembership, at(p.entries[p.rnd.IntN(len(p.entries))]), bodies...)
		p.last[who] = own
		return
	}
	if e, err := p.write(who, core.ChainMembership, p.knows[who], bodies...); err == nil {
		p.knows[who] = at(e)
	}
}

// step lets somebody do something.
func (p *party) step() {
	who, other := p.pick(), p.pick()
	switch p.rnd.IntN(16) {
	case 0, 1, 2:
		p.try(who, p.remove(other))
	case 3, 4:
		p.try(who, p.role(other, log.Role(1+p.rnd.IntN(3))))
	case 5:
		p.try(who, log.MemberLeave{})
	case 6:
		p.try(who, p.add(other, log.Role(1+p.rnd.IntN(2))))
	case 7:
		p.n++
		p.try(who, p.invite(fmt.Sprint(p.n), log.RoleEditor, 1))
	case 8, 9, 10:
		if p.n > 0 {
			p.try(who, p.redeem(fmt.Sprint(1+p.rnd.IntN(p.n)), who))
		}
	case 11:
		p.try(who, log.MemberAck{Peer: p.peer(other)})
	case 12:
		p.try(who) // to have known of all
	default:
		p.knows[who] = append(slices.Clone(p.knows[who]), p.knows[other]...)
	}
}

func (p *party) pick() string { return p.names[p.rnd.IntN(len(p.names))] }

// Owners who take each other out, demote, leave, and come back while they are apart agree
// in the end, whatever order it all arrives in; one of them can manage the space; and who
// is out can be added again, or come by a new invite.
func TestOwnersApart(t *testing.T) {
	back := map[string]int{}
	for seed := range runs(t, 400) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		p := newParty(t, rnd, seed%2 == 0)
		now := p.authority.Now()
		want := p.dumpState(now)
		if now.Owners() == 0 {
			t.Fatalf("seed %d: nobody is an owner: %s", seed, want)
		}
		for range 5 {
			if got := p.dumpState(p.shuffled(rnd).Now()); got != want {
				t.Fatalf("seed %d: state = %s\nin another order %s", seed, want, got)
			}
		}
		i := slices.IndexFunc(p.names, func(name string) bool { return now.Role(p.peer(name)) == log.RoleOwner })
		owner := p.names[i]
		for k, name := range p.names {
			if p.authority.Now().Role(p.peer(name)) != 0 {
				continue
			}
			if k%2 == 0 {
				p.act(owner, nil, p.add(name, log.RoleOwner))
				back["added"]++
			} else {
				invite := "back " + name
				p.act(owner, nil, p.invite(invite, log.RoleEditor, 1))
				p.act(name, nil, p.redeem(invite, name))
				back["joined"]++
			}
			if p.authority.Now().Role(p.peer(name)) == 0 {
				t.Fatalf("seed %d: %s did not come back", seed, name)
			}
		}
		if got, want := p.dumpState(p.shuffled(rnd).Now()), p.dumpState(p.authority.Now()); got != want {
			t.Fatalf("seed %d: state at the end = %s\nin another order %s", seed, want, got)
		}
	}
	if back["added"] == 0 || back["joined"] == 0 {
		t.Errorf("came back: %v, want some of each", back)
	}
}

// TestPartiesAgainstOracle compares what becomes of owners apart with the plain definition.
func TestPartiesAgainstOracle(t *testing.T) {
	for seed := range runs(t, 200) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		p := newParty(t, rnd, seed%4 != 0)
		o := plain.New(p.entries)
		want := p.dumpVerdict(o.Judge(o.All()))
		for name, a := range map[string]*log.Authority{"as made": p.authority, "shuffled": p.shuffled(rnd)} {
			if got := p.dumpState(a.Now()); got != want {
				t.Fatalf("seed %d, %s: state = %s\nwant %s", seed, name, got, want)
			}
		}
	}
}
