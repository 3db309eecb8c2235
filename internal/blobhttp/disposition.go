package blobhttp

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName is how many bytes file systems take.
const maxFileName = 255

// attachment returns the Content-Disposition of a download, with the first of names that is
// one for a file (RFC 6266). filename is for those who do not read filename*.
func attachment(names ...string) string {
	var name string
	for _, candidate := range names {
		if name = fileName(candidate); name != "" {
			break
		}
	}
	return fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, strings.Map(plain, name), escape(name))
}

// fileName returns what is left of a name if nothing in it may lead into another folder, or
// make it look like another name. It is empty if that is nothing.
func fileName(name string) string {
	name = strings.TrimSpace(strings.Map(harmlessRune, name))
	for len(name) > maxFileName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if strings.Trim(name, ".") == "" {
		return ""
	}
	return name
}

func harmlessRune(r rune) rune {
	switch {
	case r == '/' || r == '\\' || r == utf8.RuneError || unicode.IsControl(r):
		return '_'
	case unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
		return -1
	}
	return r
}

// plain returns what is the same in and out of a quoted string, for all who read it.
func plain(r rune) rune {
	if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
		return '_'
	}
	return r
}

// escape is the encoding of RFC 8187 3.2.1.
func escape(name string) string {
	const unescaped = "!#$&+-.^_`|~"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(unescaped, c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
