package search

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// class says how a cell takes part in terms.
type class uint8

const (
	separator class = iota
	letter          // words are made of it
	dense           // of a script that is written without spaces between words
	symbol          // a word by itself, such as an emoji
)

// maxCellBytes bounds a cell: more marks upon one base, or emoji joined to one, do not count.
const maxCellBytes = 64

// cell is the smallest part of a text that is compared: a base with what belongs to it,
// folded, and where it is in the text. Case, width and compatibility forms are folded
// away in all scripts; marks in Latin, Greek, Arabic and Hebrew.
type cell struct {
	class      class
	text       []byte // valid until the next cell
	start, end int
	plain      bool // it is several letters and digits of ASCII, a byte each
}

// cells calls fn with each cell of a text, in order, until fn returns false.
func cells(text string, fn func(*cell) bool) {
	f := folder{text: text, fn: fn}
	for f.pos < len(text) && !f.done {
		f.step()
	}
	f.flush()
}

type folder struct {
	text    string
	fn      func(*cell) bool
	done    bool
	pos     int
	has     bool // cur is there, and may grow
	cur     cell
	last    rune // the last one in cur
	joined  bool // a joiner came after it
	compose bool // cur has several runes, which may be one
	run     cell // what plain hands out
	buf     [2 * maxCellBytes]byte
	norm    [4 * maxCellBytes]byte
}

// step takes one rune of the text.
func (f *folder) step() {
	start := f.pos
	if c := f.text[start]; c < utf8.RuneSelf {
		if f.plain() {
			return
		}
		f.pos++
		class, r := ascii(c)
		f.begin(class, r, start, f.pos)
		return
	}
	r, size := utf8.DecodeRuneInString(f.text[start:])
	f.pos += size
	switch {
	case r == utf8.RuneError:
		f.begin(separator, ' ', start, f.pos)
		return
	case 0x4e00 <= r && r <= 0x9fff, 0xac00 <= r && r <= 0xd7a3: // most of Chinese and Korean, folded already
		f.begin(dense, r, start, f.pos)
		return
	}
	if ignorable(r) {
		f.joined = f.joined || r == joiner
		f.extend(f.pos)
		return
	}
	decomposed := norm.NFKD.PropertiesString(f.text[start:f.pos]).Decomposition()
	if decomposed == nil {
		f.add(r, start, f.pos)
		return
	}
	apart := unicode.Is(unicode.So, r) // a sign, such as that of a trade mark, is no part of the word before
	if apart {
		f.begin(separator, ' ', start, start)
	}
	for len(decomposed) > 0 {
		d, n := utf8.DecodeRune(decomposed)
		decomposed = decomposed[n:]
		f.add(d, start, f.pos)
	}
	if apart {
		f.begin(separator, ' ', f.pos, f.pos)
	}
}

// plain takes a run of ASCII letters and digits at once, which is what most texts are made
// of. What comes before anything else than ASCII is left: it may have marks.
func (f *folder) plain() bool {
	start, end := f.pos, f.pos
	text := f.run.text[:0]
	for ; end < len(f.text) && f.text[end] < utf8.RuneSelf; end++ {
		class, r := ascii(f.text[end])
		if class != letter {
			break
		}
		text = append(text, byte(r))
	}
	if end < len(f.text) && f.text[end] >= utf8.RuneSelf {
		end--
	}
	f.run.text = text
	if end-start < 2 {
		return false
	}
	f.flush()
	f.pos = end
	f.run = cell{class: letter, text: text[:end-start], start: start, end: end, plain: true}
	f.done = f.done || !f.fn(&f.run)
	return true
}

// add takes one rune that has no decomposition.
func (f *folder) add(r rune, start, end int) {
	switch {
	case r < utf8.RuneSelf:
		c, r := ascii(byte(r))
		f.begin(c, r, start, end)
	case r >= 0x0300 && unicode.Is(unicode.M, r):
		if !f.has {
			return
		}
		if !f.isDiacritic(r) && len(f.cur.text)+utf8.UTFMax <= maxCellBytes {
			f.grow(r)
		}
		f.extend(end)
	case f.has && f.cur.class == dense && continuesSyllable(f.last, r):
		f.grow(r)
		f.extend(end)
	case isSymbol(r):
		if f.has && f.cur.class == symbol && len(f.cur.text)+utf8.UTFMax <= maxCellBytes &&
			(f.joined || isRegional(r) && isRegional(f.last) && len(f.cur.text) == utf8.RuneLen(r)) {
			f.grow(r)
			f.compose = false
			f.joined = false
			f.extend(end)
			return
		}
		f.begin(symbol, r, start, end)
	case unicode.IsLetter(r) || unicode.IsNumber(r):
		c := letter
		if isDense(r) {
			c = dense
		}
		f.begin(c, unicode.ToLower(unicode.ToUpper(r)), start, end)
	default:
		f.begin(separator, ' ', start, end)
	}
}

