package log_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

func TestCapabilities(t *testing.T) {
	ops := map[string][]log.Body{
		"retire":  {log.WriterRetire{Incarnations: []core.Incarnation{incarnationOf(9)}}},
		"meta":    {log.SpaceMeta{Name: "x"}},
		"update":  {log.DocUpdate{Doc: "d", Update: []byte{0, 0}}},
		"delete":  {log.DocDelete{Doc: "d"}},
		"unknown": {log.UnknownOp{Op: opOfNewer, Raw: []byte{0x80}}},
		"nothing": nil,
	}
	for role, allowed := range map[log.Role]string{
		log.RoleOwner:  "retire meta update delete unknown nothing",
		log.RoleEditor: "retire update delete unknown nothing",
		log.RoleViewer: "retire nothing",
		log.RoleCache:  "retire nothing",
		0:              "",
	} {
		for name, bodies := range ops {
			r := newRealm(t, "ann")
			if role != 0 {
				r.act("ann", nil, r.add("bob", role))
			}
			_, err := r.write("bob", core.ChainContent, r.heads(), bodies...)
			switch {
			case strings.Contains(allowed, name):
				if err != nil {
					t.Errorf("%s by %s: %v", name, role, err)
				}
			case role == 0:
				wantReason(t, name+" by a stranger", err, log.ReasonNotMember)
			default:
				wantReason(t, name+" by "+role.String(), err, log.ReasonCapability)
			}
		}
	}
}

func TestMembershipNeedsAnOwner(t *testing.T) {
	for name, body := range map[string]func(r *realm) log.Body{
		"add":    func(r *realm) log.Body { return r.add("dan", log.RoleViewer) },
		"role":   func(r *realm) log.Body { return r.role("cid", log.RoleOwner) },
		"remove": func(r *realm) log.Body { return r.remove("ann") },
		"ack":    func(r *realm) log.Body { return log.MemberAck{Peer: r.peer("ann")} },
		"invite": func(r *realm) log.Body { return r.invite("i", log.RoleViewer, 1) },
		"revoke": func(r *realm) log.Body { return log.InviteRevoke{Invite: r.invite("j", log.RoleViewer, 1).Invite} },
	} {
		for _, role := range []log.Role{log.RoleEditor, log.RoleViewer, log.RoleCache, log.RoleOwner} {
			r := newRealm(t, "ann")
			r.act("ann", nil, r.add("bob", role), r.add("cid", log.RoleEditor), r.invite("j", log.RoleViewer, 1))
			_, err := r.write("bob", core.ChainMembership, r.heads(), body(r))
			if role == log.RoleOwner {
				if err != nil {
					t.Errorf("%s by an owner: %v", name, err)
				}
				continue
			}
			wantReason(t, name+" by "+role.String(), err, log.ReasonCapability)
		}
	}
}

func TestRolesChange(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleEditor), r.add("cid", log.RoleViewer))
	r.want("ann owner, bob editor, cid viewer")
	r.act("ann", nil, r.add("bob", log.RoleOwner)) // of a present member: no change
	r.want("ann owner, bob editor, cid viewer")
	r.act("ann", nil, r.role("bob", log.RoleOwner))
	r.act("bob", nil, r.role("ann", log.RoleEditor))
	r.want("ann editor, bob owner, cid viewer")
	if _, err := r.write("ann", core.ChainMembership, r.heads(), r.remove("bob")); log.ReasonOf(err) != log.ReasonCapability {
		t.Errorf("demoted owner removes: %v", err)
	}
	r.act("bob", nil, r.remove("ann"))
	r.want("bob owner, cid viewer")
	r.act("bob", nil, r.add("ann", log.RoleViewer))
	r.want("ann viewer, bob owner, cid viewer")
	r.act("cid", nil, log.MemberLeave{})
	r.want("ann viewer, bob owner")
}

