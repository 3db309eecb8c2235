package soma

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
)

// draftCollection is the mailbox as a collection: the key of a draft is DraftKey, its value
// the draft. What is written through it goes by the rules of the mailbox.
type draftCollection struct{ *mailbox.Mailbox }

func (d draftCollection) put(ctx context.Context, key string, value json.RawMessage, updatedAtMs int64) error {
	draft, err := readDraft(key, value)
	if err == nil && draft.UpdatedAtMs != updatedAtMs {
		err = draftField(key, "updatedAtMs", fmt.Errorf("is %d, and the record's %d", draft.UpdatedAtMs, updatedAtMs))
	}
	if err != nil {
		return err
	}
	return invalidDraft(key, d.Save(ctx, draft))
}

// readDraft reads the draft that is to be stored under a key.
func readDraft(key string, value []byte) (Draft, error) {
	if !json.Valid(value) {
		return Draft{}, fmt.Errorf("draft %q: %w", key, ErrInvalidJSON)
	}
	draft, err := mailbox.ParseDraft(value)
	if err != nil {
		return Draft{}, invalidDraft(key, err)
	}
	if own := DraftKey(draft.SpaceID, draft.DocumentID); own != key {
		return Draft{}, draftField(key, "documentId", fmt.Errorf("the draft is for %q", own))
	}
	return draft, nil
}

// invalidDraft makes a draft that was refused a record that was refused.
func invalidDraft(key string, err error) error {
	if errors.Is(err, ErrInvalidDraft) {
		return collection.Invalid(CollectionDraftMailbox, key, err)
	}
	return err
}

func draftField(key, field string, err error) error {
	return collection.Invalid(CollectionDraftMailbox, key, &collection.FieldError{Field: field, Err: err})
}

func (d draftCollection) get(ctx context.Context, key string) (record, error) {
	space, doc, err := mailbox.ParseKey(key)
	if err != nil {
		return record{}, err
	}
	draft, err := d.Get(ctx, space, doc)
	if errors.Is(err, ErrCorrupt) {
		err = collection.Unreadable(CollectionDraftMailbox, key, err)
	}
	if err != nil {
		return record{}, err
	}
	return draftRecord(mailbox.Numbered{Draft: draft})
}

func (d draftCollection) delete(ctx context.Context, key string, updatedAtMs int64) error {
	if err := mailbox.CheckTime("updatedAtMs", updatedAtMs); err != nil {
		return err
	}
	space, doc, err := mailbox.ParseKey(key)
	if err != nil {
		return err
	}
	return d.DiscardUntil(ctx, space, doc, updatedAtMs)
}

func (d draftCollection) clear(ctx context.Context, updatedAtMs int64) error {
	if err := mailbox.CheckTime("updatedAtMs", updatedAtMs); err != nil {
		return err
	}
	return d.DiscardAllUntil(ctx, updatedAtMs)
}

func (d draftCollection) list(ctx context.Context) iter.Seq2[record, error] {
	return d.records().list(ctx)
}

// records are all drafts in the order of their last changes.
func (d draftCollection) records() viewRecords { return viewOf(d.Snapshot, draftRecord) }

// draftRecord returns a draft as a record. Its versionKey follows from what is in it.
func draftRecord(draft mailbox.Numbered) (record, error) {
	value, err := draft.MarshalJSON()
	if err != nil {
		return record{}, err
	}
	sum := sha256.Sum256(value)
	return record{
		Key: DraftKey(draft.SpaceID, draft.DocumentID), Value: value, UpdatedAtMs: draft.UpdatedAtMs, Seq: draft.Seq,
		VersionKey: fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
	}, nil
}

func (d draftCollection) snapshot(ctx context.Context) (value []byte, seq int64, err error) {
	return d.records().storage(ctx)
}

func (d draftCollection) setItem(ctx context.Context, w collection.StorageWrite) (collection.StorageResult, error) {
	rows, err := collection.ReadStorage(CollectionDraftMailbox, w.Value)
	if err != nil {
		return collection.StorageResult{}, err
	}
	x := mailbox.Exchange{BaseSeq: w.BaseSeq, Window: w.Window, Drafts: make([]Draft, len(rows))}
	for i, row := range rows {
		if x.Drafts[i], err = readDraft(row.Key, row.Value); err != nil {
			return collection.StorageResult{}, err
		}
	}
	done, err := d.Exchange(ctx, x)
	if err != nil {
		if errors.Is(err, ErrInvalidDraft) {
			err = fmt.Errorf("%w: %w", ErrInvalidRecord, err)
		}
		return collection.StorageResult{}, err
	}
	return collection.StorageResult(done), nil
}

// quarantined returns the live drafts that are damaged. Nothing of them can be trusted.
func (d draftCollection) quarantined(ctx context.Context, _ func(record) error) ([]QuarantinedRecord, error) {
	var all []QuarantinedRecord
	first := core.MaxDraftPlace()
	for after := &first; after != nil; {
		page, next, err := d.Page(ctx, false, *after)
		if err != nil {
			return nil, err
		}
		for _, draft := range page {
			if draft.Err != nil {
				all = append(all, QuarantinedRecord{Key: DraftKey(draft.Draft.SpaceID, draft.Draft.DocumentID), Reason: draft.Err.Error()})
			}
		}
		after = next
	}
	return all, nil
}

func (d draftCollection) dropQuarantined(ctx context.Context, key string, _ func(record) error) error {
	space, doc, err := mailbox.ParseKey(key)
	if err != nil {
		return err
	}
	return d.RemoveDamaged(ctx, space, doc)
}

// importRow is a collection.Keeper. What a host called its drafts before does not count.
func (d draftCollection) importRow(ctx context.Context, rec record) (stored bool, err error) {
	draft, err := mailbox.ParseDraft(rec.Value)
	if err != nil {
		return false, invalidDraft(rec.Key, err)
	}
	known, err := d.Knows(ctx, draft.SpaceID, draft.DocumentID)
	if err != nil || known {
		return false, err
	}
	err = d.Save(ctx, draft)
	return err == nil, invalidDraft(rec.Key, err)
}

// mirrorDrafts tells the watches of the collection of what happens to drafts.
func mirrorDrafts(drafts *mailbox.Mailbox, all *collection.Collections) {
	there := []DraftChangeKind{DraftWasSaved, DraftWasRestored, DraftHasConflict}
	drafts.Mirror(func(change DraftChange, draft mailbox.Numbered) {
		c := rawChange{
			Collection: CollectionDraftMailbox, Kind: collection.Deleted, Key: DraftKey(change.SpaceID, change.DocumentID),
			UpdatedAtMs: change.UpdatedAtMs, Seq: draft.Seq,
		}
		if slices.Contains(there, change.Kind) {
			rec, err := draftRecord(draft)
			if err != nil { // it was written just now, so that cannot be
				rec.Value = json.RawMessage("null")
			}
			c.Kind, c.Value = collection.Put, rec.Value
		}
		all.Publish(c)
	})
}

var _ interface {
	rawCollection
	storageCollection
} = draftCollection{}
