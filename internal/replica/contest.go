package replica

import (
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/yjs"
)

// contest is a clientID of a document under which some content lost to other content.
type contest struct {
	doc    core.DocumentID
	client uint64
	election
}

// arrivedEntry is content that came in this job. It may change who owns contested
// clientIDs: its author has a vote.
type arrivedEntry struct {
	space *core.SpaceRecord
	author
}

// contestsOf returns the contested clientIDs of a space, with the owners that its
// documents show. It has to be asked before content is added.
func (w *work) contestsOf(space *core.SpaceRecord) ([]contest, error) {
	a, err := w.authority(space)
	if err != nil || a.contests != nil {
		return a.contests, err
	}
	lost, err := w.Lost(space.Key)
	if err != nil {
		return nil, err
	}
	a.contests = []contest{}
	for len(lost) > 0 {
		n := slices.IndexFunc(lost, func(l core.LostRecord) bool { return l.Doc != lost[0].Doc })
		if n < 0 {
			n = len(lost)
		}
		contests, err := w.contestsIn(space, lost[:n])
		if err != nil {
			a.contests = nil
			return nil, err
		}
		a.contests = append(a.contests, contests...)
		lost = lost[n:]
	}
	return a.contests, nil
}

// contestsIn returns the contested clientIDs of one document.
func (w *work) contestsIn(space *core.SpaceRecord, lost []core.LostRecord) ([]contest, error) {
	rec, err := w.DocByKey(lost[0].Doc)
	if err != nil {
		return nil, err
	}
	d := &dispute{resolver: w.resolver(space)}
	if err := d.read(rec.Key, nil); err != nil {
		return nil, damaged("content", &head{DocRecord: rec}, err)
	}
	var contests []contest
	for _, client := range clientsOf(lost) {
		claims, err := d.claims(client)
		if err != nil {
			return nil, err
		}
		e, err := d.elect(claims)
		if err != nil {
			return nil, err
		}
		contests = append(contests, contest{rec.ID, client, e})
	}
	return contests, nil
}

func clientsOf(lost []core.LostRecord) []uint64 {
	var clients []uint64
	for _, l := range lost {
		clients = append(clients, l.Client)
	}
	slices.Sort(clients)
	return slices.Compact(clients)
}

// setLost records which content of a document lost its clocks.
func (w *work) setLost(space *core.SpaceRecord, h *head, lost []core.LostRecord) error {
	a, err := w.authority(space)
	if err != nil {
		return err
	}
	if err := w.SetDocLost(space.Key, h.Key, lost); err != nil || a.contests == nil {
		return err
	}
	a.contests = slices.DeleteFunc(a.contests, func(c contest) bool { return c.doc == h.ID })
	if len(lost) == 0 {
		return nil
	}
	contests, err := w.contestsIn(space, lost)
	a.contests = append(a.contests, contests...)
	return err
}

// claimsAnew reports whether an entry writes under a contested clientID without knowing
// of those who claimed it.
func (w *work) claimsAnew(space *core.SpaceRecord, h *head, u *yjs.Update, rec *core.EntryRecord) (bool, error) {
	if len(h.Epoch) == 0 {
		return false, nil
	}
	contests, err := w.contestsOf(space)
	if err != nil {
		return false, err
	}
	for _, c := range contests {
		if c.doc != h.ID || !u.HasContentOf(c.client) {
			continue
		}
		known, err := w.resolver(space).knownTo(&author{rec: *rec}, c.claims)
		if err != nil || len(known) == 0 {
			return true, err
		}
	}
	return false, nil
}

// recount makes documents anew in which somebody else owns a clientID, now that others
// have voted.
func (w *work) recount() error {
	arrived := w.arrived
	w.arrived = nil
	resolvers := map[int64]*resolver{}
	for _, x := range arrived {
		contests, err := w.contestsOf(x.space)
		if err != nil {
			return err
		}
		if len(contests) > 0 && resolvers[x.space.Key] == nil {
			resolvers[x.space.Key] = w.resolver(x.space) // all that arrived is there: each election is held once
		}
		for i := range contests {
			if err := w.vote(resolvers[x.space.Key], x, &contests[i]); err != nil {
				return err
			}
		}
	}
	return w.remakeNow()
}

// vote counts anew if an entry is its author's first that knows of a claim.
func (w *work) vote(r *resolver, x *arrivedEntry, c *contest) error {
	if c.sights == nil { // nobody has to vote
		return nil
	}
	if first := c.sights[x.peer]; first != nil && !x.before(first) {
		return nil
	}
	known, err := r.knownTo(&x.author, c.claims)
	if err != nil || len(known) == 0 {
		return err
	}
	e, err := r.elect(c.claims)
	if err != nil {
		return err
	}
	changed := e.owner != c.owner
	c.election = e
	if !changed {
		return nil
	}
	h, err := w.head(x.space.Key, c.doc)
	if err != nil {
		return err
	}
	if err := w.sealDocs(x.space, h); err != nil {
		return err
	}
	w.remakeLater(x.space, h, true)
	return nil
}

// remakeContested makes the documents with contested clientIDs anew, because votes may
// count no more, or again.
func (w *work) remakeContested(space *core.SpaceRecord) error {
	lost, err := w.Lost(space.Key)
	if err != nil || len(lost) == 0 {
		return err
	}
	for i, l := range lost {
		if i > 0 && lost[i-1].Doc == l.Doc {
			continue
		}
		rec, err := w.DocByKey(l.Doc)
		if err != nil {
			return err
		}
		h, err := w.head(space.Key, rec.ID)
		if err != nil {
			return err
		}
		w.remakeLater(space, h, false)
	}
	return nil
}
