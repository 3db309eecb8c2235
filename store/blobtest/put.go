package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/soma-sdk/soma/internal/core"
)

func testPut(t *testing.T, f *fixture) {
	for i, size := range sizes {
		b := bytesOf(uint64(i), size)
		for name, r := range map[string]io.Reader{
			"bytes": bytes.NewReader(b), "halves": iotest.HalfReader(bytes.NewReader(b)), "late EOF": iotest.DataErrReader(bytes.NewReader(b)),
		} {
			s, err := f.pool.Stage(f.ctx(), r, core.StageOptions{Limit: int64(size), Size: -1})
			if err != nil {
				t.Fatalf("%d %s: Stage = %v", size, name, err)
			}
			if s.Hash() != sha256.Sum256(b) || s.Size() != int64(size) || !bytes.HasPrefix(b, s.Head()) || len(s.Head()) < min(size, 3072) {
				t.Errorf("%d %s: Stage has hash %s, size %d, head of %d bytes", size, name, s.Hash(), s.Size(), len(s.Head()))
			}
			s.Discard()
		}
		hash, fresh := f.put(f.space, b)
		if !fresh || !f.here(f.space, hash) {
			t.Errorf("%d: put says fresh %v, here %v", size, fresh, f.here(f.space, hash))
		}
		f.wantBytes(b)
	}
	f.reopen()
	for i, size := range sizes {
		f.wantBytes(bytesOf(uint64(i), size))
	}
}

func testPutAgain(t *testing.T, f *fixture) {
	for i, size := range []int{10, 100_000} {
		b := bytesOf(uint64(i), size)
		hash, _ := f.put(f.space, b)
		for _, space := range []int64{f.space, f.other} {
			if _, fresh := f.put(space, b); fresh {
				t.Errorf("%d: put again is fresh", size)
			}
		}
		f.remove(f.space, hash)
		f.wantBytes(b)
		f.remove(f.other, hash)
		if _, fresh := f.put(f.other, b); fresh {
			t.Errorf("%d: put of what was not collected yet is fresh", size)
		}
	}
	f.wantUsage(0, 2, 100_010)
}

func testUnseen(_ *testing.T, f *fixture) {
	for i, size := range sizes {
		b := bytesOf(uint64(i), size)
		s := f.stage(b)
		f.wantOpen(s.Hash(), core.ErrNotHere)
		f.write(func(tx core.Tx) error { return tx.PutBlob(core.BlobRecord{Space: f.space, Hash: s.Hash()}) })
		f.wantOpen(s.Hash(), core.ErrNotHere)
		if f.here(f.space, s.Hash()) {
			f.t.Errorf("%d: here before Commit", size)
		}
		s.Discard()
	}
	f.wantUsage(f.space, 0, 0)
	f.wantOpen(core.Hash{}, core.ErrNotHere)
}

func testDiscard(t *testing.T, f *fixture) {
	b := bytesOf(1, 100_000)
	s := f.stage(b)
	s.Discard()
	s.Discard()
	if _, err := f.commit(s, f.space); err == nil {
		t.Error("Commit after Discard = nil")
	}
	s = f.stage(b)
	if _, err := f.commit(s, f.space); err != nil {
		t.Fatal(err)
	}
	s.Discard()
	f.wantBytes(b)
}

var errTest = errors.New("test")

