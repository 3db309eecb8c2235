package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func wantAll(tx core.Tx, space core.SpaceID, hashes ...core.Hash) (err error) {
	for _, h := range hashes {
		err = errors.Join(err, tx.WantBlob(space, h))
	}
	return err
}

// testWants notes wanted blobs of several spaces under each policy.
func testWants(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	var recs []core.BlobRecord
	for n := range 9 {
		rec := blob(s, hash(fmt.Sprint(n)))
		rec.Size = int64(n)
		recs = append(recs, rec)
	}
	slices.SortFunc(recs, func(a, b core.BlobRecord) int { return slices.Compare(a.Hash[:], b.Hash[:]) })
	wanted := func(recs ...core.BlobRecord) (all []core.WantedBlob) {
		for _, rec := range recs {
			all = append(all, core.WantedBlob{Space: "s", Hash: rec.Hash, Size: rec.Size})
		}
		return all
	}
	some := []core.BlobRecord{recs[1], recs[4], recs[6]}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			putBlobs(tx, recs...), putBlobs(tx, blob(other, recs[4].Hash), blob(other, recs[5].Hash)),
			wantAll(tx, "s", recs[1].Hash, recs[4].Hash, recs[6].Hash, recs[6].Hash, recs[7].Hash, hash("not held")),
			wantAll(tx, "other", recs[4].Hash), wantAll(tx, "unknown", recs[4].Hash),
			tx.UnwantBlob("s", recs[7].Hash), tx.UnwantBlob("s", recs[8].Hash), tx.UnwantBlob("other", recs[1].Hash))
	}, func(v core.View) error {
		for n := range 5 {
			for from := range 4 {
				after := core.Hash{}
				if from > 0 {
					after = some[from-1].Hash
				}
				got, err := v.WantedBlobs("s", after, n)
				if err := equal(fmt.Sprintf("WantedBlobs(%s, %d)", after, n), got, err, wanted(some[from:min(3, from+n)]...)); err != nil {
					return err
				}
			}
		}
		n, err := v.CountWantedBlobs("s")
		if err := equal("CountWantedBlobs", n, err, 3); err != nil {
			return err
		}
		_, unknown := v.WantedBlobs("unknown", core.Hash{}, 1)
		_, counted := v.CountWantedBlobs("unknown")
		return errors.Join(
			fails("WantedBlobs of an unknown space", unknown, core.ErrNotFound), fails("CountWantedBlobs of an unknown space", counted, core.ErrNotFound),
			spacesWanting(v, "other", "s", "unknown"), sound(v))
	})
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.SetPin("s", core.PinNone), tx.SetPin("s", core.PinAll), tx.SetPin("none", core.PinNone), tx.SetPin("all", core.PinAll),
			tx.SetPin("demand", core.PinAll), tx.SetPin("demand", core.PinOnDemand))
	}, func(v core.View) error {
		for space, want := range map[core.SpaceID]core.PinPolicy{
			"s": core.PinAll, "none": core.PinNone, "all": core.PinAll, "demand": core.PinOnDemand, "other": core.PinOnDemand, "": core.PinOnDemand,
		} {
			got, err := v.Pin(space)
			if err := equal(fmt.Sprintf("Pin(%q)", space), got, err, want); err != nil {
				return err
			}
		}
		got, err := v.WantedBlobs("s", recs[1].Hash, 4)
		if err := equal("WantedBlobs of all", got, err, wanted(recs[2:6]...)); err != nil {
			return err
		}
		n, err := v.CountWantedBlobs("s")
		return errors.Join(equal("CountWantedBlobs of all", n, err, len(recs)), spacesWanting(v, "all", "other", "s", "unknown"), sound(v))
	})
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.SetPin("s", core.PinNone), tx.UnwantBlob("unknown", recs[4].Hash))
	}, func(v core.View) error {
		got, err := v.WantedBlobs("s", core.Hash{}, 9)
		n, e := v.CountWantedBlobs("s")
		return errors.Join(equal("WantedBlobs of none", got, err, nil), equal("CountWantedBlobs of none", n, e, 0), spacesWanting(v, "all", "other", "s"))
	})
}

func spacesWanting(v core.View, want ...core.SpaceID) error {
	var got []core.SpaceID
	for at := core.SpaceID(""); ; {
		next, err := v.NextWanting(at)
		if err != nil || next == "" {
			return equal("NextWanting", got, err, want)
		}
		at, got = next, append(got, next)
	}
}

// testIsWanted asks for single bytes.
func testIsWanted(_ *testing.T, f *fixture) {
	s, all := f.space("s"), f.space("all")
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			putBlobs(tx, blob(s, hash("asked")), blob(s, hash("not")), blob(all, hash("pinned"))),
			tx.WantBlob("s", hash("asked")), tx.WantBlob("s", hash("gone")), tx.SetPin("all", core.PinAll))
	}, func(v core.View) error {
		for h, want := range map[core.Hash]bool{hash("asked"): true, hash("not"): false, hash("gone"): false, hash("pinned"): true, hash("never"): false} {
			got, err := v.IsWanted(h)
			if err := equal(fmt.Sprintf("IsWanted(%s)", h), got, err, want); err != nil {
				return err
			}
		}
		return nil
	})
}

// testWantsOutlast makes a space anew, which takes no wish with it.
func testWantsOutlast(_ *testing.T, f *fixture) {
	s := f.space("s")
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(putBlobs(tx, blob(s, hash("p"))), tx.WantBlob("s", hash("p")), tx.ResetSpace(s), putBlobs(tx, blob(s, hash("p"))))
	}, func(v core.View) error {
		got, err := v.WantedBlobs("s", core.Hash{}, 2)
		return equal("WantedBlobs", got, err, []core.WantedBlob{{Space: "s", Hash: hash("p")}})
	})
}
