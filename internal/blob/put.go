package blob

import (
	"context"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// Put is how bytes are put into a space.
type Put struct {
	CID      core.CID // that the bytes must have, "" for any
	Size     int64    // that they must have, if Sized
	Sized    bool
	MIME     string // "" for what they look like
	Name     string
	Source   events.EventSource
	Progress func(copied int64)
}

// check returns the hash that the bytes must have, nil for any.
func (p *Put) check(limit int64) (want *core.Hash, err error) {
	if p.CID != "" {
		hash, err := p.CID.Hash()
		if err != nil {
			return nil, err
		}
		want = &hash
	}
	if p.Sized && p.Size > limit {
		return nil, fmt.Errorf("blob of %d bytes, at most %d are allowed: %w", p.Size, limit, core.ErrTooLarge)
	}
	if p.Name != "" {
		if err := log.CheckBlobName(p.Name); err != nil {
			return nil, err
		}
	}
	if p.MIME != "" {
		err = CheckMIME(p.MIME)
	}
	return want, err
}

// CheckMIME returns core.ErrInvalidMIME unless text is a media type, with or without
// parameters, of at most log.MaxMIMEBytes bytes.
func CheckMIME(text string) error {
	if err := log.CheckMIME(text); err != nil {
		return err
	}
	if kind, _, err := mime.ParseMediaType(text); err != nil || !strings.Contains(kind, "/") {
		return fmt.Errorf("media type %q: %w", text, core.ErrInvalidMIME)
	}
	return nil
}

// Put is Stage and Commit.
func (b *Blobs) Put(ctx context.Context, space core.SpaceID, r io.Reader, p Put) (core.BlobRecord, error) {
	staged, err := b.Stage(ctx, space, r, p)
	if err != nil {
		return core.BlobRecord{}, err
	}
	defer staged.Discard()
	return staged.Commit(ctx)
}

// Staged is bytes that a space is to hold. Discard must be called; after Commit it does
// nothing.
type Staged struct {
	core.StagedBlob
	blobs *Blobs
	space core.SpaceID
	put   Put
}

// Stage reads r to its end, into the pool, where nobody sees it yet. It returns the errors
// of core.BlobPool.Stage, core.ErrInvalidCID, core.ErrCIDMismatch, core.ErrSizeMismatch,
// core.ErrInvalidMIME, core.ErrInvalidName, core.ErrQuota, and, before it reads,
// core.ErrNotFound and core.ErrForbidden; nothing is left then.
func (b *Blobs) Stage(ctx context.Context, space core.SpaceID, r io.Reader, p Put) (*Staged, error) {
	want, err := p.check(b.maxBytes())
	if err != nil {
		return nil, b.quotaOf(err)
	}
	if err := b.log.MayPutBlobs(ctx, space); err != nil {
		return nil, err
	}
	opts := core.StageOptions{Limit: b.maxBytes(), Size: -1, Progress: p.Progress}
	if p.Sized {
		opts.Size = p.Size
	}
	staged, err := b.pool.Stage(ctx, r, opts)
	if err != nil {
		return nil, b.quotaOf(err)
	}
	if want != nil && staged.Hash() != *want {
		staged.Discard()
		return nil, fmt.Errorf("%s is expected, the bytes are %s: %w", p.CID, core.CIDFromHash(staged.Hash()), core.ErrCIDMismatch)
	}
	return &Staged{staged, b, space, p}, nil
}

// Commit has the space hold the bytes, in one transaction after they are durable. It returns
// core.ErrQuota, core.ErrNotFound and core.ErrForbidden; nothing is left then.
func (s *Staged) Commit(ctx context.Context) (rec core.BlobRecord, err error) {
	b := s.blobs
	put := core.NewBlob{Hash: s.Hash(), Size: s.Size(), MIME: s.put.MIME, Name: s.put.Name}
	if put.MIME == "" {
		if put.MIME, err = b.detect(ctx, s.space, s.StagedBlob); err != nil {
			return core.BlobRecord{}, err
		}
	}
	err = s.StagedBlob.Commit(ctx, func(record func(core.Tx) (bool, error)) error {
		rec, err = b.log.PutBlob(ctx, s.space, put, s.put.Source, func(tx core.Tx, key int64, put func() error) (fresh bool, err error) {
			err = b.withinQuotas(tx, key, func() error {
				if err := put(); err != nil {
					return err
				}
				fresh, err = record(tx)
				return err
			})
			return fresh, err
		})
		return err
	})
	return rec, err
}

// detect returns what bytes look like, or "" if the space says what they are already.
func (b *Blobs) detect(ctx context.Context, space core.SpaceID, staged core.StagedBlob) (string, error) {
	known, err := b.log.Blob(ctx, space, staged.Hash())
	if err == nil && known.MIME != "" {
		return "", nil
	}
	if err != nil && !isNotFound(err) {
		return "", err
	}
	return mimetype.Detect(staged.Head()).String(), nil
}

// withinQuotas runs fn, and returns core.ErrQuota if it makes a quota exceeded, or more so.
func (b *Blobs) withinQuotas(v core.BlobView, space int64, fn func() error) error {
	quotas := []struct {
		of    string
		limit int64
		key   int64
		was   core.BlobUsage
	}{{of: "all spaces", limit: b.limits.Quota}, {of: "the space", limit: b.limits.SpaceQuota, key: space}}
	var err error
	for i := range quotas {
		if quotas[i].limit == 0 {
			continue
		}
		if quotas[i].was, err = v.BlobUsage(quotas[i].key); err != nil {
			return err
		}
	}
	if err := fn(); err != nil {
		return err
	}
	for _, q := range quotas {
		if q.limit == 0 {
			continue
		}
		is, err := v.BlobUsage(q.key)
		if err != nil {
			return err
		}
		if is.Bytes > max(q.limit, q.was.Bytes) {
			return fmt.Errorf("%d bytes would be in %s, at most %d are allowed: %w", is.Bytes, q.of, q.limit, core.ErrQuota)
		}
	}
	return nil
}
