package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// blob is a row of a blob of which little is said.
func blob(space int64, h core.Hash) core.BlobRecord { return core.BlobRecord{Space: space, Hash: h} }

func putBlobs(tx core.Tx, recs ...core.BlobRecord) (err error) {
	for _, rec := range recs {
		err = errors.Join(err, tx.PutBlob(rec))
	}
	return err
}

func testBlob(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	full := core.BlobRecord{
		Space: s, Hash: hash("full"), Size: math.MaxInt64, MIME: strings.Repeat("m", 255), Name: "Größe 😀.txt",
		CreatedBy: peer("creator"), CreatedAtMs: math.MaxInt64, UpdatedAtMs: -1,
	}
	bare, elsewhere := blob(s, hash("bare")), blob(other, full.Hash)
	changed := full
	changed.Hash, changed.Size, changed.MIME, changed.Name = hash("changed"), 0, "", ""
	changed.CreatedBy, changed.CreatedAtMs, changed.UpdatedAtMs = peer("second"), 3, 4
	f.everywhere(func(tx core.Tx) error {
		was := full
		was.Hash = changed.Hash
		claimed := bare
		claimed.Here, claimed.HereSize = true, 7 // are ignored
		return errors.Join(
			putBlobs(tx, full, claimed, elsewhere, was, changed, blob(s, hash("gone")), blob(other, hash("gone"))),
			tx.DeleteBlob(s, hash("gone"), 1), tx.DeleteBlob(s, hash("never"), 1), tx.DeleteBlob(s+other, full.Hash, 1))
	}, func(v core.View) error {
		for _, want := range []core.BlobRecord{full, bare, elsewhere, changed, blob(other, hash("gone"))} {
			got, err := v.Blob(want.Space, want.Hash)
			if err := equal(fmt.Sprint("Blob ", want.Name), got, err, want); err != nil {
				return err
			}
		}
		for h, want := range map[core.Hash][]core.SpaceID{full.Hash: {"other", "s"}, bare.Hash: {"s"}, hash("gone"): {"other"}, hash("never"): nil} {
			got, err := v.BlobSpaces(h)
			slices.Sort(got)
			if err := equal("BlobSpaces", got, err, want); err != nil {
				return err
			}
		}
		_, gone := v.Blob(s, hash("gone"))
		_, never := v.Blob(other, bare.Hash)
		_, zero := v.Blob(s, core.Hash{})
		return errors.Join(
			fails("Blob that was removed", gone, core.ErrNotFound), fails("Blob of another space", never, core.ErrNotFound),
			fails("Blob without a hash", zero, core.ErrNotFound))
	})
}

func testBlobs(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	recs := []core.BlobRecord{blob(s, core.Hash{31: 1}), blob(s, core.Hash{0: 255}), blob(s, core.Hash{0: 127}), blob(s, core.Hash{0: 128})}
	for n := range 9 {
		rec := blob(s, hash(fmt.Sprint(n)))
		rec.CreatedBy = peer(fmt.Sprint(n % 3))
		recs = append(recs, rec)
	}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(putBlobs(tx, recs...), putBlobs(tx, blob(other, core.Hash{31: 2}), blob(other, recs[4].Hash)))
	}, func(v core.View) error {
		sorted := slices.SortedFunc(slices.Values(recs), func(a, b core.BlobRecord) int { return slices.Compare(a.Hash[:], b.Hash[:]) })
		for n := range len(sorted) + 2 {
			for from := range sorted {
				after := core.Hash{}
				if from > 0 {
					after = sorted[from-1].Hash
				}
				got, err := v.Blobs(s, after, n)
				if err := equal(fmt.Sprintf("Blobs(%s, %d)", after, n), got, err, sorted[from:min(len(sorted), from+n)]); err != nil {
					return err
				}
			}
		}
		got, err := v.Blobs(s, core.Hash{31: 2}, 1) // which is another space's
		if err := equal("Blobs after an unknown hash", got, err, sorted[1:2]); err != nil {
			return err
		}
		got, err = v.Blobs(s, sorted[len(sorted)-1].Hash, 1)
		if err := equal("Blobs after the last", got, err, nil); err != nil {
			return err
		}
		got, err = v.Blobs(s+other, core.Hash{}, 1)
		return equal("Blobs of an unknown space", got, err, nil)
	})
}

func testBlobOps(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	p, q := hash("p"), hash("q")
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.AddBlobOp(s, p, 10), tx.AddBlobOp(s, p, 9), tx.AddBlobOp(s, p, 10), tx.AddBlobOp(s, p, 300),
			tx.AddBlobOp(s, hash("P"), 11), tx.AddBlobOp(other, p, 12), tx.AddBlobOp(s, p, 13),
			tx.DeleteBlobOp(s, p, 13), tx.DeleteBlobOp(s, p, 14), tx.DeleteBlobOp(s, q, 9))
	}, func(v core.View) error {
		got, err := v.BlobOps(s, p)
		if err := equal("BlobOps", got, err, []int64{9, 10, 300}); err != nil {
			return err
		}
		got, err = v.BlobOps(s, q)
		return equal("BlobOps of an unknown blob", got, err, nil)
	})
}

func testBlobsReset(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	f.everywhere(func(tx core.Tx) error {
		for _, space := range []int64{s, other} {
			if err := errors.Join(putBlobs(tx, blob(space, hash("p"))), tx.AddBlobOp(space, hash("p"), 1)); err != nil {
				return err
			}
		}
		return tx.ResetSpace(s)
	}, func(v core.View) error {
		for space, rows := range map[int64]int{s: 0, other: 1} {
			blobs, err := v.Blobs(space, core.Hash{}, 2)
			if err := equal("blobs", len(blobs), err, rows); err != nil {
				return err
			}
			ops, err := v.BlobOps(space, hash("p"))
			if err := equal("ops", len(ops), err, rows); err != nil {
				return err
			}
		}
		return nil
	})
}

// testBlobOrphans leaves rows of a space that is not there.
func testBlobOrphans(t *testing.T, f *fixture) {
	s := f.space("s")
	f.write(func(tx core.Tx) error {
		return errors.Join(
			putBlobs(tx, blob(s, hash("p")), blob(s+1, hash("p"))), tx.AddBlobOp(s, hash("p"), 1), tx.AddBlobOp(s+1, hash("p"), 2))
	})
	tables := map[string]bool{}
	f.read(func(v core.View) error {
		return v.Check(func(d core.Damage) error {
			if d.Lost {
				t.Errorf("%+v is lost", d)
			}
			tables[d.Table] = true
			return nil
		})
	})
	if !tables["blob"] || !tables["blob_op"] {
		t.Errorf("Check found %v, want blob and blob_op", tables)
	}
	f.write(func(tx core.Tx) error { return errors.Join(tx.Mend(), tx.Sweep()) })
	f.read(func(v core.View) error {
		kept, err := v.Blobs(s, core.Hash{}, 2)
		gone, e := v.Blobs(s+1, core.Hash{}, 2)
		ops, e2 := v.BlobOps(s+1, hash("p"))
		return errors.Join(equal("blobs of the space", len(kept), err, 1), equal("blobs of none", gone, e, nil), equal("ops of none", ops, e2, nil), sound(v))
	})
}
