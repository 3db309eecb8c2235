package soma

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
)

// Limits of drafts. The defaults are changed by WithDraftTTL, WithMaxDrafts and
// WithMaxDraftSnippet, within the bounds that are named there.
const (
	// DefaultDraftTTL is how long after its UpdatedAtMs a draft is kept.
	DefaultDraftTTL = mailbox.DefaultTTL
	// DefaultMaxDrafts is how many drafts are kept, live and cleared ones together.
	DefaultMaxDrafts = mailbox.DefaultDrafts
	// DefaultMaxDraftSnippet bounds a draft's Snippet, in bytes.
	DefaultMaxDraftSnippet = mailbox.DefaultSnippetBytes

	// MaxDraftVectorBytes bounds a draft's BaseStateVector.
	MaxDraftVectorBytes = mailbox.MaxVectorBytes
	// MaxDraftClockSkew is how far ahead of this machine's clock UpdatedAtMs may be.
	MaxDraftClockSkew = mailbox.MaxClockSkew
	// MaxClearedPerDocument bounds the cleared drafts that one document keeps: of more,
	// the ones that were cleared first go.
	MaxClearedPerDocument = mailbox.MaxClearedPerDocument
	// MaxPendingDraftChanges bounds the changes that wait for one reader of Watch.
	MaxPendingDraftChanges = mailbox.MaxPendingChanges
)

// Draft is what an editor held of a document that was not stored in it: a safety net for
// crashes and reloads, one for each document. Documents stay canonical; a draft never
// leaves this machine.
//
// Its JSON is strict both ways: spaceId, documentId, snippet, updatedAtMs and, if set,
// baseDaemonUpdatedAtMs, baseStateVector (base64) and conflictState. Validate, MarshalJSON
// and UnmarshalJSON report ErrInvalidDraft, together with ErrInvalidID, ErrInvalidTime,
// ErrTooLarge or ErrInvalidStateVector where that is what is wrong, naming the field.
type Draft = mailbox.Draft

// ConflictState says how a draft stands to its document.
type ConflictState = mailbox.ConflictState

// The states of a draft.
const (
	// DraftNoConflict: its document did not change remotely since.
	DraftNoConflict = mailbox.NoConflict
	// DraftAhead: its document changed remotely, and the draft is newer. A host offers to
	// restore it.
	DraftAhead = mailbox.Ahead
	// DraftDiverged is DraftAhead where the draft is known to be based on an older
	// revision: the document holds content that BaseStateVector does not.
	DraftDiverged = mailbox.Diverged
)

// ParseDraft reads one draft from JSON. It reports ErrInvalidDraft for a missing, extra or
// repeated field, a wrong type (null too), a time that is not a plain integer from 0 to
// 2^53-1, text that is not UTF-8 or has half a surrogate pair, base64 that is not in its
// standard form with padding, an unknown conflictState, data after the draft, and for
// whatever Draft.Validate refuses. Field names are case-sensitive and may come in any
// order. baseDaemonUpdatedAtMs, baseStateVector and conflictState may be missing; 0 and ""
// mean the same.
func ParseDraft(data []byte) (Draft, error) { return mailbox.ParseDraft(data) }

// DraftKey returns the key of a document's draft where drafts are a collection
// ("draftMailbox"): the two IDs with a slash between them.
func DraftKey(space SpaceID, doc DocumentID) string { return mailbox.Key(space, doc) }

// ParseDraftKey is the inverse of DraftKey: the space ID ends at the first slash. It
// reports ErrInvalidID.
func ParseDraftKey(key string) (SpaceID, DocumentID, error) { return mailbox.ParseKey(key) }

// DraftAction is what becomes of a draft when its document changes remotely.
type DraftAction = mailbox.Action

// The actions of DraftPolicy.
const (
	DraftNoAction = mailbox.NoAction // there is no draft
	DraftClear    = mailbox.Clear    // the draft is not newer than the document
	DraftKeep     = mailbox.Keep     // the draft is newer
)

// DraftDecision is what DraftPolicy says. With DraftKeep, ConflictState and
// BaseDaemonUpdatedAtMs are what the draft is to have from now on.
type DraftDecision = mailbox.Decision

// DraftPolicy decides about the draft, nil for none, of a document that changed remotely.
// The document was updated at daemonUpdatedAtMs, and has the encoded Yjs stateVector now.
// It is a pure function; the library runs it whenever a document changes by what others
// wrote, in the same transaction, that is where it emits DocumentChanged with SourceDaemon.
//
//   - No draft: DraftNoAction.
//   - draft.UpdatedAtMs <= daemonUpdatedAtMs: DraftClear.
//   - else DraftKeep, BaseDaemonUpdatedAtMs = daemonUpdatedAtMs, and DraftAhead; or
//     DraftDiverged, if stateVector has content that draft.BaseStateVector has not. A draft
//     that is diverged stays so. Without a BaseStateVector, or where one of the two is no
//     state vector, nothing is known of its base: it is ahead.
func DraftPolicy(draft *Draft, daemonUpdatedAtMs int64, stateVector []byte) DraftDecision {
	return mailbox.Decide(draft, daemonUpdatedAtMs, stateVector)
}

