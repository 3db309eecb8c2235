package blob

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// The defaults of Limits.
const (
	DefaultBytes = 4 << 30
	DefaultGrace = time.Hour
)

// MaxBytes bounds Limits.Bytes.
const MaxBytes = 64 << 30

// Limits say what is kept.
type Limits struct {
	Bytes      int64         // of one blob
	Quota      int64         // of all that spaces hold and that is here, 0 for none
	SpaceQuota int64         // of one space, 0 for none
	Grace      time.Duration // how long bytes stay that no space holds any more
}

// Config is what Blobs are made of. All fields are required.
type Config struct {
	Pool   core.BlobPool
	Log    Log
	Limits Limits
	Now    func() time.Time
	Logger *slog.Logger
}

// Blobs are the blobs of one directory. They are safe for concurrent use.
type Blobs struct {
	pool   core.BlobPool
	log    Log
	limits Limits
	now    func() time.Time
	logger *slog.Logger

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open returns the blobs of an open store, and starts to remove what is not used in the
// background. Close must be called before the store is closed.
func Open(c Config) *Blobs {
	background, stop := context.WithCancel(context.Background())
	b := &Blobs{pool: c.Pool, log: c.Log, limits: c.Limits, now: c.Now, logger: c.Logger, stop: stop}
	b.done.Go(func() { b.collect(background) })
	return b
}

// Close ends the background work. It does not close the store.
func (b *Blobs) Close() {
	b.stop()
	b.done.Wait()
}

// collectFirst and collectEvery say when unused bytes are removed.
const (
	collectFirst = time.Minute
	collectEvery = time.Hour
)

func (b *Blobs) collect(ctx context.Context) {
	next := time.NewTimer(collectFirst)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		if _, err := b.Collect(ctx); err != nil && ctx.Err() == nil {
			b.logger.Warn("unused blobs not removed", "err", err)
		}
		next.Reset(collectEvery)
	}
}

// Collect removes bytes that no space has held for as long as Limits.Grace.
func (b *Blobs) Collect(ctx context.Context) (core.CollectedBlobs, error) {
	return b.pool.Collect(ctx, b.now().Add(-b.limits.Grace).UnixMilli())
}

// Scrub hashes all bytes. It is core.BlobPool.Scrub.
func (b *Blobs) Scrub(ctx context.Context, fn func(core.DamagedBlob) error) (core.ScrubbedBlobs, error) {
	return b.pool.Scrub(ctx, fn)
}

// Open opens the bytes of a blob that a space holds. It returns core.ErrNotFound,
// core.ErrNotHere and core.ErrCorrupt.
func (b *Blobs) Open(ctx context.Context, space core.SpaceID, cid core.CID) (core.BlobRecord, core.BlobContent, error) {
	rec, err := b.Stat(ctx, space, cid)
	if err != nil {
		return rec, nil, err
	}
	content, err := b.pool.Open(ctx, rec.Hash)
	if err != nil {
		return rec, nil, err
	}
	rec.Size = content.Size() // which is true, whatever its author says
	return rec, content, nil
}

// Stat returns core.ErrNotFound for a blob that the space does not hold.
func (b *Blobs) Stat(ctx context.Context, space core.SpaceID, cid core.CID) (core.BlobRecord, error) {
	hash, err := cid.Hash()
	if err != nil {
		return core.BlobRecord{}, err
	}
	return b.log.Blob(ctx, space, hash)
}

// Page returns up to limit blobs of a space that come after a hash.
func (b *Blobs) Page(ctx context.Context, space core.SpaceID, after core.Hash, limit int) ([]core.BlobRecord, error) {
	return b.log.Blobs(ctx, space, after, limit)
}

// Remove has a space hold a blob no more. It returns core.ErrNotFound and core.ErrForbidden.
func (b *Blobs) Remove(ctx context.Context, space core.SpaceID, cid core.CID, source events.EventSource) error {
	hash, err := cid.Hash()
	if err != nil {
		return err
	}
	return b.log.RemoveBlob(ctx, space, hash, source)
}

// Usage returns how much of a space is here, of all spaces for "".
func (b *Blobs) Usage(ctx context.Context, space core.SpaceID) (core.BlobUsage, error) {
	return b.log.BlobUsage(ctx, space)
}

// quotaOf adds to core.ErrTooLarge that the quota is what is exceeded, where it is.
func (b *Blobs) quotaOf(err error) error {
	if errors.Is(err, core.ErrTooLarge) && b.maxBytes() < b.limits.Bytes {
		return fmt.Errorf("more than the whole quota of %d bytes: %w", b.maxBytes(), core.ErrQuota)
	}
	return err
}

// maxBytes is how large a blob can be that fits at all.
func (b *Blobs) maxBytes() int64 {
	limit := b.limits.Bytes
	for _, quota := range []int64{b.limits.Quota, b.limits.SpaceQuota} {
		if quota > 0 {
			limit = min(limit, quota)
		}
	}
	return limit
}

func isNotFound(err error) bool { return errors.Is(err, core.ErrNotFound) }
