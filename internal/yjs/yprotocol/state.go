package yprotocol

import (
	"bytes"
	"fmt"

	"github.com/soma-sdk/soma/internal/yjs"
)

// ClientState is the state of a client as an awareness update has it.
type ClientState struct {
	Client uint64
	Clock  uint64 // counts the states of the client
	State  []byte // JSON as JSON.stringify writes it, nil for none: the client is gone
}

// minClientState is how many bytes a ClientState takes at least.
const minClientState = 4

// DecodeStates reads an awareness update. Errors: ErrInvalid, ErrLimit.
func DecodeStates(update AwarenessUpdate) ([]ClientState, error) {
	return read(update, (*reader).states)
}

func (r *reader) states() []ClientState {
	n := r.uint()
	switch {
	case n > MaxUpdateClients:
		r.fail(ErrLimit, "%d clients", n)
	case n > uint64(r.rest()/minClientState):
		r.fail(ErrInvalid, "%d clients exceed the input", n)
	}
	if r.err != nil {
		return nil
	}
	states := make([]ClientState, n)
	for i := range states {
		states[i] = r.state()
	}
	return states
}

func (r *reader) state() ClientState {
	s := ClientState{Client: r.uint(), Clock: r.uint()}
	if s.Clock > MaxClock {
		r.fail(ErrInvalid, "clock %d out of range", s.Clock)
	}
	text := r.text(MaxState)
	if r.err != nil {
		return ClientState{}
	}
	state, err := normalState(text)
	if err != nil {
		r.fail(err, "client %d", s.Client)
	}
	s.State = state
	return s
}

// normalState writes JSON as JavaScript does that has read it, and null as nil.
func normalState(text []byte) ([]byte, error) {
	v, ok := yjs.ParseJSON(text)
	switch {
	case !ok:
		return nil, fmt.Errorf("state is not JSON, or nested too deep: %w", ErrInvalid)
	case v == nil:
		return nil, nil
	}
	state := yjs.AppendJSON(make([]byte, 0, len(text)), v)
	if max(len(text), len(state)) > MaxState { // 1e20 gets longer
		return nil, fmt.Errorf("state of %d bytes: %w", len(state), ErrLimit)
	}
	return state, nil
}

// encodeStates is the reverse of DecodeStates.
func encodeStates(states []ClientState) AwarenessUpdate {
	b := appendUint(nil, uint64(len(states)))
	for _, s := range states {
		b = appendUint(b, s.Client)
		b = appendUint(b, s.Clock)
		if s.State == nil {
			s.State = []byte("null")
		}
		b = appendBytes(b, s.State)
	}
	return b
}

// ModifyStates returns the update with other states: what modify returns for each, as
// JSON, nil for none. With it a server sees to it that nobody takes the name of somebody
// else. Errors: ErrInvalid, ErrLimit, also for what modify returned, and modify's own.
func ModifyStates(update AwarenessUpdate, modify func(ClientState) ([]byte, error)) (AwarenessUpdate, error) {
	states, err := DecodeStates(update)
	if err != nil {
		return nil, fmt.Errorf("modify states: %w", err)
	}
	for i, s := range states {
		state, err := modify(s)
		if err == nil && state != nil {
			state, err = normalState(state)
		}
		if err != nil {
			return nil, fmt.Errorf("modify the state of client %d: %w", s.Client, err)
		}
		states[i].State = state
	}
	return encodeStates(states), nil
}

// falsy reports whether a state is one that JavaScript takes for none in places.
func falsy(state []byte) bool {
	switch string(state) {
	case "", "false", "0", `""`:
		return true
	}
	return false
}

// sameState is what lib0 calls deep equality, of two states. It is not symmetric, see
// sameMembers.
func sameState(a, b []byte) bool {
	if a == nil || b == nil {
		return false
	}
	if bytes.Equal(a, b) && !bytes.Contains(a, []byte(`"constructor"`)) {
		return true
	}
	x, okX := yjs.ParseJSON(a)
	y, okY := yjs.ParseJSON(b)
	return okX && okY && same(x, y)
}

func same(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case yjs.Object:
		b, ok := b.(yjs.Object)
		return ok && sameMembers(a, b)
	}
	switch b.(type) {
	case []any, yjs.Object: // not to be compared with ==
		return false
	}
	return a == b
}

// sameMembers ignores the order of members. lib0 asks objects for their constructor, so
// one with a member of that name is equal to nothing, except as b if JavaScript takes
// the member for none. And a missing __proto__ reads as an empty object.
func sameMembers(a, b yjs.Object) bool {
	if len(a) != len(b) {
		return false
	}
	switch constructor, _ := b.Get("constructor"); constructor {
	case nil, false, 0.0, "":
	default:
		return false
	}
	var others map[string]any // made at the first member that is elsewhere in b
	for i, m := range a {
		if m.Key == "constructor" {
			return false
		}
		other := b[i].Value
		if b[i].Key != m.Key {
			if others == nil {
				others = make(map[string]any, len(b))
				for _, m := range b {
					others[m.Key] = m.Value
				}
			}
			var ok bool
			if other, ok = others[m.Key]; !ok {
				if m.Key != "__proto__" {
					return false
				}
				other = yjs.Object{}
			}
		}
		if !same(m.Value, other) {
			return false
		}
	}
	return true
}
