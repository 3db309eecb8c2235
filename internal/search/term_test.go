package search_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/search"
)

func TestTerms(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"separators", " \t\r\n.,;:!?\x00\"'()[]{}<>*^~|/\\+=_-#$%&@`", ""},
		{"case", "Hello WORLD", "hello world"},
		{"digits", "A1 3.14 2024-01-15", "a1 3 14 2024 01 15"},
		{"apostrophe", "don't l’été", "don t l ete"},
		{"mail", "ann.lee@example.org", "ann lee example org"},
		{"accents", "Été ÅNGSTRÖM naïve", "ete angstrom naive"},
		{"accents apart", "E\u0301te\u0301", "ete"},
		{"vietnamese", "Tiếng Việt Đà Nẵng", "tieng viet da nang"},
		{"german", "Straße STRASSE GROẞ", "strasse strasse gross"},
		{"danish", "Rødgrød Ærø", "rodgrod aero"},
		{"polish", "Łódź", "lodz"},
		{"turkish", "İstanbul ılık ILIK", "istanbul ilik ilik"},
		{"icelandic", "Þór Eyjafjörður", "thor eyjafjordur"},
		{"ligatures", "oﬃce ﬁnd", "office find"},
		{"roman numeral", "Ⅷ", "viii"},
		{"width", "ＷＩＤＥ１２３", "wide123"},
		{"long s", "ſtraſse", "strasse"},
		{"superscript", "x² H₂O", "x2 h2o"},
		{"fraction", "½", "1 2"},
		{"circled", "①", "1"},
		{"signs", "Foo™ ©2020", "foo tm © 2020"},
		{"kelvin", "300K", "300k"},
		{"greek", "ΣΊΣΥΦΟΣ σίσυφος ᾳ", "σισυφοσ σισυφοσ α"},
		{"russian", "Ёлка МОЙ мой мои", "елка мой мой мои"},
		{"ukrainian", "Київ їжак", "київ їжак"},
		{"stress mark", "за\u0301мок", "замок"},
		{"arabic", "مُحَمَّد العـــربية", "محمد العربية"},
		{"hebrew", "שָׁלוֹם", "שלום"},
		{"hindi", "हिन्दी में", "हिन्दी में"},
		{"tamil", "தமிழ்", "தமிழ்"},
		{"georgian", "ᲐᲑᲒ აბგ", "აბგ აბგ"},
		{"persian joiner", "می\u200cخواهم", "میخواهم"},
		{"soft hyphen", "so\u00adft", "soft"},
		{"bidi marks", "\u202bab\u202c", "ab"},
		{"space without width", "ab\u200bcd", "ab cd"},
		{"han", "東京都", "東京 京都 都"},
		{"han alone", "東", "東"},
		{"han variant", "葛\U000e0100城", "葛城 城"},
		{"iteration mark", "人々", "人々 々"},
		{"rare han", "𠮷野", "𠮷野 野"},
		{"hiragana", "ひらがな", "ひら らが がな な"},
		{"dakuten apart", "か\u3099き", "がき き"},
		{"katakana", "データ", "デー ータ タ"},
		{"half width katakana", "ﾃﾞｰﾀ", "デー ータ タ"},
		{"hangul", "한국어", "한국 국어 어"},
		{"hangul apart", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국 국"},
		{"thai", "ภาษา", "ภา าษ ษา า"},
		{"thai marks", "น้ำ", "น้ํา า"},
		{"mixed", "iPhoneは13台", "iphone は 13 台"},
		{"han beside words", "a東b", "a 東 b"},
		{"square company", "㍿", "株式 式会 会社 社"},
		{"emoji", "ok👍done", "ok 👍 done"},
		{"skin tone", "👍🏽", "👍"},
		{"variation", "❤️ ❤", "❤ ❤"},
		{"family", "👨‍👩‍👧", "👨👩👧"},
		{"flags", "🇩🇪🇫🇷", "🇩🇪 🇫🇷"},
		{"keycap", "1️⃣", "1"},
		{"new emoji", "\U0001fadf", "\U0001fadf"},
		{"invalid", "a\xffb\xc3", "a b"},
		{"replacement", "a\ufffdb", "a b"},
		{"mark without base", "\u0301a \u0301", "a"},
		{"kept mark without base", "\u093f", ""},
	}
	for _, tt := range tests {
		if got := search.Spelled(tt.text); got != tt.want {
			t.Errorf("%s: terms of %q = %q, want %q", tt.name, tt.text, got, tt.want)
		}
	}
}

