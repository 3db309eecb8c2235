package yjs

import "bytes"

// Item is one struct of a document: a run of content that one client wrote, or
// the place of content that is gone (GC) or not known (Skip, in updates only).
type item struct {
	left, right         *item
	parent              *Type // before integration possibly a reference (kindRef...)
	parentSub           *string
	content             content // nil for GC and Skip
	span                *span   // in an indexed sequence
	id                  ID
	origin, rightOrigin ID // valid if flagOrigin, flagRightOrigin
	length              uint64
	bits                uint64 // flags, and above them the conflict stamp
}

const (
	flagDeleted = 1 << iota
	flagOrigin
	flagRightOrigin
	flagSkip
	flagMarked  // the marker bit of yjs, see places
	flagPointed // a place was remembered here; perhaps no longer

	stampShift = 8
)

func (it *item) is(flag uint64) bool { return it.bits&flag != 0 }
func (it *item) deleted() bool       { return it.bits&flagDeleted != 0 }
func (it *item) isSkip() bool        { return it.bits&flagSkip != 0 }
func (it *item) isGC() bool          { return it.content == nil && !it.isSkip() }
func (it *item) end() uint64         { return it.id.Clock + it.length }
func (it *item) lastID() ID          { return ID{it.id.Client, it.id.Clock + it.length - 1} }

func (it *item) isFormat() bool {
	_, ok := it.content.(*formatContent)
	return ok
}

// isInText reports whether it is what a text consists of.
func (it *item) isInText() bool {
	switch it.content.(type) {
	case *stringContent, *embedContent, *typeContent:
		return true
	}
	return false
}

// startsReplaced reports whether it is text that starts with U+FFFD.
func (it *item) startsReplaced() bool {
	c, ok := it.content.(*stringContent)
	return ok && bytes.HasPrefix(c.text, []byte(replacement))
}

func (it *item) countable() bool { return it.content != nil && it.content.countable() }

// stamp numbers an item within one conflict scan, see integrate.
func (it *item) stamp() uint64     { return it.bits >> stampShift }
func (it *item) setStamp(n uint64) { it.bits = it.bits&(1<<stampShift-1) | n<<stampShift }

func (it *item) setOrigin(id ID) {
	it.origin = id
	it.bits |= flagOrigin
}

// becomeGC drops everything but the place.
func (it *item) becomeGC() {
	*it = item{id: it.id, length: it.length, bits: flagDeleted}
}

func sameRef(a ID, aSet bool, b ID, bSet bool) bool { return aSet == bSet && (!aSet || a == b) }

func (it *item) sameOrigin(o *item) bool {
	return sameRef(it.origin, it.is(flagOrigin), o.origin, o.is(flagOrigin))
}

func (it *item) sameRightOrigin(o *item) bool {
	return sameRef(it.rightOrigin, it.is(flagRightOrigin), o.rightOrigin, o.is(flagRightOrigin))
}

// follows reports whether it continues what left wrote, so that both are one run.
func (it *item) follows(left *item) bool {
	return it.is(flagOrigin) && it.origin == left.lastID() && it.sameRightOrigin(left)
}

// splitOff cuts an item that is not (or not yet) part of a document at offset and
// returns the right part.
func (it *item) splitOff(offset uint64) *item { return it.cut(offset, false) }

// cut is splitOff, and the common half of splitting in a document, which owns the
// content.
func (it *item) cut(offset uint64, owned bool) *item {
	right := &item{
		parent:      it.parent,
		parentSub:   it.parentSub,
		id:          ID{it.id.Client, it.id.Clock + offset},
		rightOrigin: it.rightOrigin,
		length:      it.length - offset,
		bits:        it.bits & (flagDeleted | flagRightOrigin | flagSkip),
	}
	if it.content != nil {
		right.setOrigin(ID{it.id.Client, it.id.Clock + offset - 1})
		right.content = it.content.(runContent).split(it.length, offset, owned)
	}
	it.length = offset
	return right
}

// write encodes the struct from offset on.
func (it *item) write(w *writer, offset uint64) {
	switch {
	case it.isSkip():
		w.byte(refSkip)
		w.uint(it.length - offset)
		return
	case it.content == nil:
		w.byte(refGC)
		w.uint(it.length - offset)
		return
	}
	origin, hasOrigin := it.origin, it.is(flagOrigin)
	if offset > 0 {
		origin, hasOrigin = ID{it.id.Client, it.id.Clock + offset - 1}, true
	}
	info := it.content.ref()
	if hasOrigin {
		info |= infoOrigin
	}
	if it.is(flagRightOrigin) {
		info |= infoRightOrigin
	}
	if it.parentSub != nil {
		info |= infoParentSub
	}
	w.byte(info)
	if hasOrigin {
		w.id(origin)
	}
	if it.is(flagRightOrigin) {
		w.id(it.rightOrigin)
	}
	if !hasOrigin && !it.is(flagRightOrigin) {
		it.parent.writeRef(w)
		if it.parentSub != nil {
			w.string(*it.parentSub)
		}
	}
	it.content.write(w, it.length, offset)
}

// Bits of a struct's info byte, beside the content reference number.
const (
	infoRef         = 0x1f
	infoParentSub   = 0x20
	infoRightOrigin = 0x40
	infoOrigin      = 0x80
)

// readStruct reads one struct that starts at id.
func (r *structReader) readStruct(id ID, it *item) {
	*it = item{id: id}
	info := r.byte()
	switch {
	case info&infoRef == refGC:
		it.length = r.uint()
		it.bits = flagDeleted
	case info == refSkip:
		it.length = r.uint()
		it.bits = flagSkip
	default:
		r.readItem(info, it)
	}
	if it.length == 0 && !it.isSkip() {
		r.fail("empty struct")
	}
	if it.length > maxSafe-id.Clock {
		r.fail("clock out of range")
	}
}

func (r *structReader) readItem(info byte, it *item) {
	if info&infoOrigin != 0 {
		it.setOrigin(r.ref(it.id))
	}
	if info&infoRightOrigin != 0 {
		it.rightOrigin = r.ref(it.id)
		it.bits |= flagRightOrigin
	}
	if info&(infoOrigin|infoRightOrigin) == 0 {
		if r.uint() == 1 {
			it.parent = r.rootRef(r.text())
		} else {
			it.parent = &Type{kind: kindItemRef, ref: r.ref(it.id)}
		}
		if info&infoParentSub != 0 {
			sub := r.string()
			it.parentSub = &sub
		}
	}
	it.content, it.length = r.readContent(info & infoRef)
}

// ref reads the ID of a struct that it depends on. No client can have known a
// later struct of its own.
func (r *reader) ref(of ID) ID {
	id := r.id()
	if id.Client == of.Client && id.Clock >= of.Clock {
		r.fail("struct refers to itself")
	}
	return id
}
