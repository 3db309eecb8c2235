package shape

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/yjs"
)

// MaxTitleRunes bounds a title, in code points. A longer one is cut where no character
// that a reader sees is cut in two.
const MaxTitleRunes = 200

// Title returns what people call a document, "" for none: its first line that is not
// blank, trimmed and cut to MaxTitleRunes. Without a source, text that the document
// itself calls its title goes before that: a root named "title", or the value of the
// key "title" in a root that is a map. No shape has a place of its own for it. It
// returns yjs.ErrTooDeep.
func Title(doc *yjs.Doc, from Source) (string, error) {
	sources := []Source{from}
	if from == (Source{}) {
		if title, err := explicitTitle(doc); title != "" || err != nil {
			return title, err
		}
		sources = detectAll(doc)
	}
	for _, s := range sources {
		title, err := firstOf(func(o *out) { write(o, doc, s) })
		if title != "" || err != nil {
			return title, err
		}
	}
	return "", nil
}

// explicitTitle returns the text that is named so.
func explicitTitle(doc *yjs.Doc) (string, error) {
	const name = "title"
	for _, root := range sortedRoots(doc) {
		title, err := firstOf(func(o *out) {
			if root.Name() == name {
				write(o, doc, Source{name, detect(root)})
				o.write("\n")
			}
			if root.Kind() != yjs.KindMap {
				return
			}
			switch v, _ := root.Get(name); v := v.(type) {
			case string:
				o.write(v)
			case *yjs.Type:
				writePlain(o, v)
			}
		})
		if title != "" || err != nil {
			return title, err
		}
	}
	return "", nil
}

// firstOf returns the first line of what is written.
func firstOf(write func(*out)) (string, error) {
	o := &out{separator: "\n", first: &firstLine{}}
	write(o)
	if o.err != nil {
		return "", o.err
	}
	return o.first.title(), nil
}

// firstLine takes text until it has a line that is not blank.
type firstLine struct {
	line []byte // without white space at its start
	done bool
}

// enough is more than any title needs, in bytes.
const enough = 4*MaxTitleRunes + 4*maxCluster

func (f *firstLine) write(s string) {
	for s != "" && !f.done {
		if len(f.line) == 0 {
			if s = strings.TrimLeftFunc(s, blank); s == "" {
				return
			}
		}
		at := strings.IndexFunc(s, endsLine)
		part := s
		if at >= 0 {
			part = s[:at]
		}
		f.line = append(f.line, part[:min(len(part), enough)]...)
		f.done = at >= 0 || len(f.line) >= enough
		s = s[len(part):]
	}
}

func (f *firstLine) title() string {
	s := strings.TrimRightFunc(strings.ToValidUTF8(string(f.line), "\uFFFD"), blank)
	return strings.TrimRightFunc(cut(s, MaxTitleRunes), blank)
}

// blank reports whether a rune shows nothing at an end of a line.
func blank(r rune) bool {
	switch r {
	case '\u200B', '\u2060', '\uFEFF':
		return true
	}
	return unicode.IsSpace(r) || unicode.IsControl(r)
}

func endsLine(r rune) bool {
	switch r {
	case '\n', '\v', '\f', '\r', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// maxCluster bounds, in runes, how far back a cut goes for the sake of one character.
const maxCluster = 32

// cut returns at most limit runes of s. It does not part what belongs to one character:
// a letter and its marks, an emoji and what modifies or joins it, the halves of a flag.
// That is what the extended grapheme clusters of UAX #29 keep together, less Hangul and
// prefixes, which are rare where text is not composed.
func cut(s string, limit int) string {
	at := 0
	for ; limit > 0 && at < len(s); limit-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	for from, tries := at, maxCluster; at > 0 && at < len(s); tries-- {
		if tries == 0 {
			return s[:from]
		}
		if !joined(s[:at], s[at:]) {
			break
		}
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return s[:at]
}

const zeroWidthJoiner = '\u200D'

// joined reports whether the end of one text and the start of another are one character.
func joined(before, after string) bool {
	next, _ := utf8.DecodeRuneInString(after)
	last, _ := utf8.DecodeLastRuneInString(before)
	switch {
	case next == zeroWidthJoiner, last == zeroWidthJoiner, unicode.Is(unicode.M, next):
		return true
	case next >= 0x1F3FB && next <= 0x1F3FF: // skin tones
		return true
	case next >= 0xE0020 && next <= 0xE007F: // tags, as in the flags of regions
		return true
	case regional(next) && regional(last):
		flags := before[len(strings.TrimRightFunc(before, regional)):]
		return utf8.RuneCountInString(flags)%2 == 1
	}
	return false
}

func regional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }
