package replica

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mutate"
)

// owner returns whose a clientID of the document is: of those who claimed it, by
// writing under it, without knowing of an earlier claim, the one whom most members
// knew first and alone; then who was a member first. Zero for one that only the tail
// holds.
func (d *dispute) owner(client uint64) (core.PeerID, error) {
	if owner, known := d.owners[client]; known {
		return owner, nil
	}
	claims, err := d.claims(client)
	if err != nil {
		return core.PeerID{}, err
	}
	e, err := d.elect(claims)
	if err != nil {
		return core.PeerID{}, err
	}
	d.owners[client] = e.owner
	return e.owner, nil
}

// claims returns the entries that hold content of a client and do not know of others
// that do.
func (d *dispute) claims(client uint64) ([]*author, error) {
	var first []*author
	var recs []core.EntryRecord
	for i := range d.kept {
		v := &d.kept[i]
		if v.rec.Key == 0 || !v.holds(client) || slices.Contains(first, v.author) {
			continue
		}
		knows, err := d.past.knows(&v.rec, recs)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(knows, true) {
			first, recs = append(first, v.author), append(recs, v.rec)
		}
	}
	return first, nil
}

// election is who owns a clientID, and by whose votes.
type election struct {
	claims []*author
	owner  core.PeerID
	sights map[core.PeerID]*author // by member: their first entry that knows of a claim; nil if nobody had to vote
}

// elect decides between claims. Each member has a vote, by their first entry that has
// a claim in its past: for its author, unless it knows of claims by several. So who
// sees a clientID in use and claims it as of earlier has the votes of all against
// them who saw it too.
func (r *resolver) elect(claims []*author) (election, error) {
	var keys []byte
	for _, c := range claims {
		keys = binary.AppendVarint(keys, c.rec.Key)
	}
	key := string(keys)
	if e, known := r.elections[key]; known {
		return e, nil
	}
	e, err := r.count(claims)
	if err == nil {
		r.elections[key] = e
	}
	return e, err
}

// count is one election.
func (r *resolver) count(claims []*author) (election, error) {
	e := election{claims: claims}
	if len(claims) == 0 {
		return e, nil
	}
	e.owner = claims[0].peer
	if _, alone := onlyAuthor(claims); alone {
		return e, nil
	}
	if err := r.look(&e); err != nil {
		return e, err
	}
	votes := map[core.PeerID]int{}
	for _, sight := range e.sights {
		if mutate.On(mutate.ClaimVotes) {
			break
		}
		known, err := r.knownTo(sight, claims)
		if err != nil {
			return e, err
		}
		if candidate, alone := onlyAuthor(known); alone {
			votes[candidate]++
		}
	}
	for _, c := range claims[1:] {
		rank, err := r.rank(c.peer, e.owner)
		if err != nil {
			return e, err
		}
		if cmp.Or(cmp.Compare(votes[e.owner], votes[c.peer]), rank) < 0 {
			e.owner = c.peer
		}
	}
	return e, nil
}

// look finds each member's first entry that knows of a claim.
func (r *resolver) look(e *election) error {
	e.sights = map[core.PeerID]*author{}
	after := e.claims[0].rec.Key
	for _, c := range e.claims {
		after = min(after, c.rec.Key)
	}
	for after--; ; {
		page, err := r.view.ContentAfter(r.space, after, judgePage)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			after = page[i].Key
			if page[i].State != core.EntryKept {
				continue
			}
			a := &author{rec: page[i]}
			if err := a.read(); err != nil {
				return err
			}
			if first := e.sights[a.peer]; first != nil && first.before(a) {
				continue
			}
			known, err := r.knownTo(a, e.claims)
			if err != nil {
				return err
			}
			if len(known) > 0 {
				e.sights[a.peer] = a
			}
		}
	}
}

// knownTo returns the claims that an entry is, or has in its past.
func (r *resolver) knownTo(a *author, claims []*author) ([]*author, error) {
	recs := make([]core.EntryRecord, len(claims))
	for i, c := range claims {
		recs[i] = c.rec
	}
	knows, err := r.past.knows(&a.rec, recs)
	if err != nil {
		return nil, err
	}
	var known []*author
	for i, c := range claims {
		if knows[i] || c.rec.Key == a.rec.Key {
			known = append(known, c)
		}
	}
	return known, nil
}

func onlyAuthor(claims []*author) (peer core.PeerID, alone bool) {
	for i, c := range claims {
		if i > 0 && c.peer != peer {
			return peer, false
		}
		peer = c.peer
	}
	return peer, len(claims) > 0
}
