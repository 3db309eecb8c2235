package log_test

import (
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// village is a space of 1,000 members and 5,000 membership entries: half of the
// members were added, half came by invites, at the same time; roles change.
func village(b *testing.B) *realm {
	b.Helper()
	r := newRealm(b, "ann")
	const members = 1000
	r.act("ann", nil, r.invite("i", log.RoleEditor, members))
	at := r.heads()
	last := at
	for n := range members {
		name := fmt.Sprint("member ", n)
		if n%2 == 0 {
			last = []core.Hash{r.act("ann", last, r.add(name, log.RoleEditor)).Hash}
		} else {
			r.act(name, at, r.redeem("i", name))
		}
	}
	joined := r.heads()
	for len(joined) > 0 { // an entry cites at most so many
		n := min(len(joined), log.MaxHeads-1)
		last = []core.Hash{r.act("ann", joined[:n]).Hash}
		joined = joined[n:]
	}
	for n := len(r.entries); n < 5000; n++ {
		role := log.RoleViewer
		if n%2 == 0 {
			role = log.RoleEditor
		}
		last = []core.Hash{r.act("ann", last, r.role(fmt.Sprint("member ", n%members/2*2), role)).Hash}
	}
	return r
}

// addTo adds entries to an authority in the order in which they were made.
func (r *realm) addTo(b *testing.B, a *log.Authority, entries []*log.Entry) {
	b.Helper()
	for _, e := range entries {
		if err := a.Add(e, r.sets[e.Hash]); err != nil {
			b.Fatal(err)
		}
	}
}

func wantMembers(b *testing.B, a *log.Authority, want int) {
	b.Helper()
	if got := len(a.Now().Members()); got != want {
		b.Fatalf("%d members, want %d", got, want)
	}
}

// BenchmarkAuthorityCold evaluates a space from its entries.
func BenchmarkAuthorityCold(b *testing.B) {
	r := village(b)
	b.ReportAllocs()
	for b.Loop() {
		a := log.NewAuthority()
		r.addTo(b, a, r.entries)
		wantMembers(b, a, 1001)
	}
}

// BenchmarkAuthorityOneMore adds one entry to a space and evaluates it: one that knows
// all others, and one, of a member who was away, that knows of the first few only.
func BenchmarkAuthorityOneMore(b *testing.B) {
	r := village(b)
	n := len(r.entries)
	first := r.entries[1].Hash
	r.act("ann", nil, r.role("member 0", log.RoleOwner))
	r.act("late", []core.Hash{first}, r.redeem("i", "late"))
	for name, more := range map[string]*log.Entry{"knows all": r.entries[n], "knows few": r.entries[n+1]} {
		b.Run(name, func(b *testing.B) {
			a := log.NewAuthority()
			r.addTo(b, a, r.entries[:n])
			wantMembers(b, a, 1001)
			b.ReportAllocs()
			for b.Loop() {
				r.addTo(b, a, []*log.Entry{more})
				a.Now()
				a.Truncate(n)
				b.StopTimer()
				a.Now()
				b.StartTimer()
			}
		})
	}
}
