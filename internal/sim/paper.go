package sim

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/soma-sdk/soma/internal/yjs"
)

// root is the text that everybody writes to in every document.
const root = "text"

// unit is one character of a text, deleted or not.
type unit struct {
	id     yjs.ID
	origin *yjs.ID // nil for none
	right  *yjs.ID
	state  unitState
	char   byte
}

// unitState says what is left of a unit. The lower one holds more.
type unitState uint8

const (
	solid unitState = iota
	deleted
	collected // GC: neither content nor a place
)

// span is a run of clocks of one client.
type span struct {
	client, clock, end uint64
}

func (s span) has(id yjs.ID) bool {
	return id.Client == s.client && id.Clock >= s.clock && id.Clock < s.end
}

// slip is what an update holds.
type slip struct {
	units   []unit
	deletes []span
	whole   bool // nothing of it was left out, see claims.settled
}

var errForeign = errors.New("update of another kind than those of the simulator")

// parse reads an update that consists of text in one root and of deletions.
func parse(update []byte) (s slip, err error) {
	r := &scan{b: update}
	for range r.uint() {
		structs, client, clock := r.uint(), r.uint(), r.uint()
		for range structs {
			units := r.item(yjs.ID{Client: client, Clock: clock})
			if r.err != nil {
				return s, r.err
			}
			clock += uint64(len(units))
			if len(units) > 0 && units[0].state != skipped {
				s.units = append(s.units, units...)
			}
		}
	}
	for range r.uint() {
		client := r.uint()
		for range r.uint() {
			clock := r.uint()
			s.deletes = append(s.deletes, span{client, clock, clock + r.uint()})
		}
	}
	return s, r.err
}

// skipped is the state of units that an update leaves out.
const skipped unitState = 255

// scan reads the bytes of an update.
type scan struct {
	b   []byte
	err error
}

func (r *scan) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err, r.b = errForeign, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *scan) byte() byte {
	if len(r.b) == 0 {
		r.err = errForeign
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

func (r *scan) id() *yjs.ID { return &yjs.ID{Client: r.uint(), Clock: r.uint()} }

func (r *scan) text() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.err = errForeign
		return nil
	}
	text := r.b[:n]
	r.b = r.b[n:]
	return text
}

// item reads one struct, as units.
func (r *scan) item(id yjs.ID) []unit {
	info := r.byte()
	switch info {
	case 0:
		return fill(unit{id: id, state: collected}, r.uint())
	case 10:
		return fill(unit{id: id, state: skipped}, r.uint())
	}
	u := unit{id: id}
	if info&0x80 != 0 {
		u.origin = r.id()
	}
	if info&0x40 != 0 {
		u.right = r.id()
	}
	if info&0xc0 == 0 && (r.uint() != 1 || string(r.text()) != root) || info&0x20 != 0 {
		r.err = errForeign
		return nil
	}
	switch info & 0x1f {
	case 1:
		u.state = deleted
		return fill(u, r.uint())
	case 4:
		text := r.text()
		units := fill(u, uint64(len(text)))
		for i := range units {
			units[i].char = text[i]
		}
		return units
	}
	r.err = errForeign
	return nil
}

// fill makes n units of a run: each follows the one before.
func fill(u unit, n uint64) []unit {
	units := make([]unit, n)
	for i := range units {
		units[i] = u
		u.origin = &yjs.ID{Client: u.id.Client, Clock: u.id.Clock}
		u.id.Clock++
	}
	return units
}

// paper is a text to which units are added by YATA, one at a time.
type paper struct {
	line    []*unit
	known   map[yjs.ID]*unit
	ends    map[uint64]uint64
	waiting []unit
	deletes []span
}

func newPaper(slips ...slip) *paper {
	p := &paper{known: map[yjs.ID]*unit{}, ends: map[uint64]uint64{}}
	for _, s := range slips {
		p.waiting = append(p.waiting, s.units...)
		p.deletes = append(p.deletes, s.deletes...)
	}
	for p.advance() {
	}
	return p
}

