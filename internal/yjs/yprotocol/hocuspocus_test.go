package yprotocol_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// TestNamed has the bytes that @hocuspocus/common 4.8.0 writes.
func TestNamed(t *testing.T) {
	for _, c := range []struct {
		m    yprotocol.Message
		want string
	}{
		{yprotocol.SyncStep1{0}, "0161" + "00000100"},
		{yprotocol.Update{0, 0}, "0161" + "0002020000"},
		{yprotocol.SyncReply{SyncMessage: yprotocol.SyncStep1{0}}, "0161" + "04000100"},
		{yprotocol.AwarenessUpdate{0}, "0161" + "010100"},
		{yprotocol.QueryAwareness{}, "0161" + "03"},
		{yprotocol.Token("t"), "0161" + "02000174"},
		{yprotocol.Denied("no"), "0161" + "0201026e6f"},
		{yprotocol.Authenticated{}, "0161" + "02020a" + hex.EncodeToString([]byte("read-write"))},
		{yprotocol.Authenticated{ReadOnly: true}, "0161" + "020208" + hex.EncodeToString([]byte("readonly"))},
		{yprotocol.Stateless("{}"), "0161" + "05027b7d"},
		{yprotocol.Closed("bye"), "0161" + "0703627965"},
		{yprotocol.SyncStatus(true), "0161" + "0801"},
		{yprotocol.SyncStatus(false), "0161" + "0800"},
	} {
		got := yprotocol.AppendNamed(nil, "a", c.m)
		if hex.EncodeToString(got) != c.want {
			t.Errorf("AppendNamed(%T) = %x, want %s", c.m, got, c.want)
		}
		name, m, err := yprotocol.DecodeNamed(got)
		if err != nil || name != "a" || !reflect.DeepEqual(m, c.m) {
			t.Errorf("DecodeNamed(%x) = %q, %#v, %v, want %#v", got, name, m, err, c.m)
		}
	}
	// Providers from version 4 on say which they are.
	name, m, err := yprotocol.DecodeNamed([]byte("\x01a\x02\x00\x01t\x054.8.0"))
	if err != nil || name != "a" || m != yprotocol.Token("t") {
		t.Errorf("DecodeNamed of a token with a version = %q, %#v, %v", name, m, err)
	}
}

func TestDecodeNamedRefuses(t *testing.T) {
	long := strings.Repeat("x", yprotocol.MaxToken+1)
	for name, c := range map[string]struct {
		message []byte
		want    error
	}{
		"nothing":        {nil, yprotocol.ErrInvalid},
		"a name":         {[]byte("\x01a"), yprotocol.ErrInvalid},
		"a name cut off": {[]byte("\x05a"), yprotocol.ErrInvalid},
		"no UTF-8":       {[]byte("\x01\xff\x03"), yprotocol.ErrInvalid},
		"a long name":    {yprotocol.AppendNamed(nil, long[:yprotocol.MaxName+1], yprotocol.QueryAwareness{}), yprotocol.ErrLimit},
		"a long token":   {yprotocol.AppendNamed(nil, "a", yprotocol.Token(long)), yprotocol.ErrLimit},
		"more":           {[]byte("\x01a\x03\x00"), yprotocol.ErrInvalid},
		"a kind":         {[]byte("\x01a\x06\x00"), yprotocol.ErrUnknownMessage},
		"authorization":  {[]byte("\x01a\x02\x07"), yprotocol.ErrUnknownMessage},
	} {
		if _, m, err := yprotocol.DecodeNamed(c.message); m != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: DecodeNamed = %#v, %v, want %v", name, m, err, c.want)
		}
	}
	if name, _, _ := yprotocol.DecodeNamed([]byte("\x01a\x06\x00")); name != "a" {
		t.Errorf("the name of an unknown message is %q, want a", name)
	}
}

func FuzzDecodeNamed(f *testing.F) {
	for _, m := range []yprotocol.Message{
		yprotocol.SyncStep1{0},
		yprotocol.Update{0, 0},
		yprotocol.SyncReply{SyncMessage: yprotocol.SyncStep1{0}},
		yprotocol.Token("t"),
		yprotocol.Authenticated{ReadOnly: true},
		yprotocol.Stateless("{}"), yprotocol.Closed("bye"), yprotocol.SyncStatus(true),
	} {
		f.Add(yprotocol.AppendNamed(nil, "space/page\x00session", m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, m, err := yprotocol.DecodeNamed(b)
		if err != nil {
			if m != nil || !errors.Is(err, yprotocol.ErrInvalid) {
				t.Fatalf("DecodeNamed(%x) = %#v, %v, want ErrInvalid", b, m, err)
			}
			return
		}
		again := yprotocol.AppendNamed(nil, name, m)
		if n, back, err := yprotocol.DecodeNamed(again); err != nil || n != name || !reflect.DeepEqual(back, m) {
			t.Fatalf("%x became %q, %#v, %v", b, n, back, err)
		}
	})
}
