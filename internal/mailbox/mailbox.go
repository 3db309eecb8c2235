package mailbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// The defaults of Limits.
const (
	DefaultTTL          = 30 * 24 * time.Hour
	DefaultDrafts       = 1000
	DefaultSnippetBytes = 64 << 10
)

// MaxDrafts bounds Limits.Drafts.
const MaxDrafts = 10_000

// MaxClockSkew is how far ahead of the clock a draft may be.
const MaxClockSkew = 24 * time.Hour

// MaxClearedPerDocument bounds the cleared drafts that one document keeps.
const MaxClearedPerDocument = 8

// Limits say what a mailbox keeps. All are positive.
type Limits struct {
	TTL          time.Duration // from Draft.UpdatedAtMs
	Drafts       int           // with cleared ones
	SnippetBytes int
}

// Mailbox is the drafts of one directory. It is safe for concurrent use.
type Mailbox struct {
	store  core.Store
	now    func() time.Time
	logger *slog.Logger
	limits Limits
	topic  *events.Topic[Change]

	mirror  func(Change, Numbered)
	authors authors
}

// Open returns the mailbox of an open store, without drafts that are past their time or
// beyond the limits. Close must be called before the store is closed.
func Open(ctx context.Context, store core.Store, now func() time.Time, logger *slog.Logger, limits Limits) (*Mailbox, error) {
	m := &Mailbox{
		store: store, now: now, logger: logger, limits: limits, authors: authors{},
		topic: events.NewTopic(func() events.Pending[Change] { return newChanges(MaxPendingChanges) }),
	}
	var excess bool
	err := store.Read(ctx, func(v core.View) error {
		n, oldestMs, err := v.DraftTotals()
		excess = n > limits.Drafts || n > 0 && m.isPast(oldestMs)
		return err
	})
	if err == nil && excess {
		err = m.write(ctx, (*job).sweep)
	}
	switch {
	case errors.Is(err, core.ErrCorrupt): // Verify needs an open directory
		logger.Error("drafts cannot be read", "err", err)
	case err != nil:
		return nil, fmt.Errorf("open mailbox: %w", err)
	}
	return m, nil
}

// Close ends all subscriptions. It does not close the store.
func (m *Mailbox) Close() { m.topic.Close() }

// Watch returns what changes from now on. It is events.Topic.Subscribe.
func (m *Mailbox) Watch(ctx context.Context) <-chan Change { return m.topic.Subscribe(ctx) }

// Mirror has fn called with each change of a live draft, which is the zero one unless it is
// there afterwards, and with its number, after the commit. fn must not wait. It is called
// once, before anything else uses the mailbox.
func (m *Mailbox) Mirror(fn func(Change, Numbered)) { m.mirror = fn }

// Save stores a draft in place of the live one of its document, unless that one is newer.
// It returns what Draft.Validate does, and core.ErrTooLarge, core.ErrInvalidTime and
// core.ErrClockSkew for what is beyond the limits.
func (m *Mailbox) Save(ctx context.Context, d Draft) error {
	if err := m.check(&d); err != nil {
		return err
	}
	return m.write(ctx, func(j *job) error {
		if rec, err := j.save(&d); err != nil || rec == nil {
			return err
		}
		return j.sweep()
	})
}

func (m *Mailbox) check(d *Draft) error {
	if err := d.Validate(); err != nil {
		return err
	}
	now := m.now()
	switch {
	case len(d.Snippet) > m.limits.SnippetBytes:
		return tooLong("snippet", len(d.Snippet), m.limits.SnippetBytes)
	case m.isPast(d.UpdatedAtMs):
		return invalid(fmt.Errorf("updatedAtMs %d is more than %v ago: %w", d.UpdatedAtMs, m.limits.TTL, core.ErrInvalidTime))
	case d.UpdatedAtMs > now.Add(MaxClockSkew).UnixMilli():
		return invalid(fmt.Errorf("updatedAtMs %d is more than %v ahead: %w", d.UpdatedAtMs, MaxClockSkew, core.ErrClockSkew))
	}
	return nil
}

// isPast reports whether a draft of that time has come to its end.
func (m *Mailbox) isPast(updatedAtMs int64) bool {
	return updatedAtMs <= m.now().Add(-m.limits.TTL).UnixMilli()
}