// begin starts a cell, after handing out the one before.
func (f *folder) begin(c class, r rune, start, end int) {
	f.flush()
	f.has, f.joined, f.compose, f.last = true, false, false, r
	text := f.buf[:0]
	if r < utf8.RuneSelf {
		text = append(text, byte(r))
	} else if s, ok := spelledOut[r]; ok {
		text = append(text, s...)
	} else {
		text = utf8.AppendRune(text, r)
	}
	f.cur = cell{class: c, text: text, start: start, end: end}
}

func (f *folder) grow(r rune) {
	f.cur.text = utf8.AppendRune(f.cur.text, r)
	f.last, f.compose = r, true
}

func (f *folder) extend(end int) {
	if f.has && f.cur.class != separator {
		f.cur.end = end
	}
}

func (f *folder) flush() {
	if !f.has || f.done {
		return
	}
	f.has = false
	if f.compose {
		f.cur.text = norm.NFC.Append(f.norm[:0], f.cur.text...)
	}
	f.done = !f.fn(&f.cur)
}

// ascii is what an ASCII character folds to.
func ascii(c byte) (class, rune) {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'z':
		return letter, rune(c)
	case 'A' <= c && c <= 'Z':
		return letter, rune(c - 'A' + 'a')
	}
	return separator, ' '
}

// spelledOut are letters, in lower case, that people write with others where they
// cannot type them, and that have no decomposition.
var spelledOut = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ħ': "h", 'ŧ': "t", 'ı': "i",
}

const joiner = '\u200d'

// ignorable reports whether a rune neither is seen nor separates: it is taken as if it
// were not there. A space without width separates.
func ignorable(r rune) bool {
	switch {
	case r == '\u200b', r < 0x0600 && r != '\u00ad':
		return false
	case r == '\u0640', // the Arabic filler
		0xfe00 <= r && r <= 0xfe0f, 0xe0100 <= r && r <= 0xe01ef, // variants of a glyph
		0x1f3fb <= r && r <= 0x1f3ff: // skin tones
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// diacritics are the marks without which a word is still found.
var diacritics = []struct{ from, to rune }{
	{0x0300, 0x036f},
	{0x0483, 0x0489},
	{0x0591, 0x05c7},
	{0x0610, 0x061a},
	{0x064b, 0x065f},
	{0x0670, 0x0670},
	{0x06d6, 0x06ed},
	{0x1ab0, 0x1aff},
	{0x1dc0, 0x1dff},
	{0x20d0, 0x20ff},
	{0xfe20, 0xfe2f},
}

// isDiacritic reports whether a mark is folded away. The Cyrillic й, ў and ї are letters
// of their own, ё is a spelling of е.
func (f *folder) isDiacritic(r rune) bool {
	if unicode.Is(unicode.Cyrillic, f.last) && (r == 0x0306 || r == 0x0308 && f.last != 'е') {
		return false
	}
	for _, d := range diacritics {
		if r <= d.to {
			return r >= d.from
		}
	}
	return false
}

// denseScripts are those whose words are not, or not always, told apart by spaces.
var denseScripts = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo, unicode.Yi,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

func isDense(r rune) bool {
	switch {
	case r < 0x0e00:
		return false
	case 0x3041 <= r && r <= 0x30ff, 0x4e00 <= r && r <= 0x9fff, 0xac00 <= r && r <= 0xd7a3: // also the sign of a long vowel
		return true
	}
	return unicode.IsOneOf(denseScripts, r)
}

// isSymbol reports whether a rune is a sign that people look for, or an emoji, also one
// that is newer than the tables.
func isSymbol(r rune) bool {
	return 0x1f000 <= r && r <= 0x1faff || unicode.Is(unicode.So, r)
}

// isRegional reports whether a rune is half of a flag.
func isRegional(r rune) bool { return 0x1f1e6 <= r && r <= 0x1f1ff }

// continuesSyllable reports whether a Hangul vowel or final belongs to what is before it.
func continuesSyllable(last, r rune) bool {
	const leads, vowels, finals = 0x1100, 0x1161, 0x11a8
	switch {
	case vowels <= r && r < vowels+21:
		return leads <= last && last < leads+19
	case finals <= r && r < finals+27:
		return vowels <= last && last < vowels+21 || 0xac00 <= last && last <= 0xd7a3 && (last-0xac00)%28 == 0
	}
	return false
}
