package yprotocol_test

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":                       {nil, yprotocol.ErrInvalid},
		"a kind that is not known":      {[]byte{4}, yprotocol.ErrUnknownMessage},
		"a kind of many bytes":          {[]byte{0x80, 0x80, 0x01, 0}, yprotocol.ErrUnknownMessage},
		"a kind that goes on":           {[]byte{0x80}, yprotocol.ErrInvalid},
		"a kind out of range":           {bytes.Repeat([]byte{0xff}, 20), yprotocol.ErrInvalid},
		"a kind at 2^53":                {[]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10}, yprotocol.ErrInvalid},
		"sync without a kind":           {[]byte{0}, yprotocol.ErrInvalid},
		"sync of an unknown kind":       {[]byte{0, 3, 0}, yprotocol.ErrUnknownMessage},
		"sync without content":          {[]byte{0, 0}, yprotocol.ErrInvalid},
		"a state vector cut off":        {[]byte{0, 0, 2, 1}, yprotocol.ErrInvalid},
		"an update cut off":             {[]byte{0, 2, 0x80, 0x01, 1}, yprotocol.ErrInvalid},
		"an update longer than memory":  {append([]byte{0, 1}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f), yprotocol.ErrInvalid},
		"bytes after an update":         {[]byte{0, 2, 1, 0, 0}, yprotocol.ErrInvalid},
		"awareness without content":     {[]byte{1}, yprotocol.ErrInvalid},
		"bytes after awareness":         {[]byte{1, 1, 0, 0}, yprotocol.ErrInvalid},
		"authorization without a kind":  {[]byte{2}, yprotocol.ErrInvalid},
		"authorization of unknown kind": {[]byte{2, 1}, yprotocol.ErrUnknownMessage},
		"a reason cut off":              {[]byte{2, 0, 3, 'n', 'o'}, yprotocol.ErrInvalid},
		"a reason that is not UTF-8":    {[]byte{2, 0, 2, 0xc3, 0x28}, yprotocol.ErrInvalid},
		"a reason with a surrogate":     {[]byte{2, 0, 3, 0xed, 0xa0, 0x80}, yprotocol.ErrInvalid},
		"a reason too long":             {yprotocol.Encode(yprotocol.PermissionDenied(strings.Repeat("x", yprotocol.MaxReason+1))), yprotocol.ErrLimit},
		"bytes after a query":           {[]byte{3, 0}, yprotocol.ErrInvalid},
		"a message too long":            {make([]byte, yprotocol.MaxMessage+1), yprotocol.ErrLimit},
	} {
		m, err := yprotocol.Decode(c.in)
		if m != nil || !errors.Is(err, c.want) || !errors.Is(err, yprotocol.ErrInvalid) {
			t.Errorf("%s: Decode = %v, %v, want %v", name, m, err, c.want)
		}
	}
}

func TestDecodeSyncRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":            {nil, yprotocol.ErrInvalid},
		"an unknown kind":    {[]byte{3, 0}, yprotocol.ErrUnknownMessage},
		"content cut off":    {[]byte{1, 4, 0, 0}, yprotocol.ErrInvalid},
		"bytes after it":     {[]byte{2, 1, 0, 0}, yprotocol.ErrInvalid},
		"a message too long": {make([]byte, yprotocol.MaxMessage+1), yprotocol.ErrLimit},
	} {
		m, err := yprotocol.DecodeSync(c.in)
		if m != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: DecodeSync = %v, %v, want %v", name, m, err, c.want)
		}
	}
}

func TestLimitsAreInclusive(t *testing.T) {
	reason := strings.Repeat("x", yprotocol.MaxReason)
	if m, err := yprotocol.Decode(yprotocol.Encode(yprotocol.PermissionDenied(reason))); err != nil || m != yprotocol.PermissionDenied(reason) {
		t.Errorf("the longest reason: %v", err)
	}
	largest := yprotocol.Encode(yprotocol.Update(make([]byte, yprotocol.MaxMessage-6)))
	if len(largest) != yprotocol.MaxMessage {
		t.Fatalf("the message has %d bytes, want %d", len(largest), yprotocol.MaxMessage)
	}
	if _, err := yprotocol.Decode(largest); err != nil {
		t.Errorf("the longest message: %v", err)
	}
}

