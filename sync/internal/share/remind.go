package share

import (
	"context"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// Limits of reminding.
const (
	// MaxReminds bounds the spaces of which a peer is reminded at a time.
	MaxReminds = 8
	// RemindTime is how long a peer is not reminded again of a space that it did not remember.
	RemindTime = 10 * time.Minute
)

// Remind returns those of the spaces of which the peer, which does not show them, is to be
// reminded now, and notes that it is: up to MaxReminds.
func (p *Pair) Remind(spaces []core.SpaceID) (due []core.SpaceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, space := range spaces {
		n := p.name(space)
		if n == nil || !n.reminded.IsZero() && time.Since(n.reminded) < RemindTime {
			continue
		}
		if len(due) == MaxReminds {
			break
		}
		n.reminded = time.Now()
		due = append(due, space)
	}
	return due
}

// Reminded returns the space that the peer calls by a tag although it may not see it, as far
// as is known here. Else, and if the peer reminds too often, or was of no help with that space
// before (Doubt), it returns core.ErrNotFound.
func (p *Pair) Reminded(ctx context.Context, tag Tag) (core.SpaceID, error) {
	var found core.SpaceID
	err := p.search(ctx, func(space core.SpaceID, _ core.Hash, called Tag) error {
		if called == tag {
			found = space
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if found == "" {
		return "", errUnknown
	}
	if may, err := p.May(ctx, found); err != nil {
		return "", err
	} else if may {
		return "", errUnknown
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.name(found); n == nil || n.doubted {
		return "", errUnknown
	}
	return found, nil
}

// Doubt has the peer not listened to any more when it reminds of a space.
func (p *Pair) Doubt(space core.SpaceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.name(space); n != nil {
		n.doubted = true
	}
}
