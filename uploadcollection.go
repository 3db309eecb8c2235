package soma

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/upload"
)

// uploadCollection is the outbox as a collection: the key of a job is its ID, its value the
// job. Of a value only the renderer's part is written.
type uploadCollection struct {
	*upload.Uploads
	now func() time.Time
}

func (u uploadCollection) put(ctx context.Context, key string, value json.RawMessage, updatedAtMs int64) error {
	renderer, err := readUploadRow(key, value)
	if err != nil {
		return err
	}
	if err := u.checkTime(updatedAtMs); err != nil {
		return err
	}
	err = u.PutRenderer(ctx, key, renderer, updatedAtMs)
	if errors.Is(err, ErrNotFound) {
		err = collection.Invalid(CollectionUploadJobs, key, errNoUpload)
	}
	return err
}

var errNoUpload = errors.New("there is no such upload: Uploads.Enqueue makes them")

func (u uploadCollection) checkTime(updatedAtMs int64) error {
	if err := mailbox.CheckTime("updatedAtMs", updatedAtMs); err != nil {
		return err
	}
	if updatedAtMs > u.now().Add(DefaultMaxClockSkew).UnixMilli() {
		return fmt.Errorf("updatedAtMs %d is more than %v ahead: %w", updatedAtMs, DefaultMaxClockSkew, ErrClockSkew)
	}
	return nil
}

// readUploadRow returns the renderer's part of a row that is to be stored under a key.
func readUploadRow(key string, value []byte) (json.RawMessage, error) {
	if !json.Valid(value) {
		return nil, fmt.Errorf("upload %q: %w", key, ErrInvalidJSON)
	}
	renderer, err := upload.ReadRow(key, value)
	if err != nil {
		return nil, collection.Invalid(CollectionUploadJobs, key, err)
	}
	return renderer, nil
}

func (u uploadCollection) get(ctx context.Context, key string) (record, error) {
	if err := checkUploadID(key); err != nil {
		return record{}, err
	}
	c, err := u.Row(ctx, key)
	if errors.Is(err, ErrCorrupt) {
		err = collection.Unreadable(CollectionUploadJobs, key, err)
	}
	if err != nil {
		return record{}, err
	}
	return uploadRow(c)
}

func (u uploadCollection) delete(ctx context.Context, key string, updatedAtMs int64) error {
	if err := checkUploadID(key); err != nil {
		return err
	}
	if err := mailbox.CheckTime("updatedAtMs", updatedAtMs); err != nil {
		return err
	}
	return u.RemoveUntil(ctx, key, updatedAtMs)
}

func (u uploadCollection) clear(ctx context.Context, updatedAtMs int64) error {
	if err := mailbox.CheckTime("updatedAtMs", updatedAtMs); err != nil {
		return err
	}
	return u.RemoveAllUntil(ctx, updatedAtMs)
}

func (u uploadCollection) list(ctx context.Context) iter.Seq2[record, error] {
	return u.records().list(ctx)
}

func (u uploadCollection) records() viewRecords { return viewOf(u.Snapshot, uploadRow) }

// uploadRow returns a job as a record.
func uploadRow(c upload.Change) (record, error) {
	value, err := c.Job.Value()
	return record{
		Key: c.Job.ID, Value: value, UpdatedAtMs: c.Row.UpdatedAtMs, Seq: c.Row.Seq, VersionKey: upload.VersionKey(c.Job.ID, c.Row.Seq),
	}, err
}

func (u uploadCollection) snapshot(ctx context.Context) (value []byte, seq int64, err error) {
	return u.records().storage(ctx)
}

func (u uploadCollection) setItem(ctx context.Context, w collection.StorageWrite) (collection.StorageResult, error) {
	rows, err := collection.ReadStorage(CollectionUploadJobs, w.Value)
	if err != nil {
		return collection.StorageResult{}, err
	}
	x := upload.Exchange{BaseSeq: w.BaseSeq, Window: w.Window, Rows: make([]upload.WindowRow, len(rows))}
	for i, row := range rows {
		renderer, err := readUploadRow(row.Key, row.Value)
		if err == nil && !upload.IsID(row.Key) {
			err = collection.Invalid(CollectionUploadJobs, row.Key, errNoUpload)
		}
		if err != nil {
			return collection.StorageResult{}, err
		}
		x.Rows[i] = upload.WindowRow{ID: row.Key, VersionKey: row.VersionKey, Value: row.Value, Renderer: renderer}
	}
	done, err := u.Exchange(ctx, x)
	return collection.StorageResult(done), err
}

// quarantined returns the jobs that are damaged. Nothing of them can be trusted.
func (u uploadCollection) quarantined(ctx context.Context, _ func(record) error) (all []QuarantinedRecord, err error) {
	for after, more := int64(0), true; more; {
		page, next, err := u.Page(ctx, after)
		if err != nil {
			return nil, err
		}
		for _, job := range page {
			if job.Err != nil {
				all = append(all, QuarantinedRecord{Key: job.Job.ID, Reason: job.Err.Error()})
			}
		}
		after, more = next, next != 0
	}
	return all, nil
}

func (u uploadCollection) dropQuarantined(ctx context.Context, key string, _ func(record) error) error {
	if _, err := u.Row(ctx, key); err == nil {
		return fmt.Errorf("upload %q: %w", key, ErrNotFound)
	}
	return u.Remove(ctx, key)
}

// importRow is a collection.Keeper.
func (uploadCollection) importRow(_ context.Context, rec record) (stored bool, err error) {
	return false, collection.Invalid(CollectionUploadJobs, rec.Key, errNoBytes)
}

var errNoBytes = errors.New("an upload needs its bytes, which are not in the file: enqueue it anew")

// mirrorUploads tells the watches of the collection of what happens to jobs.
func mirrorUploads(all *collection.Collections) func(upload.Change) {
	return func(c upload.Change) {
		change := rawChange{Collection: CollectionUploadJobs, Kind: collection.Put, Key: c.Job.ID, UpdatedAtMs: c.Row.UpdatedAtMs, Seq: c.Row.Seq}
		if c.Job.State == UploadRemoved {
			change.Kind = collection.Deleted
		} else if value, err := c.Job.Value(); err == nil {
			change.Value = value
		} else { // it was written just now, so that cannot be
			change.Value = json.RawMessage("null")
		}
		all.Publish(change)
	}
}

func checkUploadID(id string) error { return core.CheckID("upload ID", id) }

var _ interface {
	rawCollection
	storageCollection
} = uploadCollection{}
