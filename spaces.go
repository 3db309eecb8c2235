package soma

import (
	"context"
	"fmt"
	"io"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// MaxSpaceNameBytes bounds the name of a space, in bytes.
const MaxSpaceNameBytes = log.MaxSpaceNameBytes

// NewSpace describes a space to create.
type NewSpace struct {
	Name string
}

// Space is a space as this directory knows it.
type Space struct {
	ID          SpaceID
	Name        string
	Role        Role  // of the local member
	CreatedAtMs int64 // by the creator's clock
	UpdatedAtMs int64 // by this machine's clock
}

// Spaces are the spaces of a DB.
type Spaces struct{ db *DB }

// Spaces returns the service for spaces.
func (db *DB) Spaces() Spaces { return Spaces{db} }

func exportSpace(rec replica.Space) Space {
	return Space{
		ID: rec.ID, Name: rec.Name, Role: rec.Role,
		CreatedAtMs: rec.CreatedAtMs, UpdatedAtMs: rec.UpdatedAtMs,
	}
}

// Create creates a space that the local member owns, and returns when it is
// durable. Errors: ErrInvalidName.
func (s Spaces) Create(ctx context.Context, n NewSpace) (Space, error) {
	if err := s.db.begin(); err != nil {
		return Space{}, err
	}
	defer s.db.end()
	rec, err := s.db.replica.CreateSpace(ctx, n.Name)
	if err != nil {
		return Space{}, fmt.Errorf("create space: %w", err)
	}
	return exportSpace(rec), nil
}

// Get returns a space. Errors: ErrNotFound, ErrInvalidID.
func (s Spaces) Get(ctx context.Context, id SpaceID) (Space, error) {
	if err := s.begin(id); err != nil {
		return Space{}, err
	}
	defer s.db.end()
	rec, err := s.db.replica.Space(ctx, id)
	if err != nil {
		return Space{}, fmt.Errorf("get space %s: %w", id, err)
	}
	return exportSpace(rec), nil
}

// List returns all spaces in order of creation.
func (s Spaces) List(ctx context.Context) ([]Space, error) {
	if err := s.db.begin(); err != nil {
		return nil, err
	}
	defer s.db.end()
	recs, err := s.db.replica.Spaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("list spaces: %w", err)
	}
	spaces := make([]Space, len(recs))
	for i, rec := range recs {
		spaces[i] = exportSpace(rec)
	}
	return spaces, nil
}

// Rename gives a space another name and returns it. The name it has already
// changes nothing. Errors: ErrNotFound, ErrForbidden, ErrInvalidName, ErrInvalidID.
func (s Spaces) Rename(ctx context.Context, id SpaceID, name string) (Space, error) {
	if err := s.begin(id); err != nil {
		return Space{}, err
	}
	defer s.db.end()
	rec, err := s.db.replica.RenameSpace(ctx, id, name, SourceRenderer)
	if err != nil {
		return Space{}, fmt.Errorf("rename space %s: %w", id, err)
	}
	return exportSpace(rec), nil
}

// Export writes everything in a space to w: signed entries, from which Import
// makes the same space elsewhere, or brings one up to date. What is written while
// it runs may or may not be included. Close does not wait for w: a running Export
// then returns ErrClosed. Errors: ErrNotFound, ErrInvalidID, those of w.
func (s Spaces) Export(ctx context.Context, id SpaceID, w io.Writer) error {
	if err := s.begin(id); err != nil {
		return err
	}
	s.db.end() // Close must not wait for w
	if err := s.db.replica.Export(ctx, id, w); err != nil {
		return fmt.Errorf("export space %s: %w", id, err)
	}
	return nil
}

// Import takes in an exported space. What is there already stays, so importing
// again, or an older export, changes nothing; concurrent edits merge. It reads r
// to its end, into a temporary file in the DB's directory, before anything is
// stored: an archive that is damaged or cut short stores nothing. Close does not
// wait for r. If ctx ends later, what was taken in stays, whole entries with their
// past, and the same import can be made again.
//
// Errors: ErrInvalidArchive, also for an archive that lacks entries on which others
// build, after those that can be were taken in; ErrInvalidEntry for an entry that
// breaks a rule, after the others were taken in; ErrClosed; those of r and of ctx.
func (s Spaces) Import(ctx context.Context, r io.Reader) error {
	if err := s.db.begin(); err != nil {
		return err
	}
	s.db.end() // Close must not wait for r
	spool, err := s.db.replica.Spool(ctx, r)
	if err != nil {
		return fmt.Errorf("import space: %w", err)
	}
	defer spool.Discard()
	if err := s.db.begin(); err != nil {
		return err
	}
	defer s.db.end()
	if err := s.db.replica.Import(ctx, spool); err != nil {
		return fmt.Errorf("import space: %w", err)
	}
	return nil
}

// begin checks the space ID and admits a call.
func (s Spaces) begin(id SpaceID) error {
	if err := checkSpace(id); err != nil {
		return err
	}
	return s.db.begin()
}

func checkSpace(id SpaceID) error { return core.CheckID("space id", string(id)) }
