package soma

import (
	"context"
	"fmt"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/replica"
)

// MaxProblems is how many problems Verify returns at most.
const MaxProblems = replica.MaxProblems

// Problem is a place where the stored data is damaged.
type Problem struct {
	SpaceID    SpaceID    // "" where it is in no space, or in which cannot be said
	DocumentID DocumentID // "" where it is in no document
	Entry      EntryID    // "" where it is in no entry
	Table      string     // of the database; "" where it is in none
	Detail     string     // for people
	Mendable   bool       // Rebuild mends it; else the data is kept nowhere else here
}

// String returns all of it in a line.
func (p Problem) String() string {
	var b strings.Builder
	for _, part := range []struct{ what, name string }{
		{"space", string(p.SpaceID)}, {"document", p.DocumentID}, {"entry", string(p.Entry)}, {"table", p.Table},
	} {
		if part.name != "" {
			fmt.Fprintf(&b, "%s %s: ", part.what, part.name)
		}
	}
	b.WriteString(p.Detail)
	if !p.Mendable {
		b.WriteString(" (cannot be mended here)")
	}
	return b.String()
}

// Verify looks for damage in what is stored, and returns what it found, none if all is
// well: pages and indexes of the database, the signatures, hash chains and authority of
// all entries, evaluated from scratch, what follows from the log (members, invites,
// verdicts, heads, names, where ops are), and every document against its entries. What
// builds on something damaged is looked at once that is mended, so that Verify may find
// more after Rebuild. Clocks of this machine, such as UpdatedAtMs, follow from nothing
// and cannot be checked.
//
// It reads everything there is, with as many processors as there are for the
// signatures, a page at a time. Other calls go on meanwhile; a space is looked at as it
// was at one moment. An error says that it could not look: ErrClosed, those of ctx and
// of the disk. Damage is no error.
func (db *DB) Verify(ctx context.Context) ([]Problem, error) {
	if err := db.begin(); err != nil {
		return nil, err
	}
	defer db.end()
	found, err := db.replica.Verify(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	problems := make([]Problem, len(found))
	for i, p := range found {
		problems[i] = Problem{
			SpaceID: p.Space, DocumentID: p.Document, Entry: exportEntry(p.Entry), Table: p.Table, Detail: p.Detail, Mendable: !p.Lost,
		}
	}
	return problems, nil
}

func exportEntry(hash core.Hash) EntryID {
	if hash.IsZero() {
		return ""
	}
	return EntryID(hash.String())
}

// Rebuild makes everything anew that follows from the signed entries and from what is
// not sealed yet, as after damage that Verify found. Each space is one transaction, so
// that no half of one is ever seen, and writers wait for it: seconds for ten
// thousand entries. What is as it should be stays, and fires no event; a space or
// document that changes fires SpaceChanged, with SpacesChanged, or DocumentChanged with
// ReasonRebuilt.
//
// A space whose entries, or whose unsealed updates, are damaged themselves is left as it
// is, so that nothing which can still be read is lost. The error is ErrCorrupt then,
// after the other spaces were rebuilt, and names each. Such a space can be taken from
// elsewhere, by Import into another directory. Entries that waited for others and are
// damaged are dropped: peers send them again. Other errors: ErrClosed, those of ctx and
// of the disk; spaces that were rebuilt before stay so.
func (db *DB) Rebuild(ctx context.Context) error {
	if err := db.begin(); err != nil {
		return err
	}
	defer db.end()
	if err := db.replica.Rebuild(ctx); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	return nil
}
