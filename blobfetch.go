package soma

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/soma-sdk/soma/internal/core"
)

// PinPolicy says which bytes of a space's blobs are to be on this machine. It is never sent
// to another.
type PinPolicy = core.PinPolicy

// The policies.
const (
	// PinOnDemand is for those that Want, or Open with WithFetch, asked for. It is the default.
	PinOnDemand = core.PinOnDemand
	// PinAll is for all, as a device that serves others has them.
	PinAll = core.PinAll
	// PinNone is for those that are put here. Nothing is fetched: what was asked for
	// waits until there is another policy.
	PinNone = core.PinNone
)

// OpenOption is an option of Blobs.Open.
type OpenOption func(*openOptions) error

type openOptions struct {
	fetch    bool
	progress func(done, size int64)
}

// WithFetch lets Open wait until the bytes have come from another member, before all that
// nobody waits for. If ctx ends, or sync does, they are wanted all the same, as after Want.
// Open then also returns ErrSyncOff without a sync node that runs, ErrPinNone, ErrQuota,
// ErrTooLarge and ErrDiskFull, which it also is if too little of the disk would stay free.
// Damaged bytes come anew.
func WithFetch() OpenOption {
	return func(o *openOptions) error {
		o.fetch = true
		return nil
	}
}

// WithProgress lets WithFetch tell how many bytes have come, of how many as the space
// says, in the goroutine that called Open. fn must not be slow. It is not called for bytes
// that are here.
func WithProgress(fn func(done, size int64)) OpenOption {
	return func(o *openOptions) error {
		if fn == nil {
			return fmt.Errorf("nil progress: %w", ErrInvalidOption)
		}
		o.progress = fn
		return nil
	}
}

func collectOpen(opts []OpenOption) (*openOptions, error) {
	o := &openOptions{}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		if err := opt(o); err != nil {
			return nil, err
		}
	}
	if o.progress != nil && !o.fetch {
		return nil, fmt.Errorf("progress without WithFetch: %w", ErrInvalidOption)
	}
	return o, nil
}

// bring waits for the bytes of a blob. Whatever becomes of that, they are wanted.
func (b Blobs) bring(ctx context.Context, space SpaceID, cid CID, o *openOptions) error {
	hash, err := cid.Hash()
	if err != nil {
		return err
	}
	if err := b.db.blobs.Want(ctx, space, hash); err != nil {
		return err
	}
	if b.db.node == nil {
		return fmt.Errorf("%w: %w", ErrNotHere, ErrSyncOff)
	}
	return b.db.node.Fetch(ctx, space, hash, o.progress)
}

// Want has the bytes of a blob come to this machine, from whichever member has them, when
// one is connected. It returns at once: what is wanted is remembered, also by a DB that
// does not sync now, until it is here, or Unwant. A DomainEvent with ReasonBlobs says that
// bytes have come. Those that are here need not. Errors: those of Blobs, ErrPinNone.
func (b Blobs) Want(ctx context.Context, space SpaceID, cid CID) error {
	return b.wanting(space, cid, "want", func(hash core.Hash) error { return b.db.blobs.Want(ctx, space, hash) })
}

// Unwant takes Want back, and removes what has come, unless another space wants it. With
// PinAll the blob is wanted all the same. Errors: those of Blobs, but none for a blob that
// is not held, or not wanted.
func (b Blobs) Unwant(ctx context.Context, space SpaceID, cid CID) error {
	return b.wanting(space, cid, "unwant", func(hash core.Hash) error { return b.db.blobs.Unwant(ctx, space, hash) })
}

func (b Blobs) wanting(space SpaceID, cid CID, op string, do func(core.Hash) error) error {
	if err := b.begin(space); err != nil {
		return err
	}
	defer b.db.end()
	hash, err := cid.Hash()
	if err == nil {
		err = do(hash)
	}
	return aboutBlob(op, cid, err)
}

// Wanted iterates over the blobs of a space whose bytes are to come here, and have not, in
// an order that says nothing: those of Want, and what the policy says. It reads as List does.
func (b Blobs) Wanted(ctx context.Context, space SpaceID) iter.Seq2[BlobInfo, error] {
	return func(yield func(BlobInfo, error) bool) {
		for after := (core.WantedBlob{}); ; {
			page, err := b.wantedPage(ctx, space, after)
			if err != nil {
				yield(BlobInfo{}, fmt.Errorf("list wanted blobs: %w", err))
				return
			}
			for _, want := range page {
				after = want
				info, err := b.Stat(ctx, space, core.CIDFromHash(want.Hash))
				if errors.Is(err, ErrNotFound) {
					continue // it was removed meanwhile
				}
				if !yield(info, err) || err != nil {
					return
				}
			}
			if len(page) < blobsPage {
				return
			}
		}
	}
}

func (b Blobs) wantedPage(ctx context.Context, space SpaceID, after core.WantedBlob) ([]core.WantedBlob, error) {
	if err := b.begin(space); err != nil {
		return nil, err
	}
	defer b.db.end()
	return b.db.blobs.Wanted(ctx, space, after, blobsPage)
}

// SetPin says which bytes of a space are to be on this machine, from now on. What is here
// stays. Errors: those of Blobs, ErrInvalidOption.
func (b Blobs) SetPin(ctx context.Context, space SpaceID, policy PinPolicy) error {
	if err := b.begin(space); err != nil {
		return err
	}
	defer b.db.end()
	if err := b.db.blobs.SetPin(ctx, space, policy); err != nil {
		return fmt.Errorf("pin blobs: %w", err)
	}
	return nil
}

// Pin returns what SetPin said. Errors: those of Blobs.
func (b Blobs) Pin(ctx context.Context, space SpaceID) (PinPolicy, error) {
	if err := b.begin(space); err != nil {
		return PinOnDemand, err
	}
	defer b.db.end()
	policy, err := b.db.blobs.Pin(ctx, space)
	if err != nil {
		return PinOnDemand, fmt.Errorf("pin policy: %w", err)
	}
	return policy, nil
}
