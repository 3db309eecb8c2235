package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/strictjson"
)

func TestObject(t *testing.T) {
	var got []string
	seen, err := strictjson.Object([]byte(` {"b": [1, {"b":2,"b":3}],"a\u0031":null , "":"x"} `), func(name string, raw json.RawMessage) error {
		got = append(got, name+"="+string(raw))
		return nil
	})
	if err != nil || strings.Join(got, " ") != `b=[1, {"b":2,"b":3}] a1=null ="x"` || len(seen) != 3 || !seen["a1"] {
		t.Errorf("Object = %v, %v of %q", seen, err, got)
	}
	mine := errors.New("mine")
	if _, err := strictjson.Object([]byte(`{"a":1}`), func(string, json.RawMessage) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("Object = %v, want the error of the field", err)
	}
	for _, data := range []string{"", "1", "[]", `{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"a":1}{}`, `{"a":}`, "{\"a\":\"\xff\"}", "\ufeff{}"} {
		if seen, err := strictjson.Object([]byte(data), func(string, json.RawMessage) error { return nil }); err == nil || seen != nil {
			t.Errorf("Object(%q) = %v, %v, want an error", data, seen, err)
		}
	}
}

func TestValues(t *testing.T) {
	for raw, want := range map[string]string{`""`: "", `"\u00e9<\ud83d\ude00"`: "é<\U0001f600", `"\\ud83d"`: `\ud83d`, `1`: "!", `null`: "!", `"\ud83d"`: "!", `"\ude00\ud83d"`: "!"} {
		if got, err := strictjson.String("name", json.RawMessage(raw)); (err != nil) != (want == "!") || err == nil && got != want {
			t.Errorf("String(%s) = %q, %v, want %q", raw, got, err, want)
		}
	}
	for raw, want := range map[string]int64{
		"0": 0, "9007199254740991": strictjson.MaxInteger, "9007199254740992": -1, "-0": -1, "-1": -1, "1.0": -1, "1e3": -1, `"1"`: -1, "null": -1, "18446744073709551617": -1,
	} {
		if got, err := strictjson.Integer("name", json.RawMessage(raw)); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("Integer(%s) = %d, %v, want %d", raw, got, err, want)
		}
	}
}
