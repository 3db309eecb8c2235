package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// newToken returns a secret of at least 128 random bits.
func newToken() string { return rand.Text() }

// authenticate lets those calls through that carry the token, all of them if there is
// none. It runs before anything of a call's message is held.
func authenticate(token string) tap.ServerInHandle {
	want := []byte("Bearer " + token)
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		if token == "" || hasToken(info.Header, want) {
			return ctx, nil
		}
		return nil, status.Error(codes.Unauthenticated, "metadata authorization: want the token of the ready line")
	}
}

func hasToken(header metadata.MD, want []byte) bool {
	got := header.Get("authorization")
	return len(got) == 1 && subtle.ConstantTimeCompare([]byte(got[0]), want) == 1
}
