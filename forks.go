package soma

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/replica"
)

// ReasonForked is the Reason of a SpaceChanged event for a fork that was discovered,
// see Forks.
const ReasonForked = replica.ReasonForked

// MaxForkEntries bounds the entries that a Fork names.
const MaxForkEntries = replica.MaxForkEntries

// Fork says that a member's directory wrote different entries under one number. It
// was copied, or an older copy was put back, in a way that nothing on its machine
// tells; or somebody else has its key. Nothing is void by a fork: what was written on
// all branches counts, and a directory that learns of its own goes on as a new writer.
type Fork struct {
	Member      PeerID
	Incarnation string    // which of the member's directories, in lower-case hex
	Membership  bool      // acts on the members of the space, not content
	Seq         uint64    // the number that was given twice
	Entries     []EntryID // that have it: the first MaxForkEntries that came here
}

// Forks reports the forks in what has arrived here of a space: for each chain of a
// writer the first one. It is a local report, and others may know of more. Errors:
// ErrNotFound, ErrInvalidID.
func (s Spaces) Forks(ctx context.Context, id SpaceID) ([]Fork, error) {
	if err := s.begin(id); err != nil {
		return nil, err
	}
	defer s.db.end()
	recs, err := s.db.replica.Forks(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list forks in space %s: %w", id, err)
	}
	forks := make([]Fork, len(recs))
	for i, r := range recs {
		forks[i] = Fork{
			Member: r.Member, Incarnation: hex.EncodeToString(r.Incarnation[:]),
			Membership: r.Chain == core.ChainMembership, Seq: r.Seq,
		}
		for _, hash := range r.Entries {
			forks[i].Entries = append(forks[i].Entries, EntryID(hash.String()))
		}
	}
	return forks, nil
}
