package collection_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

var jsonTexts = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-`, `01`, `1.`, `1.5e+3`, `1e`, `.5`, `true`, `tru`, `null`, `nul`, `nullx`, `falsE`,
	``, ` `, `{`, `}`, `[`, `[,]`, `[1,]`, `{"a":1,}`, `{"a"}`, `{"a":}`, `{,}`, `{"a":1 "b":2}`, `{1:2}`, `{"a":1}{}`,
	` { "a" : [ 1 , 2.5e-7 , { } , [ ] ] , "b" : "\u00e9\ud83d\ude00\/\"" } `, "\t\r\n[1]\n", "\v1", "\u00a01",
	`"\ud800"`, `"\udc00\ud800"`, `"\u12g4"`, `"\x"`, `"\`, `"a`, "\"\x1f\"", "\"\x7f\"", "\"\xff\"", "\"\xed\xa0\x80\"", `"é"`,
	`9007199254740993`, `1.0`, `{"a":1,"a":2}`, "\ufeff{}", `"\u0000"`, `-1e-400`, `1E5`, `--1`, `+1`, `1 2`, `[1}`, `{"a":1]`,
	strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
	strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000),
	strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001),
}

// checkJSON compares with encoding/json, which takes strings that are not UTF-8.
func checkJSON(t *testing.T, text []byte) {
	t.Helper()
	value, err := collection.ReadJSON(text)
	if want := json.Valid(text) && utf8.Valid(text); (err == nil) != want {
		t.Fatalf("ReadJSON(%.80q) = %v, valid: %t", text, err, want)
	}
	if err != nil {
		if !errors.Is(err, core.ErrInvalidJSON) {
			t.Fatalf("ReadJSON(%.80q) = %v, want ErrInvalidJSON", text, err)
		}
		return
	}
	if want := bytes.Trim(text, " \t\r\n"); !bytes.Equal(value, want) {
		t.Fatalf("ReadJSON(%.80q) = %.80q", text, value)
	}
	if value[0] != '"' {
		return
	}
	var want string
	if err := json.Unmarshal(value, &want); err != nil {
		t.Fatal(err)
	}
	// encoding/json has U+FFFD for half a pair, unquote nothing.
	if got, ok := collection.Unquote(value); ok && string(got) != want || !ok && !strings.Contains(want, "\ufffd") {
		t.Fatalf("Unquote(%q) = %q, %t, want %q", value, got, ok, want)
	}
}

func TestJSONText(t *testing.T) {
	for _, text := range jsonTexts {
		checkJSON(t, []byte(text))
	}
}

func TestUnquote(t *testing.T) {
	for _, test := range []struct {
		quoted, want string
		ok           bool
	}{
		{`""`, "", true},
		{`"plain é"`, "plain é", true},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true},
		{`"a\u00e9b\u0000"`, "aéb\x00", true},
		{`"\ud83d\ude00!"`, "😀!", true},
		{`"\uFFFD"`, "\ufffd", true},
		{`"\ud83d"`, "", false},
		{`"\ud83dx"`, "", false},
		{`"\ude00\ud83d"`, "", false},
		{`"\ud83d\ud83d\ude00"`, "", false},
		{`"\ud83d\n"`, "", false},
	} {
		if got, ok := collection.Unquote([]byte(test.quoted)); string(got) != test.want || ok != test.ok {
			t.Errorf("Unquote(%s) = %q, %t, want %q, %t", test.quoted, got, ok, test.want, test.ok)
		}
	}
}

func FuzzJSONText(f *testing.F) {
	for _, text := range jsonTexts {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(checkJSON)
}
