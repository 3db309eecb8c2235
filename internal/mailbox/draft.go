// Package mailbox keeps drafts: text of an editor that is not in its document yet, so
// that a crash or a reload does not lose it. They stay on this machine.
package mailbox

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/strictjson"
	"github.com/soma-sdk/soma/internal/yjs"
)

// Limits of a draft, whatever the options are.
const (
	MaxSnippetBytes = 1 << 20
	MaxVectorBytes  = 256 << 10
	MaxTimeMs       = strictjson.MaxInteger
)

// Draft is what an editor held of a document that was not stored in it.
type Draft struct {
	SpaceID               core.SpaceID
	DocumentID            core.DocumentID
	Snippet               string
	UpdatedAtMs           int64
	BaseDaemonUpdatedAtMs int64  // 0 for unknown
	BaseStateVector       []byte // empty for unknown
	ConflictState         ConflictState
}

// ConflictState says how a draft stands to its document.
type ConflictState string

// The states of drafts.
const (
	NoConflict ConflictState = ""
	Ahead      ConflictState = "ahead"
	Diverged   ConflictState = "diverged"
)

// conflictStates are in the order of what they oblige to, which is stored as a number.
var conflictStates = []ConflictState{NoConflict, Ahead, Diverged}

func (c ConflictState) rank() int { return slices.Index(conflictStates, c) }

// Validate reports core.ErrInvalidDraft, and what is wrong with which field.
func (d Draft) Validate() error {
	if err := checkIDs(d.SpaceID, d.DocumentID); err != nil {
		return invalid(err)
	}
	switch {
	case len(d.Snippet) > MaxSnippetBytes:
		return tooLong("snippet", len(d.Snippet), MaxSnippetBytes)
	case !utf8.ValidString(d.Snippet):
		return invalid(fmt.Errorf("snippet is not UTF-8"))
	case len(d.BaseStateVector) > MaxVectorBytes:
		return tooLong("baseStateVector", len(d.BaseStateVector), MaxVectorBytes)
	case d.ConflictState.rank() < 0:
		return invalid(fmt.Errorf("conflictState %q is unknown", string(d.ConflictState)))
	}
	if err := CheckTime("updatedAtMs", d.UpdatedAtMs); err != nil {
		return invalid(err)
	}
	if err := CheckTime("baseDaemonUpdatedAtMs", d.BaseDaemonUpdatedAtMs); err != nil {
		return invalid(err)
	}
	if len(d.BaseStateVector) > 0 {
		if err := yjs.ValidateStateVector(d.BaseStateVector); err != nil {
			return invalid(fmt.Errorf("baseStateVector: %w: %w", core.ErrInvalidVector, err))
		}
	}
	return nil
}

func invalid(err error) error { return fmt.Errorf("%w: %w", core.ErrInvalidDraft, err) }

func tooLong(field string, size, limit int) error {
	return invalid(fmt.Errorf("%s has %d bytes, at most %d are allowed: %w", field, size, limit, core.ErrTooLarge))
}

// checkIDs reports core.ErrInvalidID. A space ID with a slash would make keys ambiguous,
// and no space has one.
func checkIDs(space core.SpaceID, doc core.DocumentID) error {
	if err := core.CheckID("spaceId", string(space)); err != nil {
		return err
	}
	if strings.Contains(string(space), "/") {
		return fmt.Errorf("spaceId has a slash: %w", core.ErrInvalidID)
	}
	return core.CheckID("documentId", doc)
}

// CheckTime reports core.ErrInvalidTime for what is no time in milliseconds that
// JavaScript can hold.
func CheckTime(field string, ms int64) error {
	if ms < 0 || ms > MaxTimeMs {
		return fmt.Errorf("%s %d is not from 0 to %d: %w", field, ms, int64(MaxTimeMs), core.ErrInvalidTime)
	}
	return nil
}

// Key returns the key of a document's draft where drafts are a collection: the IDs with
// a slash between them.
func Key(space core.SpaceID, doc core.DocumentID) string { return string(space) + "/" + doc }

// ParseKey is the inverse of Key. It reports core.ErrInvalidID.
func ParseKey(key string) (core.SpaceID, core.DocumentID, error) {
	space, doc, found := strings.Cut(key, "/")
	if !found {
		return "", "", fmt.Errorf("draft key %q has no slash: %w", key, core.ErrInvalidID)
	}
	if err := checkIDs(core.SpaceID(space), doc); err != nil {
		return "", "", fmt.Errorf("draft key: %w", err)
	}
	return core.SpaceID(space), doc, nil
}

// wins reports whether a saved draft takes the place of the live one: the newer does. At
// equal times the bytes decide, so that the order of arrival does not matter, and what
// the policy did to a draft is not undone by saving that draft again.
func wins(saved, live *core.DraftRecord) bool {
	return cmp.Or(
		cmp.Compare(saved.UpdatedAtMs, live.UpdatedAtMs),
		cmp.Compare(saved.Snippet, live.Snippet),
		bytes.Compare(saved.BaseVector, live.BaseVector),
		cmp.Compare(saved.Conflict, live.Conflict),
		cmp.Compare(saved.BaseUpdatedAtMs, live.BaseUpdatedAtMs),
	) > 0
}

func (d *Draft) record() *core.DraftRecord {
	rec := &core.DraftRecord{
		Space: d.SpaceID, Doc: d.DocumentID, UpdatedAtMs: d.UpdatedAtMs, Snippet: d.Snippet,
		BaseUpdatedAtMs: d.BaseDaemonUpdatedAtMs, Conflict: int64(d.ConflictState.rank()),
	}
	if len(d.BaseStateVector) > 0 {
		rec.BaseVector = d.BaseStateVector
	}
	return rec
}

// draftOf returns what a record holds, core.ErrCorrupt for one that is damaged.
func draftOf(rec *core.DraftRecord) (Draft, error) {
	d := Draft{SpaceID: rec.Space, DocumentID: rec.Doc}
	if rec.Damaged || rec.Conflict < 0 || rec.Conflict >= int64(len(conflictStates)) {
		return d, fmt.Errorf("draft of document %q: %w", rec.Doc, core.ErrCorrupt)
	}
	d.Snippet, d.UpdatedAtMs = rec.Snippet, rec.UpdatedAtMs
	d.BaseDaemonUpdatedAtMs, d.BaseStateVector = rec.BaseUpdatedAtMs, rec.BaseVector
	d.ConflictState = conflictStates[rec.Conflict]
	return d, nil
}
