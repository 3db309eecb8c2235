package main

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

func TestPages(t *testing.T) {
	d := start(t)
	id := d.space(t)
	create := func(page, parent string) {
		t.Helper()
		must[*pb.Page](t)(d.CreatePage(t.Context(), &pb.CreatePageRequest{SpaceId: id, Id: page, Title: "Page " + page, To: &pb.PageTarget{Parent: parent}}))
	}
	tree := func(archived bool) (found []string) {
		t.Helper()
		for _, page := range must[[]*pb.Page](t)(all(d.ListPages(t.Context(), &pb.ListPagesRequest{SpaceId: id, Archived: archived}))) {
			found = append(found, page.GetParent()+"/"+page.GetId())
		}
		return found
	}
	want := func(step string, archived bool, pages ...string) {
		t.Helper()
		if got := tree(archived); !slices.Equal(got, pages) {
			t.Errorf("pages after %s: %q, want %q", step, got, pages)
		}
	}
	create("a", "")
	create("b", "")
	create("a1", "a")
	create("a2", "a")
	want("four", false, "/a", "a/a1", "a/a2", "/b")
	if page, err := d.MovePage(t.Context(), &pb.MovePageRequest{SpaceId: id, PageId: "a2", To: &pb.PageTarget{Before: "a1"}}); err != nil || page.GetParent() != "a" {
		t.Errorf("MovePage = %v, %v", page, err)
	}
	want("a move", false, "/a", "a/a2", "a/a1", "/b")
	_, err := d.MovePage(t.Context(), &pb.MovePageRequest{SpaceId: id, PageId: "a", To: &pb.PageTarget{Parent: "a1"}})
	wantCode(t, "MovePage under itself", err, codes.InvalidArgument)
	_, err = d.CreatePage(t.Context(), &pb.CreatePageRequest{SpaceId: id, Id: "a"})
	wantCode(t, "CreatePage again", err, codes.AlreadyExists)

	if page, err := d.RenamePage(t.Context(), &pb.RenamePageRequest{SpaceId: id, PageId: "b", Title: "Other"}); err != nil || page.GetTitle() != "Other" {
		t.Errorf("RenamePage = %v, %v", page, err)
	}
	must[*pb.Page](t)(d.ArchivePage(t.Context(), &pb.ArchivePageRequest{SpaceId: id, PageId: "b"}))
	want("archiving one", false, "/a", "a/a2", "a/a1")
	want("archiving one", true, "/a", "a/a2", "a/a1", "/b")
	if _, err := d.DeletePage(t.Context(), &pb.DeletePageRequest{SpaceId: id, PageId: "a"}); err != nil {
		t.Errorf("DeletePage = %v", err)
	}
	want("deleting one", true, "/b")
	trash := must[[]*pb.Page](t)(all(d.ListTrash(t.Context(), &pb.ListTrashRequest{SpaceId: id})))
	if len(trash) != 1 || trash[0].GetId() != "a" {
		t.Errorf("ListTrash = %v, want a", trash)
	}
	if page, err := d.GetPage(t.Context(), &pb.GetPageRequest{SpaceId: id, PageId: "a1"}); err != nil || !page.GetTrashed() {
		t.Errorf("GetPage under a deleted one = %v, %v, want it in the trash", page, err)
	}
	must[*pb.Page](t)(d.RestorePage(t.Context(), &pb.RestorePageRequest{SpaceId: id, PageId: "a"}))
	want("restoring it", false, "/a", "a/a2", "a/a1")
}
