package main

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func TestDocuments(t *testing.T) {
	d := start(t)
	id := d.space(t)
	upsert := func(update []byte) *pb.Revision {
		t.Helper()
		return must[*pb.Revision](t)(d.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "d", Update: update}))
	}
	first := upsert(hello(1, "Hello "))
	second := upsert(hello(2, "World"))
	if again := upsert(hello(2, "World")); again.GetUpdatedAtMs() != second.GetUpdatedAtMs() || second.GetUpdatedAtMs() <= first.GetUpdatedAtMs() {
		t.Errorf("revisions %v, %v and, of the same update again, %v", first, second, again)
	}
	doc, err := d.GetDocument(t.Context(), &pb.GetDocumentRequest{SpaceId: id, DocumentId: "d"})
	if err != nil || !bytes.Contains(doc.GetUpdate(), []byte("Hello ")) || !bytes.Contains(doc.GetUpdate(), []byte("World")) ||
		!bytes.Equal(doc.GetStateVector(), second.GetStateVector()) || doc.GetCreatedBy() != d.PeerID {
		t.Errorf("GetDocument = %v, %v, want both updates", doc, err)
	}
	diff, err := d.DiffDocument(t.Context(), &pb.DiffDocumentRequest{SpaceId: id, DocumentId: "d", StateVector: first.GetStateVector()})
	if err != nil || bytes.Contains(diff.GetUpdate(), []byte("Hello ")) || !bytes.Contains(diff.GetUpdate(), []byte("World")) {
		t.Errorf("DiffDocument = %v, %v, want the second update alone", diff, err)
	}
	found, err := d.SearchDocuments(t.Context(), &pb.SearchDocumentsRequest{SpaceId: id, Query: "world", Limit: 3})
	if err != nil || len(found.GetHits()) != 1 || found.GetHits()[0].GetDocumentId() != "d" {
		t.Errorf("SearchDocuments = %v, %v, want the document", found, err)
	}
	if list, err := all(d.ListDocuments(t.Context(), &pb.ListDocumentsRequest{SpaceId: id})); err != nil || len(list) != 1 || list[0].GetId() != "d" {
		t.Errorf("ListDocuments = %v, %v, want the document", list, err)
	}
	// What the library takes, gRPC lets through.
	if _, err := d.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "large", Update: large(5 << 20)}); err != nil {
		t.Errorf("UpsertDocument of 5 MiB = %v", err)
	}
	_, err = d.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "large", Update: make([]byte, maxMessageBytes)})
	wantCode(t, "UpsertDocument of more than there may be", err, codes.ResourceExhausted)

	if _, err := d.DeleteDocument(t.Context(), &pb.DeleteDocumentRequest{SpaceId: id, DocumentId: "d"}); err != nil {
		t.Errorf("DeleteDocument = %v", err)
	}
	_, err = d.GetDocument(t.Context(), &pb.GetDocumentRequest{SpaceId: id, DocumentId: "d"})
	wantCode(t, "GetDocument of what was deleted", err, codes.NotFound)
}

// large returns an update of many structs that are together at least n bytes long.
func large(n int) []byte {
	const each = 1 << 13
	count := n/each + 1
	update := []byte{1, byte(count&0x7f | 0x80), byte(count >> 7), 9, 0}
	for i := range count {
		item := []byte{4, 1, 4, 'b', 'o', 'd', 'y'} // the first one names the root
		if i > 0 {
			item = append([]byte{0x84, 9}, uvarint(i*each-1)...) // others what they follow
		}
		update = append(append(update, item...), uvarint(each)...)
		update = append(update, bytes.Repeat([]byte{'x'}, each)...)
	}
	return append(update, 0)
}

func uvarint(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n&0x7f|0x80))
	}
	return append(b, byte(n))
}