func TestTheLastOwnerStays(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleEditor))
	r.act("ann", nil, r.remove("ann"))
	r.act("ann", nil, log.MemberLeave{})
	r.act("ann", nil, r.role("ann", log.RoleViewer))
	r.want("ann owner, bob editor")
	r.act("ann", nil, r.role("bob", log.RoleOwner))
	at := r.heads()
	r.act("ann", at, log.MemberLeave{}) // both, not knowing of each other
	r.act("bob", at, log.MemberLeave{})
	if got := r.authority.Now().Owners(); got != 1 {
		t.Errorf("%d owners are left, want 1: %s", got, r.roles(r.authority.Now()))
	}
	r.want(r.roles(r.authority.Now()))
}

// Of two owners who remove each other the one who came first stays.
func TestDuel(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner))
	r.act("bob", nil, r.add("cid", log.RoleOwner))
	at := r.heads()
	r.act("cid", at, r.remove("bob"))
	r.act("bob", at, r.remove("cid"))
	r.want("ann owner, bob owner")

	// Unless more others stand by the junior one, which both knew.
	r = newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner), r.add("cid", log.RoleOwner))
	r.act("ann", nil, log.MemberAck{Peer: r.peer("cid")})
	at = r.heads()
	r.act("bob", at, r.remove("cid"))
	r.act("cid", at, r.remove("bob"))
	r.want("ann owner, cid owner")

	// Standing by somebody behind the other's back does not count.
	r = newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner), r.add("cid", log.RoleOwner))
	at = r.heads()
	r.act("bob", at, r.remove("cid"))
	ack := r.act("ann", at, log.MemberAck{Peer: r.peer("cid")})
	r.act("cid", []core.Hash{ack.Hash}, r.remove("bob"))
	r.want("ann owner, bob owner")
}

func TestDuelInACircle(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner))
	r.act("ann", nil, r.add("cid", log.RoleOwner))
	at := r.heads()
	r.act("ann", at, r.remove("bob"))
	r.act("bob", at, r.remove("cid"))
	r.act("cid", at, r.remove("ann"))
	r.want("cid owner") // bob's is stopped by ann's, and nobody stops cid's
}

// A removed owner who withholds entries and cites old heads changes nothing, nor
// do those whom they let in.
func TestBackdating(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("eve", log.RoleOwner), r.add("bob", log.RoleOwner), r.add("cid", log.RoleEditor))
	at := r.heads()
	r.act("ann", nil, r.remove("eve"))
	r.want("ann owner, bob owner, cid editor")

	r.act("eve", at, r.add("mal", log.RoleOwner))
	old := r.last["eve"][core.ChainMembership].Hash
	r.act("eve", []core.Hash{old}, r.invite("i", log.RoleEditor, 9), r.role("cid", log.RoleOwner))
	after := r.last["eve"][core.ChainMembership].Hash
	r.act("mal", []core.Hash{after}, r.remove("bob"), r.add("mel", log.RoleOwner))
	r.act("joe", []core.Hash{after}, r.redeem("i", "joe"))
	r.act("cid", []core.Hash{after}, r.remove("ann"))
	r.want("ann owner, bob owner, cid editor")
	if got := len(r.authority.Now().Ignored()); got != 7 {
		t.Errorf("%d acts are ignored, want 7: %v", got, r.authority.Now().Ignored())
	}
}

// What an accomplice without standing does must not stand in the way of others,
// whoever of the two ranks higher.
func TestAccompliceCancelsNothing(t *testing.T) {
	for _, junior := range []string{"mal", "zoe"} {
		r := newRealm(t, "ann")
		r.act("ann", nil, r.add("eve", log.RoleOwner), r.add("cid", log.RoleOwner), r.add("vic", log.RoleEditor))
		at := r.heads()
		r.act("ann", at, r.remove("eve"))
		mal := r.act("eve", at, r.add(junior, log.RoleOwner))
		r.act(junior, []core.Hash{mal.Hash}, r.remove("cid"))
		dan := r.act("cid", at, r.add("dan", log.RoleOwner))
		r.act("dan", []core.Hash{dan.Hash}, r.remove("vic"))
		r.want("ann owner, cid owner, dan owner")
	}
}