// Get returns the live draft of a document, core.ErrNotFound for none, and
// core.ErrCorrupt for one that is damaged.
func (m *Mailbox) Get(ctx context.Context, space core.SpaceID, doc core.DocumentID) (Draft, error) {
	if err := checkIDs(space, doc); err != nil {
		return Draft{}, err
	}
	var rec core.DraftRecord
	err := m.store.Read(ctx, func(v core.View) (err error) {
		rec, err = v.Draft(space, doc)
		if errors.Is(err, core.ErrNotFound) {
			err = cmp.Or(missing(v, space, doc), err)
		}
		return err
	})
	if err == nil && !rec.Damaged && m.isPast(rec.UpdatedAtMs) {
		err = core.ErrNotFound
	}
	if err != nil {
		return Draft{}, err
	}
	return draftOf(&rec)
}

// missing returns core.ErrCorrupt where a draft is damaged which may be the live one.
func missing(v core.View, space core.SpaceID, doc core.DocumentID) error {
	cleared, err := v.ClearedDrafts(space, doc)
	for i := range cleared {
		if cleared[i].Damaged {
			return fmt.Errorf("a draft of document %q: %w", doc, core.ErrCorrupt)
		}
	}
	return err
}

// ClearedDraft is a draft that was cleared.
type ClearedDraft struct {
	Draft       Draft  `json:"draft"`
	Reason      Reason `json:"reason"`
	ClearedAtMs int64  `json:"clearedAtMs"` // this machine's clock
}

// Listed is an element of a page: a draft, or its IDs and core.ErrCorrupt if it is damaged.
type Listed struct {
	ClearedDraft
	Err error
}

// listPage is how many drafts Page reads.
const listPage = 32

// Page returns drafts that come after a place, the live ones or the cleared ones, the
// newest first, and the place to go on from, nil for the end.
func (m *Mailbox) Page(ctx context.Context, cleared bool, after core.DraftPlace) ([]Listed, *core.DraftPlace, error) {
	var recs []core.DraftRecord
	err := m.store.Read(ctx, func(v core.View) (err error) {
		recs, err = v.NewestDrafts(cleared, after, listPage)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	var page []Listed
	for i := range recs {
		if rec := &recs[i]; rec.Damaged || !m.isPast(rec.UpdatedAtMs) {
			d, err := clearedOf(rec)
			page = append(page, Listed{d, err})
		}
	}
	if len(recs) < listPage {
		return page, nil, nil
	}
	next := recs[len(recs)-1].Place()
	return page, &next, nil
}

func clearedOf(rec *core.DraftRecord) (ClearedDraft, error) {
	d, err := draftOf(rec)
	if err != nil {
		return ClearedDraft{Draft: d}, err
	}
	return ClearedDraft{Draft: d, Reason: reasonOf(rec), ClearedAtMs: rec.ClearedAtMs}, nil
}

func reasonOf(rec *core.DraftRecord) Reason {
	if rec.Cleared < 0 || rec.Cleared >= int64(len(reasons)) {
		return ""
	}
	return reasons[rec.Cleared]
}

// Discard clears the live draft of a document and removes for good what is damaged of
// its drafts. It returns core.ErrNotFound if there is neither.
func (m *Mailbox) Discard(ctx context.Context, space core.SpaceID, doc core.DocumentID) error {
	if err := checkIDs(space, doc); err != nil {
		return err
	}
	return m.write(ctx, func(j *job) error {
		removed, err := j.removeDamaged(space, doc)
		if err != nil {
			return err
		}
		live, err := j.live(space, doc)
		if err != nil || live == nil {
			if err == nil && !removed {
				err = core.ErrNotFound
			}
			return err
		}
		return j.clear(live, Discarded)
	})
}

// Restore makes the draft of a document live again that was cleared last, and clears the
// live one. It returns core.ErrNotFound, and core.ErrCorrupt if all that could be
// restored is damaged.
func (m *Mailbox) Restore(ctx context.Context, space core.SpaceID, doc core.DocumentID) (Draft, error) {
	if err := checkIDs(space, doc); err != nil {
		return Draft{}, err
	}
	var d Draft
	err := m.write(ctx, func(j *job) error {
		rec, err := j.restorable(space, doc)
		if err != nil {
			return err
		}
		if d, err = draftOf(rec); err != nil {
			return err
		}
		live, err := j.Draft(space, doc)
		if err == nil {
			err = j.setAside(&live, Replaced)
		}
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}
		rec.Cleared, rec.ClearedAtMs = 0, 0
		if err := j.PutDraft(rec); err != nil {
			return err
		}
		j.tell(Restored, rec)
		return nil
	})
	if err != nil {
		return Draft{}, err
	}
	return d, nil
}

func (m *Mailbox) write(ctx context.Context, fn func(*job) error) error {
	return m.store.Write(ctx, func(tx core.Tx) error { return fn(&job{tx, m}) })
}
