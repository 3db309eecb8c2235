package replica_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/log/plain"
)

var oddBlobs = oddKind{op: oddBlobOp, act: (*site).oddBlobAct, lines: (*site).blobLines, plain: plainBlobs}

// Blobs are the same in any order of arrival.
func TestOddBlobsInAnyOrder(t *testing.T) { oddBlobs.inAnyOrder(t) }

// oddBlob is one of few contents, so that all of them meet.
func oddBlob(r *rand.Rand) string { return string(rune('a' + r.IntN(4))) }

// oddBlobOp is an op as no host makes it: of any size, and of what is not there.
func oddBlobOp(r *rand.Rand) log.Body {
	if r.IntN(3) == 0 {
		return blobRemove(oddBlob(r))
	}
	put := blobPut(oddBlob(r), []string{"", "a/b", "no type"}[r.IntN(3)], []string{"", "x", "y"}[r.IntN(3)])
	put.Size = []uint64{0, 1, uint64(r.IntN(50)), log.MaxCounter}[r.IntN(4)]
	return put
}

func (s *site) oddBlobAct(r *rand.Rand, space core.SpaceID) {
	s.t.Helper()
	content := oddBlob(r)
	var err error
	if r.IntN(3) == 0 {
		err = s.RemoveBlob(s.ctx(), space, hashOf(content), events.SourceRenderer)
	} else {
		b := newBlob(content, []string{"", "a/b"}[r.IntN(2)], []string{"", "x"}[r.IntN(2)])
		_, err = s.PutBlob(s.ctx(), space, b, events.SourceRenderer, plainPut(r.IntN(2) == 0))
	}
	if err != nil && !errors.Is(err, core.ErrNotFound) && !errors.Is(err, core.ErrForbidden) {
		s.t.Fatalf("act on blob %q = %v", content, err)
	}
}

// blobLines describes all rows of blobs.
func (s *site) blobLines(space core.SpaceID) map[string]string {
	s.t.Helper()
	lines, hashes := map[string]string{}, map[int64]core.Hash{}
	for _, rec := range s.records(space) {
		hashes[rec.Key] = rec.Hash
	}
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		rows, err := v.Blobs(rec.Key, core.Hash{}, 1000)
		if err != nil {
			return err
		}
		for _, b := range rows {
			lines["blob "+b.Hash.String()] = fmt.Sprint(b.Size, b.MIME, b.Name, b.CreatedBy, b.CreatedAtMs)
		}
		for n := range 4 {
			hash := hashOf(string(rune('a' + n)))
			ops, err := v.BlobOps(rec.Key, hash)
			if err != nil {
				return err
			}
			writes, err := v.FieldWrites(rec.Key, hash.String(), "blob")
			if err != nil {
				return err
			}
			keys := make([]int64, len(writes))
			for i := range writes {
				keys[i] = writes[i].Entry
			}
			lines["only ops "+hash.String()], lines["only field "+hash.String()] = entryHashes(hashes, ops), entryHashes(hashes, keys)
		}
		return nil
	})
	return lines
}

// plainBlobs is what the rows of blobs must be by the plain definition.
func plainBlobs(entries []*log.Entry) map[string]string {
	lines := map[string]string{}
	for hash, b := range plain.New(entries).Outcome().Blobs {
		lines["blob "+hash.String()] = fmt.Sprint(int64(b.Size), b.MIME, b.Name, b.CreatedBy, int64(b.CreatedAtMs))
	}
	return lines
}
