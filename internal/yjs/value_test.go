package yjs_test

import (
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// valueCases are what lib0's writeAny writes in Node.
var valueCases = []struct {
	value   any
	encoded string
}{
	{float64(1), "7d01"},
	{float64(-1), "7d41"},
	{float64(63), "7d3f"},
	{float64(64), "7d8001"},
	{float64(-64), "7dc001"},
	{float64(8191), "7dbf7f"},
	{float64(8192), "7d808001"},
	{float64(2147483647), "7dbfffffff0f"},
	{float64(-2147483647), "7dffffffff0f"},
	{float64(2147483648), "7c4f000000"},
	{float64(-2147483648), "7ccf000000"},
	{float64(4294967296), "7c4f800000"},
	{float64(9007199254740991), "7b433fffffffffffff"},
	{1e21, "7b444b1ae4d6e2ef50"},
	{1.5, "7c3fc00000"},
	{0.1, "7b3fb999999999999a"},
	{-0.1, "7bbfb999999999999a"},
	{1e-7, "7b3e7ad7f29abcaf48"},
	{5e-324, "7b0000000000000001"},
	{1.7976931348623157e308, "7b7fefffffffffffff"},
	{math.NaN(), "7b7ff8000000000000"},
	{math.Inf(1), "7c7f800000"},
	{math.Inf(-1), "7cff800000"},
	{float64(16777217), "7d81808010"},
	{float64(123456789012345680000), "7b441ac53a7e04bcda"},
	{math.Copysign(0, -1), "7d40"},
	{yjs.BigInt(5), "7a0000000000000005"},
	{yjs.BigInt(-1), "7affffffffffffffff"},
	{yjs.BigInt(math.MinInt64), "7a8000000000000000"},
	{"a\xed\xa0\xbd", "770461efbfbd"},
	{"😀", "7704f09f9880"},
	{yjs.NewObject([]yjs.Member{
		{Key: "b", Value: 1.0},
		{Key: "10", Value: 2.0},
		{Key: "2", Value: 3.0},
		{Key: "a", Value: yjs.Undefined{}},
		{Key: "01", Value: 4.0},
		{Key: "4294967295", Value: 5.0},
		{Key: "4294967294", Value: 6.0},
	}...), "760701327d030231307d020a343239343936373239347d0601627d0101617f0230317d040a343239343936373239357d05"},
	{[]any{nil, yjs.Undefined{}, true, false, []byte{1, 255}}, "75057e7f7879740201ff"},
	{yjs.Object{}, "7600"},
	{[]any{}, "7500"},
	{[]byte{}, "7400"},
}

func TestEncodeValue(t *testing.T) {
	for _, c := range valueCases {
		if got := hex.EncodeToString(yjs.EncodeValue(c.value)); got != c.encoded {
			t.Errorf("EncodeValue(%v) = %s, want %s", c.value, got, c.encoded)
		}
	}
}

func TestDecodeValue(t *testing.T) {
	for _, c := range valueCases {
		v, err := yjs.DecodeValue(unhex(t, c.encoded))
		if got := hex.EncodeToString(yjs.EncodeValue(v)); err != nil || got != c.encoded {
			t.Errorf("DecodeValue(%s) = %v, %v, which encodes as %s", c.encoded, v, err, got)
		}
	}
	for _, c := range []struct {
		name, encoded string
		want          any
	}{
		{"the last of equal keys, at the place of the first", "760301617d0101627d0201617d03", yjs.Object{{Key: "a", Value: 3.0}, {Key: "b", Value: 2.0}}},
		{"__proto__ vanishes", "7602095f5f70726f746f5f5f7d0101617d02", yjs.Object{{Key: "a", Value: 2.0}}},
		{"a float where an integer would do", "7b3ff0000000000000", 1.0},
	} {
		got, err := yjs.DecodeValue(unhex(t, c.encoded))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: DecodeValue(%s) = %v, %v, want %v", c.name, c.encoded, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "7c0000", "7b00", "7a", "7d", "7dffffffffffffffffff01", "770461", "7701ff", "7601", "7502", "74ff7f", "00", "7e7e", "7703eda0bd"} {
		if v, err := yjs.DecodeValue(unhex(t, bad)); err == nil {
			t.Errorf("DecodeValue(%s) = %v, want an error", bad, v)
		}
	}
	if _, err := yjs.DecodeValue(unhex(t, strings.Repeat("7501", 2002)+"7e")); err == nil {
		t.Error("DecodeValue of 2002 nested arrays succeeds, want an error")
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
