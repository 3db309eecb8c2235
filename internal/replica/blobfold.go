package replica

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mutate"
)

// ReasonBlobs is the reason of the event for a change of the blobs of a space.
const ReasonBlobs = "blobs"

// fieldBlob is the field in which what puts and removes say of a blob is kept, the object
// being its hash: a put its meta, a remove nothing. Since a field keeps the writes that
// are in the past of no other, a put that is in the past of no remove is one of them, or
// a later put is.
const fieldBlob = "blob"

// foldBlobs brings what a space holds up to date with entries that did not count and do
// now, and with those that count no more. Its cost is that of the entries, unless some
// count no more, or again: then that of all entries which name the same blobs.
func (w *work) foldBlobs(space *core.SpaceRecord, added, removed []*notedEntry) error {
	if mutate.On(mutate.BlobVoid) {
		removed = nil
	}
	named, anew := map[core.Hash]bool{}, map[core.Hash]bool{}
	for _, e := range removed {
		for hash := range blobOps(e.Entry) {
			named[hash], anew[hash] = true, true
			if err := w.DeleteBlobOp(space.Key, hash, e.rec.Key); err != nil {
				return err
			}
		}
	}
	for _, e := range added {
		for hash, meta := range blobOps(e.Entry) {
			named[hash] = true
			if err := w.AddBlobOp(space.Key, hash, e.rec.Key); err != nil {
				return err
			}
			if anew[hash] || !e.fresh && !mutate.On(mutate.BlobAgain) { // others may build upon it
				anew[hash] = true
				continue
			}
			if _, err := w.foldField(space, hash.String(), fieldBlob, e.Entry, &e.rec, meta); err != nil {
				return err
			}
		}
	}
	for _, hash := range slices.SortedFunc(maps.Keys(named), compareHashes) {
		if anew[hash] {
			if err := w.foldBlobAnew(space, hash); err != nil {
				return err
			}
		}
		if err := w.writeBlob(space, hash); err != nil {
			return err
		}
	}
	return nil
}

// blobOps returns what an entry says of blobs: of each its last op counts.
func blobOps(e *log.Entry) map[core.Hash][]byte {
	var said map[core.Hash][]byte
	for _, op := range e.Ops {
		var hash core.Hash
		var meta []byte
		switch b := op.Body.(type) {
		case log.BlobPut:
			hash, meta = b.Blob, b.Meta()
		case log.BlobRemove:
			hash = b.Blob
		default:
			continue
		}
		if said == nil {
			said = map[core.Hash][]byte{}
		}
		if _, before := said[hash]; !before || !mutate.On(mutate.BlobLast) {
			said[hash] = meta
		}
	}
	return said
}

func compareHashes(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) }

func (w *work) foldBlobAnew(space *core.SpaceRecord, hash core.Hash) error {
	writes, err := w.FieldWrites(space.Key, hash.String(), fieldBlob)
	if err != nil {
		return err
	}
	for _, write := range writes {
		if err := w.DeleteFieldWrite(space.Key, hash.String(), fieldBlob, write.Entry); err != nil {
			return err
		}
	}
	entries, err := w.BlobOps(space.Key, hash)
	if err != nil {
		return err
	}
	for _, key := range entries {
		rec, err := w.EntryByKey(key)
		if err != nil {
			return err
		}
		e, err := entryByKey(w.Tx, space.Key, key)
		if err != nil {
			return err
		}
		if _, err := w.foldField(space, hash.String(), fieldBlob, e, &rec, blobOps(e)[hash]); err != nil {
			return err
		}
	}
	return nil
}

// writeBlob stores what the field of a blob says of it.
func (w *work) writeBlob(space *core.SpaceRecord, hash core.Hash) error {
	was, err := w.Blob(space.Key, hash)
	had := err == nil
	if err != nil && !isNotFound(err) {
		return err
	}
	writes, err := w.FieldWrites(space.Key, hash.String(), fieldBlob)
	if err != nil {
		return err
	}
	rec, held, err := blobOf(w.Tx, space.Key, hash, writes)
	if err != nil {
		return err
	}
	rec.UpdatedAtMs, rec.Here, rec.HereSize = was.UpdatedAtMs, was.Here, was.HereSize
	switch {
	case !held && !had || had && held && rec == was:
		return nil
	case !held:
		err = w.DeleteBlob(space.Key, hash, w.nowMs)
	default:
		rec.UpdatedAtMs = max(w.nowMs, was.UpdatedAtMs+1)
		err = w.PutBlob(rec)
	}
	w.blobsChanged(space.ID)
	return err
}

// blobOf returns the row of a blob, without UpdatedAtMs, by the writes of its field that
// count: it is held if one of them is a put, and is what the last of these says.
func blobOf(v core.View, space int64, hash core.Hash, writes []core.FieldWrite) (rec core.BlobRecord, held bool, err error) {
	puts := slices.DeleteFunc(slices.Clone(writes), func(f core.FieldWrite) bool { return len(f.Value) == 0 })
	if len(puts) == 0 || len(puts) < len(writes) && mutate.On(mutate.BlobConcurrent) {
		return rec, false, nil
	}
	last := slices.MaxFunc(puts, compareFields)
	if mutate.On(mutate.BlobMeta) {
		last = slices.MinFunc(puts, compareFields)
	}
	put, err := log.DecodeBlobMeta(hash, last.Value)
	if err != nil {
		return rec, false, fmt.Errorf("blob %s: %w: %w", core.CIDFromHash(hash), core.ErrCorrupt, err)
	}
	e, err := v.EntryByKey(last.Entry)
	if err != nil {
		return rec, false, err
	}
	h, err := log.DecodeHeader(e.Entry.Header)
	if err != nil {
		return rec, false, fmt.Errorf("entry %s: %w: %w", last.Hash, core.ErrCorrupt, err)
	}
	return core.BlobRecord{
		Space: space, Hash: hash, Size: int64(put.Size), MIME: put.MIME, Name: put.Name,
		CreatedBy: h.Peer, CreatedAtMs: int64(h.WallMs),
	}, true, nil
}

// blobsCame tells all spaces that hold a blob that its bytes are here.
func (w *work) blobsCame(hash core.Hash) error {
	spaces, err := w.BlobSpaces(hash)
	for _, id := range spaces {
		w.blobsChanged(id)
	}
	return err
}

// blobsChanged tells of the blobs of a space, once.
func (w *work) blobsChanged(space core.SpaceID) {
	w.tell(space).Blobs = true
	if w.toldBlobs[space] {
		return
	}
	if w.toldBlobs == nil {
		w.toldBlobs = map[core.SpaceID]bool{}
	}
	w.toldBlobs[space] = true
	w.changed(events.SpaceChanged, space, "", ReasonBlobs)
}
