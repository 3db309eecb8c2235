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
	claims bool // only with Config.Claims
	play   func(w *world, r *rand.Rand) error
}

// kinds is what can happen, with how often it does.
var kinds = []kind{
	{"type", 22, false, (*world).typeText},
	{"erase", 6, false, (*world).eraseText},
	{"delete document", 2, false, (*world).deleteDocument},
	{"rename", 2, false, (*world).rename},
	{"add member", 3, false, (*world).addMember},
	{"set role", 5, false, (*world).setRole},
	{"remove member", 5, false, (*world).removeMember},
	{"duel", 3, false, (*world).duel},
	{"leave", 1, false, (*world).leave},
	{"invite", 3, false, (*world).invite},
	{"revoke", 3, false, (*world).revoke},
	{"join", 4, false, (*world).join},
	{"adopt", 2, false, (*world).adopt},
	{"seal", 4, false, (*world).seal},

	{"send", 28, false, (*world).send},
	{"send all", 6, false, (*world).sendAll},
	{"partition", 2, false, (*world).partition},
	{"merge", 2, false, (*world).merge},

	{"reopen", 2, false, (*world).reopen},
	{"kill", 3, false, (*world).kill},
	{"copy", 1, false, (*world).copySite},
	{"back up", 2, false, (*world).backUp},
	{"restore", 2, false, (*world).restore},
	{"clock", 2, false, (*world).moveClock},

	{"forge content", 12, false, (*world).forgeContent},
	{"forge act", 10, false, (*world).forgeAct},
	{"fork", 5, false, (*world).fork},
	{"collude", 8, false, (*world).collude},
	{"frame", 3, false, (*world).frame},
	{"flood", 1, false, (*world).flood},
	{"withhold", 1, false, (*world).withhold},
	{"unknown op", 2, false, (*world).forgeUnknown},
	{"invalid entry", 5, false, (*world).forgeInvalid},
	{"post", 12, false, (*world).post},
	{"claim", 10, true, (*world).claim},
	{"pre-delete", 5, true, (*world).preDelete},
}

// plan returns the steps of a seed.
func plan(c Config) []step {
	r := rand.New(rand.NewPCG(c.Seed, 1))
	total := 0
	for _, k := range kinds {
		if !k.claims || c.Claims {
			total += k.weight
		}
	}
	steps := make([]step, 30+r.IntN(60))
	for i := range steps {
		n := r.IntN(total)
		for at := range kinds {
			k := &kinds[at]
			if k.claims && !c.Claims {
				continue
			}
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
