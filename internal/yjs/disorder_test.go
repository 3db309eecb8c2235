package yjs_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// letters are the updates of clients 1, 1, 2, 1 and 1, who type "abcde" into a text.
var letters = []string{
	"0101010004010174016100",
	"01010101840100016200",
	"01010200840101016300",
	"01010102840200016400",
	"01010103840102016500",
}

// stalls are the orders of letters after which yjs still waits, although it has all of
// them: "c" waits for "b", but when both "c" and "e" were tried, only what "e" misses was
// noted, which is "d". "b" comes and nothing is tried; "d" comes and waits for "c".
var stalls = []string{"[2 4 0 1 3]", "[4 2 0 1 3]"}

// What yjs holds then: "ab", and behind it "c", "d" and "e" that wait.
const (
	stalledVector = "010102"
	stalledState  = "020102008401010163030100040101740261628402000164840102016500"
)

// orders calls fn with every order of the letters.
func orders(t *testing.T, fn func(order string, updates [][]byte)) {
	t.Helper()
	var order []int
	var next func()
	next = func() {
		if len(order) == len(letters) {
			updates := make([][]byte, len(order))
			for i, k := range order {
				updates[i] = letter(t, k)
			}
			fn(fmt.Sprint(order), updates)
			return
		}
		for k := range letters {
			if !slices.Contains(order, k) {
				order = append(order, k)
				next()
				order = order[:len(order)-1]
			}
		}
	}
	next()
}

func letter(t *testing.T, k int) []byte {
	t.Helper()
	update, err := hex.DecodeString(letters[k])
	if err != nil {
		t.Fatal(err)
	}
	return update
}

// TestDisorder waits where yjs waits, until what waits arrives once more.
func TestDisorder(t *testing.T) {
	for _, live := range []bool{false, true} {
		orders(t, func(order string, updates [][]byte) {
			d := yjs.NewDoc(yjs.Options{Live: live})
			apply := func(updates ...[]byte) {
				for _, u := range updates {
					if err := d.Apply(u); err != nil {
						t.Fatal(err)
					}
				}
			}
			apply(updates...)
			if slices.Contains(stalls, order) {
				vector, state := hex.EncodeToString(d.StateVector()), hex.EncodeToString(encoded(t, d))
				if !d.HasPending() || vector != stalledVector || state != stalledState {
					t.Errorf("%s: pending %v, state vector %s, state %s, want %s and %s", order, d.HasPending(), vector, state, stalledVector, stalledState)
				}
				apply(letter(t, 2))
			}
			if got := d.Root("t").Text(); got != "abcde" || d.HasPending() {
				t.Errorf("%s: text %q, pending %v", order, got, d.HasPending())
			}
		})
	}
}

// TestLoadedInDisorder tells loaded documents one letter after the other: they never wait
// for what they have. TestTrimAndAdvance does so with sessions.
func TestLoadedInDisorder(t *testing.T) {
	orders(t, func(order string, updates [][]byte) {
		d := load(t)
		for i, u := range updates {
			if err := d.Apply(u); err != nil {
				t.Fatal(err)
			}
			want := load(t, updates[:i+1]...)
			if d.HasPending() != want.HasPending() {
				t.Errorf("%s: pending %v after %d", order, d.HasPending(), i+1)
			}
			if err := sameBytes("state vector", d.StateVector(), want.StateVector()); err != nil {
				t.Errorf("%s: after %d: %v", order, i+1, err)
			}
		}
		if got := d.Root("t").Text(); got != "abcde" {
			t.Errorf("%s: text %q", order, got)
		}
	})
}

