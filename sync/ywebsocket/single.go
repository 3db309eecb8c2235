package ywebsocket

import (
	"context"
	"errors"
	"net/http"

	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// single is the protocol of y-websocket: one document, which the URL names
// (https://github.com/yjs/y-websocket).
type single struct {
	socket  *socket
	request *http.Request
	name    string
	token   string
	session *session
}

// silence is an awareness update of nobody.
var silence = yprotocol.AwarenessUpdate{0}

func (p *single) open(ctx context.Context) closing {
	room, access, why, err := p.socket.h.authorized(ctx, p.request, p.name, p.token)
	if err != nil {
		p.socket.h.logger.Info("client refused", "document", p.name, "remote", p.request.RemoteAddr, "err", err)
		p.socket.send(yprotocol.Encode(yprotocol.PermissionDenied(why.reason)))
		return why
	}
	p.socket.authorize()
	s := &session{socket: p.socket, room: room, readOnly: access == ReadOnly, presences: map[uint64]struct{}{}}
	p.session = s
	p.socket.keepAlive(s.encode(silence))
	room.join(s)
	if s.readOnly {
		s.tell(yprotocol.PermissionDenied(readOnlyReason))
	}
	if s.readOnly && !room.rebuilt() {
		return closing{} // it has nothing that is wanted
	}
	if err := s.ask(ctx); err != nil {
		return closingFor(err)
	}
	return closing{}
}

func (p *single) handle(ctx context.Context, message []byte) closing {
	m, err := yprotocol.Decode(message)
	if errors.Is(err, yprotocol.ErrUnknownMessage) {
		return closing{}
	}
	if err == nil {
		err = p.session.handle(ctx, m)
	}
	switch {
	case err == nil:
		return closing{}
	case errors.Is(err, yprotocol.ErrInvalid):
		return closeInvalid
	default:
		return closingFor(err)
	}
}

func (p *single) close() {
	if p.session != nil {
		p.session.end(closeDone)
	}
}
