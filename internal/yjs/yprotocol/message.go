package yprotocol

// Message is what peers of y-websocket send each other, one in a frame:
//
//	SyncStep1, SyncStep2, Update, AwarenessUpdate, PermissionDenied, QueryAwareness
type Message interface {
	// appendTo appends the message with its kind.
	appendTo(b []byte) []byte
}

// AwarenessUpdate says what some clients' states are, as an Awareness encodes it.
type AwarenessUpdate []byte

// PermissionDenied says why a document may not be had.
type PermissionDenied string

// QueryAwareness asks for the states of all clients, as an AwarenessUpdate.
type QueryAwareness struct{}

// Kinds of messages, as y-websocket numbers them.
const (
	kindSync = iota
	kindAwareness
	kindAuth
	kindQueryAwareness
)

// authPermissionDenied is the only message about authorization.
const authPermissionDenied = 0

// Encode returns the bytes of a message.
func Encode(m Message) []byte { return m.appendTo(nil) }

func (m AwarenessUpdate) appendTo(b []byte) []byte { return appendBytes(append(b, kindAwareness), m) }

func (m PermissionDenied) appendTo(b []byte) []byte {
	return appendText(append(b, kindAuth, authPermissionDenied), string(m))
}

func (QueryAwareness) appendTo(b []byte) []byte { return append(b, kindQueryAwareness) }

// Decode reads a message that fills the bytes, which it aliases. State vectors and
// updates in it are not looked into. Errors: ErrInvalid, ErrLimit, ErrUnknownMessage.
func Decode(b []byte) (Message, error) { return read(b, (*reader).message) }

func (r *reader) message() Message {
	switch kind := r.uint(); kind {
	case kindSync:
		return r.sync()
	case kindAwareness:
		return AwarenessUpdate(r.bytes())
	case kindAuth:
		if auth := r.uint(); auth != authPermissionDenied {
			r.fail(ErrUnknownMessage, "authorization message %d", auth)
		}
		return PermissionDenied(r.text(MaxReason))
	case kindQueryAwareness:
		return QueryAwareness{}
	default:
		r.fail(ErrUnknownMessage, "message %d", kind)
		return nil
	}
}