func TestTermsSayWhereTheyAre(t *testing.T) {
	tests := []struct {
		text string
		want []string // parts of text
	}{
		{"Hello, World", []string{"Hello", "World"}},
		{"ﬁnd ﬁ", []string{"ﬁnd", "ﬁ"}},
		{"Straße!", []string{"Straße"}},
		{"İstanbul", []string{"İstanbul"}},
		{"e\u0301te\u0301.", []string{"e\u0301te\u0301"}},
		{"x\u00adyz", []string{"x\u00adyz"}},
		{"東京", []string{"東京", "京"}},
		{"ﾃﾞｰ", []string{"ﾃﾞｰ", "ｰ"}},
		{"👍🏽!", []string{"👍🏽"}},
		{"👨‍👩‍👧", []string{"👨‍👩‍👧"}},
		{"㍿", []string{"㍿", "㍿", "㍿", "㍿"}},
		{"a½b", []string{"a½", "½b"}},
		{"Foo™", []string{"Foo", "™"}},
	}
	for _, tt := range tests {
		var got []string
		for _, term := range search.Terms(tt.text) {
			got = append(got, tt.text[term.Start:term.End])
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("parts of %q = %q, want %q", tt.text, got, tt.want)
		}
	}
}

// A word of any length is found, and costs no more than its length.
func TestTermsAreBounded(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("a", 1000),
		"क" + strings.Repeat("\u093c", 1000),
		"a" + strings.Repeat("\u0301", 1000),
		strings.Repeat("👨\u200d", 1000),
		"\u1100" + strings.Repeat("\u1161", 1000),
	} {
		for _, term := range search.Terms(text) {
			if len(term.Text) > 256 {
				t.Errorf("a term of %q... has %d bytes", text[:8], len(term.Text))
			}
		}
	}
	long := strings.Repeat("0123456789", 100)
	for _, query := range []string{long, long[:127], long[:128], long[:129], long[:500], `"` + long + `"`} {
		if _, ok := search.Look(query, "x "+long+" y"); !ok {
			t.Errorf("a word of 1,000 digits is not found by a query of %d", len(query))
		}
	}
}

func FuzzTerms(f *testing.F) {
	for _, seed := range []string{"", "Été ﬁn", "東京都のﾃﾞｰﾀ", "👨‍👩‍👧🇩🇪", "\u1112\u1161\u11ab", "a\xffb", "น้ำ ½ ㍿ ™"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start := 0
		for _, term := range search.Terms(text) {
			switch {
			case term.Start < start || term.End <= term.Start || term.End > len(text):
				t.Fatalf("term %q of %q is at %d to %d, the one before began at %d", term.Text, text, term.Start, term.End, start)
			case utf8.ValidString(text) && !utf8.ValidString(text[term.Start:term.End]):
				t.Fatalf("term %q of %q cuts a character", term.Text, text)
			case !utf8.ValidString(term.Text) || term.Text == "" || strings.ContainsFunc(term.Text, func(r rune) bool {
				return r < utf8.RuneSelf && (r < '0' || r > '9') && (r < 'a' || r > 'z')
			}):
				t.Fatalf("%q has the term %q", text, term.Text)
			}
			start = term.Start
			// Whatever is indexed is found by itself.
			part := text[term.Start:term.End]
			if itself := search.Spelled(part); itself == term.Text || strings.HasPrefix(itself, term.Text+" ") {
				if _, ok := search.Look(part, text); !ok {
					t.Fatalf("%q is not found in %q", part, text)
				}
			}
		}
	})
}
