//go:build cgo

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/core"
)

// TestPoolClosesDuringStage closes a store while the readers of bytes block, and opens it
// again before they go on: they touch nothing of it.
func TestPoolClosesDuringStage(t *testing.T) {
	for _, size := range []int{0, 100, 20_000, 300_000, 3 << 20} {
		for name, last := range map[string]error{"EOF": io.EOF, "error": errors.New("failed")} {
			t.Run(fmt.Sprintf("%d/%s", size, name), func(t *testing.T) {
				ignore := goleak.IgnoreCurrent()
				s := newPoolSite(t, t.TempDir())
				r, w := io.Pipe()
				done := make(chan error, 1)
				go func(pool core.BlobPool) {
					_, err := pool.Stage(context.Background(), r, core.StageOptions{Limit: 1 << 30, Size: -1})
					done <- err
				}(s.pool)
				_, err := w.Write(make([]byte, size)) // returns when all was read
				s.must(err)
				mustClose(t, s.db)
				if all := s.files(); len(all) != 0 {
					t.Errorf("after Close there are %q", all)
				}
				s.open()
				b := randomBytes(1, 200_000)
				staged, err := s.pool.Stage(context.Background(), bytes.NewReader(b), core.StageOptions{Limit: 1 << 30, Size: -1})
				s.must(err)
				before := s.files()
				s.must(w.CloseWithError(last))
				if err := <-done; !errors.Is(err, core.ErrClosed) {
					t.Errorf("Stage = %v, want ErrClosed", err)
				}
				if after := s.files(); len(before) != 1 || len(after) != 1 || after[0] != before[0] {
					t.Errorf("files were %q, are %q", before, after)
				}
				s.must(staged.Commit(context.Background(), func(record func(core.Tx) (bool, error)) error {
					return s.db.Write(context.Background(), func(tx core.Tx) error {
						_, err := record(tx)
						return err
					})
				}))
				s.wantBytes(hashOf(b), b)
				mustClose(t, s.db)
				goleak.VerifyNone(t, ignore)
			})
		}
	}
}

// TestPoolClosesInProgress closes a store from what is called with the progress.
func TestPoolClosesInProgress(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	_, err := s.pool.Stage(context.Background(), bytes.NewReader(make([]byte, 300_000)), core.StageOptions{
		Limit: 1 << 30, Size: -1, Progress: func(int64) { mustClose(t, s.db) },
	})
	if !errors.Is(err, core.ErrClosed) {
		t.Errorf("Stage = %v, want ErrClosed", err)
	}
	if all := s.files(); len(all) != 0 {
		t.Errorf("left are %q", all)
	}
}

// TestPoolRemovesStaged closes a store with bytes that nobody committed.
func TestPoolRemovesStaged(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	staged, err := s.pool.Stage(context.Background(), bytes.NewReader(make([]byte, 300_000)), core.StageOptions{Limit: 1 << 30, Size: -1})
	s.must(err)
	mustClose(t, s.db)
	if all := s.files(); len(all) != 0 {
		t.Errorf("left are %q", all)
	}
	if err := staged.Commit(context.Background(), nil); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Commit = %v, want ErrClosed", err)
	}
	staged.Discard()
}

// TestPoolPanicAfterClose has a reader that panics once the store is closed.
func TestPoolPanicAfterClose(t *testing.T) {
	s := newPoolSite(t, t.TempDir())
	defer func() {
		if recover() != "test" {
			t.Error("Stage did not panic")
		}
		if all := s.files(); len(all) != 0 {
			t.Errorf("left are %q", all)
		}
	}()
	_, _ = s.pool.Stage(context.Background(), io.MultiReader(bytes.NewReader(make([]byte, 300_000)), panicsClosing{s}), core.StageOptions{Limit: 1 << 30, Size: -1})
}

type panicsClosing struct{ s *poolSite }

func (p panicsClosing) Read([]byte) (int, error) {
	mustClose(p.s.t, p.s.db)
	panic("test")
}
