package yprotocol

import "strings"

// Hocuspocus (https://github.com/ueberdosis/hocuspocus) puts the name of a document before
// each message, so that one connection serves several, and has messages of its own:
//
//	Token, Authenticated, Denied, SyncReply, Stateless, Closed, SyncStatus

// MaxName bounds the name before a message, in bytes.
const MaxName = 4 << 10

// MaxToken bounds a Token, in bytes.
const MaxToken = 64 << 10

// Token is what a client authenticates itself with.
type Token string

// Authenticated says that a token was taken, and whether its sender may only read.
type Authenticated struct{ ReadOnly bool }

// Denied says why a token was not taken: a PermissionDenied as Hocuspocus numbers it.
type Denied string

// SyncReply is a message of the sync protocol that wants no SyncStep1 for an answer.
type SyncReply struct{ SyncMessage }

// Stateless is some text of the application.
type Stateless string

// Closed says why a document is closed; the connection stays.
type Closed string

// SyncStatus says, once for each SyncStep2 and Update, whether it is stored.
type SyncStatus bool

// Kinds of messages that only Hocuspocus has.
const (
	kindSyncReply  = 4
	kindStateless  = 5
	kindClosed     = 7
	kindSyncStatus = 8
)

// Messages about authorization, as Hocuspocus numbers them.
const (
	authToken = iota
	authDenied
	authAuthenticated
)

// AppendNamed appends a message with a name before it.
func AppendNamed(b []byte, name string, m Message) []byte {
	return m.appendTo(appendBytes(b, []byte(name)))
}

// DecodeNamed reads a message that fills the bytes, which it aliases, and the name before
// it. Of an unknown kind the name is returned all the same. Errors: ErrInvalid, ErrLimit,
// ErrUnknownMessage.
func DecodeNamed(b []byte) (name string, m Message, err error) {
	m, err = read(b, func(r *reader) Message {
		name = string(r.text(MaxName))
		return r.named()
	})
	return name, m, err
}

func (r *reader) named() Message {
	start := r.pos
	switch kind := r.uint(); kind {
	case kindSyncReply:
		return SyncReply{r.sync()}
	case kindAuth:
		return r.auth()
	case kindStateless:
		return Stateless(r.bytes())
	case kindClosed:
		return Closed(r.text(MaxReason))
	case kindSyncStatus:
		return SyncStatus(r.uint() == 1)
	default:
		r.pos = start
		return r.message()
	}
}

func (r *reader) auth() Message {
	switch kind := r.uint(); kind {
	case authToken:
		token := Token(r.text(MaxToken))
		if r.rest() > 0 {
			r.text(MaxName) // the version of the client
		}
		return token
	case authDenied:
		return Denied(r.text(MaxReason))
	case authAuthenticated:
		return Authenticated{ReadOnly: string(r.text(MaxReason)) == scopeReadOnly}
	default:
		r.fail(ErrUnknownMessage, "authorization message %d", kind)
		return nil
	}
}

const (
	scopeReadOnly  = "readonly"
	scopeReadWrite = "read-write"
)

func (m Token) appendTo(b []byte) []byte {
	return appendText(append(b, kindAuth, authToken), string(m))
}

func (m Authenticated) appendTo(b []byte) []byte {
	scope := scopeReadWrite
	if m.ReadOnly {
		scope = scopeReadOnly
	}
	return appendText(append(b, kindAuth, authAuthenticated), scope)
}

func (m Denied) appendTo(b []byte) []byte {
	return appendText(append(b, kindAuth, authDenied), string(m))
}

func (m SyncReply) appendTo(b []byte) []byte { return m.appendSync(append(b, kindSyncReply)) }

func (m Stateless) appendTo(b []byte) []byte { return appendText(append(b, kindStateless), string(m)) }

func (m Closed) appendTo(b []byte) []byte { return appendText(append(b, kindClosed), string(m)) }

func (m SyncStatus) appendTo(b []byte) []byte {
	if m {
		return append(b, kindSyncStatus, 1)
	}
	return append(b, kindSyncStatus, 0)
}

// appendText appends a string. One of Go need not be UTF-8, one of the protocol must.
func appendText(b []byte, text string) []byte {
	return appendBytes(b, []byte(strings.ToValidUTF8(text, "\uFFFD")))
}
