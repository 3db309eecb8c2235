package yprotocol_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// seeds gives what the recorded sessions sent.
func seeds(f *testing.F, message, update func([]byte)) {
	f.Helper()
	for _, s := range fixtureSessions(f) {
		for _, m := range s.Messages {
			message(m.Outer)
		}
		if s.Sync != nil {
			for _, step := range s.Sync.Steps {
				message(slices.Concat([]byte{0}, step.Message))
			}
		}
		if s.Awareness != nil {
			for _, step := range s.Awareness.Steps {
				if step.Update != nil {
					update(step.Update)
					message(yprotocol.Encode(yprotocol.AwarenessUpdate(step.Update)))
				}
			}
		}
	}
}

func FuzzMessage(f *testing.F) {
	seeds(f, func(b []byte) { f.Add(b) }, func([]byte) {})
	f.Fuzz(func(t *testing.T, b []byte) {
		original := bytes.Clone(b)
		m, err := yprotocol.Decode(b)
		if inner, syncErr := yprotocol.DecodeSync(bytes.TrimPrefix(b, []byte{0})); len(b) > 0 && b[0] == 0 {
			if (err == nil) != (syncErr == nil) || fmt.Sprintf("%#v", m) != fmt.Sprintf("%#v", inner) {
				t.Fatalf("Decode(%x) = %#v, %v, DecodeSync of the rest %#v, %v", b, m, err, inner, syncErr)
			}
		}
		if !bytes.Equal(b, original) {
			t.Fatalf("Decode changed %x to %x", original, b)
		}
		if err != nil {
			if m != nil || !errors.Is(err, yprotocol.ErrInvalid) {
				t.Fatalf("Decode(%x) = %v, %v, want ErrInvalid", b, m, err)
			}
			return
		}
		once := yprotocol.Encode(m)
		again, err := yprotocol.Decode(once)
		if err != nil || fmt.Sprintf("%#v", again) != fmt.Sprintf("%#v", m) {
			t.Fatalf("%#v encodes as %x, which decodes as %#v, %v", m, once, again, err)
		}
		if len(once) > len(b) || len(once) == len(b) && !bytes.Equal(once, b) {
			t.Fatalf("%x encodes as %x", b, once)
		}
	})
}

func FuzzAwareness(f *testing.F) {
	seeds(f, func([]byte) {}, func(b []byte) { f.Add(b, b, true) })
	f.Fuzz(func(t *testing.T, first, second []byte, swap bool) {
		now := time.UnixMilli(1_700_000_000_000)
		clock := func() time.Time { return now }
		client := uint64(1)
		if sent, err := yprotocol.DecodeStates(second); swap && err == nil && len(sent) > 0 {
			client = sent[0].Client // somebody speaks for us
		}
		a := yprotocol.NewAwareness(client, clock)
		for _, update := range [][]byte{first, second} {
			before := encodeAll(t, a)
			sent, decodeErr := yprotocol.DecodeStates(update)
			changes, err := a.Apply(update)
			if (err == nil) != (decodeErr == nil) {
				t.Fatalf("Apply(%q) = %v, DecodeStates %v", update, err, decodeErr)
			}
			if err != nil {
				if !errors.Is(err, yprotocol.ErrInvalid) || len(changes.Clients()) > 0 || !bytes.Equal(before, encodeAll(t, a)) {
					t.Fatalf("Apply(%q) = %v, %v, want ErrInvalid and nothing changed", update, changes, err)
				}
				continue
			}
			check(t, a, sent, changes)
			if again, err := a.Apply(update); err != nil || len(again.Clients()) > 0 {
				t.Fatalf("Apply(%q) again = %+v, %v, want nothing", update, again, err)
			}
			kept, err := yprotocol.ModifyStates(update, func(s yprotocol.ClientState) ([]byte, error) { return s.State, nil })
			if err != nil {
				t.Fatalf("ModifyStates(%q) = %v", update, err)
			}
			if same, err := yprotocol.DecodeStates(kept); err != nil || len(same) != len(sent) {
				t.Fatalf("%q is written again as %q: %v", update, kept, err)
			}
		}
		now = now.Add(yprotocol.OutdatedTimeout)
		a.Renew()
		a.RemoveOutdated()
		for _, client := range a.Clients() {
			if client != a.Client() {
				t.Fatalf("client %d is still there", client)
			}
		}
	})
}

// check compares an Awareness with what it was sent.
func check(t *testing.T, a *yprotocol.Awareness, sent []yprotocol.ClientState, changes yprotocol.Changes) {
	t.Helper()
	if _, err := a.Encode(changes.Clients()...); err != nil {
		t.Fatalf("what changed cannot be sent on: %v", err)
	}
	for _, s := range sent {
		clock, err := a.Clock(s.Client)
		if s.Clock > 0 && (err != nil || clock < s.Clock) {
			t.Fatalf("client %d is at %d, %v, was sent at %d", s.Client, clock, err, s.Clock)
		}
	}
	size := 0
	clients := a.Clients()
	for _, client := range clients {
		size += len(a.State(client))
	}
	if shown, bytes := a.Count(); shown != len(clients) || bytes != size {
		t.Fatalf("counted %d states of %d bytes, there are %d of %d", shown, bytes, len(clients), size)
	}
}
