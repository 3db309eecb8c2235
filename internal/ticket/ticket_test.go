package ticket_test

import (
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/ticket"
)

func example() ticket.Ticket {
	return ticket.Ticket{
		Space: core.SpaceIDFromHash(core.Hash{1, 2, 3}), Seed: [32]byte{9, 8, 7}, Role: 2, ExpiresMs: 1_800_000_000_000,
		Addresses: []string{"/ip4/192.0.2.1/udp/4001/quic-v1", "/dns4/host.example/tcp/4001"},
	}
}

// golden is a ticket of version 1, which must be read for ever.
const golden = "soma1.hVggAQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABYIAkIBwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAhsAAAGjGFxQAIJ4Hy9pcDQvMTkyLjAuMi4xL3VkcC80MDAxL3F1aWMtdjF4Gy9kbnM0L2hvc3QuZXhhbXBsZS90Y3AvNDAwMV0eXIY"

func TestRoundTrip(t *testing.T) {
	for name, want := range map[string]ticket.Ticket{
		"all":    example(),
		"little": {Space: core.SpaceIDFromHash(core.Hash{5})},
	} {
		text, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if url.QueryEscape(text) != text || url.PathEscape(text) != text {
			t.Errorf("%s: %q has to be escaped in a URL", name, text)
		}
		for _, given := range []string{text, " \n" + text + "\t\n"} {
			if got, err := ticket.Parse(given); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: Parse(%q) = %+v, %v, want %+v", name, given, got, err, want)
			}
		}
	}
	text, err := example().Encode()
	if err != nil || text != golden {
		t.Errorf("Encode = %q, %v, want %q", text, err, golden)
	}
}

// A ticket that was not copied whole, or misread, is noticed.
func TestDamagedTicketsAreRefused(t *testing.T) {
	text, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name, given string) {
		t.Helper()
		if got, err := ticket.Parse(given); !errors.Is(err, core.ErrInvalidTicket) {
			t.Errorf("%s: Parse = %+v, %v, want ErrInvalidTicket", name, got, err)
		}
	}
	for i := range text {
		refused("cut short", text[:i])
		for _, c := range "A_x" {
			if given := text[:i] + string(c) + text[i+1:]; given != text {
				refused("a character changed", given)
			}
		}
	}
	refused("longer", text+"A")
	refused("padded", text+"=")
	refused("another version", "soma2"+text[5:])
	refused("too long", text+strings.Repeat(" ", ticket.MaxBytes))
	refused("bytes", "soma1."+base64.RawURLEncoding.EncodeToString([]byte{0x80}))
}

func TestLimits(t *testing.T) {
	for name, change := range map[string]func(*ticket.Ticket){
		"space":          func(k *ticket.Ticket) { k.Space = "x" },
		"expires":        func(k *ticket.Ticket) { k.ExpiresMs = 1 << 53 },
		"addresses":      func(k *ticket.Ticket) { k.Addresses = make([]string, ticket.MaxAddresses+1) },
		"empty address":  func(k *ticket.Ticket) { k.Addresses = []string{""} },
		"long address":   func(k *ticket.Ticket) { k.Addresses = []string{strings.Repeat("x", ticket.MaxAddressBytes+1)} },
		"broken address": func(k *ticket.Ticket) { k.Addresses = []string{"\xff"} },
	} {
		k := example()
		change(&k)
		if text, err := k.Encode(); err == nil {
			t.Errorf("%s: Encode = %q, want an error", name, text)
		}
	}
	k := example()
	k.Addresses = nil
	for range ticket.MaxAddresses {
		k.Addresses = append(k.Addresses, strings.Repeat("x", ticket.MaxAddressBytes))
	}
	if text, err := k.Encode(); err != nil || len(text) > ticket.MaxBytes {
		t.Errorf("largest ticket has %d bytes, %v, at most %d are read", len(text), err, ticket.MaxBytes)
	} else if got, err := ticket.Parse(text); err != nil || !reflect.DeepEqual(got, k) {
		t.Errorf("Parse of the largest = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	text, err := example().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("soma1.")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ticket.Parse(text)
		if err != nil {
			if !errors.Is(err, core.ErrInvalidTicket) {
				t.Fatalf("Parse = %v", err)
			}
			return
		}
		again, err := k.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ticket.Parse(again); err != nil || !reflect.DeepEqual(got, k) {
			t.Fatalf("Parse again = %+v, %v, want %+v", got, err, k)
		}
	})
}
