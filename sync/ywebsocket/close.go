package ywebsocket

import (
	"errors"

	"github.com/coder/websocket"

	"github.com/soma-sdk/soma"
)

// The codes with which connections are closed, besides those of RFC 6455. y-websocket does
// not come back by itself after one from 4400 to 4499, and tells its event "closed". On a
// connection of Hocuspocus, which serves several documents, only the document is closed,
// with the text instead of the code: its event "close" has it as the reason. It does not
// come back by itself, so the connection is closed if it should.
const (
	CloseUnauthorized websocket.StatusCode = 4401 // "unauthorized": the Authorizer refused
	CloseNotFound     websocket.StatusCode = 4404 // "not-found": no such space
	CloseTimeout      websocket.StatusCode = 4408 // "timeout": nothing was authorized in time
	CloseRebuilt      websocket.StatusCode = 4409 // "rebuilt": the client shows what does not count
	CloseSlow         websocket.StatusCode = 4508 // "slow": it reads more slowly than others write
)

// closeResetCode is how Hocuspocus answers what it does not understand.
const closeResetCode websocket.StatusCode = 4205

// closing says why a connection, or a document on it, is closed.
type closing struct {
	code   websocket.StatusCode
	reason string
}

var (
	closeUnauthorized = closing{CloseUnauthorized, "unauthorized"}
	closeNotFound     = closing{CloseNotFound, "not-found"}
	closeTimeout      = closing{CloseTimeout, "timeout"}
	closeRebuilt      = closing{CloseRebuilt, "rebuilt"}
	closeSlow         = closing{CloseSlow, "slow"}
	closeDone         = closing{websocket.StatusNormalClosure, ""}
	closeDown         = closing{websocket.StatusGoingAway, "shutting down"}
	closeInvalid      = closing{websocket.StatusInvalidFramePayloadData, "invalid message"}
	closeReset        = closing{closeResetCode, "Reset Connection"}
	closeText         = closing{websocket.StatusUnsupportedData, "binary messages only"}
	closeLarge        = closing{websocket.StatusMessageTooBig, "too large"}
	closeFailed       = closing{websocket.StatusInternalError, "not stored"}
)

// passes reports whether a client is to come back by itself.
func (c closing) passes() bool { return c == closeDown || c == closeFailed }

// closingFor says what becomes of a client whose update was not stored.
func closingFor(err error) closing {
	switch {
	case errors.Is(err, soma.ErrStaleDocument), errors.Is(err, soma.ErrClientIDTaken):
		return closeRebuilt
	case errors.Is(err, soma.ErrNotFound), errors.Is(err, soma.ErrInvalidID):
		return closeNotFound
	case errors.Is(err, soma.ErrInvalidUpdate), errors.Is(err, soma.ErrInvalidStateVector):
		return closeInvalid
	case errors.Is(err, soma.ErrTooLarge):
		return closeLarge
	case errors.Is(err, soma.ErrClosed):
		return closeDown
	default:
		return closeFailed
	}
}
