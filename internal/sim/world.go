package sim

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/ticket"
	"github.com/soma-sdk/soma/internal/yjs"
)

// startMs is what all clocks say at first.
const startMs = 1_700_000_000_000

// documents is how many documents are written to.
const documents = 3

// world is one run.
type world struct {
	ctx  context.Context //nolint:containedctx // a run is one call
	conf Config
	dirs int // that were used

	space    core.SpaceID
	sites    []*site
	villains []*villain
	starters int // acts by which the members of the start are there
	ledger   *ledger
	island   map[*site]int // what cannot reach each other; all the same without a partition
	backups  []backup
	tickets  []ticket.Ticket
	drops    bool // lost entries stay lost

	notes   []note
	units   map[core.DocumentID][]yjs.ID // that were written, by anybody
	stash   []*log.Entry                 // what hostile members wrote
	invalid map[core.Hash]core.Entry     // what everybody must refuse
	secret  map[core.Hash]bool           // what is never delivered
	waits   map[core.Hash]bool           // what only a later version can judge
	stolen  map[uint64]bool              // clientIDs that somebody else wrote under
}

// note is text that an honest member typed. It must be there in the end.
type note struct {
	site *site
	doc  core.DocumentID
	at   span
	text string
	lost bool // with a directory that was put back
}

func newWorld(ctx context.Context, conf Config) *world {
	return &world{
		ctx: ctx, conf: conf, ledger: newLedger(), island: map[*site]int{}, units: map[core.DocumentID][]yjs.ID{},
		invalid: map[core.Hash]core.Entry{}, secret: map[core.Hash]bool{}, waits: map[core.Hash]bool{}, stolen: map[uint64]bool{},
	}
}

// tell writes to the trace.
func (w *world) tell(format string, args ...any) {
	if w.conf.Trace != nil {
		_, _ = fmt.Fprintf(w.conf.Trace, "  "+format+"\n", args...) // for reading only
	}
}

// begin founds the space and lets most of those who are to work in it know of it.
func (w *world) begin(r *rand.Rand) error {
	founder := w.addSite(keyOf(w.conf.Seed, "site 0"))
	if err := founder.open(); err != nil {
		return err
	}
	space, err := founder.CreateSpace(w.ctx, "space")
	if err != nil {
		return err
	}
	w.space, w.drops = space.ID, r.IntN(2) == 0
	for n := range 1 + r.IntN(5) {
		w.addSite(keyOf(w.conf.Seed, fmt.Sprint("site ", n+1)))
	}
	for range []int{0, 1, 2, 2, 3, 3}[r.IntN(6)] {
		w.addVillain()
	}
	for _, peer := range w.peers()[1:] {
		role := []log.Role{log.RoleOwner, log.RoleOwner, log.RoleOwner, log.RoleEditor, log.RoleEditor, log.RoleViewer}[r.IntN(6)]
		if r.IntN(8) == 0 {
			continue // joins by a ticket, or never
		}
		if err := founder.AddMember(w.ctx, w.space, peer, role, log.KindDevice); err != nil {
			return err
		}
	}
	if err := founder.collect(); err != nil {
		return err
	}
	w.starters = len(w.ledger.chains[core.ChainMembership])
	for _, s := range w.sites[1:] {
		if err := s.open(); err != nil {
			return err
		}
		if err := s.found(founder.log[0]); err != nil {
			return err
		}
		if err := w.deliver(s, founder.log); err != nil {
			return err
		}
	}
	return nil
}

// peers returns everybody, each key once, the founder first.
func (w *world) peers() []core.PeerID {
	var all []core.PeerID
	seen := map[core.PeerID]bool{}
	for _, s := range w.sites {
		if !seen[s.peer] {
			all = append(all, s.peer)
		}
		seen[s.peer] = true
	}
	for _, v := range w.villains {
		all = append(all, v.peer)
	}
	return all
}

// end closes what is open.
func (w *world) end() {
	for _, s := range w.sites {
		_ = s.close() // the run has its result
	}
}

// Config says what to run.
type Config struct {
	Seed  uint64
	Steps int          // so many of the seed's steps, 0 for all
	Skip  map[int]bool // steps, from 1, that are left out
	Dir   string       // for the directories of replicas: empty, and left full
	Edits bool         // half of what is typed are edits in Go

	// Verify checks a replica at the end, nil for no check.
	Verify func(context.Context, *replica.Replica) error
	// Trace gets what happens, nil for nothing.
	Trace io.Writer
}
