package main

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// TestViewer has two daemons share a space: what one of them writes the other one is told
// of, but may not change.
func TestViewer(t *testing.T) {
	anna, bert := startTwo(t, "-sync", "/ip4/127.0.0.1/tcp/0")
	id := anna.space(t)
	events := must[grpc.ServerStreamingClient[pb.DomainEvent]](t)(bert.SubscribeDomainEvents(t.Context(), &pb.SubscribeDomainEventsRequest{}))
	if _, err := events.Header(); err != nil {
		t.Fatal(err)
	}
	ticket := must[*pb.CreateInviteResponse](t)(anna.CreateInvite(t.Context(), &pb.CreateInviteRequest{SpaceId: id, Role: pb.Role_ROLE_VIEWER})).GetTicket()
	must[*pb.Space](t)(bert.JoinSpace(t.Context(), &pb.JoinSpaceRequest{Ticket: ticket}))
	soon(t, "Bert is a viewer", func() bool {
		s, err := bert.GetSpace(t.Context(), &pb.GetSpaceRequest{SpaceId: id})
		return err == nil && s.GetRole() == pb.Role_ROLE_VIEWER
	})
	must[*pb.Revision](t)(anna.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "d", Update: hello(1, "from afar")}))
	soon(t, "Bert is told of the document", func() bool {
		ev, err := events.Recv()
		return err == nil && ev.GetKind() == "document-changed" && ev.GetSource() == "daemon" && ev.GetDocumentId() == "d" && ev.GetSpaceId() == id && ev.GetAtMs() > 0
	})
	if _, err := bert.GetDocument(t.Context(), &pb.GetDocumentRequest{SpaceId: id, DocumentId: "d"}); err != nil {
		t.Errorf("GetDocument by a viewer = %v", err)
	}
	for call, do := range map[string]func() error{
		"UpsertDocument": func() error {
			_, err := bert.UpsertDocument(t.Context(), &pb.UpsertDocumentRequest{SpaceId: id, DocumentId: "d", Update: hello(2, "no")})
			return err
		},
		"DeleteDocument": func() error {
			_, err := bert.DeleteDocument(t.Context(), &pb.DeleteDocumentRequest{SpaceId: id, DocumentId: "d"})
			return err
		},
		"CreatePage": func() error {
			_, err := bert.CreatePage(t.Context(), &pb.CreatePageRequest{SpaceId: id, Title: "No"})
			return err
		},
		"UploadBlob": func() error {
			_, err := bert.upload(t.Context(), header(&pb.UploadBlobRequest_Header{SpaceId: id}), chunk("no"))
			return err
		},
		"RenameSpace": func() error {
			_, err := bert.RenameSpace(t.Context(), &pb.RenameSpaceRequest{SpaceId: id, Name: "No"})
			return err
		},
		"CreateInvite": func() error {
			_, err := bert.CreateInvite(t.Context(), &pb.CreateInviteRequest{SpaceId: id, Role: pb.Role_ROLE_EDITOR})
			return err
		},
		"SetMemberRole": func() error {
			_, err := bert.SetMemberRole(t.Context(), &pb.SetMemberRoleRequest{SpaceId: id, PeerId: bert.PeerID, Role: pb.Role_ROLE_OWNER})
			return err
		},
		"RemoveMember": func() error {
			_, err := bert.RemoveMember(t.Context(), &pb.RemoveMemberRequest{SpaceId: id, PeerId: anna.PeerID})
			return err
		},
	} {
		wantCode(t, call+" by a viewer", do(), codes.PermissionDenied)
	}
	soon(t, "Anna knows that Bert has everything", func() bool {
		s, err := anna.GetStatus(t.Context(), &pb.GetStatusRequest{})
		return err == nil && s.GetSyncing() && len(s.GetSpaces()) == 1 && s.GetSpaces()[0].GetPeers() == 1 && s.GetSpaces()[0].GetOnlyHere() == 0
	})
	// A blob follows when somebody asks for it.
	info := must[*pb.BlobInfo](t)(anna.upload(t.Context(), header(&pb.UploadBlobRequest_Header{SpaceId: id}), chunk("far away")))
	soon(t, "Bert knows of the blob", func() bool {
		_, err := bert.StatBlob(t.Context(), &pb.StatBlobRequest{SpaceId: id, Cid: info.GetCid()})
		return err == nil
	})
	_, _, err := bert.read(t.Context(), &pb.ReadBlobRequest{SpaceId: id, Cid: info.GetCid()})
	wantCode(t, "ReadBlob of what is not here", err, codes.Unavailable)
	if got, _, err := bert.read(t.Context(), &pb.ReadBlobRequest{SpaceId: id, Cid: info.GetCid(), Fetch: true}); err != nil || string(got) != "far away" {
		t.Errorf("ReadBlob with fetch = %q, %v, want the blob", got, err)
	}
}