// advance adds what can be added.
func (p *paper) advance() bool {
	n := len(p.waiting)
	left := p.waiting[:0]
	for _, u := range p.waiting {
		switch {
		case u.id.Clock < p.ends[u.id.Client]: // had
		case u.id.Clock == p.ends[u.id.Client] && p.has(u.origin) && p.has(u.right):
			p.add(u)
		default:
			left = append(left, u)
		}
	}
	p.waiting = left
	return len(left) < n
}

func (p *paper) has(id *yjs.ID) bool { return id == nil || p.known[*id] != nil }

// add is YATA.
func (p *paper) add(u unit) {
	p.ends[u.id.Client] = u.id.Clock + 1
	p.known[u.id] = &u
	for _, id := range []*yjs.ID{u.origin, u.right} {
		if id != nil && p.known[*id].state == collected {
			u.state = collected // its place is gone
		}
	}
	if u.state == collected {
		return
	}
	at, end := 0, len(p.line)
	if u.origin != nil {
		at = p.index(*u.origin) + 1
	}
	if u.right != nil {
		end = p.index(*u.right)
	}
	p.line = slices.Insert(p.line, p.place(&u, at, end), &u)
}

// place returns where in the line, between two places, a unit goes.
func (p *paper) place(u *unit, at, end int) int {
	before, conflicting := map[yjs.ID]bool{}, map[yjs.ID]bool{}
	for i := at; i < len(p.line) && i != end; i++ {
		o := p.line[i]
		before[o.id], conflicting[o.id] = true, true
		switch {
		case same(o.origin, u.origin):
			if o.id.Client < u.id.Client {
				at = i + 1
				clear(conflicting)
			} else if same(o.right, u.right) {
				return at
			}
		case o.origin != nil && before[*o.origin]:
			if !conflicting[*o.origin] {
				at = i + 1
				clear(conflicting)
			}
		default:
			return at
		}
	}
	return at
}

func (p *paper) index(id yjs.ID) int {
	return slices.IndexFunc(p.line, func(u *unit) bool { return u.id == id })
}

func same(a, b *yjs.ID) bool { return a == b || a != nil && b != nil && *a == *b }

// visible reports whether a unit is there to be read.
func (p *paper) visible(id yjs.ID) bool {
	u := p.known[id]
	return u != nil && u.state == solid && !slices.ContainsFunc(p.deletes, func(s span) bool { return s.has(id) })
}

// text returns what can be read.
func (p *paper) text() string {
	var b []byte
	for _, u := range p.line {
		if p.visible(u.id) {
			b = append(b, u.char)
		}
	}
	return string(b)
}

// insert returns the update that puts text behind a place in the line.
func (p *paper) insert(client uint64, at int, text string) []byte {
	var left, right *yjs.ID
	if at > 0 {
		left = &p.line[at-1].id
	}
	if at < len(p.line) {
		right = &p.line[at].id
	}
	return typed(yjs.ID{Client: client, Clock: p.ends[client]}, left, right, text)
}

// typed returns the update that puts text between two units.
func typed(id yjs.ID, left, right *yjs.ID, text string) []byte {
	info := byte(4)
	var places []byte
	if left != nil {
		info |= 0x80
		places = binary.AppendUvarint(binary.AppendUvarint(places, left.Client), left.Clock)
	}
	if right != nil {
		info |= 0x40
		places = binary.AppendUvarint(binary.AppendUvarint(places, right.Client), right.Clock)
	}
	if left == nil && right == nil {
		places = append([]byte{1, byte(len(root))}, root...)
	}
	b := []byte{1, 1}
	b = binary.AppendUvarint(binary.AppendUvarint(b, id.Client), id.Clock)
	b = append(append(b, info), places...)
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(append(b, text...), 0)
}

// erased returns the update that deletes spans.
func erased(spans ...span) []byte {
	b := binary.AppendUvarint([]byte{0}, uint64(len(spans)))
	for _, s := range spans {
		b = append(binary.AppendUvarint(b, s.client), 1)
		b = binary.AppendUvarint(binary.AppendUvarint(b, s.clock), s.end-s.clock)
	}
	return b
}
