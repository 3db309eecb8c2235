// Package blobtest is the conformance suite of core.BlobPool: any implementation that
// passes it, beside a core.Store, can take the place of the pool of package store.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// Open opens a store and its pool in a directory. Closing the store closes both.
type Open func(t *testing.T, dir string, now func() time.Time) (core.Store, core.BlobPool)

// Run checks the pool that open returns. open is called with a fresh directory or with one
// that an earlier, closed store used; the suite closes what it opens.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"Put", testPut},
		{"PutAgain", testPutAgain},
		{"Unseen", testUnseen},
		{"Discard", testDiscard},
		{"FailedWrite", testFailedWrite},
		{"PanickingWrite", testPanickingWrite},
		{"Limit", testLimit},
		{"Announced", testAnnounced},
		{"FailingReaders", testFailingReaders},
		{"PanickingReader", testPanickingReader},
		{"Cancelled", testCancelled},
		{"Progress", testProgress},
		{"Content", testContent},
		{"Usage", testUsage},
		{"UsageAtRandom", testUsageAtRandom},
		{"ClaimedSizes", testClaimedSizes},
		{"Collect", testCollect},
		{"CollectWhatCameBack", testCollectBack},
		{"CollectOpen", testCollectOpen},
		{"CollectUnheld", testCollectUnheld},
		{"Scrub", testScrub},
		{"Coming", testComing},
		{"ComingAgain", testComingAgain},
		{"ComingWrong", testComingWrong},
		{"ComingTwice", testComingTwice},
		{"ComingSizes", testComingSizes},
		{"Forget", testForget},
		{"ComingUnwanted", testComingUnwanted},
		{"ComingFailedWrite", testComingFailedWrite},
		{"ComingClosed", testComingClosed},
		{"Together", testTogether},
		{"Closed", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := &fixture{t: t, dir: t.TempDir(), opens: open}
			f.ms.Store(1_700_000_000_000)
			f.open()
			t.Cleanup(f.close)
			f.space, f.other = f.newSpace("a"), f.newSpace("b")
			test.run(t, f)
			f.wantCounted()
		})
	}
}

// sizes are those at which pools change what they do.
var sizes = []int{0, 1, 100, 4 << 10, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 17}

// fixture is one store with its pool under test.
type fixture struct {
	t            *testing.T
	dir          string
	opens        Open
	store        core.Store
	pool         core.BlobPool
	closed       bool
	ms           atomic.Int64 // the clock
	space, other int64
}

func (f *fixture) open() {
	f.store, f.pool = f.opens(f.t, f.dir, func() time.Time { return time.UnixMilli(f.ms.Load()) })
	f.closed = false
}

func (f *fixture) close() {
	f.t.Helper()
	if f.closed {
		return
	}
	f.closed = true
	if err := f.store.Close(); err != nil {
		f.t.Errorf("Close() = %v", err)
	}
}

func (f *fixture) reopen() {
	f.t.Helper()
	f.close()
	f.open()
}

func (f *fixture) ctx() context.Context { return f.t.Context() }

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) write(fn func(core.Tx) error) {
	f.t.Helper()
	f.must(f.store.Write(f.ctx(), fn))
}

func (f *fixture) newSpace(id core.SpaceID) int64 {
	f.t.Helper()
	rec := core.SpaceRecord{ID: id}
	f.write(func(tx core.Tx) error { return tx.PutSpace(&rec) })
	return rec.Key
}