func TestMembers(t *testing.T) {
	d, other := startTwo(t)
	id := d.space(t)
	if _, err := d.AddMember(t.Context(), &pb.AddMemberRequest{SpaceId: id, PeerId: other.PeerID, Role: pb.Role_ROLE_EDITOR, Kind: pb.Kind_KIND_BOT}); err != nil {
		t.Fatalf("AddMember = %v", err)
	}
	if _, err := d.SetMemberRole(t.Context(), &pb.SetMemberRoleRequest{SpaceId: id, PeerId: other.PeerID, Role: pb.Role_ROLE_CACHE}); err != nil {
		t.Errorf("SetMemberRole = %v", err)
	}
	list := must[*pb.ListMembersResponse](t)(d.ListMembers(t.Context(), &pb.ListMembersRequest{SpaceId: id})).GetMembers()
	if len(list) != 2 || list[0].GetRole() != pb.Role_ROLE_OWNER || list[1].GetPeerId() != other.PeerID ||
		list[1].GetRole() != pb.Role_ROLE_CACHE || list[1].GetKind() != pb.Kind_KIND_BOT || list[1].GetAddedBy() != d.PeerID {
		t.Errorf("ListMembers = %v", list)
	}
	_, err := d.LeaveSpace(t.Context(), &pb.LeaveSpaceRequest{SpaceId: id})
	wantCode(t, "LeaveSpace of the last owner", err, codes.FailedPrecondition)
	if _, err := d.RemoveMember(t.Context(), &pb.RemoveMemberRequest{SpaceId: id, PeerId: other.PeerID, Purge: true}); err != nil {
		t.Errorf("RemoveMember = %v", err)
	}
	ticket := must[*pb.CreateInviteResponse](t)(d.CreateInvite(t.Context(), &pb.CreateInviteRequest{SpaceId: id, Role: pb.Role_ROLE_EDITOR, Uses: 3, ExpiresAtMs: 1 << 42})).GetTicket()
	if _, err := d.RevokeInvite(t.Context(), &pb.RevokeInviteRequest{SpaceId: id, Ticket: ticket}); err != nil {
		t.Errorf("RevokeInvite = %v", err)
	}
}

// TestRolesAreNotCut is about numbers that, cut to the library's size, would be roles.
func TestRolesAreNotCut(t *testing.T) {
	d, other := startTwo(t)
	id := d.space(t)
	for _, n := range []int32{-1, 5, 256 + int32(pb.Role_ROLE_EDITOR), -1 << 31} {
		_, err := d.AddMember(t.Context(), &pb.AddMemberRequest{SpaceId: id, PeerId: other.PeerID, Role: pb.Role(n)})
		wantCode(t, "AddMember with a role that is none", err, codes.InvalidArgument)
		_, err = d.AddMember(t.Context(), &pb.AddMemberRequest{SpaceId: id, PeerId: other.PeerID, Role: pb.Role_ROLE_EDITOR, Kind: pb.Kind(n)})
		wantCode(t, "AddMember with a kind that is none", err, codes.InvalidArgument)
		_, err = d.SetMemberRole(t.Context(), &pb.SetMemberRoleRequest{SpaceId: id, PeerId: d.PeerID, Role: pb.Role(n)})
		wantCode(t, "SetMemberRole with a role that is none", err, codes.InvalidArgument)
		_, err = d.CreateInvite(t.Context(), &pb.CreateInviteRequest{SpaceId: id, Role: pb.Role(n)})
		wantCode(t, "CreateInvite with a role that is none", err, codes.InvalidArgument)
	}
	if list := must[*pb.ListMembersResponse](t)(d.ListMembers(t.Context(), &pb.ListMembersRequest{SpaceId: id})); len(list.GetMembers()) != 1 {
		t.Errorf("ListMembers = %v, want the owner alone", list)
	}
}
