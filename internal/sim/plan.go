package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// step is one thing that happens. What exactly follows from its random numbers and
// from what happened before.
type step struct {
	kind *kind
	seed uint64
}

// kind is a kind of step.
type kind struct {
	name   string
	weight int
	play   func(w *world, r *rand.Rand) error
}

// kinds is what can happen, with how often it does.
var kinds = []kind{
	{"type", 22, (*world).typeText},
	{"erase", 6, (*world).eraseText},
	{"delete document", 2, (*world).deleteDocument},
	{"rename", 2, (*world).rename},
	{"page", 40, (*world).actOnPages},
	{"circle of pages", 3, (*world).movePages},
	{"blob", 12, (*world).actOnBlobs},
	{"look", 5, (*world).look},
	{"add member", 3, (*world).addMember},
	{"set role", 5, (*world).setRole},
	{"remove member", 5, (*world).removeMember},
	{"duel", 3, (*world).duel},
	{"leave", 1, (*world).leave},
	{"invite", 3, (*world).invite},
	{"revoke", 3, (*world).revoke},
	{"join", 4, (*world).join},
	{"adopt", 2, (*world).adopt},
	{"seal", 4, (*world).seal},

	{"send", 28, (*world).send},
	{"send all", 6, (*world).sendAll},
	{"partition", 2, (*world).partition},
	{"merge", 2, (*world).merge},

	{"reopen", 2, (*world).reopen},
	{"kill", 3, (*world).kill},
	{"copy", 1, (*world).copySite},
	{"back up", 2, (*world).backUp},
	{"restore", 2, (*world).restore},
	{"clock", 2, (*world).moveClock},

	{"forge content", 12, (*world).forgeContent},
	{"forge pages", 14, (*world).forgePages},
	{"forge blobs", 6, (*world).forgeBlobs},
	{"forge act", 10, (*world).forgeAct},
	{"fork", 5, (*world).fork},
	{"collude", 8, (*world).collude},
	{"frame", 3, (*world).frame},
	{"undermine", 3, (*world).undermine},
	{"demote", 3, (*world).demote},
	{"crowd", 3, (*world).crowd},
	{"flood", 1, (*world).flood},
	{"withhold", 1, (*world).withhold},
	{"unknown op", 2, (*world).forgeUnknown},
	{"invalid entry", 5, (*world).forgeInvalid},
	{"post", 12, (*world).post},
	{"claim", 10, (*world).claim},
	{"pre-delete", 5, (*world).preDelete},
}

// plan returns the steps of a seed.
func plan(c Config) []step {
	r := rand.New(rand.NewPCG(c.Seed, 1))
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	steps := make([]step, 40+r.IntN(75))
	for i := range steps {
		n := r.IntN(total)
		for at := range kinds {
			k := &kinds[at]
			if n -= k.weight; n < 0 {
				steps[i].kind = k
				break
			}
		}
		steps[i].seed = r.Uint64()
	}
	return steps
}

// Run plays a seed and returns what does not hold, as an error, at the end or before.
func Run(ctx context.Context, c Config) error {
	w := newWorld(ctx, c)
	defer w.end()
	if err := w.begin(rand.New(rand.NewPCG(c.Seed, 2))); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	steps := plan(c)
	if c.Steps > 0 && c.Steps < len(steps) {
		steps = steps[:c.Steps]
	}
	for i, s := range steps {
		if c.Skip[i+1] {
			continue
		}
		if c.Trace != nil {
			_, _ = fmt.Fprintf(c.Trace, "%d: %s\n", i+1, s.kind.name)
		}
		if err := s.kind.play(w, rand.New(rand.NewPCG(s.seed, 3))); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, s.kind.name, err)
		}
	}
	return w.finish(rand.New(rand.NewPCG(c.Seed, 4)))
}
