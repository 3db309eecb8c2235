package blobtest

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// hold has a space hold a blob whose bytes are not here, and wants them.
func (f *fixture) hold(b []byte) core.Hash {
	f.t.Helper()
	hash := core.Hash(sha256.Sum256(b))
	f.write(func(tx core.Tx) error {
		return errors.Join(tx.PutBlob(core.BlobRecord{Space: f.space, Hash: hash, Size: int64(len(b))}), tx.WantBlob("a", hash))
	})
	return hash
}

// resume wants to go on at an offset.
func (f *fixture) resume(hash core.Hash, size, offset int64) core.ComingBlob {
	f.t.Helper()
	c, err := f.pool.Resume(f.ctx(), hash, size)
	if err != nil {
		f.t.Fatalf("Resume(%d) = %v", size, err)
	}
	if c.Offset() != offset || c.Size() != size {
		f.t.Errorf("Resume at %d of %d bytes, want %d of %d", c.Offset(), c.Size(), offset, size)
	}
	return c
}

// bring writes bytes in pieces.
func (f *fixture) bring(c core.ComingBlob, b []byte, piece int) {
	f.t.Helper()
	for part := range slices.Chunk(b, piece) {
		if n, err := c.Write(part); n != len(part) || err != nil {
			f.t.Fatalf("Write of %d bytes = %d, %v", len(part), n, err)
		}
	}
}

// came stores what has come.
func (f *fixture) came(c core.ComingBlob) (fresh bool, err error) {
	err = c.Commit(f.ctx(), func(record func(core.Tx) (bool, error)) error {
		return f.store.Write(f.ctx(), func(tx core.Tx) error {
			fresh, err = record(tx)
			return err
		})
	})
	return fresh, err
}

func (f *fixture) wanted() (n int) {
	f.t.Helper()
	f.must(f.store.Read(f.ctx(), func(v core.View) (err error) {
		n, err = v.CountWantedBlobs("a")
		return err
	}))
	return n
}

func (f *fixture) wantComing(want int64) {
	f.t.Helper()
	if got, err := f.pool.Coming(); err != nil || got != want {
		f.t.Errorf("Coming() = %d, %v, want %d", got, err, want)
	}
}

// testComing brings blobs of all sizes, in pieces of several.
func testComing(_ *testing.T, f *fixture) {
	for i, size := range sizes {
		for j, piece := range []int{1 << 20, 100_000, 64 << 10} {
			b := bytesOf(uint64(100*i+j), size)
			hash := f.hold(b)
			c := f.resume(hash, int64(size), 0)
			f.bring(c, b, piece)
			if f.here(f.space, hash) && f.usage(f.space).Blobs == 0 {
				f.t.Errorf("%d bytes are here before Commit", size)
			}
			fresh, err := f.came(c)
			if size > 0 || i+j == 0 {
				if !fresh || err != nil {
					f.t.Fatalf("Commit of %d bytes = %v, %v", size, fresh, err)
				}
			}
			f.wantBytes(b)
			if n := f.wanted(); n != 0 {
				f.t.Errorf("%d blobs are wanted after %d bytes came", n, size)
			}
			f.wantComing(0)
		}
	}
}

// testComingAgain goes on after each close, and after the store was opened again.
func testComingAgain(_ *testing.T, f *fixture) {
	b := bytesOf(1, 3<<20+17)
	hash, size := f.hold(b), int64(3<<20+17)
	at := 0
	for i, n := range []int{0, 1, 100_000, 1 << 20, 65_535} {
		c := f.resume(hash, size, int64(at))
		f.bring(c, b[at:at+n], 70_000)
		at += n
		f.must(c.Close())
		f.wantComing(int64(at))
		f.wantOpen(hash, core.ErrNotHere)
		f.collect(0, 0) // it is wanted
		if i%2 == 1 {
			f.reopen()
		}
	}
	c := f.resume(hash, size, int64(at))
	f.bring(c, b[at:], 1<<20)
	if _, err := f.came(c); err != nil {
		f.t.Fatal(err)
	}
	f.wantBytes(b)
	f.wantComing(0)
	small := bytesOf(2, 1000)
	hash = f.hold(small)
	c = f.resume(hash, 1000, 0)
	f.bring(c, small[:500], 500)
	f.must(c.Close())
	c = f.resume(hash, 1000, 0) // so little is not kept
	f.bring(c, small, 500)
	if _, err := f.came(c); err != nil {
		f.t.Fatal(err)
	}
	f.wantBytes(small)
}

