package main

import (
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/soma-sdk/soma/examples/daemon/pb"
)

// TestToken is about loopback, where other users of the machine can connect.
func TestToken(t *testing.T) {
	d := start(t, "-tcp")
	if host, _, err := net.SplitHostPort(d.Address); err != nil || !net.ParseIP(host).IsLoopback() || len(d.Token) < 26 {
		t.Fatalf("ready line: address %q, token of %d characters, want loopback and a secret", d.Address, len(d.Token))
	}
	for _, c := range []struct {
		metadata []string
		want     codes.Code
	}{
		{nil, codes.Unauthenticated},
		{[]string{"authorization", d.Token}, codes.Unauthenticated},
		{[]string{"authorization", "Bearer "}, codes.Unauthenticated},
		{[]string{"authorization", "Bearer " + d.Token[:len(d.Token)-1] + "_"}, codes.Unauthenticated},
		{[]string{"authorization", "Bearer " + d.Token, "authorization", "Bearer x"}, codes.Unauthenticated},
		{[]string{"authorization", "Bearer " + d.Token}, codes.OK},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), c.metadata...)
		_, err := d.CreateSpace(ctx, &pb.CreateSpaceRequest{Name: "Notes"})
		wantCode(t, "CreateSpace", err, c.want)
		_, err = all(d.ListDrafts(ctx, &pb.ListDraftsRequest{}))
		wantCode(t, "ListDrafts", err, c.want)
		_, err = healthpb.NewHealthClient(d.conn).Check(ctx, &healthpb.HealthCheckRequest{})
		wantCode(t, "Check", err, c.want)
		stream, err := reflectionpb.NewServerReflectionClient(d.conn).ServerReflectionInfo(ctx)
		if err == nil && stream.CloseSend() == nil {
			_, err = all(stream, nil)
		}
		wantCode(t, "ServerReflectionInfo", err, c.want)
	}
	list := must[*pb.ListSpacesResponse](t)(d.ListSpaces(
		metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+d.Token), &pb.ListSpacesRequest{}))
	if len(list.GetSpaces()) != 1 {
		t.Errorf("there are %d spaces, want the one that was created with the token", len(list.GetSpaces()))
	}
}
