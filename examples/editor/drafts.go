package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/soma-sdk/soma"
)

// maxSnippet bounds what a draft holds, in bytes.
const maxSnippet = 1 << 20

// snippet is what the page puts into the Snippet of a draft: words to show, and the
// changes as a Yjs update, which merges with whatever was written meanwhile.
type snippet struct {
	Text   string `json:"text"`
	Update []byte `json:"update"`
}

func (s *server) addDrafts(mux *http.ServeMux) {
	drafts := s.db.Mailbox()
	mux.Handle("PUT /api/draft", endpoint(func(r *http.Request, in soma.Draft) (any, error) {
		return nil, drafts.Save(r.Context(), in)
	}))
	mux.Handle("GET /api/spaces/{space}/pages/{page}/draft", endpoint(s.draft))
	mux.Handle("POST /api/spaces/{space}/pages/{page}/draft", endpoint(s.applyDraft))
	mux.Handle("DELETE /api/spaces/{space}/pages/{page}/draft", endpoint(s.dropDraft))
}

// draft returns the draft of a page, null for none, also one that was cleared because others changed the
// page later: it merges.
func (s *server) draft(r *http.Request, _ none) (any, error) {
	draft, err := s.db.Mailbox().Get(r.Context(), spaceOf(r), documentOf(r))
	if !errors.Is(err, soma.ErrNotFound) {
		return draft, err
	}
	for cleared, err := range s.db.Mailbox().Cleared(r.Context()) {
		if d := cleared.Draft; err == nil && d.SpaceID == spaceOf(r) && d.DocumentID == documentOf(r) {
			if cleared.Reason != soma.DraftStale {
				break
			}
			return s.db.Mailbox().Restore(r.Context(), d.SpaceID, d.DocumentID)
		}
	}
	return nil, nil
}

// applyDraft writes a draft into its page, which clears it, and those before, in the same
// step.
func (s *server) applyDraft(r *http.Request, draft soma.Draft) (any, error) {
	var held snippet
	if err := json.Unmarshal([]byte(draft.Snippet), &held); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	_, err := s.db.Documents().Upsert(r.Context(), spaceOf(r), documentOf(r), held.Update,
		soma.WithDraft(draft.UpdatedAtMs), soma.WithSource(soma.SourceDaemon))
	return nil, err
}

// dropDraft discards the draft of a page, if there is one; with ?until= not one that is
// newer. The page asks for that when all words are stored: nothing is left to write, so no
// role is needed, which the member may have lost in the meantime.
func (s *server) dropDraft(r *http.Request, _ none) (any, error) {
	until := int64(math.MaxInt64)
	if query := r.URL.Query(); query.Has("until") {
		var err error
		if until, err = strconv.ParseInt(query.Get("until"), 10, 64); err != nil {
			return nil, fmt.Errorf("%w: until: %w", errBadRequest, err)
		}
	}
	drafts := s.db.Mailbox()
	if draft, err := drafts.Get(r.Context(), spaceOf(r), documentOf(r)); err == nil && draft.UpdatedAtMs > until {
		return nil, nil
	}
	err := drafts.Discard(r.Context(), spaceOf(r), documentOf(r))
	if errors.Is(err, soma.ErrNotFound) {
		return nil, nil
	}
	return nil, err
}
