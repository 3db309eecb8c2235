package replica

import (
	"context"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// checkBlobs compares the blobs that a space holds, and what they follow from.
func (c *spaceCheck) checkBlobs(ctx context.Context) error {
	said, entries := map[core.Hash][]core.FieldWrite{}, map[core.Hash][]int64{}
	for _, e := range c.kept {
		for hash, meta := range blobOps(e.Entry) {
			said[hash] = append(said[hash], core.FieldWrite{Entry: e.rec.Key, Hash: e.Hash, WallMs: e.WallMs, Value: meta})
			entries[hash] = append(entries[hash], e.rec.Key)
		}
	}
	named := map[core.Hash]bool{}
	for _, e := range c.noted { // void ones too: nothing of theirs must be left
		for hash := range blobOps(e.Entry) {
			named[hash] = true
		}
	}
	var want []core.BlobRecord
	for _, hash := range slices.SortedFunc(maps.Keys(named), compareHashes) {
		writes, err := c.checkBlob(hash, said[hash], entries[hash])
		if err != nil {
			return err
		}
		rec, held, err := blobOf(c.v, c.space.Key, hash, writes)
		if err != nil {
			return err
		}
		if held {
			want = append(want, rec)
		}
	}
	rows, err := allBlobs(ctx, c.v, c.space.Key)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].UpdatedAtMs, rows[i].Here, rows[i].HereSize = 0, false, 0
	}
	return compareRows(c.problems, c.in("blob"), rows, want)
}

// checkBlob compares what is kept of the ops on one blob, and returns the writes of its
// field that count.
func (c *spaceCheck) checkBlob(hash core.Hash, said []core.FieldWrite, entries []int64) ([]core.FieldWrite, error) {
	ops, err := c.v.BlobOps(c.space.Key, hash)
	if err != nil {
		return nil, err
	}
	if err := compareRows(c.problems, c.in("blob_op"), ops, entries); err != nil {
		return nil, err
	}
	got, err := c.v.FieldWrites(c.space.Key, hash.String(), fieldBlob)
	if err != nil {
		return nil, err
	}
	writes, err := c.maximal(said)
	if err != nil {
		return nil, err
	}
	return writes, compareRows(c.problems, c.in("field"), fieldRows(got), fieldRows(writes))
}

// blobsPage is how many blobs one statement reads.
const blobsPage = 1024

// allBlobs returns all rows of blobs in a space, in order of hash.
func allBlobs(ctx context.Context, v core.BlobView, space int64) (all []core.BlobRecord, err error) {
	for after := (core.Hash{}); ; {
		page, err := v.Blobs(space, after, blobsPage)
		if err != nil || len(page) == 0 {
			return all, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		after = page[len(page)-1].Hash
		all = append(all, page...)
	}
}

// readBlobs keeps what is stored of blobs. What cannot be read is made anew.
func (d *rederiving) readBlobs(ctx context.Context) error {
	d.storedBlobs = map[core.Hash]core.BlobRecord{}
	rows, err := allBlobs(ctx, d.Tx, d.space.Key)
	for _, rec := range rows {
		d.storedBlobs[rec.Hash] = rec
	}
	return onlyCorrupt(err)
}

// keepBlobs gives rows that came out as they were their times again, and others later ones.
func (d *rederiving) keepBlobs() error {
	rows, err := allBlobs(context.Background(), d.Tx, d.space.Key)
	if err != nil {
		return err
	}
	same := len(rows) == len(d.storedBlobs)
	held := map[core.Hash]bool{}
	for _, rec := range rows {
		held[rec.Hash] = true
		was, had := d.storedBlobs[rec.Hash]
		if !had {
			same = false
			continue
		}
		rec.UpdatedAtMs, was.Here, was.HereSize = was.UpdatedAtMs, rec.Here, rec.HereSize
		if rec != was {
			rec.UpdatedAtMs, same = max(d.nowMs, was.UpdatedAtMs+1), false
		}
		if err := d.PutBlob(rec); err != nil {
			return err
		}
	}
	if !same {
		d.blobsChanged(d.space.ID)
	}
	return nil
}
