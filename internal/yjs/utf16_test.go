package yjs_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/soma-sdk/soma/internal/yjs"
)

func TestUTF16(t *testing.T) {
	for _, s := range []string{
		"", "a", "é", "漢", "😀", "aé漢😀", "😀😀😀", strings.Repeat("a", 40), strings.Repeat("é", 17), strings.Repeat("a漢😀é", 9),
		strings.Repeat("😀", 9) + "a", "\x7f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff",
	} {
		units := utf16.Encode([]rune(s))
		if got := yjs.UTF16Len([]byte(s)); got != uint64(len(units)) {
			t.Errorf("UTF16Len(%q) = %d, want %d", s, got, len(units))
		}
		for n := range len(units) + 1 {
			inPair := n < len(units) && units[n] >= 0xDC00 && units[n] <= 0xDFFF
			before := units[:n]
			if inPair {
				before = units[:n-1]
			}
			want := len(string(utf16.Decode(before)))
			if at, in := yjs.UTF16Offset([]byte(s), uint64(n)); at != want || in != inPair {
				t.Errorf("UTF16Offset(%q, %d) = %d, %v, want %d, %v", s, n, at, in, want, inPair)
			}
		}
	}
}

func TestLoneSurrogates(t *testing.T) {
	for in, want := range map[string]string{
		`"\ud83d"`:             "\xed\xa0\xbd",
		`"\ud83d\ude00"`:       "😀",
		`"\ude00\ud83d"`:       "\xed\xb8\x80\xed\xa0\xbd",
		`"\ud83d\ud83d\ude00"`: "\xed\xa0\xbd😀",
		`"\ud83d😀"`:            "\xed\xa0\xbd😀",
	} {
		v, ok := yjs.ParseJSON([]byte(in))
		if !ok || v != want {
			t.Errorf("ParseJSON(%s) = %q, %v, want %q", in, v, ok, want)
		}
		if got := yjs.UTF16Len([]byte(want)); got != uint64(len(utf16.Encode([]rune(yjs.ReplaceSurrogates(want))))) {
			t.Errorf("UTF16Len(%q) = %d", want, got)
		}
	}
	if got, want := yjs.ReplaceSurrogates("a\xed\xa0\xbdb\ud7ff"), "a\uFFFDb\ud7ff"; got != want {
		t.Errorf("ReplaceSurrogates = %q, want %q", got, want)
	}
}

// TestSplitPair inserts inside a surrogate pair, which yjs turns into two
// replacement characters; the bytes are from yjs.
func TestSplitPair(t *testing.T) {
	d := load(t, unhex(t, "02010200c4010101020158020100040101740461efbfbd84010104efbfbd6200"))
	if got, want := d.Root("t").Text(), "a\uFFFDX\uFFFDb"; got != want {
		t.Errorf("Text() = %q, want %q", got, want)
	}
	// The same from the whole text and an insertion, however long the sides are.
	for _, sides := range [][2]int{{0, 0}, {1, 1}, {1, 9}, {9, 1}, {9, 9}} {
		left, right := strings.Repeat("é", sides[0]), strings.Repeat("漢", sides[1])
		in := uint64(sides[0])
		whole := (&builder{}).uint(1).section(1, 1, 0).in(cString, "t").text(left + "😀" + right).uint(0).buf
		insert := (&builder{}).uint(1).section(1, 2, 0).bytes(cString|hasLeft|hasRight).uint(1, in, 1, in+1).text("X").uint(0).buf
		original := string(whole)
		d := load(t, whole, insert)
		if got, want := d.Root("t").Text(), left+"\uFFFDX\uFFFD"+right; got != want {
			t.Errorf("Text() = %q, want %q", got, want)
		}
		if _, err := yjs.Compact(whole, insert); err != nil || string(whole) != original {
			t.Errorf("Compact changes its input from %x to %x, %v", original, whole, err)
		}
	}
}