func TestRemovalBeatsWhatItDidNotKnow(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner), r.add("cid", log.RoleEditor))
	at := r.heads()
	r.act("ann", at, r.remove("cid"))
	r.act("bob", at, r.role("cid", log.RoleOwner)) // a promotion at the same time
	r.want("ann owner, bob owner")
	r.act("bob", nil, r.add("cid", log.RoleViewer)) // and one who knows of it
	r.want("ann owner, bob owner, cid viewer")
}

// Two demotions at the same time: the lower role, whatever their order.
func TestDemotionsAtTheSameTime(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner), r.add("cid", log.RoleOwner))
	at := r.heads()
	r.act("ann", at, r.role("cid", log.RoleViewer))
	r.act("bob", at, r.role("cid", log.RoleEditor))
	r.want("ann owner, bob owner, cid viewer")
	if got := len(r.authority.Now().Cuts()); got != 2 {
		t.Errorf("%d cuts, want both", got)
	}
}

func TestInvites(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.invite("i", log.RoleEditor, 2))
	r.act("bob", nil, r.redeem("i", "bob"))
	r.act("cid", nil, r.redeem("i", "cid"))
	r.want("ann owner, bob editor, cid editor")
	_, err := r.write("dan", core.ChainMembership, r.heads(), r.redeem("i", "dan"))
	wantReason(t, "a third one", err, log.ReasonInvite)
	_, err = r.write("dan", core.ChainMembership, r.heads(), r.redeem("j", "dan"))
	wantReason(t, "never made", err, log.ReasonInvite)

	made := r.act("ann", nil, r.invite("k", log.RoleViewer, 5), r.invite("l", log.RoleViewer, 5))
	_, err = r.write("dan", core.ChainMembership, []core.Hash{made.Hash}, r.redeem("k", "eve"))
	wantReason(t, "proof for another", err, log.ReasonInvite)
	_, err = r.write("dan", core.ChainMembership, []core.Hash{made.Hash}, r.redeem("k", "dan"), r.redeem("l", "dan"))
	wantReason(t, "two in one entry", err, log.ReasonNotMember)
	_, err = r.write("bob", core.ChainMembership, []core.Hash{made.Hash}, r.redeem("k", "bob"), log.MemberLeave{})
	wantReason(t, "among others", err, log.ReasonInvite)
	r.act("bob", nil, r.redeem("k", "bob")) // a member already: nothing changes, nothing is used
	if v, _ := r.authority.Now().Invite(r.invite("k", 0, 0).Invite); v.Uses != 5 {
		t.Errorf("%d uses are left, want 5", v.Uses)
	}

	at := r.heads()
	r.act("ann", at, log.InviteRevoke{Invite: r.invite("k", 0, 0).Invite})
	r.act("dan", at, r.redeem("k", "dan")) // revocation beats a join that it did not know of
	r.want("ann owner, bob editor, cid editor")
	r.act("eve", at, r.redeem("l", "eve"))
	r.want("ann owner, bob editor, cid editor, eve viewer")
}

// Of more redemptions than an invite allows, at the same time, those stay that an
// owner knew of, then the earlier ones.
func TestInviteUsedTwiceAtOnce(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.invite("i", log.RoleEditor, 1))
	at := r.heads()
	first := r.act("bob", at, r.redeem("i", "bob"))
	second := r.act("cid", at, r.redeem("i", "cid"))
	if r.want(r.roles(r.authority.Now())); len(r.authority.Now().Members()) != 2 {
		t.Errorf("members = %s, want ann and one more", r.roles(r.authority.Now()))
	}
	for name, seen := range map[string]core.Hash{"bob": first.Hash, "cid": second.Hash} {
		r := *r
		r.memory = r.clone()
		r.authority = r.again(false)
		r.entries, r.last = slices.Clip(r.entries), map[string][2]*log.Entry{"ann": r.last["ann"]}
		r.act("ann", []core.Hash{seen}) // it need not do anything
		r.want("ann owner, " + name + " editor")
		r.act("ann", []core.Hash{seen}, r.add("dan", log.RoleViewer))
		r.want("ann owner, " + name + " editor, dan viewer")
	}
}

