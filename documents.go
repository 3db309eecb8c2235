package soma

import (
	"context"
	"fmt"
	"iter"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/replica"
)

// MaxUpdateBytes bounds one update that a host hands to Upsert.
const MaxUpdateBytes = replica.MaxUpdateBytes

// ReasonDeleted is the Reason of a DocumentChanged event for a deleted document.
const ReasonDeleted = replica.ReasonDeleted

// Revision says where a document stands after a write.
type Revision struct {
	UpdatedAtMs int64  // this machine's clock, strictly rising per document
	StateVector []byte // encoded as yjs does
	Epoch       []byte // changes when content was voided; empty for none
}

// Document is the state of a document.
type Document struct {
	ID          DocumentID
	SpaceID     SpaceID
	Update      []byte // the whole state as a Yjs v1 update, in canonical form
	StateVector []byte // of the integrated content, encoded as yjs does
	Epoch       []byte // changes when content was voided; empty for none
	CreatedAtMs int64  // this machine's clock
	UpdatedAtMs int64  // this machine's clock, strictly rising per document
	CreatedBy   PeerID // author of the first update that arrived here
	Pending     bool   // updates wait here for earlier ones, in Update; or deletions for content, not in it
}

// DocumentInfo is a row of Documents.List.
type DocumentInfo struct {
	ID          DocumentID
	SpaceID     SpaceID
	CreatedAtMs int64
	UpdatedAtMs int64
	CreatedBy   PeerID
}

// Documents are the documents of a DB.
type Documents struct{ db *DB }

// Documents returns the service for documents.
func (db *DB) Documents() Documents { return Documents{db} }

// WriteOption changes one write.
type WriteOption func(*writeOptions)

type writeOptions struct {
	source EventSource
	epoch  *[]byte
	draft  *int64
	origin any
}

// WithSource sets the Source of the event that the write emits, SourceRenderer by
// default. A bot that edits in the host's process says SourceDaemon, so that the
// renderer fetches its work.
func WithSource(source EventSource) WriteOption {
	return func(o *writeOptions) { o.source = source }
}

// WithEpoch says which Epoch of the document the writer has seen, in a Document or a
// Revision. If the document was rebuilt since, the write is ErrStaleDocument. An empty one
// also fits a document that cannot be seen.
func WithEpoch(epoch []byte) WriteOption {
	epoch = append([]byte{}, epoch...)
	return func(o *writeOptions) { o.epoch = &epoch }
}

func writeOptionsOf(opts []WriteOption) (writeOptions, error) {
	o := writeOptions{source: SourceRenderer}
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		opt(&o)
	}
	if o.source != SourceRenderer && o.source != SourceDaemon {
		return o, fmt.Errorf("source %q: %w", o.source, ErrInvalidOption)
	}
	if o.draft != nil {
		return o, mailbox.CheckTime("time of the draft", *o.draft)
	}
	return o, nil
}

func (o *writeOptions) replica() replica.WriteOptions {
	return replica.WriteOptions{Source: o.source, Epoch: o.epoch, Draft: o.draft, Origin: o.origin}
}

// Upsert merges a Yjs v1 update into a document, creating the document if needed,
// and returns when that is durable. The update may come from Y.encodeStateAsUpdate
// or from an 'update' event, again, in any order: content that needs earlier
// content waits for it, unseen but stored. Its cost is that of the update, however
// long the document is (a full state is as long as the document). Only what is new
// is stored; if nothing is, nothing changes and no event fires, except that a deleted
// document comes back.
//
// ctx counts until the writer takes the update; after that the call waits for the
// result, so an error of ctx means that nothing was stored. The slice is not kept.
//
// Errors: ErrInvalidUpdate, ErrTooLarge (MaxUpdateBytes, or one value that does not
// fit into an entry), ErrNotFound for an unknown space, ErrForbidden for who may not
// write, ErrStaleDocument for another epoch than that of WithEpoch, for other content
// than void content at the same clocks, and, without WithEpoch, for deletions that only
// void entries made; ErrClientIDTaken for other content than there is at the same clocks,
// ErrInvalidID, ErrInvalidOption, ErrInvalidTime of WithDraft. What is void already, or
// there, is not stored again.
func (d Documents) Upsert(ctx context.Context, space SpaceID, id DocumentID, update []byte, opts ...WriteOption) (Revision, error) {
	o, err := d.beginWrite(space, id, opts)
	if err != nil {
		return Revision{}, err
	}
	defer d.db.end()
	rev, err := d.db.replica.Upsert(ctx, space, id, update, o.replica())
	if err != nil {
		return Revision{}, about("upsert", id, err)
	}
	return Revision(rev), nil
}

