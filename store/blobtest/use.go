package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func testUsage(_ *testing.T, f *fixture) {
	small, _ := f.put(f.space, bytesOf(1, 10))
	f.put(f.space, bytesOf(2, 100_000))
	f.put(f.other, bytesOf(1, 10))
	empty, _ := f.put(f.other, nil)
	f.wantUsage(f.space, 2, 100_010)
	f.wantUsage(f.other, 2, 10)
	f.wantUsage(0, 3, 100_010)
	f.wantUsage(f.other+1, 0, 0)
	f.remove(f.space, small)
	f.remove(f.space, small)
	f.wantUsage(f.space, 1, 100_000)
	f.wantUsage(0, 3, 100_010)
	f.remove(f.other, small)
	f.remove(f.other, empty)
	f.wantUsage(f.other, 0, 0)
	f.wantUsage(0, 1, 100_000)
	f.write(func(tx core.Tx) error { return tx.ResetSpace(f.space) })
	f.wantUsage(f.space, 0, 0)
	f.wantUsage(0, 0, 0)
	f.put(f.space, bytesOf(2, 100_000))
	f.reopen()
	f.wantUsage(0, 1, 100_000)
}

func testUsageAtRandom(t *testing.T, f *fixture) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		t.Logf("seed %d", seed)
		for range 60 {
			n := r.IntN(6)
			b := bytesOf(uint64(n), n*9000)
			space := []int64{f.space, f.other}[r.IntN(2)]
			f.ms.Add(1)
			switch r.IntN(6) {
			case 0, 1:
				f.put(space, b)
			case 2, 3:
				s := f.stage(b)
				f.remove(space, s.Hash())
				s.Discard()
			case 4:
				_, err := f.pool.Collect(f.ctx(), f.ms.Load()-int64(r.IntN(10)))
				f.must(err)
			case 5:
				f.write(func(tx core.Tx) error {
					if r.IntN(2) == 0 {
						return tx.ResetSpace(space)
					}
					return errors.Join(tx.Mend(), tx.Sweep())
				})
			}
		}
		f.wantCounted()
	}
}

// testClaimedSizes has a member say what is not true.
func testClaimedSizes(_ *testing.T, f *fixture) {
	hash, _ := f.put(f.space, bytesOf(1, 10))
	f.write(func(tx core.Tx) error {
		return errors.Join(
			tx.PutBlob(core.BlobRecord{Space: f.space, Hash: hash, Size: math.MaxInt64}),
			tx.PutBlob(core.BlobRecord{Space: f.other, Hash: hash, Size: math.MaxInt64}),
			tx.PutBlob(core.BlobRecord{Space: f.other, Hash: core.Hash{1}, Size: math.MaxInt64}))
	})
	f.wantUsage(f.space, 1, 10)
	f.wantUsage(f.other, 1, 10)
	f.wantUsage(0, 1, 10)
	f.must(f.store.Read(f.ctx(), func(v core.View) error {
		here, err := v.Blob(f.other, hash)
		if err != nil || !here.Here || here.HereSize != 10 || here.Size != math.MaxInt64 {
			f.t.Errorf("Blob = %+v, %v, want 10 bytes here", here, err)
		}
		recs, err := v.Blobs(f.other, core.Hash{}, 10)
		for _, rec := range recs {
			if rec.Hash == hash && rec != here || rec.Hash != hash && (rec.Here || rec.HereSize != 0) {
				f.t.Errorf("Blobs has %+v", rec)
			}
		}
		return err
	}))
}

func testCollect(t *testing.T, f *fixture) {
	var total int64
	var hashes []core.Hash
	for i, size := range sizes {
		hash, _ := f.put(f.space, bytesOf(uint64(i), size))
		hashes, total = append(hashes, hash), total+int64(size)
	}
	kept, _ := f.put(f.other, bytesOf(0, sizes[0]))
	f.ms.Add(1000)
	f.collect(0, 0)
	for _, hash := range hashes {
		f.remove(f.space, hash)
	}
	for _, before := range []int64{1, 1000} {
		if done, err := f.pool.Collect(f.ctx(), f.ms.Load()-before); err != nil || done.Blobs != 0 {
			t.Errorf("Collect before they were unused = %+v, %v", done, err)
		}
	}
	f.collect(len(sizes)-1, total-int64(sizes[0]))
	for _, hash := range hashes[1:] {
		f.wantOpen(hash, core.ErrNotHere)
	}
	f.wantOpen(kept, nil)
	f.collect(0, 0)
	for i, size := range sizes {
		if _, fresh := f.put(f.space, bytesOf(uint64(i), size)); fresh != (i > 0) {
			t.Errorf("%d: put after Collect is fresh: %v", size, fresh)
		}
		f.wantBytes(bytesOf(uint64(i), size))
	}
}

