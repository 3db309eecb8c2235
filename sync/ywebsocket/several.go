package ywebsocket

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// authPatience is how long a client has to open its first document.
const authPatience = 30 * time.Second

// Why a document is not opened, as Hocuspocus says it.
const (
	deniedReason  = "permission-denied"
	tooManyReason = "too-many-documents"
)

// several is the protocol of Hocuspocus: several documents, which messages name
// (https://github.com/ueberdosis/hocuspocus).
type several struct {
	socket   *socket
	request  *http.Request
	sessions map[string]*session // by name, as in messages
	patience *time.Timer
}

func (p *several) open(context.Context) closing {
	p.patience = time.AfterFunc(authPatience, func() { p.socket.end(closeTimeout) })
	return closing{}
}

func (p *several) handle(ctx context.Context, message []byte) closing {
	if len(message) == 1 { // a pong has no name
		return closing{}
	}
	name, m, err := yprotocol.DecodeNamed(message)
	switch {
	case errors.Is(err, yprotocol.ErrUnknownMessage):
		return closing{}
	case err != nil:
		return closeReset
	}
	s := p.sessions[name]
	if s != nil && s.ended.Load() {
		delete(p.sessions, name)
		s = nil
	}
	switch m := m.(type) {
	case yprotocol.Token:
		if s == nil {
			return p.authenticate(ctx, name, string(m))
		}
	case yprotocol.Closed:
		if s != nil {
			s.end(closeDone)
			delete(p.sessions, name)
		}
	default:
		if s == nil { // refused, or closed meanwhile
			return closing{}
		}
		switch err := s.handle(ctx, m); {
		case errors.Is(err, yprotocol.ErrInvalid):
			return closeReset
		case err != nil:
			s.fail(err)
		}
	}
	return closing{}
}

func (p *several) authenticate(ctx context.Context, name, token string) closing {
	deny := func(reason string) closing {
		p.socket.send(yprotocol.AppendNamed(nil, name, yprotocol.Denied(reason)))
		return closing{}
	}
	if len(p.sessions) >= MaxDocuments {
		maps.DeleteFunc(p.sessions, func(_ string, s *session) bool { return s.ended.Load() })
	}
	if len(p.sessions) >= MaxDocuments {
		return deny(tooManyReason)
	}
	document, _, _ := strings.Cut(name, "\x00") // what follows tells providers apart
	room, access, why, err := p.socket.h.authorized(ctx, p.request, document, token)
	if err != nil {
		p.socket.h.logger.Info("client refused", "document", document, "remote", p.request.RemoteAddr, "err", err)
		switch {
		case why.passes():
			return why
		case why == closeUnauthorized:
			return deny(deniedReason)
		}
		return deny(why.reason)
	}
	p.patience.Stop()
	p.socket.authorize()
	s := &session{
		socket: p.socket, room: room, named: true, name: name, prefix: name + "\x00",
		readOnly: access == ReadOnly, presences: map[uint64]struct{}{},
	}
	p.sessions[name] = s
	p.socket.keepAlive(s.encode(silence))
	s.tell(yprotocol.Authenticated{ReadOnly: s.readOnly})
	room.join(s)
	return closing{}
}

func (p *several) close() {
	p.patience.Stop()
	for _, s := range p.sessions {
		s.end(closeDone)
	}
}
