package search_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/search"
)

func describe(q core.SearchQuery) string {
	var parts []string
	add := func(sign string, phrases []core.SearchPhrase) {
		for _, p := range phrases {
			star := ""
			if p.Prefix {
				star = "*"
			}
			parts = append(parts, fmt.Sprintf("%s[%s%s]", sign, strings.Join(p.Terms, " "), star))
		}
	}
	add("", q.All)
	add("-", q.None)
	return strings.Join(parts, " ")
}

func TestParse(t *testing.T) {
	tests := []struct{ query, want string }{
		{"", ""},
		{" \t\n", ""},
		{"*", ""},
		{`"`, ""},
		{`""`, ""},
		{"-", ""},
		{"- -- ---", ""},
		{"note meet", "[note*] [meet*]"},
		{"Café", "[cafe*]"},
		{"e-mail don't", "[e mail*] [don t*]"},
		{`"hello world"`, "[hello world]"},
		{`“hello world” «a b»`, "[hello world] [a b]"},
		{`"hello wor`, "[hello wor*]"},
		{`foo"bar baz"qux`, "[foo*] [bar baz] [qux*]"},
		{"foo -bar", "[foo*] -[bar]"},
		{"-foo", "-[foo]"},
		{`foo -"bar baz" qux`, "[foo*] [qux*] -[bar baz]"},
		{"--foo", "-[foo]"},
		{"foo - bar", "[foo*] [bar*]"},
		{"東", "[東*]"},
		{"東京", "[東京*]"},
		{"東京都", "[東京 京都*]"},
		{`"東京都"`, "[東京 京都]"},
		{"-東", "-[東*]"},
		{"-東京", "-[東京]"},
		{"東京tower", "[東京 京 tower*]"},
		{"tower東", "[tower 東*]"},
		{`"東京 tower"`, "[東京 京 tower]"},
		{"👍", "[👍*]"},
		{"NEAR/2 AND OR NOT", "[near 2*] [and*] [or*] [not*]"},
		{"title:foo ^bar col:(x)", "[title foo*] [bar*] [col x*]"},
		{"a\x00b", "[a b*]"},
		{"a\xffb", "[a b*]"},
		{"foo　bar", "[foo*] [bar*]"},
	}
	for _, tt := range tests {
		if got := describe(search.Parse(tt.query)); got != tt.want {
			t.Errorf("Parse(%q) = %s, want %s", tt.query, got, tt.want)
		}
	}
}

func TestParseIsBounded(t *testing.T) {
	for _, query := range []string{
		strings.Repeat("ab ", 1000), strings.Repeat("東京", 1000), strings.Repeat("-ab ", 1000), `"` + strings.Repeat("ab ", 1000),
	} {
		n := 0
		q := search.Parse(query)
		for _, p := range append(q.All, q.None...) {
			n += len(p.Terms)
		}
		if n < search.MaxQueryTerms-1 || n > search.MaxQueryTerms {
			t.Errorf("query of %d bytes has %d terms, want %d", len(query), n, search.MaxQueryTerms)
		}
	}
}
