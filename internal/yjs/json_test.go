package yjs_test

import (
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// jsonCases are what JSON.stringify(JSON.parse(in)) returns in Node, "" where
// JSON.parse throws.
var jsonCases = []struct{ in, want string }{
	{"-0", "0"},
	{"0.0", "0"},
	{"1E5", "100000"},
	{"1e21", "1e+21"},
	{"1e20", "100000000000000000000"},
	{"123456789012345680000", "123456789012345680000"},
	{"1234567890123456789012", "1.2345678901234568e+21"},
	{"1e-6", "0.000001"},
	{"1e-7", "1e-7"},
	{"1.5e-10", "1.5e-10"},
	{"5e-324", "5e-324"},
	{"1e400", "null"},
	{"-1e400", "null"},
	{"0.1", "0.1"},
	{"100", "100"},
	{"1.7976931348623157e308", "1.7976931348623157e+308"},
	{"4.35", "4.35"},
	{"9007199254740993", "9007199254740992"},
	{`"\ud83d"`, `"\ud83d"`},
	{`"\ude00\ud83d"`, `"\ude00\ud83d"`},
	{`"\ud83d\ude00"`, `"😀"`},
	{`"\u0000\b\f\n\r\t\u001f\u007f\u2028\/\"\\"`, "\"\\u0000\\b\\f\\n\\r\\t\\u001f\u007f\u2028/\\\"\\\\\""},
	{`"é😀"`, `"é😀"`},
	{`{"b":1,"10":2,"2":3,"b":4,"01":5,"4294967295":6,"4294967294":7,"-1":8}`, `{"2":3,"10":2,"4294967294":7,"b":4,"01":5,"4294967295":6,"-1":8}`},
	{`{"__proto__":1,"a":2}`, `{"__proto__":1,"a":2}`},
	{" [ 1 , 2 ] ", "[1,2]"},
	{"[]", "[]"},
	{"{}", "{}"},
	{`{"a":{}}`, `{"a":{}}`},
	{"", ""},
	{"01", ""},
	{"1.", ""},
	{".5", ""},
	{"+1", ""},
	{"[1,]", ""},
	{`{"a":1,}`, ""},
	{"{a:1}", ""},
	{"'a'", ""},
	{`"\x41"`, ""},
	{`"\u12g4"`, ""},
	{"\"a\nb\"", ""},
	{"nul", ""},
	{"null null", ""},
	{"[", ""},
	{`{"a"}`, ""},
	{"-", ""},
	{"1e", ""},
	{"\u00a0 1", ""},
	{"NaN", ""},
	{`"\ud83d\u0041"`, `"\ud83dA"`},
}

func TestJSON(t *testing.T) {
	for _, c := range jsonCases {
		v, ok := yjs.ParseJSON([]byte(c.in))
		if ok != (c.want != "") {
			t.Errorf("ParseJSON(%q) accepts it: %v, want %v", c.in, ok, c.want != "")
		}
		if got := string(yjs.AppendJSON(nil, v)); ok && got != c.want {
			t.Errorf("AppendJSON of %q = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestJSONDepth(t *testing.T) {
	for depth, want := range map[int]bool{2000: true, 2002: false, 1 << 20: false} {
		text := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		if _, ok := yjs.ParseJSON([]byte(text)); ok != want {
			t.Errorf("ParseJSON of %d arrays accepts it: %v, want %v", depth, ok, want)
		}
	}
}

// TestAppendJSON covers what no JSON text becomes.
func TestAppendJSON(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{yjs.Undefined{}, "null"},
		{[]any{yjs.Undefined{}, nil}, "[null,null]"},
		{yjs.Object{{Key: "a", Value: yjs.Undefined{}}, {Key: "b", Value: nil}}, `{"b":null}`},
		{yjs.BigInt(-5), "-5"},
		{[]byte{7, 255}, `{"0":7,"1":255}`},
		{yjs.Subdoc{GUID: "g"}, "{}"},
		{"\xed\xa0\xbd", `"\ud83d"`},
		{"\xed\xbf\xbf", `"\udfff"`},
	} {
		if got := string(yjs.AppendJSON(nil, c.value)); got != c.want {
			t.Errorf("AppendJSON(%v) = %s, want %s", c.value, got, c.want)
		}
	}
}