// DraftReason says why a draft was cleared.
type DraftReason = mailbox.Reason

// The reasons for which drafts are cleared.
const (
	DraftStale     = mailbox.Stale     // its document changed remotely, at its time or later
	DraftConfirmed = mailbox.Confirmed // a write with WithDraft is durable
	DraftDiscarded = mailbox.Discarded // by Discard
	DraftReplaced  = mailbox.Replaced  // by the one that Restore brought back
)

// ClearedDraft is a draft that Restore can bring back.
type ClearedDraft = mailbox.ClearedDraft

// DraftChange says that the live draft of a document changed. UpdatedAtMs is the draft's,
// Reason is set for DraftWasCleared.
type DraftChange = mailbox.Change

// DraftChangeKind says what happened to a draft.
type DraftChangeKind = mailbox.ChangeKind

// The kinds of DraftChange.
const (
	DraftWasSaved    = mailbox.Saved    // by Save
	DraftWasCleared  = mailbox.Cleared  // see its Reason
	DraftHasConflict = mailbox.Conflict // its document changed remotely, and it stays; see its ConflictState
	DraftWasRestored = mailbox.Restored // by Restore
	DraftWasEvicted  = mailbox.Evicted  // there were too many
	DraftHasExpired  = mailbox.Expired  // it came to the end of its time, and was removed
	// DraftsListAgain stands for more changes than could wait, of any drafts. It has no IDs.
	DraftsListAgain = mailbox.ListAgain
)

// Mailbox is the drafts of a DB.
//
// A draft is kept until DefaultDraftTTL after its UpdatedAtMs. From then on it is not
// returned, and it is removed at the next Save or Open. Of more than DefaultMaxDrafts the
// oldest by UpdatedAtMs is removed, cleared ones before live ones.
//
// A draft is cleared by DraftPolicy, by a write with WithDraft, or by Discard. Until its
// time ends it can be restored. One that is damaged on disk is ErrCorrupt wherever it
// would be returned, is reported by DB.Verify, and stays until Discard removes it; it
// never keeps a document from changing, nor another draft from being saved.
type Mailbox struct{ db *DB }

// Mailbox returns the service for drafts.
func (db *DB) Mailbox() Mailbox { return Mailbox{db} }

// Save stores a draft as it is given, ConflictState too, and returns when that is durable.
// The space and the document need not exist.
//
// If the document has a live draft, the newer one by UpdatedAtMs stays, and if that is not
// the given one, Save changes nothing and returns nil. At equal times the bytes decide,
// the same way in any order of arrival, and saving a draft again does not undo what
// DraftPolicy did to it: nor is one kept that is not newer than one of its document that
// was cleared for being stale, or because a write holds it, as long as that can be restored. Nor is a draft kept that is older than all others where there are
// WithMaxDrafts of them.
//
// ctx counts as in Documents.Upsert. Errors, all of them ErrInvalidDraft too: what
// Draft.Validate reports; ErrTooLarge for a Snippet beyond WithMaxDraftSnippet or a
// BaseStateVector beyond MaxDraftVectorBytes; ErrInvalidTime for an UpdatedAtMs at which
// the draft's time would be over, or that is out of range; ErrClockSkew for one that is
// more than MaxDraftClockSkew ahead. Nothing is stored then.
func (m Mailbox) Save(ctx context.Context, draft Draft) error {
	if err := m.db.begin(); err != nil {
		return err
	}
	defer m.db.end()
	if err := m.db.mailbox.Save(ctx, draft); err != nil {
		return aboutDraft("save", draft.DocumentID, err)
	}
	return nil
}

// Get returns the live draft of a document. Errors: ErrNotFound, ErrCorrupt, ErrInvalidID.
func (m Mailbox) Get(ctx context.Context, space SpaceID, doc DocumentID) (Draft, error) {
	if err := m.db.begin(); err != nil {
		return Draft{}, err
	}
	defer m.db.end()
	draft, err := m.db.mailbox.Get(ctx, space, doc)
	if err != nil {
		return Draft{}, aboutDraft("get", doc, err)
	}
	return draft, nil
}

// List iterates over the live drafts of all spaces, the newest by UpdatedAtMs first. It
// reads a page at a time: calls on the DB are allowed inside the loop, which may or may
// not see what they change. A draft that is damaged is an element with the error
// ErrCorrupt, and the others follow; any other error is the last element. Breaking off
// releases everything.
func (m Mailbox) List(ctx context.Context) iter.Seq2[Draft, error] {
	return func(yield func(Draft, error) bool) {
		for d, err := range m.all(ctx, false) {
			if !yield(d.Draft, err) {
				return
			}
		}
	}
}

