package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
)

// blobs is how many blobs there are: few, so that puts and removes of them meet.
const blobs = 4

func blobHash(n int) core.Hash { return sha256.Sum256(fmt.Append(nil, "blob ", n)) }

func pickMIME(r *rand.Rand) string { return []string{"", "text/plain", "image/png"}[r.IntN(3)] }

func pickBlobName(r *rand.Rand) string { return []string{"", "a.txt", "b.png"}[r.IntN(3)] }

// actOnBlobs lets a site put or remove a blob, as a host would, and looks at the result.
func (w *world) actOnBlobs(r *rand.Rand) error {
	return w.at(r, func(ctx context.Context, s *site) error {
		n := r.IntN(blobs)
		if r.IntN(3) == 0 {
			return s.removeBlob(ctx, n)
		}
		return s.putBlob(ctx, core.NewBlob{Hash: blobHash(n), Size: int64(n), MIME: pickMIME(r), Name: pickBlobName(r)})
	})
}

func (s *site) putBlob(ctx context.Context, b core.NewBlob) error {
	s.w.tell("%s puts blob %.4s %q %q", s, b.Hash, b.MIME, b.Name)
	rec, err := s.PutBlob(ctx, s.w.space, b, events.SourceRenderer, func(tx core.Tx, space int64, put func() error) (bool, error) {
		if err := put(); err != nil {
			return false, err
		}
		_, err := tx.Blob(space, b.Hash)
		return false, err
	})
	if err != nil {
		return err
	}
	if rec.Size != b.Size || b.MIME != "" && rec.MIME != b.MIME || b.Name != "" && rec.Name != b.Name || rec.CreatedBy == (core.PeerID{}) {
		return fmt.Errorf("blob %+v is put as %+v", b, rec)
	}
	return nil
}

func (s *site) removeBlob(ctx context.Context, n int) error {
	s.w.tell("%s removes blob %.4s", s, blobHash(n))
	if err := s.RemoveBlob(ctx, s.w.space, blobHash(n), events.SourceRenderer); err != nil {
		return err
	}
	rec, err := s.Blob(ctx, s.w.space, blobHash(n))
	if err == nil {
		return fmt.Errorf("blob %+v is removed", rec)
	}
	return err // that it is not found is fine
}

// forgeBlobs signs ops on blobs.
func (w *world) forgeBlobs(r *rand.Rand) error {
	return w.forge(r, core.ChainContent, func(_ *villain, d *draft) {
		for range 1 + r.IntN(3) {
			d.op(r, forgedBlob(r))
		}
	})
}

// forgedBlob is an op on a blob that nobody looked at: of any size, or a removal of what
// is not held.
func forgedBlob(r *rand.Rand) log.Body {
	hash := blobHash(r.IntN(blobs))
	if r.IntN(5) < 2 {
		return log.BlobRemove{Blob: hash}
	}
	return log.BlobPut{Blob: hash, Size: []uint64{0, uint64(r.IntN(9)), log.MaxCounter}[r.IntN(3)], MIME: pickMIME(r), Name: pickBlobName(r)}
}

// dumpBlobs adds to what site.dump describes: what the space holds, and the entries that
// it follows from.
func (s *site) dumpBlobs(ctx context.Context, lines map[string]string) error {
	return s.db.Read(ctx, func(v core.View) error {
		space, err := v.Space(s.w.space)
		if err != nil {
			return err
		}
		rows, err := v.Blobs(space.Key, core.Hash{}, blobs+1)
		if err != nil {
			return err
		}
		for _, b := range rows {
			lines["blob "+b.Hash.String()] = describeBlob(b.Size, b.MIME, b.Name, s.w.name(b.CreatedBy), b.CreatedAtMs)
		}
		for n := range blobs {
			if err := dumpBlobOps(v, space.Key, blobHash(n), lines); err != nil {
				return err
			}
		}
		return nil
	})
}

func dumpBlobOps(v core.View, space int64, hash core.Hash, lines map[string]string) error {
	ops, err := v.BlobOps(space, hash)
	if err != nil {
		return err
	}
	writes, err := v.FieldWrites(space, hash.String(), "blob")
	if err != nil {
		return err
	}
	keys := make([]int64, len(writes))
	for i := range writes {
		keys[i] = writes[i].Entry
	}
	var e error
	lines["only ops of blob "+hash.String()], err = hashesOf(v, ops)
	lines["only field of blob "+hash.String()], e = hashesOf(v, keys)
	return errors.Join(err, e)
}

// dumpBlobTimes adds when blobs changed here.
func (s *site) dumpBlobTimes(lines map[string]string) error {
	rows, err := s.Blobs(s.w.ctx, s.w.space, core.Hash{}, blobs+1)
	for _, b := range rows {
		lines["change of blob "+b.Hash.String()] = fmt.Sprint(b.UpdatedAtMs)
	}
	return err
}

func describeBlob(size int64, mime, name, by string, atMs int64) string {
	return fmt.Sprintf("%d bytes, %q, %q, by %s at %d", size, mime, name, by, atMs)
}

// wantBlobs is what dumpBlobs must say by the plain definition.
func (w *world) wantBlobs(held map[core.Hash]plain.Blob, lines map[string]string) {
	for hash, b := range held {
		lines["blob "+hash.String()] = describeBlob(int64(b.Size), b.MIME, b.Name, w.name(b.CreatedBy), int64(b.CreatedAtMs))
	}
}
