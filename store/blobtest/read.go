package blobtest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/soma-sdk/soma/internal/core"
)

// testContent does the same to open bytes and to a bytes.Reader.
func testContent(t *testing.T, f *fixture) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	for i, size := range sizes {
		b := bytesOf(uint64(i), size)
		hash, _ := f.put(f.space, b)
		open := func() core.BlobContent {
			c, err := f.pool.Open(f.ctx(), hash)
			f.must(err)
			return c
		}
		c := open()
		if size <= 100_000 {
			f.must(iotest.TestReader(c, b))
			f.must(c.Close())
			c = open()
		}
		same := bytes.NewReader(b)
		for range 300 {
			buf, want := make([]byte, pickSize(r, size)), []byte(nil)
			want = append(want, buf...)
			off := int64(pickSize(r, size+10))
			var n, wn int
			var err, werr error
			switch r.IntN(4) {
			case 0:
				n, err = c.ReadAt(buf, off)
				wn, werr = same.ReadAt(want, off)
			case 1:
				n, err = io.ReadFull(c, buf)
				wn, werr = io.ReadFull(same, want)
			default:
				whence := r.IntN(3)
				at, serr := c.Seek(off-10, whence)
				wat, wserr := same.Seek(off-10, whence)
				if at != wat || (serr == nil) != (wserr == nil) {
					t.Fatalf("seed %d, %d bytes: Seek(%d, %d) = %d, %v, want %d, %v", seed, size, off-10, whence, at, serr, wat, wserr)
				}
			}
			if n != wn || !errors.Is(err, werr) || !bytes.Equal(buf, want) {
				t.Fatalf("seed %d, %d bytes: read %d, %v, want %d, %v", seed, size, n, err, wn, werr)
			}
		}
		if _, err := c.Seek(-1, io.SeekStart); err == nil {
			t.Error("Seek(-1) = nil")
		}
		if _, err := c.Seek(0, 9); err == nil {
			t.Error("Seek with whence 9 = nil")
		}
		if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("ReadAt(-1) = nil")
		}
		f.must(c.Close())
		f.must(c.Close())
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("Read after Close = %v", err)
		}
	}
}

// pickSize returns up to n, often little.
func pickSize(r *rand.Rand, n int) int {
	if r.IntN(2) == 0 {
		n = min(n, 200)
	}
	return r.IntN(n + 1)
}

func testScrub(t *testing.T, f *fixture) {
	var total int64
	for i, size := range sizes {
		f.put(f.space, bytesOf(uint64(i), size))
		total += int64(size)
	}
	none := func(d core.DamagedBlob) error { return errTest }
	done, err := f.pool.Scrub(f.ctx(), none)
	if want := (core.ScrubbedBlobs{Blobs: len(sizes), Bytes: total}); err != nil || done != want {
		t.Errorf("Scrub = %+v, %v, want %+v", done, err, want)
	}
}

func testClosed(t *testing.T, f *fixture) {
	var open []core.BlobContent
	for i, size := range sizes {
		hash, _ := f.put(f.space, bytesOf(uint64(i), size))
		c, err := f.pool.Open(f.ctx(), hash)
		f.must(err)
		open = append(open, c)
	}
	var staged []core.StagedBlob
	for i, size := range []int{10, 100_000} {
		staged = append(staged, f.stage(bytesOf(uint64(100+i), size)))
	}
	f.close()
	for _, c := range open {
		_, err := c.Read(make([]byte, 1))
		_, aerr := c.ReadAt(make([]byte, 1), 0)
		_, serr := c.Seek(0, io.SeekStart)
		for _, err := range []error{err, aerr, serr} {
			if !errors.Is(err, core.ErrClosed) {
				t.Errorf("of %d bytes, after Close = %v, want ErrClosed", c.Size(), err)
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close of open bytes = %v", err)
		}
	}
	for _, s := range staged {
		if err := s.Commit(f.ctx(), func(func(core.Tx) (bool, error)) error { return nil }); !errors.Is(err, core.ErrClosed) {
			t.Errorf("Commit after Close = %v", err)
		}
		s.Discard()
	}
	_, err := f.pool.Stage(f.ctx(), bytes.NewReader(nil), core.StageOptions{Limit: 1, Size: -1})
	_, oerr := f.pool.Open(f.ctx(), core.Hash{})
	_, cerr := f.pool.Collect(f.ctx(), 1)
	_, serr := f.pool.Scrub(f.ctx(), func(core.DamagedBlob) error { return nil })
	for _, err := range []error{err, oerr, cerr, serr} {
		if !errors.Is(err, core.ErrClosed) {
			t.Errorf("after Close = %v, want ErrClosed", err)
		}
	}
}