// A removal ends the invites of those who go, and the one they came by.
func TestRemovalEndsInvites(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("bob", log.RoleOwner), r.invite("i", log.RoleEditor, 9))
	r.act("bob", nil, r.invite("j", log.RoleEditor, 9))
	r.act("cid", nil, r.redeem("i", "cid"))
	at := r.heads()
	r.act("ann", nil, r.remove("bob"), r.remove("cid"))
	r.want("ann owner")
	for _, invite := range []string{"i", "j"} {
		_, err := r.write("dan"+invite, core.ChainMembership, r.heads(), r.redeem(invite, "dan"+invite))
		wantReason(t, "after the removal", err, log.ReasonInvite)
		r.act("eve"+invite, at, r.redeem(invite, "eve"+invite)) // not knowing of it
	}
	r.want("ann owner")
}

// An entry that knows of all redemptions changes nothing, whatever it is otherwise.
func TestRedemptionsStayAsTheyWere(t *testing.T) {
	r := newRealm(t, "ann")
	inv := []core.Hash{r.act("ann", nil, r.invite("i", log.RoleEditor, 1)).Hash}
	x := r.act("ann", inv, log.MemberAck{Peer: r.peer("ann")})
	p := r.act("pia", []core.Hash{x.Hash}, r.redeem("i", "pia"))
	r.act("ann", []core.Hash{p.Hash}, log.MemberAck{Peer: r.peer("ann")}) // ann knows of pia
	r.act("quo", inv, r.redeem("i", "quo"))                               // which is earlier by lamport
	r.want("ann owner, pia editor")
	r.act("ann", nil, log.MemberAck{Peer: r.peer("ann")}) // and of both
	r.want("ann owner, pia editor")
	r.act("ann", inv, log.MemberAck{Peer: r.peer("ann")})
	r.want("ann owner, pia editor")
}

// Members whom a removed owner made up spend the invite that they come by.
func TestInviteIsSpentByWhoBecomesAMember(t *testing.T) {
	r := newRealm(t, "ann")
	r.act("ann", nil, r.add("eve", log.RoleOwner))
	base := []core.Hash{r.act("ann", nil, r.invite("i", log.RoleEditor, 1)).Hash}
	r.act("ann", base, r.remove("eve"))
	var add []log.Body
	for i := range 5 {
		add = append(add, r.add(fmt.Sprint("m", i), log.RoleCache))
	}
	e := []core.Hash{r.act("eve", base, add...).Hash}
	for i := range 5 {
		name := fmt.Sprint("m", i)
		r.act(name, e, r.redeem("i", name))
	}
	if got := len(r.authority.Now().Members()); got != 2 {
		t.Errorf("members = %s, want ann and one more", r.roles(r.authority.Now()))
	}
	r.want(r.roles(r.authority.Now()))
}

// Joiners who are added as well, and others, in many orders of arrival.
func TestOrderOfArrivalOfJoiners(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		r := newRealm(t, "ann")
		r.act("ann", nil, r.add("bob", log.RoleOwner))
		inv := []core.Hash{r.act("ann", nil, r.invite("i", log.RoleEditor, 100)).Hash}
		for i := range 8 {
			name := fmt.Sprint("p", i)
			r.act(name, inv, r.redeem("i", name))
		}
		for owner, role := range map[string]log.Role{"ann": log.RoleViewer, "bob": log.RoleCache} {
			prev := inv
			for range 3 {
				prev = []core.Hash{r.act(owner, prev, r.add(fmt.Sprint("p", rnd.IntN(8)), role)).Hash}
			}
		}
		want := r.roles(r.authority.Now())
		for range 10 {
			if got := r.roles(r.shuffled(rnd).Now()); got != want {
				t.Fatalf("seed %d: members = %s, want %s", seed, got, want)
			}
		}
	}
}