// Cleared is List for the drafts that were cleared and can be restored.
func (m Mailbox) Cleared(ctx context.Context) iter.Seq2[ClearedDraft, error] {
	return m.all(ctx, true)
}

func (m Mailbox) all(ctx context.Context, cleared bool) iter.Seq2[ClearedDraft, error] {
	return func(yield func(ClearedDraft, error) bool) {
		first := core.MaxDraftPlace()
		for after := &first; after != nil; {
			page, next, err := m.page(ctx, cleared, *after)
			if err != nil {
				yield(ClearedDraft{}, fmt.Errorf("list drafts: %w", err))
				return
			}
			for _, d := range page {
				if !yield(d.ClearedDraft, d.Err) {
					return
				}
			}
			after = next
		}
	}
}

func (m Mailbox) page(ctx context.Context, cleared bool, after core.DraftPlace) ([]mailbox.Listed, *core.DraftPlace, error) {
	if err := m.db.begin(); err != nil {
		return nil, nil, err
	}
	defer m.db.end()
	return m.db.mailbox.Page(ctx, cleared, after)
}

// Discard clears the live draft of a document; Restore brings it back. What is damaged of
// the document's drafts is removed for good. Errors: ErrNotFound if there is neither,
// ErrInvalidID.
func (m Mailbox) Discard(ctx context.Context, space SpaceID, doc DocumentID) error {
	if err := m.db.begin(); err != nil {
		return err
	}
	defer m.db.end()
	if err := m.db.mailbox.Discard(ctx, space, doc); err != nil {
		return aboutDraft("discard", doc, err)
	}
	return nil
}

// Restore makes the draft of a document live again that was cleared last, as it was, and
// returns it. A live draft that it replaces is cleared in turn, so that a second Restore
// undoes the first. It changes no document: what the draft holds is for the host to edit
// in. Errors: ErrNotFound, ErrCorrupt if nothing but damaged drafts is there, ErrInvalidID.
func (m Mailbox) Restore(ctx context.Context, space SpaceID, doc DocumentID) (Draft, error) {
	if err := m.db.begin(); err != nil {
		return Draft{}, err
	}
	defer m.db.end()
	draft, err := m.db.mailbox.Restore(ctx, space, doc)
	if err != nil {
		return Draft{}, aboutDraft("restore", doc, err)
	}
	return draft, nil
}

// Watch returns a channel of the changes of live drafts from now on, each after it is
// durable, in the order of the commits. Of each document the latest change waits, so that
// a slow reader never blocks a writer; beyond MaxPendingDraftChanges all become one
// DraftsListAgain. The channel closes when ctx ends, and on Close.
func (m Mailbox) Watch(ctx context.Context) <-chan DraftChange { return m.db.mailbox.Watch(ctx) }

// WithDraft says that what was drafted of the document until updatedAtMs, which is
// Draft.UpdatedAtMs, is in the write: if that succeeds, the live draft is cleared in the
// same transaction, with the reason DraftConfirmed, even if the document held it all
// before. A newer draft, saved meanwhile, stays, and so does any if the write fails. It is
// for Upsert and Edit; Delete refuses it with ErrInvalidOption. A time that is not from 0
// to 2^53-1 is ErrInvalidTime.
func WithDraft(updatedAtMs int64) WriteOption {
	return func(o *writeOptions) { o.draft = &updatedAtMs }
}

// WithDraftTTL sets how long after their UpdatedAtMs drafts are kept, DefaultDraftTTL by
// default: a millisecond to ten years.
func WithDraftTTL(ttl time.Duration) Option {
	return func(o *options) error {
		const most = 10 * 365 * 24 * time.Hour
		if ttl < time.Millisecond || ttl > most {
			return fmt.Errorf("draft TTL %v is not from 1ms to %v: %w", ttl, most, ErrInvalidOption)
		}
		o.drafts.TTL = ttl
		return nil
	}
}

// WithMaxDrafts sets how many drafts are kept, live and cleared ones together,
// DefaultMaxDrafts by default: 1 to 10,000.
func WithMaxDrafts(n int) Option {
	return func(o *options) error {
		if n < 1 || n > mailbox.MaxDrafts {
			return fmt.Errorf("%d drafts are not from 1 to %d: %w", n, mailbox.MaxDrafts, ErrInvalidOption)
		}
		o.drafts.Drafts = n
		return nil
	}
}

// WithMaxDraftSnippet bounds a draft's Snippet, in bytes, DefaultMaxDraftSnippet by
// default: 1 to 1 MiB.
func WithMaxDraftSnippet(bytes int) Option {
	return func(o *options) error {
		if bytes < 1 || bytes > mailbox.MaxSnippetBytes {
			return fmt.Errorf("snippet of %d bytes is not from 1 to %d: %w", bytes, mailbox.MaxSnippetBytes, ErrInvalidOption)
		}
		o.drafts.SnippetBytes = bytes
		return nil
	}
}

func aboutDraft(op string, doc DocumentID, err error) error {
	return fmt.Errorf("%s draft of document %q: %w", op, doc, err)
}
