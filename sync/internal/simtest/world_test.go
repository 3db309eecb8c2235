package simtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
)

// world is one run.
type world struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // a run is one call
	seed    uint64
	verbose bool // with the logs of the nodes
	start   time.Time

	net      *fabric
	machines []*machine
	plots    []*plot
	met      map[[2]int]bool // pairs of which one was told where the other is
	restored bool            // a machine was put back to what it was

	words, blobs int // that were made
	notes        []note
}

// plot is a space, and what is known of who was made what in it.
type plot struct {
	id      soma.SpaceID
	founder *machine
	givers  map[int]map[int]bool // who made a machine a member, or something else
	struck  map[int]bool         // from whom something was taken, or who left
	tickets []string
	puts    map[soma.CID]put
	pages   map[soma.DocumentID]*machine // who created them
}

// note is a word that somebody typed, and was told that it is safe.
type note struct {
	by   *machine
	plot *plot
	word string
	lost bool // with a directory that was put back
}

// put is a blob that somebody put, and that nobody removed.
type put struct {
	by    *machine
	bytes []byte
}

// trusted reports whether what a machine does in a space is to be there in the end: nothing
// was ever taken from it, nor from those who let it in.
func (p *plot) trusted(n int) bool { return p.trustedBut(n, map[int]bool{}) }

func (p *plot) trustedBut(n int, above map[int]bool) bool {
	if p.struck[n] {
		return false
	}
	if n == p.founder.n {
		return true
	}
	if above[n] {
		return true // a circle: the others decide
	}
	above[n] = true
	defer delete(above, n)
	for giver := range p.givers[n] {
		if !p.trustedBut(giver, above) {
			return false
		}
	}
	return len(p.givers[n]) > 0
}

func (w *world) give(p *plot, by, to *machine) {
	if p.givers[to.n] == nil {
		p.givers[to.n] = map[int]bool{}
	}
	p.givers[to.n][by.n] = true
}

// tell writes to the trace.
func (w *world) tell(format string, args ...any) {
	w.t.Logf("%8s  %s", time.Since(w.start).Truncate(time.Millisecond), fmt.Sprintf(format, args...))
}

// begin turns on some machines, which found spaces.
func (w *world) begin(r *rand.Rand, dir string) error {
	for n := range 3 + r.IntN(4) {
		m := w.addMachine(n, filepath.Join(dir, fmt.Sprint(n)))
		if err := m.turnOn(); err != nil {
			return err
		}
	}
	for range 1 + r.IntN(3) {
		m := w.machines[r.IntN(len(w.machines))]
		name := fmt.Sprint("space ", len(w.plots))
		space, err := m.Spaces().Create(w.ctx, soma.NewSpace{Name: name})
		if err != nil {
			return err
		}
		w.plots = append(w.plots, &plot{
			id: space.ID, founder: m, givers: map[int]map[int]bool{}, struck: map[int]bool{},
			puts: map[soma.CID]put{}, pages: map[soma.DocumentID]*machine{},
		})
		w.tell("%v founds %s, %s", m, name, space.ID)
	}
	return nil
}

// end turns everything off.
func (w *world) end() {
	for _, m := range w.machines {
		if err := m.turnOff(); err != nil {
			w.t.Errorf("%v: %v", m, err)
		}
	}
	w.net.net.Close()
}

// role returns what a machine may do in a space as it knows it, RoleNone for what it does not know.
func (w *world) role(m *machine, p *plot) soma.Role {
	if m.DB == nil {
		return soma.RoleNone
	}
	space, err := m.Spaces().Get(w.ctx, p.id)
	if err != nil {
		return soma.RoleNone
	}
	return space.Role
}

// who returns machines that are on and to whom want applies, in a random order.
func (w *world) who(r *rand.Rand, want func(m *machine) bool) (found []*machine) {
	for _, n := range r.Perm(len(w.machines)) {
		if m := w.machines[n]; m.DB != nil && want(m) {
			found = append(found, m)
		}
	}
	return found
}