func testFailedWrite(t *testing.T, f *fixture) {
	for i, size := range []int{0, 10, 100_000, 2 << 20} {
		b := bytesOf(uint64(i), size)
		for name, write := range map[string]func(func(core.Tx) (bool, error)) error{
			"before": func(func(core.Tx) (bool, error)) error { return errTest },
			"after": func(record func(core.Tx) (bool, error)) error {
				return f.store.Write(f.ctx(), func(tx core.Tx) error {
					fresh, err := record(tx)
					if err != nil || !fresh {
						return fmt.Errorf("record = %v, %w", fresh, err)
					}
					return errTest
				})
			},
		} {
			s := f.stage(b)
			if err := s.Commit(f.ctx(), write); !errors.Is(err, errTest) {
				t.Errorf("%d, %s record: Commit = %v, want %v", size, name, err, errTest)
			}
			s.Discard()
			f.wantOpen(sha256.Sum256(b), core.ErrNotHere)
		}
		// What was there before stays.
		f.put(f.space, b)
		s := f.stage(b)
		if err := s.Commit(f.ctx(), func(func(core.Tx) (bool, error)) error { return errTest }); !errors.Is(err, errTest) {
			t.Errorf("%d: Commit = %v, want %v", size, err, errTest)
		}
		f.wantBytes(b)
	}
}

func testPanickingWrite(t *testing.T, f *fixture) {
	for i, size := range []int{10, 100_000} {
		b := bytesOf(uint64(i), size)
		s := f.stage(b)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Commit did not panic")
				}
			}()
			_ = s.Commit(f.ctx(), func(record func(core.Tx) (bool, error)) error {
				return f.store.Write(f.ctx(), func(tx core.Tx) error {
					_, _ = record(tx)
					panic("test")
				})
			})
		}()
		s.Discard()
		f.wantOpen(s.Hash(), core.ErrNotHere)
		f.put(f.space, b) // nothing is locked
	}
}

// counted counts what is read of it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func testLimit(t *testing.T, f *fixture) {
	for _, limit := range sizes {
		r := &counted{r: endless{}}
		if _, err := f.pool.Stage(f.ctx(), r, core.StageOptions{Limit: int64(limit), Size: -1}); !errors.Is(err, core.ErrTooLarge) || r.n != int64(limit)+1 {
			t.Errorf("Stage of an endless reader, limit %d = %v after %d bytes", limit, err, r.n)
		}
		for _, size := range []int{limit, limit + 1} {
			s, err := f.pool.Stage(f.ctx(), bytes.NewReader(make([]byte, size)), core.StageOptions{Limit: int64(limit), Size: -1})
			if errors.Is(err, core.ErrTooLarge) != (size > limit) {
				t.Errorf("Stage of %d bytes, limit %d = %v", size, limit, err)
			}
			if err == nil {
				s.Discard()
			}
		}
	}
}

func testAnnounced(t *testing.T, f *fixture) {
	for _, size := range sizes {
		r := &counted{r: endless{}}
		opts := core.StageOptions{Limit: 1 << 40, Size: int64(size)}
		if _, err := f.pool.Stage(f.ctx(), r, opts); !errors.Is(err, core.ErrSizeMismatch) || errors.Is(err, core.ErrTooLarge) || r.n != int64(size)+1 {
			t.Errorf("Stage of an endless reader, %d bytes announced = %v after %d bytes", size, err, r.n)
		}
		for _, n := range []int{size - 1, size, size + 1} {
			for name, read := range map[string]func(io.Reader) io.Reader{"late EOF": iotest.DataErrReader, "EOF": func(r io.Reader) io.Reader { return r }} {
				s, err := f.pool.Stage(f.ctx(), read(bytes.NewReader(make([]byte, max(n, 0)))), opts)
				if errors.Is(err, core.ErrSizeMismatch) != (max(n, 0) != size) || err == nil != (max(n, 0) == size) {
					t.Errorf("Stage of %d bytes, %d announced, %s = %v", n, size, name, err)
				}
				if err == nil {
					s.Discard()
				}
			}
		}
		// What the reader says comes first.
		if _, err := f.pool.Stage(f.ctx(), io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(errTest)), opts); !errors.Is(err, errTest) {
			t.Errorf("failing after %d bytes: Stage = %v, want %v", size, err, errTest)
		}
		opts.Limit, r.n = opts.Size-1, 0
		if _, err := f.pool.Stage(f.ctx(), r, opts); !errors.Is(err, core.ErrTooLarge) || r.n != 0 {
			t.Errorf("Stage of %d announced bytes, limit %d = %v after %d bytes", opts.Size, opts.Limit, err, r.n)
		}
	}
}

