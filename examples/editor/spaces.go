package main

import (
	"net/http"

	"github.com/soma-sdk/soma"
)

// overview is what the page shows of everything.
type overview struct {
	Peer   soma.PeerID
	Spaces []soma.Space
	Sync   soma.SyncStatus
}

func (s *server) addSpaces(mux *http.ServeMux) {
	spaces := s.db.Spaces()
	mux.Handle("GET /api/overview", endpoint(func(r *http.Request, _ none) (any, error) {
		list, err := spaces.List(r.Context())
		if err != nil {
			return nil, err
		}
		status, err := s.db.Sync().Status(r.Context())
		return overview{s.db.PeerID(), list, status}, err
	}))
	mux.Handle("POST /api/spaces", endpoint(func(r *http.Request, in struct{ Name string }) (any, error) {
		return spaces.Create(r.Context(), soma.NewSpace{Name: in.Name})
	}))
	mux.Handle("POST /api/join", endpoint(func(r *http.Request, in struct{ Ticket string }) (any, error) {
		return spaces.Join(r.Context(), in.Ticket)
	}))
	mux.Handle("POST /api/spaces/{space}/invites", endpoint(func(r *http.Request, in struct{ Role soma.Role }) (any, error) {
		return spaces.Invite(r.Context(), spaceOf(r), in.Role, soma.InviteOptions{})
	}))
	mux.Handle("GET /api/spaces/{space}/members", endpoint(func(r *http.Request, _ none) (any, error) {
		return spaces.Members(r.Context(), spaceOf(r))
	}))
	mux.Handle("PUT /api/spaces/{space}/members/{peer}", endpoint(func(r *http.Request, in struct{ Role soma.Role }) (any, error) {
		peer, err := peerOf(r)
		if err != nil {
			return nil, err
		}
		return nil, spaces.SetRole(r.Context(), spaceOf(r), peer, in.Role)
	}))
	mux.Handle("DELETE /api/spaces/{space}/members/{peer}", endpoint(func(r *http.Request, _ none) (any, error) {
		peer, err := peerOf(r)
		if err != nil {
			return nil, err
		}
		return nil, spaces.RemoveMember(r.Context(), spaceOf(r), peer, soma.RemoveOptions{})
	}))
}

func spaceOf(r *http.Request) soma.SpaceID { return soma.SpaceID(r.PathValue("space")) }

func peerOf(r *http.Request) (soma.PeerID, error) { return soma.ParsePeerID(r.PathValue("peer")) }
