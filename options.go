package soma

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"time"

	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/mailbox"
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

func collect(opts []Option) (*options, error) {
	o := &options{logger: slog.New(slog.DiscardHandler), now: time.Now}
	o.drafts = mailbox.Limits{TTL: DefaultDraftTTL, Drafts: DefaultMaxDrafts, SnippetBytes: DefaultMaxDraftSnippet}
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
