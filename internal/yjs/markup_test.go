package yjs_test

import (
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// TestMarkup has its update and the result of toString from yjs: attributes of all
// kinds of values, nested formats, an embed, a hook and an element.
func TestMarkup(t *testing.T) {
	d := load(t, unhex(t, "011f0100070101780303444956280001000162017701322800010001610177013128000100016e017e280001000175017f28000100016f01760101787d0128000100016c0175057d017e7f75027d027d03770178280001000166017b444b1ae4d6e2ef5028000100036e6567017d4023000100017902010228000100017401782800010003efbfbf0177017a2800010004f09f98800177017007000100060400010d016884010e016584010f016c840110016c840111056f203c623ec6010e010f0169127b2263223a2272222c2261223a6e756c6c7dc60117010f01620474727565c6011101120169046e756c6cc6011901120162046e756c6cc6010f011001730422787922c6011b0110017a055b312c325dc6011001110173046e756c6cc6011d0111017a046e756c6c45010e077b226b223a317d87010d0504686f6f6b28000120016b017d01870120030353756200"))
	want := "<div a=\"1\" b=\"2\" f=\"1e+21\" l=\"1,,,2,3,x\" n=\"null\" neg=\"0\" o=\"[object Object]\" t=\"true\" u=\"undefined\" y=\"1,2\" 😀=\"p\" \uffff=\"z\">[object Object]h<b><i a=\"null\" c=\"r\">e</i></b><b><i a=\"null\" c=\"r\"><s 0=\"x\" 1=\"y\"><z 0=\"1\" 1=\"2\">l</z></s></i></b><b><i a=\"null\" c=\"r\">l</i></b>o <b>[object Object]<sub></sub></div>"
	if got, err := declare(t, d, "x", yjs.KindXMLFragment).Markup(); err != nil || got != want {
		t.Errorf("Markup() = %q, %v, want %q", got, err, want)
	}
}

func TestCompareUTF16(t *testing.T) {
	sorted := []string{"", "a", "aa", "b", "é", "\uD7FF", "😀", "😁", "\uE000", "\uFFFD", "\uFFFF"}
	got := slices.Clone(sorted)
	slices.Reverse(got)
	slices.SortFunc(got, yjs.CompareUTF16)
	if !slices.Equal(got, sorted) {
		t.Errorf("sorted by UTF-16 units: %q, want %q", got, sorted)
	}
}

// A format whose value is a string has, in for...in, a property for each UTF-16
// unit, so that halves of pairs stand alone. Update and result are from yjs.
func TestMarkupOfAStringFormat(t *testing.T) {
	d := load(t, unhex(t, "0104010007010178060600010004626f6c640722f09f98806122840101017886010204626f6c64046e756c6c00"))
	want := "<bold 0=\"\xed\xa0\xbd\" 1=\"\xed\xb8\x80\" 2=\"a\">x</bold>" // U+D83D, U+DE00 as WTF-8
	if got, err := declare(t, d, "x", yjs.KindXMLFragment).Markup(); err != nil || got != want {
		t.Errorf("Markup() = %q, %v, want %q", got, err, want)
	}
}