// bytesOf returns n bytes that differ by seed.
func bytesOf(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func (f *fixture) stage(b []byte) core.StagedBlob {
	f.t.Helper()
	s, err := f.pool.Stage(f.ctx(), bytes.NewReader(b), core.StageOptions{Limit: 1 << 30, Size: -1})
	if err != nil {
		f.t.Fatalf("Stage of %d bytes = %v", len(b), err)
	}
	return s
}

// commit has a space hold staged bytes, in the transaction that says so.
func (f *fixture) commit(s core.StagedBlob, space int64) (fresh bool, err error) {
	err = s.Commit(f.ctx(), func(record func(core.Tx) (bool, error)) error {
		return f.store.Write(f.ctx(), func(tx core.Tx) error {
			err := tx.PutBlob(core.BlobRecord{Space: space, Hash: s.Hash(), Size: s.Size()})
			if err == nil {
				fresh, err = record(tx)
			}
			return err
		})
	})
	return fresh, err
}

func (f *fixture) put(space int64, b []byte) (core.Hash, bool) {
	f.t.Helper()
	s := f.stage(b)
	defer s.Discard()
	fresh, err := f.commit(s, space)
	if err != nil {
		f.t.Fatalf("Commit of %d bytes = %v", len(b), err)
	}
	return s.Hash(), fresh
}

func (f *fixture) remove(space int64, hash core.Hash) {
	f.t.Helper()
	f.write(func(tx core.Tx) error { return tx.DeleteBlob(space, hash, f.ms.Load()) })
}

func (f *fixture) here(space int64, hash core.Hash) bool {
	f.t.Helper()
	var rec core.BlobRecord
	err := f.store.Read(f.ctx(), func(v core.View) (err error) {
		rec, err = v.Blob(space, hash)
		return err
	})
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		f.t.Fatal(err)
	}
	return rec.Here
}

func (f *fixture) wantBytes(b []byte) {
	f.t.Helper()
	c, err := f.pool.Open(f.ctx(), sha256.Sum256(b))
	if err != nil {
		f.t.Fatalf("Open of %d bytes = %v", len(b), err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, b) || c.Size() != int64(len(b)) {
		f.t.Errorf("read %d bytes, Size %d, %v, want the %d that were put", len(got), c.Size(), err, len(b))
	}
	f.must(c.Close())
}

func (f *fixture) wantOpen(hash core.Hash, want error) {
	f.t.Helper()
	c, err := f.pool.Open(f.ctx(), hash)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, want) {
		f.t.Errorf("Open(%.4s) = %v, want %v", hash, err, want)
	}
}

func (f *fixture) usage(space int64) (u core.BlobUsage) {
	f.t.Helper()
	f.must(f.store.Read(f.ctx(), func(v core.View) (err error) {
		u, err = v.BlobUsage(space)
		return err
	}))
	return u
}

func (f *fixture) wantUsage(space, blobs, bytes int64) {
	f.t.Helper()
	if got, want := f.usage(space), (core.BlobUsage{Blobs: blobs, Bytes: bytes}); got != want {
		f.t.Errorf("usage of space %d is %+v, want %+v", space, got, want)
	}
}

// collect removes what was unused before this moment of the clock, or at it.
func (f *fixture) collect(wantBlobs int, wantBytes int64) {
	f.t.Helper()
	done, err := f.pool.Collect(f.ctx(), f.ms.Load())
	if want := (core.CollectedBlobs{Blobs: wantBlobs, Bytes: wantBytes}); err != nil || done != want {
		f.t.Errorf("Collect = %+v, %v, want %+v", done, err, want)
	}
}

// wantCounted compares the counters with what the spaces hold, by reading all of it.
func (f *fixture) wantCounted() {
	f.t.Helper()
	if f.closed {
		return
	}
	var total core.BlobUsage
	seen := map[core.Hash]bool{}
	for _, space := range []int64{f.space, f.other} {
		var recs []core.BlobRecord
		f.must(f.store.Read(f.ctx(), func(v core.View) (err error) {
			recs, err = v.Blobs(space, core.Hash{}, 1<<20)
			return err
		}))
		var u core.BlobUsage
		for _, rec := range recs {
			if !rec.Here {
				continue
			}
			c, err := f.pool.Open(f.ctx(), rec.Hash)
			if err != nil {
				f.t.Errorf("Open of what is here = %v", err)
				continue
			}
			u.Blobs, u.Bytes = u.Blobs+1, u.Bytes+c.Size()
			if !seen[rec.Hash] {
				seen[rec.Hash] = true
				total.Blobs, total.Bytes = total.Blobs+1, total.Bytes+c.Size()
			}
			_ = c.Close()
		}
		f.wantUsage(space, u.Blobs, u.Bytes)
	}
	f.wantUsage(0, total.Blobs, total.Bytes)
	f.must(f.store.Read(f.ctx(), func(v core.View) error {
		return v.Check(func(d core.Damage) error { return fmt.Errorf("check found %+v", d) })
	}))
}
