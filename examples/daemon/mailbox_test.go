package main

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func TestMailbox(t *testing.T) {
	d := start(t)
	id := d.space(t)
	ms := time.Now().UnixMilli()
	saved := &pb.Draft{SpaceId: id, DocumentId: "d", Snippet: "typed", UpdatedAtMs: ms}
	if _, err := d.SaveDraft(t.Context(), &pb.SaveDraftRequest{Draft: saved}); err != nil {
		t.Fatalf("SaveDraft = %v", err)
	}
	get := &pb.GetDraftRequest{SpaceId: id, DocumentId: "d"}
	if got, err := d.GetDraft(t.Context(), get); err != nil || got.GetSnippet() != "typed" || got.GetUpdatedAtMs() != ms || got.GetConflictState() != "" {
		t.Errorf("GetDraft = %v, %v, want %v", got, err, saved)
	}
	if list, err := all(d.ListDrafts(t.Context(), &pb.ListDraftsRequest{})); err != nil || len(list) != 1 {
		t.Errorf("ListDrafts = %v, %v, want one", list, err)
	}
	// The write that holds it clears it.
	must[*pb.Revision](t)(d.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "d", Update: hello(1, "typed"), DraftUpdatedAtMs: &ms}))
	_, err := d.GetDraft(t.Context(), get)
	wantCode(t, "GetDraft of what was stored", err, codes.NotFound)
	if got, err := d.RestoreDraft(t.Context(), &pb.RestoreDraftRequest{SpaceId: id, DocumentId: "d"}); err != nil || got.GetSnippet() != "typed" {
		t.Errorf("RestoreDraft = %v, %v, want it back", got, err)
	}
	if _, err := d.DiscardDraft(t.Context(), &pb.DiscardDraftRequest{SpaceId: id, DocumentId: "d"}); err != nil {
		t.Errorf("DiscardDraft = %v", err)
	}
	_, err = d.GetDraft(t.Context(), get)
	wantCode(t, "GetDraft of what was discarded", err, codes.NotFound)
}
