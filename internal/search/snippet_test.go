package search_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/search"
)

// marked puts what matches into brackets, and dots where text was left out.
func marked(s search.Snippet) string {
	var b strings.Builder
	if s.Before {
		b.WriteString("…")
	}
	at := 0
	for _, m := range s.Matches {
		b.WriteString(s.Text[at:m.Start] + "[" + s.Text[m.Start:m.End] + "]")
		at = m.End
	}
	b.WriteString(s.Text[at:])
	if s.After {
		b.WriteString("…")
	}
	return b.String()
}

func TestSnippet(t *testing.T) {
	filler := strings.Repeat("lorem ipsum ", 40)
	tests := []struct{ name, query, text, want string }{
		{"whole", "fox", "the quick fox", "the quick [fox]"},
		{"prefix", "qui", "the quick fox", "the [quick] fox"},
		{"phrase", `"quick fox"`, "a quick, fox", "a [quick, fox]"},
		{"joined", "e-mail", "my E-Mail.", "my [E-Mail]."},
		{"none", "zebra", "the quick fox", "the quick fox"},
		{"line breaks", "b", "a\nb\tc\r\nd", "a [b] c  d"},
		{"sharp s", "strasse", "Die Straße!", "Die [Straße]!"},
		{"sharp s query", "straße", "STRASSE", "[STRASSE]"},
		{"dotted i", "istanbul", "in İstanbul da", "in [İstanbul] da"},
		{"ligature", "find", "we ﬁnd it", "we [ﬁnd] it"},
		{"combining", "ete", "l'e\u0301te\u0301.", "l'[e\u0301te\u0301]."},
		{"emoji", "👍", "yes 👍🏽!", "yes [👍🏽]!"},
		{"han", "京都", "東京都の天気", "東[京都]の天気"},
		{"one character", "京", "東京都の天気", "東[京]都の天気"},
		{"last character", "気", "東京都の天気", "東京都の天[気]"},
		{"half width", "データ", "ﾃﾞｰﾀの", "[ﾃﾞｰﾀ]の"},
		{"thai", "ษา", "ภาษาไทย", "ภา[ษา]ไทย"},
		{"touching", "東京 都の", "東京都の", "[東京][都の]"},
		{"overlapping", "東京 京都", "東京都", "[東京都]"},
		{"excluded is not marked", "fox -cat", "fox", "[fox]"},
	}
	for _, tt := range tests {
		got, _ := search.Look(tt.query, tt.text)
		if marked(got) != tt.want {
			t.Errorf("%s: snippet of %q in %q = %q, want %q", tt.name, tt.query, tt.text, marked(got), tt.want)
		}
	}
	for _, tt := range []struct{ name, query, text, has string }{
		{"start", "needle", "needle " + filler, "[needle] lorem"},
		{"middle", "needle", filler + "needle " + filler, "ipsum [needle] lorem"},
		{"end", "needle", filler + "needle", "ipsum [needle]"},
		{"where most is", "needle thread", "needle " + filler + "thread and needle " + filler, "[thread] and [needle]"},
		{"in order", "needle thread", "needle " + filler + "needle and thread " + filler, "[needle] and [thread]"},
	} {
		got, ok := search.Look(tt.query, tt.text)
		if !ok || !strings.Contains(marked(got), tt.has) {
			t.Errorf("%s: snippet = %q, want %q in it", tt.name, marked(got), tt.has)
		}
		if n := utf8.RuneCountInString(got.Text); n < 80 || n > 200 {
			t.Errorf("%s: snippet has %d characters", tt.name, n)
		}
		words := strings.Fields(got.Text)
		for _, w := range []string{words[0], words[len(words)-1]} {
			if !strings.Contains("lorem ipsum needle thread and", w) {
				t.Errorf("%s: snippet cuts a word: %q", tt.name, w)
			}
		}
	}
}

func FuzzSnippet(f *testing.F) {
	f.Add("fox", "the quick fox")
	f.Add(`"a b" -c`, "a b a, b")
	f.Add("東", "東京都ﾃﾞｰﾀ")
	f.Add("a", "a"+strings.Repeat("\u0301", 2000))
	f.Add("ss ﬁ", "ß ﬁ İ 👨‍👩‍👧")
	f.Add(`"a b`, "a"+strings.Repeat(".", 5000)+"b")
	f.Fuzz(func(t *testing.T, query, text string) {
		got, ok := search.Look(query, text)
		if ok && len(got.Matches) == 0 {
			t.Fatalf("%q matches %q, but the snippet %q has no match", query, text, got.Text)
		}
		if n := utf8.RuneCountInString(got.Text); n > 500 {
			t.Fatalf("snippet of %d characters", n)
		}
		at := 0
		for _, m := range got.Matches {
			if m.Start < at || m.End <= m.Start || m.End > len(got.Text) {
				t.Fatalf("matches of %q in %q = %v", query, got.Text, got.Matches)
			}
			if utf8.ValidString(text) && !utf8.ValidString(got.Text[m.Start:m.End]) {
				t.Fatalf("a match of %q in %q cuts a character", query, got.Text)
			}
			at = m.End
		}
	})
}