// earlyDeletions are deletions by two clients that come before what they delete, which
// comes in one update: a letter, next to the same format of clients 2 and 3, and formats.
// yjs keeps them by client, higher ones first. Where the deleted letter is met before a
// deleted format, it drops one of the two formats beside it; else it leaves both.
var earlyDeletions = []struct{ letter, formats, content, state string }{
	{
		letter: "000109010001", formats: "000105010002",
		content: "02010900c4010001010178020500460100066974616c69630474727565c601000101066974616c6963046e756c6c00",
		state: "05010900c1010001010102050041010001c10100010101020300c60100010104626f6c64047472756586010104626f6c64046e756c6c" +
			"020200c1010001010186010104626f6c64046e756c6c020100040101740161840100016203090100010501000202010001",
	},
	{
		letter: "000105010001", formats: "000109010002",
		content: "02020900460100066974616c69630474727565c601000101066974616c6963046e756c6c010500c401000101017800",
		state: "0502090041010001c10100010101010500c10100010101020300c60100010104626f6c64047472756586010104626f6c64046e756c6c" +
			"020200c60100010104626f6c64047472756586010104626f6c64046e756c6c0201000401017401618401000162020901000205010001",
	},
}

// formatted is the text "ab", and the format that clients 2 and 3 give to "b".
var formatted = []string{
	"010101000401017402616200",
	"01020200c60100010104626f6c64047472756586010104626f6c64046e756c6c00",
	"01020300c60100010104626f6c64047472756586010104626f6c64046e756c6c00",
}

// eachEarlyDeletion calls fn with both orders of each earlyDeletions.
func eachEarlyDeletion(t *testing.T, fn func(updates [][]byte, state []byte)) {
	t.Helper()
	for _, e := range earlyDeletions {
		for _, early := range [][]string{{e.letter, e.formats}, {e.formats, e.letter}} {
			var updates [][]byte
			for _, text := range slices.Concat(formatted, early, []string{e.content}) {
				updates = append(updates, unhex(t, text))
			}
			fn(updates, unhex(t, e.state))
		}
	}
}

// TestEarlyDeletions deletes in the order of yjs what was deleted before it came.
func TestEarlyDeletions(t *testing.T) {
	eachEarlyDeletion(t, func(updates [][]byte, state []byte) {
		d := engine{}.NewDoc()
		d.Declare("t", yjstest.KindText)
		for _, u := range updates {
			if err := d.Apply(u); err != nil {
				t.Fatal(err)
			}
		}
		got, err := d.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := sameBytes("state", got, state); err != nil {
			t.Errorf("after %x: %v", updates, err)
		}
	})
}

// TestLiveDisorder has real yjs wait for the same.
func TestLiveDisorder(t *testing.T) {
	liveSessions(t)
	verifier, err := yjstest.NewVerifier(nodeDir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := verifier.Close(); err != nil {
			t.Error(err)
		}
	}()
	roots := []yjstest.Root{{Name: "t", Kind: yjstest.KindText}}
	var stalled []string
	orders(t, func(order string, updates [][]byte) {
		reading, err := verifier.Read(roots, true, updates...)
		if err != nil {
			t.Fatal(err)
		}
		if reading.Pending {
			stalled = append(stalled, order)
		}
		if err := sameSequence(roots, reading, updates); err != nil {
			t.Errorf("%s: %v", order, err)
		}
	})
	if !slices.Equal(stalled, stalls) {
		t.Errorf("yjs waits after the orders %v, want %v", stalled, stalls)
	}
	eachEarlyDeletion(t, func(updates [][]byte, state []byte) {
		reading, err := verifier.Read(roots, true, updates...)
		if err != nil {
			t.Fatal(err)
		}
		if err := sameBytes("state of yjs", reading.Update, state); err != nil {
			t.Errorf("after %x: %v", updates, err)
		}
	})
}

// sameSequence gives a document what yjs was given, in the same order. They must hold the
// same bytes, also of what waits.
func sameSequence(roots []yjstest.Root, byYjs *yjstest.Reading, updates [][]byte) error {
	d := engine{}.NewDoc()
	for _, root := range roots {
		d.Declare(root.Name, root.Kind)
	}
	for _, u := range updates {
		if err := d.Apply(u); err != nil {
			return err
		}
	}
	if d.Pending() != byYjs.Pending {
		return fmt.Errorf("pending is %v, in yjs %v", d.Pending(), byYjs.Pending)
	}
	state, err := d.Encode(nil)
	if err != nil {
		return err
	}
	return errors.Join(
		sameBytes("state vector", d.StateVector(), byYjs.StateVector),
		sameBytes("state", state, byYjs.Update),
	)
}
