package yjs_test

import (
	"encoding/binary"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// An update of as many clients as fit into an entry costs what its size says: with work for
// each pair of them this test would take minutes.
func TestManyClients(t *testing.T) {
	const clients = 150_000
	update := binary.AppendUvarint(nil, clients)
	for client := uint64(clients); client > 0; client-- { // a struct of 2 deleted characters each
		update = append(binary.AppendUvarint(append(update, 1), client), 0, 0, 2)
	}
	update = binary.AppendUvarint(update, clients)
	for client := uint64(clients); client > 0; client-- { // of which the second is named as deleted
		update = append(binary.AppendUvarint(update, client), 1, 1, 1)
	}
	u, err := yjs.ParseUpdate(update)
	if err != nil {
		t.Fatal(err)
	}
	var ranges []yjs.ClientRange
	for client := range uint64(clients) {
		ranges = append(ranges, yjs.ClientRange{Client: client + 1, Range: yjs.Range{Clock: 2, Len: 1}})
	}
	content, own := u.Content(), u.OwnDeletes()
	if len(content) != clients || len(own) != clients {
		t.Errorf("content of %d clients, own deletions of %d, want %d", len(content), len(own), clients)
	}
	for client := range content {
		if content[client][0] != (yjs.Range{Len: 2}) || own[client][0] != (yjs.Range{Clock: 1, Len: 1}) {
			t.Fatalf("client %d: content %v, deletions %v", client, content[client], own[client])
		}
	}
	if u.Overlaps(ranges) {
		t.Error("the update overlaps what comes after it")
	}
	other, err := yjs.ParseUpdate(update)
	if err != nil {
		t.Fatal(err)
	}
	if other.Subtract(u); other.HasContent() {
		t.Error("content is left after all of it was taken away")
	}
	ranges[clients-1].Range.Clock = 1
	if !u.Overlaps(ranges) {
		t.Error("the update does not overlap what it holds")
	}
}
