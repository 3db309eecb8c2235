package yprotocol_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// awareness is an Awareness with a clock that the test moves.
type awareness struct {
	*yprotocol.Awareness
	clock time.Time
}

func newAwareness(client uint64) *awareness {
	a := &awareness{clock: time.UnixMilli(1_700_000_000_000)}
	a.Awareness = yprotocol.NewAwareness(client, func() time.Time { return a.clock })
	return a
}

func (a *awareness) pass(d time.Duration) { a.clock = a.clock.Add(d) }

func (a *awareness) mustApply(t *testing.T, update []byte) yprotocol.Changes {
	t.Helper()
	changes, err := a.Apply(update)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// encodeAll encodes all that have a state.
func encodeAll(t *testing.T, a *yprotocol.Awareness) []byte {
	t.Helper()
	update, err := a.Encode(a.Clients()...)
	if err != nil {
		t.Fatal(err)
	}
	return update
}

func equalChanges(a, b yprotocol.Changes) bool {
	return slices.Equal(a.Added, b.Added) && slices.Equal(a.Updated, b.Updated) &&
		slices.Equal(a.Changed, b.Changed) && slices.Equal(a.Removed, b.Removed)
}

func TestNewAwareness(t *testing.T) {
	a := newAwareness(7)
	clock, err := a.Clock(7)
	if a.Client() != 7 || string(a.State(7)) != "{}" || clock != 0 || err != nil {
		t.Errorf("client %d has %s at %d, %v, want {} at 0", a.Client(), a.State(7), clock, err)
	}
	for _, client := range []uint64{0, 1 << 53} {
		if got := newAwareness(client).Client(); got == 0 || got >= 1<<53 {
			t.Errorf("client %d is %d, want another one", client, got)
		}
	}
}

// TestRules says each rule of the clocks once; the sessions mix them.
func TestRules(t *testing.T) {
	list := func(clients ...uint64) []uint64 { return clients }
	for _, c := range []struct {
		name   string
		update []byte
		want   yprotocol.Changes
		own    string // state and clock
		other  string
	}{
		{"an unknown client at clock 0 is no news", states(3, 0, "{}"), yprotocol.Changes{}, "{} 0", `"x" 5`},
		{"an unknown client", states(3, 1, "{}"), yprotocol.Changes{Added: list(3)}, "{} 0", `"x" 5`},
		{"an unknown client that is gone", states(3, 1, "null"), yprotocol.Changes{}, "{} 0", `"x" 5`},
		{"a lower clock", states(2, 4, "null"), yprotocol.Changes{}, "{} 0", `"x" 5`},
		{"an equal clock", states(2, 5, `"y"`), yprotocol.Changes{}, "{} 0", `"x" 5`},
		{"an equal clock with null", states(2, 5, "null"), yprotocol.Changes{Removed: list(2)}, "{} 0", " 5"},
		{"a higher clock", states(2, 9, `"y"`), yprotocol.Changes{Updated: list(2), Changed: list(2)}, "{} 0", `"y" 9`},
		{"a higher clock, the same state", states(2, 6, `"x"`), yprotocol.Changes{Updated: list(2)}, "{} 0", `"x" 6`},
		{"a higher clock with null", states(2, 6, "null"), yprotocol.Changes{Removed: list(2)}, "{} 0", " 6"},
		{"gone and back", states(2, 5, "null", 2, 6, `"x"`), yprotocol.Changes{Updated: list(2), Changed: list(2), Removed: list(2)}, "{} 0", `"x" 6`},
		{"gone twice", states(2, 5, "null", 2, 5, "null"), yprotocol.Changes{Removed: list(2)}, "{} 0", " 5"},
		{"the own state is not removed", states(1, 0, "null"), yprotocol.Changes{Removed: list(1)}, "{} 1", `"x" 5`},
		{"the own state is not removed later", states(1, 8, "null"), yprotocol.Changes{Removed: list(1)}, "{} 9", `"x" 5`},
		{"the own state from elsewhere", states(1, 8, `"me"`), yprotocol.Changes{Updated: list(1), Changed: list(1)}, `"me" 8`, `"x" 5`},
		{"a falsy own state is removed", states(1, 8, "0", 1, 9, "null"), yprotocol.Changes{Updated: list(1), Changed: list(1), Removed: list(1)}, " 9", `"x" 5`},
	} {
		a := newAwareness(1)
		a.mustApply(t, states(2, 5, `"x"`))
		got := a.mustApply(t, c.update)
		if !equalChanges(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		for client, want := range map[uint64]string{1: c.own, 2: c.other} {
			clock, err := a.Clock(client)
			if state := fmt.Sprint(string(a.State(client)), " ", clock); state != want || err != nil {
				t.Errorf("%s: client %d has %s, %v, want %s", c.name, client, state, err, want)
			}
		}
	}
}

// TestEqualStates has what lib0's equalityDeep returns in Node, for both orders.
func TestEqualStates(t *testing.T) {
	for _, c := range []struct {
		a, b       string
		same, back bool
	}{
		{`{"a":1,"b":[2,{}]}`, `{"b":[2,{}],"a":1}`, true, true},
		{`{"a":1}`, `{"a":2}`, false, false},
		{`{"a":1}`, `{"b":1}`, false, false},
		{`{"a":1}`, `{"a":1,"b":1}`, false, false},
		{`{"a":{}}`, `{"a":[]}`, false, false},
		{`[1,2]`, `[1,2,3]`, false, false},
		{`[1,2]`, `[2,1]`, false, false},
		{`{"a":null}`, `{"a":0}`, false, false},
		{`{"a":null}`, `{"a":null}`, true, true},
		{`{"a":"1"}`, `{"a":1}`, false, false},
		{`1`, `1`, true, true},
		{`{"constructor":1}`, `{"constructor":1}`, false, false},
		{`{"constructor":1}`, `{"a":1}`, false, false},
		{`{"constructor":0}`, `{"constructor":0}`, false, false},
		{`{"__proto__":{}}`, `{"a":1}`, true, false},
		{`{"__proto__":{}}`, `{"__proto__":{}}`, true, true},
		{`{"__proto__":1}`, `{"a":1}`, false, false},
		{`{"__proto__":{}}`, `{"constructor":1}`, false, false},
		{`{"__proto__":{}}`, `{"constructor":0}`, true, false},
		{`{"__proto__":{}}`, `{"constructor":""}`, true, false},
		{`{"__proto__":{}}`, `{"constructor":false}`, true, false},
		{`{"__proto__":{}}`, `{"constructor":[]}`, false, false},
		{`{"toString":1}`, `{"toString":1}`, true, true},
		{`{"a":-0}`, `{"a":0}`, true, true},
	} {
		a := newAwareness(1)
		if _, err := a.SetLocal([]byte(c.a)); err != nil {
			t.Fatal(err)
		}
		// y-protocols compares the old state with a new local one, a state from outside
		// with the old one.
		local, err := a.SetLocal([]byte(c.b))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(local.Changed) == 0; got != c.same {
			t.Errorf("%s replaced by %s is the same: %v, want %v", c.a, c.b, got, c.same)
		}
		remote := a.mustApply(t, states(2, 1, c.a, 2, 2, c.b))
		if got := len(remote.Changed) == 0; got != c.back {
			t.Errorf("%s replaced from outside by %s is the same: %v, want %v", c.a, c.b, got, c.back)
		}
	}
}

func TestSetLocalRefuses(t *testing.T) {
	a := newAwareness(1)
	for state, want := range map[string]error{
		"":                         yprotocol.ErrInvalid,
		"{":                        yprotocol.ErrInvalid,
		"\"\xff\"":                 yprotocol.ErrInvalid,
		strings.Repeat("[", 1<<20): yprotocol.ErrInvalid,
		`"` + strings.Repeat("x", yprotocol.MaxState-1) + `"`: yprotocol.ErrLimit,
	} {
		if changes, err := a.SetLocal([]byte(state)); !errors.Is(err, want) || len(changes.Clients()) > 0 {
			t.Errorf("SetLocal(%.20q) = %v, %v, want %v", state, changes, err, want)
		}
	}
	if clock, err := a.Clock(1); clock != 0 || string(a.State(1)) != "{}" || err != nil {
		t.Errorf("the own state is %s at %d, want {} at 0", a.State(1), clock)
	}
}

func TestSetLocalKeepsNothingOfTheCaller(t *testing.T) {
	a := newAwareness(1)
	text := []byte(`{"a":1}`)
	if _, err := a.SetLocal(text); err != nil {
		t.Fatal(err)
	}
	update := states(2, 1, `"x"`)
	a.mustApply(t, update)
	clear(text)
	clear(update)
	if string(a.State(1)) != `{"a":1}` || string(a.State(2)) != `"x"` {
		t.Errorf("states %s and %s, want those that were set", a.State(1), a.State(2))
	}
}

func TestRemoveLocal(t *testing.T) {
	a := newAwareness(1)
	if got, err := a.SetLocal([]byte(" null ")); err != nil || !equalChanges(got, yprotocol.Changes{Removed: []uint64{1}}) {
		t.Errorf("SetLocal(null) = %+v, %v", got, err)
	}
	if got := a.RemoveLocal(); !equalChanges(got, yprotocol.Changes{Removed: []uint64{1}}) {
		t.Errorf("RemoveLocal = %+v", got)
	}
	if got, err := a.Encode(1); err != nil || !bytes.Equal(got, states(1, 2, "null")) {
		t.Errorf("encoded %q, %v, want null at 2", got, err)
	}
	if got, err := a.SetLocal([]byte("{}")); err != nil || !equalChanges(got, yprotocol.Changes{Added: []uint64{1}}) {
		t.Errorf("SetLocal({}) = %+v, %v", got, err)
	}
}

func TestEncodeRefusesUnknownClients(t *testing.T) {
	a := newAwareness(1)
	if got, err := a.Encode(1, 2); got != nil || !errors.Is(err, yprotocol.ErrUnknownClient) {
		t.Errorf("Encode = %x, %v, want ErrUnknownClient", got, err)
	}
	if _, err := a.Clock(2); !errors.Is(err, yprotocol.ErrUnknownClient) {
		t.Errorf("Clock = %v, want ErrUnknownClient", err)
	}
	if a.State(2) != nil {
		t.Errorf("State = %s, want none", a.State(2))
	}
	if changes := a.Remove(2); len(changes.Clients()) > 0 {
		t.Errorf("Remove = %+v, want nothing", changes)
	}
}

func TestTime(t *testing.T) {
	a := newAwareness(1)
	a.mustApply(t, states(2, 1, "{}", 3, 1, "{}"))
	a.pass(yprotocol.OutdatedTimeout/2 - time.Millisecond)
	if got := a.Renew(); len(got.Clients()) > 0 {
		t.Errorf("renewed too early: %+v", got)
	}
	a.pass(time.Millisecond)
	if got := a.Renew(); !equalChanges(got, yprotocol.Changes{Updated: []uint64{1}}) {
		t.Errorf("Renew = %+v", got)
	}
	if got := a.Renew(); len(got.Clients()) > 0 {
		t.Errorf("renewed twice: %+v", got)
	}
	a.mustApply(t, states(3, 2, "{}"))
	a.pass(yprotocol.OutdatedTimeout/2 - time.Millisecond)
	if got := a.RemoveOutdated(); len(got.Clients()) > 0 {
		t.Errorf("removed too early: %+v", got)
	}
	a.pass(time.Millisecond)
	if got := a.RemoveOutdated(); !equalChanges(got, yprotocol.Changes{Removed: []uint64{2}}) {
		t.Errorf("RemoveOutdated = %+v", got)
	}
	a.pass(time.Hour) // the own state never is
	if got := a.RemoveOutdated(); !equalChanges(got, yprotocol.Changes{Removed: []uint64{3}}) {
		t.Errorf("RemoveOutdated = %+v", got)
	}
	a.RemoveLocal()
	a.pass(time.Hour)
	if got := a.Renew(); len(got.Clients()) > 0 {
		t.Errorf("renewed without a state: %+v", got)
	}
}

func TestClocksEnd(t *testing.T) {
	a := newAwareness(1)
	a.mustApply(t, states(1, yprotocol.MaxClock, "null"))
	if clock, err := a.Clock(1); clock != yprotocol.MaxClock+1 || err != nil {
		t.Errorf("clock %d, %v, want one more than %d", clock, err, uint64(yprotocol.MaxClock))
	}
	a.SetClock(yprotocol.MaxSafe - 1)
	for range 3 {
		if _, err := a.SetLocal([]byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if clock, err := a.Clock(1); clock != yprotocol.MaxSafe || err != nil {
		t.Errorf("clock %d, %v, want %d", clock, err, uint64(yprotocol.MaxSafe))
	}
}

func TestClientsAreBounded(t *testing.T) {
	a := newAwareness(1)
	var full []any
	for i := range yprotocol.MaxClients - 1 {
		full = append(full, i+2, 1, "{}")
	}
	a.mustApply(t, states(full...))
	before := encodeAll(t, a.Awareness)
	if _, err := a.Apply(states(2, 2, `"x"`, 1<<20, 1, "{}")); !errors.Is(err, yprotocol.ErrLimit) {
		t.Errorf("one client more: %v, want ErrLimit", err)
	}
	if !bytes.Equal(before, encodeAll(t, a.Awareness)) {
		t.Error("a refused update changed something")
	}
	if a2, err := yprotocol.DecodeStates(before); err != nil || len(a2) != yprotocol.MaxClients {
		t.Errorf("all states: %d, %v, want %d", len(a2), err, yprotocol.MaxClients)
	}
	a.mustApply(t, states(2, 2, `"x"`)) // who is there already has room
	if _, err := a.SetLocal([]byte(`"me"`)); err != nil {
		t.Error(err)
	}
	a.Remove(2)
	a.mustApply(t, states(1<<20, 1, "{}"))
	a.RemoveLocal()
	a.mustApply(t, states(1<<20+1, 1, "{}"))
	if _, err := a.SetLocal([]byte(`"me"`)); !errors.Is(err, yprotocol.ErrLimit) {
		t.Errorf("the own state as one more: %v, want ErrLimit", err)
	}
}

func TestBytesAreBounded(t *testing.T) {
	a := newAwareness(1)
	large := `"` + strings.Repeat("x", yprotocol.MaxState-2) + `"`
	const room = yprotocol.MaxStates/yprotocol.MaxState - 1
	for i := range room {
		a.mustApply(t, states(i+2, 1, large))
	}
	if _, err := a.Apply(states(2, 2, "{}", 1<<20, 1, large)); !errors.Is(err, yprotocol.ErrLimit) {
		t.Errorf("one large state more: %v, want ErrLimit", err)
	}
	a.mustApply(t, states(2, 2, large))
	if _, err := a.SetLocal([]byte(large)); err != nil { // takes the last room
		t.Error(err)
	}
	if _, err := a.Apply(states(1<<20, 1, "1")); !errors.Is(err, yprotocol.ErrLimit) {
		t.Errorf("one byte more: %v, want ErrLimit", err)
	}
	a.RemoveLocal()
	a.mustApply(t, states(1<<20, 1, "1"))
	if _, err := a.SetLocal([]byte(large)); !errors.Is(err, yprotocol.ErrLimit) {
		t.Errorf("the own state as one byte more: %v, want ErrLimit", err)
	}
	a.Remove(2)
	if _, err := a.SetLocal([]byte(large)); err != nil {
		t.Error(err)
	}
}

// TestForgets floods an Awareness with clients that come and go.
func TestForgets(t *testing.T) {
	a := newAwareness(1)
	a.RemoveLocal()
	a.mustApply(t, states(2, 5, "{}"))
	next := 10
	for range 6 {
		var come, gone []any
		for range yprotocol.MaxUpdateClients - 1 {
			come = append(come, next, 1, "{}")
			gone = append(gone, next, 1, "null")
			next++
		}
		a.mustApply(t, states(come...))
		changes := a.mustApply(t, states(gone...))
		if len(changes.Removed) != yprotocol.MaxUpdateClients-1 {
			t.Fatalf("%d removed, want %d", len(changes.Removed), yprotocol.MaxUpdateClients-1)
		}
		if _, err := a.Encode(changes.Clients()...); err != nil {
			t.Fatalf("what was just removed is forgotten: %v", err)
		}
	}
	if known := a.Known(); known > 2*yprotocol.MaxClients+2 {
		t.Errorf("%d clients are remembered, want at most %d", known, 2*yprotocol.MaxClients+2)
	}
	if _, err := a.Clock(10); !errors.Is(err, yprotocol.ErrUnknownClient) {
		t.Errorf("the clock of who left first: %v, want ErrUnknownClient", err)
	}
	for client, want := range map[uint64]uint64{1: 1, 2: 5, uint64(next - 1): 1} {
		if clock, err := a.Clock(client); clock != want || err != nil {
			t.Errorf("client %d is at %d, %v, want %d", client, clock, err, want)
		}
	}
	if got := a.Clients(); !slices.Equal(got, []uint64{2}) {
		t.Errorf("clients %v, want 2", got)
	}
}
