package log_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// floodBytes is how much a former owner sends in the benchmarks of floods.
const floodBytes = 375 << 10

// flood is a space in which eve was an owner, and what she sends after she was removed:
// admissible entries on old heads.
type flood struct {
	*realm
	base  core.Hash // which knows of her, and not of her removal
	first int       // of the entries of the flood
	bytes int
}

func newFlood(b *testing.B) *flood {
	b.Helper()
	f := &flood{realm: newRealm(b, "ann")}
	f.act("ann", nil, f.add("bob", log.RoleOwner), f.add("cid", log.RoleOwner), f.add("dan", log.RoleEditor))
	f.base = f.act("ann", nil, f.add("eve", log.RoleOwner)).Hash
	f.act("ann", nil, f.remove("eve"))
	f.act("bob", nil, f.add("zoe", log.RoleOwner))
	f.first = len(f.entries)
	return f
}

// send adds an entry of the flood, if it is admissible. It reports false once there are
// enough.
func (f *flood) send(name string, auth []core.Hash, bodies ...log.Body) (*log.Entry, bool) {
	e, err := f.write(name, core.ChainMembership, auth, bodies...)
	if err == nil {
		f.bytes += e.Raw.Size()
	}
	return e, f.bytes < floodBytes
}

// puppets returns ops that add so many owners, and their names.
func (f *flood) puppets(n int) (add []log.Body, names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("puppet ", i))
		add = append(add, f.add(names[i], log.RoleOwner))
	}
	return add, names
}

// floods are ways to make evaluation work hard.
var floods = map[string]func(f *flood, rnd *rand.Rand){
	// Entries full of acts against everybody, puppets that were made up for it too.
	"full entries": func(f *flood, rnd *rand.Rand) {
		add, names := f.puppets(200)
		e, more := f.send("eve", []core.Hash{f.base}, add...)
		names = append(names, "ann", "bob", "cid", "dan", "eve")
		for heads := []core.Hash{e.Hash}; more; {
			var acts []log.Body
			for len(acts) < log.MaxOps {
				name := names[rnd.IntN(len(names))]
				acts = append(acts, [...]log.Body{f.remove(name), f.role(name, log.RoleViewer), f.add(name, log.RoleOwner), log.MemberAck{Peer: f.peer(name)}}[rnd.IntN(4)])
			}
			_, more = f.send(names[rnd.IntN(200)], heads, acts...)
		}
	},
	// Many entries with one act, each knowing of the same only.
	"side by side": func(f *flood, rnd *rand.Rand) {
		add, names := f.puppets(200)
		e, more := f.send("eve", []core.Hash{f.base}, add...)
		for i := 0; more; i++ {
			who, other := names[i%len(names)], names[rnd.IntN(len(names))]
			_, more = f.send(who, []core.Hash{e.Hash}, f.remove(other))
		}
	},
	// Many entries with one act, each knowing of some others.
	"a thicket": func(f *flood, rnd *rand.Rand) {
		add, names := f.puppets(50)
		e, more := f.send("eve", []core.Hash{f.base}, add...)
		names = append(names, "ann", "bob", "cid")
		for more {
			who, other := names[rnd.IntN(50)], names[rnd.IntN(len(names))]
			heads := []core.Hash{e.Hash}
			for range 2 {
				heads = append(heads, f.entries[f.first+rnd.IntN(len(f.entries)-f.first)].Hash)
			}
			body := [...]log.Body{f.remove(other), f.role(other, log.RoleEditor), f.role(other, log.RoleOwner), f.add(other, log.RoleOwner)}[rnd.IntN(4)]
			_, more = f.send(who, heads, body)
		}
	},
	// Invites, and acts that end all of them, by turns.
	"invites": func(f *flood, rnd *rand.Rand) {
		add, names := f.puppets(100)
		e, more := f.send("eve", []core.Hash{f.base}, add...)
		n := 0
		for more {
			var acts []log.Body
			for range 200 {
				n++
				acts = append(acts, f.invite(fmt.Sprint(n%500), log.RoleEditor, 1))
			}
			if e, more = f.send("eve", []core.Hash{e.Hash}, acts...); !more {
				break
			}
			acts = nil
			for range log.MaxOps {
				acts = append(acts, f.remove("eve"))
			}
			for range 5 {
				_, more = f.send(names[rnd.IntN(len(names))], []core.Hash{e.Hash}, acts...)
			}
		}
	},
	// Strangers who join by one invite on the side, and the owner who knew of each first.
	"joiners": func(f *flood, rnd *rand.Rand) {
		e, more := f.send("eve", []core.Hash{f.base}, f.invite("i", log.RoleEditor, 100))
		last := e
		for i := 0; more; i++ {
			name := fmt.Sprint("joiner ", i)
			j, _ := f.send(name, []core.Hash{e.Hash}, f.redeem("i", name))
			last, more = f.send("eve", []core.Hash{last.Hash, j.Hash})
		}
	},
}

// BenchmarkFlood takes in entries of a former owner, and evaluates the space after all of
// them ("at once") or after each.
func BenchmarkFlood(b *testing.B) {
	for name, make := range floods {
		f := newFlood(b)
		make(f, rand.New(rand.NewPCG(1, 2)))
		for _, each := range []bool{false, true} {
			sub := name + " at once"
			if each {
				sub = name + " one by one"
			}
			b.Run(sub, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					a := log.NewAuthority()
					f.addTo(b, a, f.entries[:f.first])
					b.StartTimer()
					for i := f.first; i < len(f.entries); i++ {
						f.addTo(b, a, f.entries[i:i+1])
						if each {
							a.Now()
						}
					}
					a.Now()
				}
				b.ReportMetric(float64(len(f.entries)-f.first), "entries")
			})
		}
	}
}