// Get returns the state of a document. Errors: ErrNotFound, ErrInvalidID.
func (d Documents) Get(ctx context.Context, space SpaceID, id DocumentID) (Document, error) {
	if err := d.begin(space, id); err != nil {
		return Document{}, err
	}
	defer d.db.end()
	doc, err := d.db.replica.Get(ctx, space, id)
	if err != nil {
		return Document{}, about("get", id, err)
	}
	return Document{
		ID: id, SpaceID: space, Update: doc.Update, StateVector: doc.StateVector, Epoch: doc.Epoch,
		CreatedAtMs: doc.CreatedAtMs, UpdatedAtMs: doc.UpdatedAtMs, CreatedBy: doc.CreatedBy, Pending: doc.Pending,
	}, nil
}

// Diff returns, as a Yjs v1 update, what a holder of the encoded state vector lacks,
// and all deletions. An empty vector asks for the whole state. Errors: ErrNotFound,
// ErrInvalidStateVector, ErrInvalidID.
func (d Documents) Diff(ctx context.Context, space SpaceID, id DocumentID, stateVector []byte) ([]byte, error) {
	if err := d.begin(space, id); err != nil {
		return nil, err
	}
	defer d.db.end()
	diff, err := d.db.replica.Diff(ctx, space, id, stateVector)
	if err != nil {
		return nil, about("diff", id, err)
	}
	return diff, nil
}

// listPage is how many documents List reads at a time.
const listPage = 256

// List iterates over the documents of a space in order of ID, without the deleted
// ones. It reads a page at a time: calls on the DB are allowed inside the loop,
// which may or may not see what they change. An error is the last element:
// ErrNotFound for an unknown space, ErrInvalidID. Breaking off releases everything.
func (d Documents) List(ctx context.Context, space SpaceID) iter.Seq2[DocumentInfo, error] {
	return func(yield func(DocumentInfo, error) bool) {
		after := DocumentID("")
		for {
			page, next, err := d.page(ctx, space, after)
			if err != nil {
				yield(DocumentInfo{}, fmt.Errorf("list documents of space %s: %w", space, err))
				return
			}
			for _, rec := range page {
				info := DocumentInfo{
					ID: rec.ID, SpaceID: space, CreatedAtMs: rec.CreatedAtMs,
					UpdatedAtMs: rec.UpdatedAtMs, CreatedBy: rec.CreatedBy,
				}
				if !yield(info, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			after = next
		}
	}
}

func (d Documents) page(ctx context.Context, space SpaceID, after DocumentID) ([]core.DocRecord, DocumentID, error) {
	if err := checkSpace(space); err != nil {
		return nil, "", err
	}
	if err := d.db.begin(); err != nil {
		return nil, "", err
	}
	defer d.db.end()
	return d.db.replica.Docs(ctx, space, after, listPage)
}

// Delete hides a document. Any update of it, made at the same time elsewhere or
// later, brings it back, so nothing that somebody wrote is lost to a delete; the
// signed history stays. Errors: ErrNotFound for an unknown or deleted document,
// ErrForbidden, ErrInvalidID, ErrInvalidOption.
func (d Documents) Delete(ctx context.Context, space SpaceID, id DocumentID, opts ...WriteOption) error {
	o, err := d.beginWrite(space, id, opts)
	if err != nil {
		return err
	}
	defer d.db.end()
	if o.draft != nil {
		return about("delete", id, fmt.Errorf("a delete holds no draft: %w", ErrInvalidOption))
	}
	if err := d.db.replica.Delete(ctx, space, id, o.source); err != nil {
		return about("delete", id, err)
	}
	return nil
}

// begin checks the IDs and admits a call.
func (d Documents) begin(space SpaceID, id DocumentID) error {
	if err := checkSpace(space); err != nil {
		return err
	}
	if err := core.CheckID("document id", id); err != nil {
		return err
	}
	return d.db.begin()
}

// beginWrite is begin that also reads the options of a write.
func (d Documents) beginWrite(space SpaceID, id DocumentID, opts []WriteOption) (writeOptions, error) {
	o, err := writeOptionsOf(opts)
	if err != nil {
		return o, err
	}
	return o, d.begin(space, id)
}

func about(op string, id DocumentID, err error) error {
	return fmt.Errorf("%s document %q: %w", op, id, err)
}