func TestReasonIsMadeUTF8(t *testing.T) {
	got, err := yprotocol.Decode(yprotocol.Encode(yprotocol.PermissionDenied("no\xff!")))
	if want := yprotocol.PermissionDenied("no\uFFFD!"); err != nil || got != want {
		t.Errorf("decoded %q, %v, want %q", got, err, want)
	}
}

// states writes an awareness update as it comes.
func states(entries ...any) []byte {
	b := uvarint(nil, uint64(len(entries)/3))
	for i := 0; i < len(entries); i += 3 {
		b = uvarint(b, uint64(entries[i].(int)))
		b = uvarint(b, uint64(entries[i+1].(int)))
		text := entries[i+2].(string)
		b = append(uvarint(b, uint64(len(text))), text...)
	}
	return b
}

func uvarint(b []byte, n uint64) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func TestDecodeStatesRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":                    {nil, yprotocol.ErrInvalid},
		"a client missing":           {[]byte{1}, yprotocol.ErrInvalid},
		"a client cut off":           {[]byte{1, 1, 1, 4, 'n', 'u'}, yprotocol.ErrInvalid},
		"more clients than bytes":    {[]byte{200, 1, 1, 1, 1, '1', 2, 1, 1, '1'}, yprotocol.ErrInvalid},
		"more clients than allowed":  {uvarint(nil, yprotocol.MaxUpdateClients+1), yprotocol.ErrLimit},
		"clients beyond memory":      {uvarint(nil, 1<<53-1), yprotocol.ErrLimit},
		"bytes after it":             {append(states(1, 1, "1"), 0), yprotocol.ErrInvalid},
		"a client out of range":      {states(1<<53, 1, "1"), yprotocol.ErrInvalid},
		"a clock near the end":       {states(1, yprotocol.MaxClock+1, "1"), yprotocol.ErrInvalid},
		"a clock at the end":         {states(1, 1<<53-1, "null"), yprotocol.ErrInvalid},
		"a clock out of range":       {states(1, 1<<53, "1"), yprotocol.ErrInvalid},
		"a clock far out of range":   {states(1, math.MaxInt64, "1"), yprotocol.ErrInvalid},
		"a state without text":       {states(1, 1, "", 1, 1, "1"), yprotocol.ErrInvalid},
		"no JSON":                    {states(1, 1, "{a:1}"), yprotocol.ErrInvalid},
		"undefined":                  {states(1, 1, "undefined"), yprotocol.ErrInvalid},
		"two values":                 {states(1, 1, "{} {}"), yprotocol.ErrInvalid},
		"a byte order mark":          {states(1, 1, "\ufeff{}"), yprotocol.ErrInvalid},
		"no UTF-8":                   {states(1, 1, "\"\xff\""), yprotocol.ErrInvalid},
		"a surrogate":                {states(1, 1, "\"\xed\xa0\x80\""), yprotocol.ErrInvalid},
		"a good one and a bad one":   {states(1, 1, "{}", 2, 1, "{"), yprotocol.ErrInvalid},
		"a state nested too deep":    {states(1, 1, deep(2002)), yprotocol.ErrInvalid},
		"a state nested without end": {states(1, 1, strings.Repeat("[", yprotocol.MaxState)), yprotocol.ErrInvalid},
		"a state too long":           {states(1, 1, `"`+strings.Repeat("x", yprotocol.MaxState-1)+`"`), yprotocol.ErrLimit},
		"a state padded too long":    {states(1, 1, strings.Repeat(" ", yprotocol.MaxState)+"1"), yprotocol.ErrLimit},
		"a state that gets too long": {states(1, 1, "[1e20"+strings.Repeat(",1e20", yprotocol.MaxState/6)+"]"), yprotocol.ErrLimit},
		"an update too long":         {make([]byte, yprotocol.MaxMessage+1), yprotocol.ErrLimit},
	} {
		got, err := yprotocol.DecodeStates(c.in)
		if got != nil || !errors.Is(err, c.want) || !errors.Is(err, yprotocol.ErrInvalid) {
			t.Errorf("%s: DecodeStates = %v, %v, want %v", name, got, err, c.want)
		}
		a := newAwareness(9)
		before := encodeAll(t, a.Awareness)
		if changes, err := a.Apply(c.in); !errors.Is(err, c.want) || len(changes.Clients()) > 0 {
			t.Errorf("%s: Apply = %v, %v, want %v", name, changes, err, c.want)
		}
		if after := encodeAll(t, a.Awareness); !bytes.Equal(before, after) {
			t.Errorf("%s: Apply changed %q to %q", name, before, after)
		}
		if out, err := yprotocol.ModifyStates(c.in, modified); out != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: ModifyStates = %x, %v, want %v", name, out, err, c.want)
		}
	}
}

