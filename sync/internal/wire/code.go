package wire

import (
	"errors"
	"fmt"
)

// Code says why a stream was reset. Codes are sent: none changes its meaning.
type Code uint32

// Codes start where those of the network library do not: it keeps those below 0x1000 for
// programs, and 0 for no reason.
const (
	CodeNone     Code = 0
	CodeProtocol Code = 1 // a message that makes no sense here
	CodeLimit    Code = 2 // more than a limit allows
	CodeParted   Code = 3 // the peer is no member of the space any more
	CodeClosing  Code = 4 // this side stops
	CodeBusy     Code = 5 // not now
	CodeTimeout  Code = 6 // nothing came, or nothing could be written, for too long
	CodeInternal Code = 7 // this side has a problem of its own
)

// String returns the code in a word.
func (c Code) String() string {
	names := [...]string{"none", "protocol", "limit", "parted", "closing", "busy", "timeout", "internal"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// Error ends a stream: by the other side (Remote), or because of what it sent.
type Error struct {
	Code   Code
	Remote bool
	Detail string
}

// Error implements error.
func (e *Error) Error() string {
	by := "stream ended"
	switch {
	case e.Remote:
		by = "peer reset the stream"
	case e.Code == CodeProtocol || e.Code == CodeLimit:
		by = "peer broke the protocol"
	}
	if e.Detail == "" {
		return fmt.Sprintf("%s: %s", by, e.Code)
	}
	return fmt.Sprintf("%s: %s: %s", by, e.Code, e.Detail)
}

// Breach returns an Error for what a peer sent that breaks the protocol.
func Breach(format string, args ...any) error {
	return &Error{Code: CodeProtocol, Detail: fmt.Sprintf(format, args...)}
}

// Excess returns an Error for what a peer sent beyond a limit.
func Excess(format string, args ...any) error {
	return &Error{Code: CodeLimit, Detail: fmt.Sprintf(format, args...)}
}

// IsOffence reports whether err says that the peer broke the protocol or a limit of it.
func IsOffence(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && !e.Remote && (e.Code == CodeProtocol || e.Code == CodeLimit)
}

// CodeFor returns the code with which to reset a stream after err.
func CodeFor(err error) Code {
	e, ok := errors.AsType[*Error](err)
	switch {
	case err == nil:
		return CodeNone
	case ok && !e.Remote:
		return e.Code
	case ok:
		return CodeNone // it is reset already
	case IsTimeout(err):
		return CodeTimeout
	}
	return CodeInternal
}

// IsParted reports whether the other side said that this one is no member any more.
func IsParted(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Remote && e.Code == CodeParted
}