type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

type liar int

func (l liar) Read(p []byte) (int, error) { return len(p) + int(l), nil }

func testFailingReaders(t *testing.T, f *fixture) {
	for _, size := range sizes {
		start := func() io.Reader { return bytes.NewReader(make([]byte, size)) }
		for name, test := range map[string]struct {
			r    io.Reader
			want error
		}{
			"own error": {iotest.ErrReader(errTest), errTest},
			"cut":       {iotest.ErrReader(io.ErrUnexpectedEOF), io.ErrUnexpectedEOF},
			"no bytes":  {lazy{}, io.ErrNoProgress},
		} {
			if _, err := f.pool.Stage(f.ctx(), io.MultiReader(start(), test.r), core.StageOptions{Limit: 1 << 30, Size: -1}); !errors.Is(err, test.want) {
				t.Errorf("%s after %d bytes: Stage = %v, want %v", name, size, err, test.want)
			}
		}
	}
	for _, by := range []liar{1, -1 << 30} {
		if _, err := f.pool.Stage(f.ctx(), by, core.StageOptions{Limit: 1 << 30, Size: -1}); err == nil {
			t.Error("Stage of a reader that lies about what it read = nil")
		}
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic(errTest) }

func testPanickingReader(t *testing.T, f *fixture) {
	for _, size := range []int{0, 100_000, 2 << 20} {
		func() {
			defer func() {
				if recover() != errTest { //nolint:errorlint // the very value
					t.Errorf("after %d bytes: Stage did not panic", size)
				}
			}()
			_, _ = f.pool.Stage(f.ctx(), io.MultiReader(bytes.NewReader(make([]byte, size)), panicking{}), core.StageOptions{Limit: 1 << 30, Size: -1})
		}()
	}
}

func testCancelled(t *testing.T, f *fixture) {
	for _, size := range sizes {
		ctx, cancel := context.WithCancel(f.ctx())
		r := io.MultiReader(bytes.NewReader(make([]byte, size)), readerFunc(func(p []byte) (int, error) {
			cancel()
			return 1, nil
		}))
		if _, err := f.pool.Stage(ctx, r, core.StageOptions{Limit: 1 << 30, Size: -1}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d bytes: Stage = %v", size, err)
		}
		s := f.stage(bytesOf(uint64(size), size))
		err := s.Commit(ctx, func(func(core.Tx) (bool, error)) error {
			return f.store.Write(ctx, func(core.Tx) error { return nil })
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: Commit = %v", err)
		}
		s.Discard()
		f.wantOpen(s.Hash(), core.ErrNotHere)
		f.put(f.space, bytesOf(uint64(size), size))
		if _, err := f.pool.Open(ctx, s.Hash()); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: Open = %v", err)
		}
		_, err = f.pool.Collect(ctx, f.ms.Load())
		_, serr := f.pool.Scrub(ctx, func(core.DamagedBlob) error { return nil })
		if !errors.Is(err, context.Canceled) || !errors.Is(serr, context.Canceled) {
			t.Errorf("cancelled: Collect = %v, Scrub = %v", err, serr)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

func testProgress(t *testing.T, f *fixture) {
	for _, size := range sizes {
		var last int64
		s, err := f.pool.Stage(f.ctx(), bytes.NewReader(make([]byte, size)), core.StageOptions{Limit: int64(size), Size: -1, Progress: func(n int64) {
			if n <= last || n > int64(size) {
				t.Errorf("%d: progress is %d after %d", size, n, last)
			}
			last = n
		}})
		if err != nil || last != int64(size) {
			t.Fatalf("%d: Stage = %v, progress ends at %d", size, err, last)
		}
		s.Discard()
	}
}
