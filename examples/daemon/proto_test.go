package main

import (
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// TestGenerated compares the generated code with the proto that it was made from.
func TestGenerated(t *testing.T) {
	from := protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"proto"}})
	files, err := (&protocompile.Compiler{Resolver: from}).Compile(t.Context(), "soma/daemon/v1/daemon.proto")
	if err != nil {
		t.Fatal(err)
	}
	want, got := protodesc.ToFileDescriptorProto(files[0]), protodesc.ToFileDescriptorProto(pb.File_soma_daemon_v1_daemon_proto)
	if !proto.Equal(got, want) {
		t.Errorf("pb is not what buf generate makes of the proto: see README.md\ngot  %v\nwant %v", got, want)
	}
}
