package log_test

import (
	"crypto/ed25519"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// realm is a space in the making: members, by name, act on whatever past a test
// gives them.
type realm struct {
	memory
	t       testing.TB
	space   core.Hash
	genesis *log.Entry
	entries []*log.Entry              // in order of acceptance
	last    map[string][2]*log.Entry  // by name: the newest entry of each chain
	names   map[core.PeerID]string    //
	sets    map[core.Hash][]core.Hash // by entry: the heads of its membership past
	keys    map[string]ed25519.PrivateKey
	ops     int

	incarnation byte
}

func newRealm(t testing.TB, founder string) *realm {
	r := &realm{
		t: t, memory: newMemory(), last: map[string][2]*log.Entry{}, names: map[core.PeerID]string{},
		sets: map[core.Hash][]core.Hash{}, keys: map[string]ed25519.PrivateKey{},
	}
	r.genesis = seal(t, r.key(founder),
		log.Header{Incarnation: incarnationOf(1), Chain: core.ChainMembership, Seq: 1, Lamport: 1, Nonce: [16]byte{7}},
		r.op(log.MemberAdd{Peer: r.peer(founder), Role: log.RoleOwner, Kind: log.KindDevice}))
	r.space = r.genesis.Hash
	if err := r.accept(founder, r.genesis); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *realm) key(name string) ed25519.PrivateKey {
	key, ok := r.keys[name]
	if !ok {
		key = keyOf(name)
		r.keys[name] = key
		r.names[peerOf(key)] = name
	}
	return key
}

func (r *realm) peer(name string) core.PeerID { return peerOf(r.key(name)) }

func (r *realm) op(body log.Body) log.Op {
	r.ops++
	return log.Op{ID: opID(r.ops), Body: body}
}

func (r *realm) accept(name string, e *log.Entry) error {
	set, err := log.Admit(e, r.memory)
	if err != nil {
		return err
	}
	r.all[e.Hash] = e.AsAncestor(set)
	if e.Chain == core.ChainMembership {
		if err := r.authority.Add(e, set); err != nil {
			return err
		}
	}
	r.sets[e.Hash] = set
	r.entries = append(r.entries, e)
	last := r.last[name]
	last[e.Chain] = e
	r.last[name] = last
	return nil
}

// heads returns the membership entries that no other cites.
func (r *realm) heads() []core.Hash {
	var all []core.Hash
	for _, e := range r.entries {
		if e.Chain == core.ChainMembership {
			all = append(all, e.Hash)
		}
	}
	heads, err := log.Heads(r, all)
	if err != nil {
		r.t.Fatal(err)
	}
	return heads
}

// write makes an entry that knows of the membership entries in auth, and of what its
// author wrote before.
func (r *realm) write(name string, chain core.Chain, auth []core.Hash, bodies ...log.Body) (*log.Entry, error) {
	r.t.Helper()
	h := log.Header{Space: r.space, Incarnation: incarnationOf(1), Chain: chain, Seq: 1}
	var base []core.Hash
	if prev := r.last[name][chain]; prev == nil {
		h.Incarnation = incarnationOf(1 + r.incarnation)
	} else {
		h.Incarnation = prev.Incarnation
		h.Seq, h.Prev, h.Lamport, base = prev.Seq+1, prev.Hash, prev.Lamport, r.sets[prev.Hash]
		if chain == core.ChainMembership {
			base = []core.Hash{prev.Hash}
		}
	}
	var err error
	if h.Auth, err = log.NewAuth(r, base, auth); err != nil {
		r.t.Fatal(err)
	}
	for _, hash := range h.Auth {
		h.Lamport = max(h.Lamport, r.all[hash].Lamport)
	}
	h.Lamport++
	ops := make([]log.Op, len(bodies))
	for i, b := range bodies {
		ops[i] = r.op(b)
	}
	e := seal(r.t, r.key(name), h, ops...)
	return e, r.accept(name, e)
}

// actAs is act of another incarnation, the first entry of it: of a copy of the directory
// that knows what auth knows and nothing else.
func (r *realm) actAs(n byte, name string, auth []core.Hash, bodies ...log.Body) {
	r.t.Helper()
	own := r.last[name]
	r.last[name] = [2]*log.Entry{}
	r.incarnation = n
	r.act(name, auth, bodies...)
	r.incarnation = 0
	r.last[name] = own
}

// act makes a membership entry on what auth knows, all if it is nil.
func (r *realm) act(name string, auth []core.Hash, bodies ...log.Body) *log.Entry {
	r.t.Helper()
	if auth == nil {
		auth = r.heads()
	}
	e, err := r.write(name, core.ChainMembership, auth, bodies...)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return e
}

func (r *realm) add(name string, role log.Role) log.Body {
	return log.MemberAdd{Peer: r.peer(name), Role: role, Kind: log.KindDevice}
}

func (r *realm) remove(name string) log.Body { return log.MemberRemove{Peer: r.peer(name)} }

func (r *realm) role(name string, role log.Role) log.Body {
	return log.MemberRole{Peer: r.peer(name), Role: role}
}

// invite returns the ops that make and that redeem an invite.
func (r *realm) invite(name string, role log.Role, uses uint64) log.InviteCreate {
	return log.InviteCreate{Invite: core.InviteID(r.key("invite " + name).Public().(ed25519.PublicKey)), Role: role, Uses: uses}
}

func (r *realm) redeem(invite, joiner string) log.Body {
	return log.Redeem(r.key("invite "+invite), r.space, r.peer(joiner), log.KindDevice)
}

// roles describes the members of a state.
func (r *realm) roles(s *log.State) string {
	var out []string
	for _, m := range s.Members() {
		out = append(out, r.names[m.Peer]+" "+m.Role.String())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// want checks the members now, and that a replica that took in the entries in any
// other order has the same.
func (r *realm) want(want string) {
	r.t.Helper()
	if got := r.roles(r.authority.Now()); got != want {
		r.t.Errorf("members = %s, want %s", got, want)
	}
	if got := r.roles(r.again(true).Now()); got != want {
		r.t.Errorf("in another order: members = %s, want %s", got, want)
	}
}

// again adds the entries to a new authority; the last ones that may come first do, if
// reversed.
func (r *realm) again(reversed bool) *log.Authority {
	r.t.Helper()
	left := slices.DeleteFunc(slices.Clone(r.entries), func(e *log.Entry) bool { return e.Chain != core.ChainMembership })
	if reversed {
		slices.Reverse(left)
	}
	return r.inOrder(left)
}

// shuffled is again in a random order.
func (r *realm) shuffled(rnd *rand.Rand) *log.Authority {
	r.t.Helper()
	left := slices.DeleteFunc(slices.Clone(r.entries), func(e *log.Entry) bool { return e.Chain != core.ChainMembership })
	rnd.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	return r.inOrder(left)
}

// inOrder adds entries to a new authority, each as soon as its past is there.
func (r *realm) inOrder(left []*log.Entry) *log.Authority {
	r.t.Helper()
	a := log.NewAuthority()
	for len(left) > 0 {
		at := slices.IndexFunc(left, func(e *log.Entry) bool {
			return !slices.ContainsFunc(r.sets[e.Hash], func(h core.Hash) bool { return !a.Has(h) })
		})
		if err := a.Add(left[at], r.sets[left[at].Hash]); err != nil {
			r.t.Fatal(err)
		}
		left = slices.Delete(left, at, at+1)
	}
	return a
}