// testComingWrong brings bytes with another hash, which leave nothing.
func testComingWrong(_ *testing.T, f *fixture) {
	for i, size := range []int{0, 1000, 20_000, 2 << 20} {
		b := bytesOf(uint64(i), size+1)
		hash := f.hold(b)
		c := f.resume(hash, int64(size+1), 0)
		f.bring(c, b[:size], 1<<20) // not all
		if _, err := f.came(c); !errors.Is(err, core.ErrCIDMismatch) {
			f.t.Errorf("Commit of %d of %d bytes = %v, want ErrCIDMismatch", size, size+1, err)
		}
		f.wantOpen(hash, core.ErrNotHere)
		f.wantComing(0)
		c = f.resume(hash, int64(size+1), 0)
		b[size/2] ^= 1
		f.bring(c, b, 1<<20)
		if _, err := f.came(c); !errors.Is(err, core.ErrCIDMismatch) {
			f.t.Errorf("Commit of %d other bytes = %v, want ErrCIDMismatch", size+1, err)
		}
		if n := f.wanted(); n != i+1 {
			f.t.Errorf("%d blobs are wanted after wrong bytes, want %d", n, i+1)
		}
		f.must(f.resume(hash, int64(size+1), 0).Drop())
	}
	f.wantComing(0)
	f.wantUsage(f.space, 0, 0)
}

// testComingTwice resumes what is in use, and ends it several times.
func testComingTwice(_ *testing.T, f *fixture) {
	b := bytesOf(1, 100_000)
	hash := f.hold(b)
	c := f.resume(hash, 100_000, 0)
	if _, err := f.pool.Resume(f.ctx(), hash, 100_000); !errors.Is(err, core.ErrExists) {
		f.t.Errorf("Resume twice = %v, want ErrExists", err)
	}
	f.bring(c, b[:50_000], 50_000)
	f.must(c.Close())
	f.must(c.Close())
	f.must(c.Drop())
	if n, err := c.Write(b[50_000:]); n != 0 || err == nil {
		f.t.Errorf("Write after Close = %d, %v", n, err)
	}
	if _, err := f.came(c); err == nil {
		f.t.Error("Commit after Close = nil")
	}
	c = f.resume(hash, 100_000, 50_000)
	f.bring(c, b[50_000:], 50_000)
	if fresh, err := f.came(c); !fresh || err != nil {
		f.t.Errorf("Commit = %v, %v", fresh, err)
	}
	f.must(c.Close())
	f.must(c.Drop())
	f.wantBytes(b)
}

// testComingSizes brings more and fewer bytes than the space says.
func testComingSizes(_ *testing.T, f *fixture) {
	b := bytesOf(1, 200_000)
	hash := f.hold(b)
	c := f.resume(hash, 100_000, 0)
	f.bring(c, b[:90_000], 90_000)
	if n, err := c.Write(b[90_000:100_001]); n != 0 || !errors.Is(err, core.ErrSizeMismatch) {
		f.t.Errorf("Write of one byte too many = %d, %v, want ErrSizeMismatch", n, err)
	}
	f.bring(c, b[90_000:100_000], 10_000)
	f.must(c.Close())
	f.must(f.resume(hash, 50_000, 0).Close()) // there is more: none of it can be right
	f.must(f.resume(hash, 100_000, 0).Drop())
	c = f.resume(hash, 1<<20, 0) // fewer, which have the hash
	f.bring(c, b, 1<<20)
	if fresh, err := f.came(c); !fresh || err != nil {
		f.t.Errorf("Commit of fewer bytes = %v, %v", fresh, err)
	}
	f.wantBytes(b)
	f.wantUsage(f.space, 1, 200_000)
}

