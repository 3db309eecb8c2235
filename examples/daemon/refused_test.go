package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// noFields are calls that need no field.
var noFields = map[protoreflect.Name]bool{
	"GetStatus": true, "SubscribeDomainEvents": true, "ListSpaces": true, "ListDrafts": true,
}

// TestMissingFields calls every method with an empty message, and with nothing but the ID
// of a space that is not there.
func TestMissingFields(t *testing.T) {
	d := start(t)
	methods := pb.File_soma_daemon_v1_daemon_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		if noFields[m.Name()] {
			continue
		}
		empty := dynamicpb.NewMessage(m.Input())
		err := d.call(t.Context(), m, empty)
		wantCode(t, string(m.Name())+" without fields", err, codes.InvalidArgument)

		field := m.Input().Fields().ByName("space_id")
		if field == nil {
			continue
		}
		message := dynamicpb.NewMessage(m.Input())
		message.Set(field, protoreflect.ValueOfString(unknownSpace))
		err = d.call(t.Context(), m, filled(message, d.PeerID))
		wantCode(t, string(m.Name())+" of an unknown space", err, codes.NotFound)
	}
}

// unknownSpace is the ID of a space that is on another machine.
const unknownSpace = "bafyreib4pff766vhpbxbhjbqqnsh5emeznvujayjj4z2iu533cprgbz23m"

// filled sets the fields of a message that name things to what they may be.
func filled(m *dynamicpb.Message, peer string) proto.Message {
	values := map[protoreflect.Name]protoreflect.Value{
		"document_id": protoreflect.ValueOfString("d"), "page_id": protoreflect.ValueOfString("p"), "title": protoreflect.ValueOfString("t"),
		"name": protoreflect.ValueOfString("n"), "query": protoreflect.ValueOfString("q"), "peer_id": protoreflect.ValueOfString(peer),
		"cid":    protoreflect.ValueOfString("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
		"update": protoreflect.ValueOfBytes(hello(1, "x")), "role": protoreflect.ValueOfEnum(pb.Role_ROLE_EDITOR.Number()),
		"ticket": protoreflect.ValueOfString(unknownInvite),
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if v, ok := values[fields.Get(i).Name()]; ok {
			m.Set(fields.Get(i), v)
		}
	}
	return m
}

// unknownInvite is the ID of an invite, which RevokeInvite takes for a ticket too.
const unknownInvite = "0000000000000000000000000000000000000000000000000000000000000001"

// call makes a call of any kind with one message, and waits for the first answer.
func (d *started) call(ctx context.Context, m protoreflect.MethodDescriptor, message proto.Message) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/soma.daemon.v1.Daemon/"+string(m.Name()))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(message); err != nil && !errors.Is(err, io.EOF) { // then the answer says why
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
}

// TestNonsense sends what makes no sense, and then finds the daemon as it was.
func TestNonsense(t *testing.T) {
	d := start(t)
	id := d.space(t)
	long := string(make([]byte, 1<<20))
	for call, do := range map[string]func() error{
		"CreateSpace with a long name": func() error {
			_, err := d.CreateSpace(t.Context(), &pb.CreateSpaceRequest{Name: long})
			return err
		},
		"UpsertDocument of no update": func() error {
			_, err := d.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "d", Update: []byte("nonsense")})
			return err
		},
		"UpsertDocument with a long ID": func() error {
			_, err := d.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: long, Update: hello(1, "x")})
			return err
		},
		"UpsertDocument from nowhere": func() error {
			_, err := d.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "d", Update: hello(1, "x"), Source: "moon"})
			return err
		},
		"JoinSpace without a ticket": func() error {
			_, err := d.JoinSpace(t.Context(), &pb.JoinSpaceRequest{Ticket: "soma-ticket"})
			return err
		},
		"AddMember of nobody": func() error {
			_, err := d.AddMember(t.Context(), &pb.AddMemberRequest{SpaceId: id, PeerId: "me", Role: pb.Role_ROLE_EDITOR})
			return err
		},
		"CreateInvite for owners": func() error {
			_, err := d.CreateInvite(t.Context(), &pb.CreateInviteRequest{SpaceId: id, Role: pb.Role_ROLE_OWNER})
			return err
		},
		"CreateInvite that has expired": func() error {
			_, err := d.CreateInvite(t.Context(), &pb.CreateInviteRequest{SpaceId: id, Role: pb.Role_ROLE_EDITOR, ExpiresAtMs: -1})
			return err
		},
		"SearchDocuments without a limit": func() error {
			_, err := d.SearchDocuments(t.Context(), &pb.SearchDocumentsRequest{SpaceId: id, Query: "x", Limit: -1})
			return err
		},
		"SaveDraft of the far future": func() error {
			_, err := d.SaveDraft(t.Context(), &pb.SaveDraftRequest{Draft: &pb.Draft{SpaceId: id, DocumentId: "d", Snippet: "x", UpdatedAtMs: 1 << 52}})
			return err
		},
		"PutRecord of no JSON": func() error {
			_, err := d.PutRecord(t.Context(), &pb.PutRecordRequest{Collection: "c", Record: &pb.Record{Key: "k", Value: "{", UpdatedAtMs: 1}})
			return err
		},
		"SetItem of no snapshot": func() error {
			_, err := d.SetItem(t.Context(), &pb.SetItemRequest{Collection: "c", Value: "[]"})
			return err
		},
	} {
		wantCode(t, call, do(), codes.InvalidArgument)
	}
	_, err := d.SaveDraft(t.Context(), &pb.SaveDraftRequest{Draft: &pb.Draft{SpaceId: id, DocumentId: "d", Snippet: long, UpdatedAtMs: 1}})
	wantCode(t, "SaveDraft of a long text", err, codes.ResourceExhausted)
	if list, err := all(d.ListDocuments(t.Context(), &pb.ListDocumentsRequest{SpaceId: id})); err != nil || len(list) != 0 {
		t.Errorf("ListDocuments = %v, %v, want none", list, err)
	}
	if list, err := all(d.ListDrafts(t.Context(), &pb.ListDraftsRequest{})); err != nil || len(list) != 0 {
		t.Errorf("ListDrafts = %v, %v, want none", list, err)
	}
}
