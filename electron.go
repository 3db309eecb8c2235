package soma

import (
	"context"
	"fmt"
	"io"

	"github.com/soma-sdk/soma/internal/collection"
)

// MaxElectronStoreBytes is how long a config.json may be that ImportElectronStore reads.
const MaxElectronStoreBytes = collection.MaxElectronStoreBytes

// ImportedCollection is what ImportElectronStore made of one collection: how many rows it
// stored, how many it left as they are because the collection has or had their keys, and
// which it could not store. Err says why it did not look at its rows: ErrReservedCollection,
// ErrInvalidID for the name, or what is wrong with the value.
type ImportedCollection = collection.Import

// RefusedRow is a row that ImportElectronStore could not store.
type RefusedRow = collection.Refused

// ImportElectronStore reads a config.json of electron-store, in which a host used to keep
// the storage of its windows in the map reactDb, and adds what is in it to the collections
// of the same names: rows whose keys a collection does not have and never had, with their
// versionKeys and in their order. Nothing is overwritten, or brought back that was deleted,
// so that a second call imports nothing. updatedAtMs is that inside of the row's data, where
// it is one that Put would take, else now. The source is not written to.
//
// Drafts (CollectionDraftMailbox) go to the Mailbox: those of documents of which it has no
// draft, cleared ones too. They have to be what ParseDraft reads; their keys do not count. Rows of
// uploads (CollectionUploadJobs) are refused one by one: the bytes are not in the file.
//
// A collection is there as the storage value in a string, or as the object itself. A dot in
// its name nests objects, as electron-store makes them, unless it was escaped.
//
// It returns what became of each collection, in the order of the file; rows that cannot be
// stored do not keep others from it. Each collection is a transaction.
//
// Errors: ErrTooLarge past MaxElectronStoreBytes; ErrInvalidJSON, also for half a file or
// one that is encrypted, and ErrInvalidSnapshot for a reactDb that is no object, both with
// nothing stored; those of reading. After any other error, call it again.
func (c Collections) ImportElectronStore(ctx context.Context, config io.Reader) ([]ImportedCollection, error) {
	text, err := io.ReadAll(io.LimitReader(config, MaxElectronStoreBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read electron-store: %w", err)
	}
	stored, err := collection.ReadElectronStore(text)
	if err != nil {
		return nil, fmt.Errorf("read electron-store: %w", err)
	}
	if err := c.db.begin(); err != nil {
		return nil, err
	}
	defer c.db.end()
	return c.db.collections.Import(ctx, stored, func(name string) (collection.Keeper, error) {
		r, err := c.open(name)
		switch view := r.(type) {
		case draftCollection:
			return view.importRow, nil
		case uploadCollection:
			return view.importRow, nil
		}
		return nil, err
	})
}
