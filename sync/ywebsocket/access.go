package ywebsocket

import (
	"context"
	"fmt"
	"net/http"

	"github.com/soma-sdk/soma"
)

// Access is what a connection may do with a document. The zero value is nothing.
type Access int

// The kinds of Access.
const (
	ReadOnly  Access = iota + 1 // the client is told so
	ReadWrite                   // as far as the member of the DB may
)

// Request is what a client asks for.
type Request struct {
	HTTP     *http.Request // of the connection; not to be kept
	Name     string        // of the document, as the client has it
	Space    soma.SpaceID
	Document soma.DocumentID
	Token    string // of y-websocket the query parameter "token", of Hocuspocus its token
}

// Authorizer decides what a connection may do with a document, once for each of them. An
// error, and no Access, refuse it; the client is not told the error, the logger is. It is
// called concurrently. ctx is that of the request, and ends when the connection is closed here.
type Authorizer func(ctx context.Context, r Request) (Access, error)

// authorized resolves a name and asks the Authorizer.
func (h *Handler) authorized(ctx context.Context, r *http.Request, name, token string) (*room, Access, closing, error) {
	space, document, err := h.resolve(r, name)
	if err != nil {
		return nil, 0, closeNotFound, err
	}
	access, err := h.authorize(ctx, Request{HTTP: r, Name: name, Space: space, Document: document, Token: token})
	switch {
	case err != nil:
		return nil, 0, closeUnauthorized, err
	case access != ReadOnly && access != ReadWrite:
		return nil, 0, closeUnauthorized, fmt.Errorf("access %d: %w", access, soma.ErrForbidden)
	}
	info, err := h.db.Spaces().Get(ctx, space)
	if err != nil {
		return nil, 0, closingFor(err), err
	}
	if info.Role != soma.RoleOwner && info.Role != soma.RoleEditor {
		access = ReadOnly
	}
	room, err := h.enter(ctx, space, document)
	if err != nil {
		return nil, 0, closingFor(err), err
	}
	return room, access, closing{}, nil
}
