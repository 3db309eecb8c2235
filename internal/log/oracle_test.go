package log_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
)

// dumpVerdict describes a verdict; dumpState the same of a State.
func (r *realm) dumpVerdict(v *plain.Verdict) string {
	var lines []string
	for p, role := range v.Roles {
		if role != 0 {
			lines = append(lines, fmt.Sprintf("%s %s", r.names[p], role))
		}
	}
	for id, f := range v.Invites {
		if f.Open() {
			lines = append(lines, fmt.Sprintf("invite %x %s %d", id[:4], f.Role, f.Uses))
		}
	}
	for a := range v.Ignored {
		lines = append(lines, fmt.Sprintf("ignored %s %d", a.Entry, a.Op))
	}
	for a := range v.Cuts {
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
	for range rapid.IntRange(1, 18).Draw(t, "entries") {
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
		if rapid.IntRange(0, 4).Draw(t, "copy") == 0 { // of the directory, which knows nothing of what its author did
			own := r.last[who]
			r.last[who] = [2]*log.Entry{}
			r.incarnation++
			_, _ = r.write(who, core.ChainMembership, auth, bodies...)
			r.last[who] = own
			continue
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
		o := plain.New(r.entries)
		want := r.dumpVerdict(o.Judge(o.All()))
		for name, a := range map[string]*log.Authority{"as made": r.authority, "reversed": r.again(true), "again": r.again(false)} {
			if got := r.dumpState(a.Now()); got != want {
				rt.Fatalf("%s: state = %s\nwant %s", name, got, want)
			}
		}
		for range 3 {
			part := plain.Set{}
			var heads []core.Hash
			for _, e := range rapid.SliceOfN(rapid.SampledFrom(r.entries), 1, 3).Draw(rt, "heads") {
				heads = append(heads, e.Hash)
				part[e.Hash] = true
				maps.Copy(part, o.Auth(e.Hash))
			}
			want := r.dumpVerdict(o.Judge(part))
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