// testForget forgets what comes, and what came.
func testForget(_ *testing.T, f *fixture) {
	b := bytesOf(1, 100_000)
	hash := f.hold(b)
	f.must(f.pool.Forget(hash)) // nothing
	for _, end := range []string{"Close", "Commit", "Drop", "later"} {
		c := f.resume(hash, 100_000, 0)
		f.bring(c, b[:50_000], 50_000)
		if end == "later" {
			f.must(c.Close())
			f.must(f.pool.Forget(hash))
			continue
		}
		f.must(f.pool.Forget(hash))
		if n, err := c.Write(b[50_000:]); n != 0 || !errors.Is(err, core.ErrNotFound) {
			f.t.Errorf("Write after Forget = %d, %v, want ErrNotFound", n, err)
		}
		switch end {
		case "Close":
			f.must(c.Close())
		case "Drop":
			f.must(c.Drop())
		default:
			if _, err := f.came(c); !errors.Is(err, core.ErrNotFound) {
				f.t.Errorf("Commit after Forget = %v, want ErrNotFound", err)
			}
		}
		f.wantComing(0)
	}
	f.must(f.resume(hash, 100_000, 0).Drop())
}

// testComingUnwanted collects what nobody wants any more, and nothing else.
func testComingUnwanted(_ *testing.T, f *fixture) {
	b := bytesOf(1, 100_000)
	hash := f.hold(b)
	begin := func() core.ComingBlob {
		c := f.resume(hash, 100_000, 0)
		f.bring(c, b[:50_000], 50_000)
		return c
	}
	f.must(begin().Close())
	f.collect(0, 0)
	f.wantComing(50_000)
	f.write(func(tx core.Tx) error { return errors.Join(tx.UnwantBlob("a", hash), tx.SetPin("a", core.PinAll)) })
	f.collect(0, 0)
	f.wantComing(50_000)
	f.write(func(tx core.Tx) error { return tx.SetPin("a", core.PinOnDemand) })
	f.collect(0, 0)
	f.wantComing(0)
	c := begin()
	f.collect(0, 0)
	if _, err := c.Write(b[50_000:]); !errors.Is(err, core.ErrNotFound) {
		f.t.Errorf("Write of what is not wanted = %v, want ErrNotFound", err)
	}
	f.must(c.Close())
	f.must(begin().Close())
	f.put(f.space, b) // it came another way
	f.collect(0, 0)
	f.wantComing(0)
	f.wantBytes(b)
}

// testComingFailedWrite fails in the transaction of Commit: the bytes can be brought again.
func testComingFailedWrite(_ *testing.T, f *fixture) {
	failure := errors.New("failure")
	for i, size := range []int{1000, 100_000} {
		b := bytesOf(uint64(i), size)
		hash := f.hold(b)
		c := f.resume(hash, int64(size), 0)
		f.bring(c, b, 1<<20)
		err := c.Commit(f.ctx(), func(func(core.Tx) (bool, error)) error { return failure })
		if !errors.Is(err, failure) {
			f.t.Errorf("Commit = %v, want what write returned", err)
		}
		f.wantOpen(hash, core.ErrNotHere)
		c, err = f.pool.Resume(f.ctx(), hash, int64(size))
		f.must(err)
		f.bring(c, b[c.Offset():], 1<<20)
		if _, err := f.came(c); err != nil {
			f.t.Errorf("Commit again = %v", err)
		}
		f.wantBytes(b)
	}
}

// testComingClosed closes the store while bytes are coming.
func testComingClosed(_ *testing.T, f *fixture) {
	b := bytesOf(1, 3<<20)
	hash := f.hold(b)
	c := f.resume(hash, 3<<20, 0)
	f.bring(c, b[:2<<20], 1<<20)
	f.close()
	if n, err := c.Write(b[:1]); n != 0 || !errors.Is(err, core.ErrClosed) {
		f.t.Errorf("Write after Close = %d, %v, want ErrClosed", n, err)
	}
	if _, err := f.came(c); !errors.Is(err, core.ErrClosed) {
		f.t.Errorf("Commit after Close = %v, want ErrClosed", err)
	}
	f.must(c.Close())
	if _, err := f.pool.Resume(f.ctx(), hash, 3<<20); !errors.Is(err, core.ErrClosed) {
		f.t.Errorf("Resume after Close = %v, want ErrClosed", err)
	}
	if err := f.pool.Forget(hash); !errors.Is(err, core.ErrClosed) {
		f.t.Errorf("Forget after Close = %v, want ErrClosed", err)
	}
	f.open()
	c = f.resume(hash, 3<<20, 2<<20)
	f.bring(c, b[2<<20:], 1<<20)
	if _, err := f.came(c); err != nil {
		f.t.Errorf("Commit = %v", err)
	}
	f.wantBytes(b)
}
