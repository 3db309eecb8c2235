package soma

import (
	"bytes"
	"fmt"

	"github.com/soma-sdk/soma/internal/yjs"
)

// Values are what documents hold beside text and types: those of JavaScript, as
//
//	nil, Undefined, bool, float64, BigInt, string, []byte, []any, Object
//
// Going in, all of Go's integers and floats are taken (an integer beyond 2^53-1 either
// way is ErrInvalidValue: JavaScript cannot hold it), map[string]any (its keys are
// sorted), and, where a single value is expected, free-standing content (NewText and its
// siblings) and a Subdoc. Values are copied, in both directions. Strings are UTF-8; a
// half of a surrogate pair, which JavaScript can leave alone, has three bytes of its own.
type (
	// Undefined is JavaScript's undefined.
	Undefined = yjs.Undefined
	// BigInt is JavaScript's BigInt, of 64 bits.
	BigInt = yjs.BigInt
	// Object is a JavaScript object, ordered: keys that are array indices come first.
	Object = yjs.Object
	// Property is a member of an Object.
	Property = yjs.Member
	// Attributes are the formats of text. Their order matters to Yjs.
	Attributes = yjs.Object
	// Subdoc is a subdocument, as its parent holds it.
	Subdoc = yjs.Subdoc
)

// DeltaOp is one step of a delta (https://quilljs.com/docs/delta): it inserts, keeps or
// deletes. Exactly one of the first three is set. A delta that was read only inserts.
type DeltaOp struct {
	Insert     any        // a string, another value, or content, which counts as one unit
	Retain     int        // UTF-16 units
	Delete     int        // UTF-16 units
	Attributes Attributes // of what is inserted; or to be set on what is kept, where nil values end a format
}

// copied returns a value that shares nothing with the document.
func copied(value any) any {
	switch v := value.(type) {
	case []byte:
		return bytes.Clone(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = copied(e)
		}
		return list
	case Object:
		return copiedObject(v)
	case Subdoc:
		return Subdoc{GUID: v.GUID, Options: copiedObject(v.Options)}
	}
	return value
}

func copiedObject(o Object) Object {
	if o == nil {
		return nil
	}
	members := make(Object, len(o))
	for i, m := range o {
		members[i] = Property{Key: m.Key, Value: copied(m.Value)}
	}
	return members
}

// units turns an index or a length into that of the engine.
func units(n int) (uint64, error) {
	if n < 0 {
		return 0, fmt.Errorf("%d: %w", n, ErrOutOfRange)
	}
	return uint64(n), nil
}

// unitRange is units for a part of a sequence.
func unitRange(index, length int) (at, count uint64, err error) {
	if at, err = units(index); err == nil {
		count, err = units(length)
	}
	return at, count, err
}
