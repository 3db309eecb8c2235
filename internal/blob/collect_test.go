package blob_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/blob"
	"github.com/soma-sdk/soma/internal/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector is a pool of which only Collect is called.
type collector struct {
	core.BlobPool
	before []int64
	err    error
}

func (c *collector) Collect(_ context.Context, beforeMs int64) (core.CollectedBlobs, error) {
	c.before = append(c.before, beforeMs)
	return core.CollectedBlobs{}, c.err
}

// TestCollectsInTheBackground runs for three hours, in which nothing that fails ends it.
func TestCollectsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		pool := &collector{err: errors.New("not now")}
		b := blob.Open(blob.Config{
			Pool: pool, Limits: blob.Limits{Grace: 10 * time.Minute}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		time.Sleep(3 * time.Hour)
		b.Close()
		synctest.Wait()
		if len(pool.before) != 3 {
			t.Fatalf("collected %d times in three hours", len(pool.before))
		}
		for i, ms := range pool.before {
			want := start.Add(time.Minute + time.Duration(i)*time.Hour - 10*time.Minute).UnixMilli()
			if ms != want {
				t.Errorf("run %d collects what is unused since %d, want %d", i, ms, want)
			}
		}
		time.Sleep(3 * time.Hour)
		if len(pool.before) != 3 {
			t.Error("it goes on after Close")
		}
	})
}