// testCollectBack removes bytes and holds them again, with and without bringing them.
func testCollectBack(_ *testing.T, f *fixture) {
	for i, size := range []int{10, 100_000} {
		b := bytesOf(uint64(i), size)
		hash, _ := f.put(f.space, b)
		f.remove(f.space, hash)
		f.ms.Add(10)
		f.write(func(tx core.Tx) error { return tx.PutBlob(core.BlobRecord{Space: f.other, Hash: hash}) })
		f.collect(0, 0)
		f.wantBytes(b)
		f.remove(f.other, hash)
		f.put(f.space, b)
		f.ms.Add(10)
		f.collect(0, 0)
		f.wantBytes(b)
		// The time of a later removal counts.
		f.remove(f.space, hash)
		f.ms.Add(10)
		f.put(f.space, b)
		f.remove(f.space, hash)
		if done, err := f.pool.Collect(f.ctx(), f.ms.Load()-1); err != nil || done.Blobs != 0 {
			f.t.Errorf("Collect = %+v, %v", done, err)
		}
		f.collect(1, int64(size))
	}
}

func testCollectOpen(t *testing.T, f *fixture) {
	for i, size := range sizes {
		b := bytesOf(uint64(i), size)
		hash, _ := f.put(f.space, b)
		c, err := f.pool.Open(f.ctx(), hash)
		f.must(err)
		f.remove(f.space, hash)
		f.collect(1, int64(size))
		f.wantOpen(hash, core.ErrNotHere)
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, b) {
			t.Errorf("read %d bytes of what was collected, %v, want %d", len(got), err, size)
		}
		f.must(c.Close())
	}
}

// testCollectUnheld has rows go without a word, as a repair does.
func testCollectUnheld(t *testing.T, f *fixture) {
	for i, size := range []int{10, 100_000} {
		f.put(f.space, bytesOf(uint64(i), size))
	}
	f.write(func(tx core.Tx) error { return tx.ResetSpace(f.space) })
	if done, err := f.pool.Collect(f.ctx(), f.ms.Load()-1); err != nil || done.Blobs != 0 {
		t.Errorf("Collect = %+v, %v, want their time to begin", done, err)
	}
	f.collect(2, 100_010)
}

// testTogether lets all happen at once. What a space holds at the end must be whole.
func testTogether(t *testing.T, f *fixture) {
	const seed, blobs = 11, 5
	var bodies [blobs][]byte
	for n := range bodies {
		bodies[n] = bytesOf(uint64(n), []int{0, 3000, 40_000, 300_000, 1_200_000}[n])
	}
	var work sync.WaitGroup
	failed := make(chan error, 1000)
	for g := range 8 {
		work.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(g)))
			for range 25 {
				if err := f.actTogether(r, bodies[r.IntN(blobs)]); err != nil {
					failed <- err
				}
			}
		})
	}
	work.Wait()
	close(failed)
	for err := range failed {
		t.Errorf("seed %d: %v", seed, err)
	}
	for _, b := range bodies {
		f.put(f.space, b)
		f.wantBytes(b)
	}
}

func (f *fixture) actTogether(r *rand.Rand, b []byte) error {
	s, err := f.pool.Stage(f.ctx(), bytes.NewReader(b), core.StageOptions{Limit: 1 << 30, Size: -1})
	if err != nil {
		return err
	}
	defer s.Discard()
	space := []int64{f.space, f.other}[r.IntN(2)]
	switch r.IntN(5) {
	case 0, 1:
		_, err = f.commit(s, space)
	case 2:
		err = f.store.Write(f.ctx(), func(tx core.Tx) error { return tx.DeleteBlob(space, s.Hash(), f.ms.Load()) })
	case 3:
		_, err = f.pool.Collect(f.ctx(), f.ms.Load())
	case 4:
		var c core.BlobContent
		if c, err = f.pool.Open(f.ctx(), s.Hash()); errors.Is(err, core.ErrNotHere) {
			return nil
		}
		if err != nil {
			return err
		}
		defer c.Close()
		var got []byte
		if got, err = io.ReadAll(c); err == nil && !bytes.Equal(got, b) {
			err = fmt.Errorf("read %d other bytes, want %d", len(got), len(b))
		}
	}
	return err
}
