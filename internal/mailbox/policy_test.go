package mailbox_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/yjs"
)

// vector makes an encoded state vector of pairs of client and clock.
func vector(pairs ...uint64) []byte {
	ends := map[uint64]uint64{}
	for i := 0; i < len(pairs); i += 2 {
		ends[pairs[i]] = pairs[i+1]
	}
	return yjs.EncodeStateVector(ends)
}

func TestDecide(t *testing.T) {
	none := mailbox.Decision{}
	gone := mailbox.Decision{Action: mailbox.Clear}
	kept := func(state mailbox.ConflictState, base int64) mailbox.Decision {
		return mailbox.Decision{Action: mailbox.Keep, ConflictState: state, BaseDaemonUpdatedAtMs: base}
	}
	// No mailbox entry.
	for _, at := range []int64{0, 1, maxMs} {
		if got := mailbox.Decide(nil, at, vector(1, 1)); got != none {
			t.Errorf("Decide(nil, %d) = %+v, want nothing", at, got)
		}
	}
	// By time alone.
	for _, tt := range []struct {
		draft, daemon int64
		want          mailbox.Decision
	}{
		{0, 0, gone},
		{0, 1, gone},
		{1, 1, gone},
		{0, maxMs, gone},
		{maxMs, maxMs, gone},
		{maxMs - 1, maxMs, gone},
		{999, 1000, gone},
		{1000, 1000, gone},
		{1, 0, kept(mailbox.Ahead, 0)},
		{1001, 1000, kept(mailbox.Ahead, 1000)},
		{maxMs, 0, kept(mailbox.Ahead, 0)},
		{maxMs, maxMs - 1, kept(mailbox.Ahead, maxMs-1)},
	} {
		for _, base := range []int64{0, 5, maxMs} { // what it was based on before does not matter
			d := mailbox.Draft{UpdatedAtMs: tt.draft, BaseDaemonUpdatedAtMs: base}
			if got := mailbox.Decide(&d, tt.daemon, vector(7, 7)); got != tt.want {
				t.Errorf("Decide(%d, %d) = %+v, want %+v", tt.draft, tt.daemon, got, tt.want)
			}
		}
	}
	// By state vectors, for a draft that is newer; for one that is not they do not matter.
	base := vector(1, 10, 2, 20)
	for _, tt := range []struct {
		name        string
		base, state []byte
		was         mailbox.ConflictState
		want        mailbox.ConflictState
	}{
		{"the same", base, base, "", mailbox.Ahead},
		{"one struct more", base, vector(1, 11, 2, 20), "", mailbox.Diverged},
		{"another client", base, vector(1, 10, 2, 20, 3, 1), "", mailbox.Diverged},
		{"less of one, more of the other", base, vector(1, 1, 2, 21), "", mailbox.Diverged},
		{"less", base, vector(1, 9, 2, 20), "", mailbox.Ahead},
		{"nothing", base, vector(), "", mailbox.Ahead},
		{"an empty base", vector(), vector(1, 1), "", mailbox.Diverged},
		{"an empty base of an empty document", vector(), vector(), "", mailbox.Ahead},
		{"no base", nil, vector(1, 1), "", mailbox.Ahead},
		{"no base, empty", []byte{}, vector(1, 1), "", mailbox.Ahead},
		{"ahead, then more", base, vector(1, 11, 2, 20), mailbox.Ahead, mailbox.Diverged},
		{"diverged stays", base, base, mailbox.Diverged, mailbox.Diverged},
		{"diverged stays, when content is void", base, vector(), mailbox.Diverged, mailbox.Diverged},
		{"a base that is no vector", []byte{9}, vector(1, 1), "", mailbox.Ahead},
		{"a state that is no vector", base, []byte{9}, "", mailbox.Ahead},
	} {
		d := mailbox.Draft{UpdatedAtMs: 11, BaseStateVector: tt.base, ConflictState: tt.was}
		if got := mailbox.Decide(&d, 10, tt.state); got != kept(tt.want, 10) {
			t.Errorf("%s: Decide = %+v, want %s", tt.name, got, tt.want)
		}
		if got := mailbox.Decide(&d, 11, tt.state); got != gone {
			t.Errorf("%s: Decide at the same time = %+v, want clear", tt.name, got)
		}
	}
}

// Changes that come one after the other, with a state vector that grows: once content is
// there that the base has not, the draft is diverged, and stays so.
func TestDivergedStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clients := rapid.MapOfN(rapid.Uint64Range(1, 5), rapid.Uint64Range(0, 4), 0, 5)
		base := clients.Draw(t, "base")
		d := mailbox.Draft{UpdatedAtMs: 1000, BaseStateVector: yjs.EncodeStateVector(base)}
		behind := false
		for at := range int64(rapid.IntRange(1, 8).Draw(t, "changes")) {
			state := clients.Draw(t, fmt.Sprint("state ", at)) // may shrink: what is void is had no more
			for client, end := range state {
				behind = behind || end > base[client]
			}
			want := mailbox.Ahead
			if behind {
				want = mailbox.Diverged
			}
			got := mailbox.Decide(&d, at, yjs.EncodeStateVector(state))
			if got != (mailbox.Decision{Action: mailbox.Keep, ConflictState: want, BaseDaemonUpdatedAtMs: at}) {
				t.Fatalf("Decide after %v = %+v, want %s", state, got, want)
			}
			d.ConflictState, d.BaseDaemonUpdatedAtMs = got.ConflictState, got.BaseDaemonUpdatedAtMs
		}
	})
}
