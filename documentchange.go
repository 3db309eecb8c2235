package soma

import (
	"context"

	"github.com/soma-sdk/soma/internal/replica"
)

// MaxPendingUpdateBytes bounds the updates that wait for one reader of Documents.Follow.
const MaxPendingUpdateBytes = replica.MaxPendingDocBytes

// DocumentChange is what one commit did to a document.
//
// Update is what the document got, as a Yjs v1 update, to be applied to what was read
// before. It is nil if applying something is not enough, or more than
// MaxPendingUpdateBytes waited: then the document is to be read again, with Get or Diff,
// which is ErrNotFound if it was deleted. If Epoch is another one than before, the document
// was rebuilt: who shows it loads it afresh, under a new clientID.
//
// Origin is what WithOrigin said of the write. Update and Epoch belong to all readers, who
// must not change them.
type DocumentChange = replica.DocChange

// WithOrigin sets the Origin that Documents.Follow says of the write. It stays in memory.
// With it who writes and follows a document knows what it wrote itself.
func WithOrigin(origin any) WriteOption {
	return func(o *writeOptions) { o.origin = origin }
}

// Follow returns a channel of what commits do to a document, in their order, from now on:
// who reads the document after Follow returned misses nothing, and may get what was read
// once more. The document, and its space, need not exist yet. The channel closes when ctx
// ends, which is how to stop, and on Close. A slow reader never blocks a writer.
// Errors: ErrInvalidID, ErrClosed.
func (d Documents) Follow(ctx context.Context, space SpaceID, id DocumentID) (<-chan DocumentChange, error) {
	if err := d.begin(space, id); err != nil {
		return nil, err
	}
	defer d.db.end()
	return d.db.replica.FollowDoc(ctx, space, id), nil
}

// Revision returns where a document stands, at a cost that does not depend on its content.
// Of one that was never written, and in a space that is unknown, that is the state vector
// of nothing alone; a deleted document stands where it stood. Errors: ErrInvalidID.
func (d Documents) Revision(ctx context.Context, space SpaceID, id DocumentID) (Revision, error) {
	if err := d.begin(space, id); err != nil {
		return Revision{}, err
	}
	defer d.db.end()
	rev, err := d.db.replica.Revision(ctx, space, id)
	if err != nil {
		return Revision{}, about("revision of", id, err)
	}
	return Revision(rev), nil
}

// Fits says whether an editor may go on that comes back with the state it had, all of it, as
// Y.encodeStateAsUpdate gives it. ErrStaleDocument says that it shows what was taken out of
// the document meanwhile: it loads the document afresh, under a new clientID. That can only
// be so if the document has an Epoch. Nothing is stored. Errors: ErrStaleDocument,
// ErrInvalidUpdate, ErrNotFound for an unknown space, ErrInvalidID.
func (d Documents) Fits(ctx context.Context, space SpaceID, id DocumentID, state []byte) error {
	if err := d.begin(space, id); err != nil {
		return err
	}
	defer d.db.end()
	if err := d.db.replica.Fits(ctx, space, id, state); err != nil {
		return about("fit", id, err)
	}
	return nil
}
