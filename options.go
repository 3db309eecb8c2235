package soma

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"time"

	"github.com/soma-sdk/soma/internal/blob"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/upload"
)

// Option configures Open.
type Option func(*options) error

type options struct {
	logger   *slog.Logger
	now      func() time.Time
	relaxed  bool
	identity *identity.Identity
	noSearch bool
	drafts   mailbox.Limits
	blobs    blob.Limits

	uploads    upload.Limits
	uploadSink UploadSink // nil for the blobs

	node       SyncNode // nil without
	manualSync bool
}

// WithLogger sets where the DB reports what no call can return, such as a failure
// of background work. The default discards it.
func WithLogger(logger *slog.Logger) Option {
	return func(o *options) error {
		if logger == nil {
			return fmt.Errorf("nil logger: %w", ErrInvalidOption)
		}
		o.logger = logger
		return nil
	}
}

// WithIdentity makes the DB act as the member with this key, which the host keeps.
// By default the key is in the directory, in identity.key, made at the first Open.
// Two directories may have the same key: they are two devices of one member.
func WithIdentity(key ed25519.PrivateKey) Option {
	return func(o *options) error {
		id, err := identity.FromKey(key)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidOption, err)
		}
		o.identity = &id
		return nil
	}
}

// WithRelaxedDurability lets calls return before their data is on the disk. A
// crash of the process loses nothing; a power failure may lose the newest writes,
// but never their order and never what a peer has seen.
func WithRelaxedDurability() Option {
	return func(o *options) error {
		o.relaxed = true
		return nil
	}
}

// WithClock sets the clock. The default is time.Now.
func WithClock(now func() time.Time) Option {
	return func(o *options) error {
		if now == nil {
			return fmt.Errorf("nil clock: %w", ErrInvalidOption)
		}
		o.now = now
		return nil
	}
}

// WithoutSearch turns Documents.Search off: nothing is indexed, and the index that an
// earlier Open made is deleted.
func WithoutSearch() Option {
	return func(o *options) error {
		o.noSearch = true
		return nil
	}
}

// WithMaxBlobBytes bounds one blob that is put here, from 1 to MaxBlobBytes.
func WithMaxBlobBytes(n int64) Option {
	return func(o *options) error {
		if n < 1 || n > MaxBlobBytes {
			return fmt.Errorf("blobs of %d bytes, 1 to %d are allowed: %w", n, int64(MaxBlobBytes), ErrInvalidOption)
		}
		o.blobs.Bytes = n
		return nil
	}
}

// WithBlobQuota bounds the bytes that blobs take on this machine, those of all spaces
// together, each once. A Put beyond it is ErrQuota. There is none by default. What is here
// already stays; what was removed does not count.
func WithBlobQuota(n int64) Option {
	return withQuota(n, func(limits *blob.Limits) { limits.Quota = n })
}

// WithSpaceBlobQuota is WithBlobQuota for each space by itself.
func WithSpaceBlobQuota(n int64) Option {
	return withQuota(n, func(limits *blob.Limits) { limits.SpaceQuota = n })
}

func withQuota(n int64, set func(*blob.Limits)) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("quota of %d bytes: %w", n, ErrInvalidOption)
		}
		set(&o.blobs)
		return nil
	}
}

// WithBlobGracePeriod sets how long bytes stay on the disk that no space holds any more,
// DefaultBlobGracePeriod by default. It may be 0.
func WithBlobGracePeriod(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("grace period of %v: %w", d, ErrInvalidOption)
		}
		o.blobs.Grace = d
		return nil
	}
}

func collect(opts []Option) (*options, error) {
	o := &options{logger: slog.New(slog.DiscardHandler), now: time.Now}
	o.drafts = mailbox.Limits{TTL: DefaultDraftTTL, Drafts: DefaultMaxDrafts, SnippetBytes: DefaultMaxDraftSnippet}
	o.blobs = blob.Limits{Bytes: DefaultMaxBlobBytes, Grace: DefaultBlobGracePeriod}
	o.uploads = upload.Limits{
		Workers: DefaultUploadWorkers, Attempts: DefaultUploadAttempts, FirstWait: DefaultUploadFirstWait, MaxWait: DefaultUploadMaxWait,
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("nil option: %w", ErrInvalidOption)
		}
		if err := opt(o); err != nil {
			return nil, err
		}
	}
	return o, nil
}