func TestDecodeStates(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{}", "{}"},
		{` { "b" : 1 , "2" : [ ] , "b" : 1E2 } `, `{"2":[],"b":100}`},
		{`"\u0041\ud83d"`, `"A\ud83d"`},
		{"1e400", "null"},
		{`{"a":-1e400}`, `{"a":null}`},
		{"-0", "0"},
		{"null", ""},
		{strings.Repeat("[", 2000) + strings.Repeat("]", 2000), strings.Repeat("[", 2000) + strings.Repeat("]", 2000)},
		{`"` + strings.Repeat("x", yprotocol.MaxState-2) + `"`, `"` + strings.Repeat("x", yprotocol.MaxState-2) + `"`},
	} {
		got, err := yprotocol.DecodeStates(states(1<<53-1, yprotocol.MaxClock, c.text))
		if err != nil || len(got) != 1 || got[0].Client != 1<<53-1 || got[0].Clock != yprotocol.MaxClock || string(got[0].State) != c.want {
			t.Errorf("%.40q decodes as %.60v, %v, want %.40q", c.text, got, err, c.want)
		}
		if err == nil && (got[0].State == nil) != (c.want == "") {
			t.Errorf("%.40q is no state: %v", c.text, got[0].State == nil)
		}
	}
}

func TestModifyStates(t *testing.T) {
	update := states(1, 7, `{"name":"Ada"}`, 2, 8, "null", 3, 9, `{"name":"Ben"}`)
	got, err := yprotocol.ModifyStates(update, func(s yprotocol.ClientState) ([]byte, error) {
		switch s.Client {
		case 1:
			return []byte(` {"name": "Eve"} `), nil
		case 2:
			return []byte("0"), nil
		}
		return nil, nil
	})
	if want := states(1, 7, `{"name":"Eve"}`, 2, 8, "0", 3, 9, "null"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("ModifyStates = %q, %v, want %q", got, err, want)
	}
	for state, want := range map[string]error{"{": yprotocol.ErrInvalid, `"` + strings.Repeat("x", yprotocol.MaxState) + `"`: yprotocol.ErrLimit} {
		_, err := yprotocol.ModifyStates(update, func(yprotocol.ClientState) ([]byte, error) { return []byte(state), nil })
		if !errors.Is(err, want) {
			t.Errorf("ModifyStates to %.10q = %v, want %v", state, err, want)
		}
	}
	refused := errors.New("refused")
	if _, err := yprotocol.ModifyStates(update, func(yprotocol.ClientState) ([]byte, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("ModifyStates = %v, want %v", err, refused)
	}
}

// TestHostileCost bounds what decoding allocates by a multiple of the input.
func TestHostileCost(t *testing.T) {
	many := func(text string, n int) []byte {
		var entries []any
		for i := range n {
			entries = append(entries, i+1, 1, text)
		}
		return states(entries...)
	}
	for name, in := range map[string][]byte{
		"many clients":   many("1", yprotocol.MaxUpdateClients),
		"gone clients":   many("null", yprotocol.MaxUpdateClients),
		"empty arrays":   many("["+strings.Repeat("[],", 20_000)+"0]", 4),
		"empty objects":  many("["+strings.Repeat("{},", 20_000)+"0]", 4),
		"numbers":        many("["+strings.Repeat("1,", 32_000)+"0]", 4),
		"nested":         many(strings.Repeat("[", 2000)+strings.Repeat("]", 2000), 16),
		"false counts":   append(uvarint(nil, yprotocol.MaxUpdateClients), make([]byte, 1<<14)...),
		"members":        many("{"+strings.Repeat(`"a":1,`, 10_000)+`"b":1}`, 4),
		"a false length": {1, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := yprotocol.DecodeStates(in)
		runtime.ReadMemStats(&after)
		t.Logf("%s: %d bytes for %d", name, after.TotalAlloc-before.TotalAlloc, len(in))
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(64*len(in)+4096); got > limit {
			t.Errorf("%s: decoding allocates %d bytes for %d, want at most %d (%v)", name, got, len(in), limit, err)
		}
	}
}
