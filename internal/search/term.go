package search

// Rules counts the changes of what terms a text has. An index made by other rules is of no
// use.
const Rules = 1

// maxTermBytes bounds a term. A longer word is several terms in a row, so it is found
// all the same.
const maxTermBytes = 128

// kind says what part of a text a term is.
type kind uint8

const (
	word   kind = iota
	pair        // two cells of a script without spaces
	lone        // the only cell of its run
	ending      // the last cell of a run, after its pairs
	sign        // a symbol
)

// term is what is looked up. Words are terms. A run of cells of a script without spaces
// is the terms of its overlapping pairs and of its last cell alone, so that a single
// character is the beginning of some term wherever it is.
type term struct {
	kind       kind
	text       []byte // valid until the next term
	start, end int    // in the text
	first      int    // of a pair: how many bytes of text are its first cell
	firstEnd   int    // and where that ends in the text
}

// terms calls fn with each term of a text, in order, until fn returns false.
func terms(text string, fn func(*term) bool) {
	c := cutter{fn: fn}
	cells(text, c.take)
	c.endWord()
	c.endRun()
}

// cutter makes terms of cells.
type cutter struct {
	fn    func(*term) bool
	ended bool // fn has had enough
	term  term // what fn gets

	word       []byte
	start, end int

	run      int    // cells of the dense run so far
	prev     []byte // the last of them
	prevFrom int
	prevTo   int
	both     []byte
}

func (c *cutter) take(cl *cell) bool {
	if cl.class != letter {
		c.endWord()
	}
	if cl.class != dense {
		c.endRun()
	}
	switch cl.class {
	case letter:
		c.letter(cl)
	case dense:
		c.dense(cl)
	case symbol:
		c.emit(term{kind: sign, text: cl.text, start: cl.start, end: cl.end})
	case separator:
	}
	return !c.ended
}

func (c *cutter) letter(cl *cell) {
	if cl.plain {
		c.plain(cl.text, cl.start)
		return
	}
	if len(c.word)+len(cl.text) > maxTermBytes {
		c.endWord()
	}
	if len(c.word) == 0 {
		c.start = cl.start
	}
	c.word, c.end = append(c.word, cl.text...), cl.end
}

// plain takes letters of a byte each.
func (c *cutter) plain(text []byte, start int) {
	for len(text) > 0 {
		if len(c.word) >= maxTermBytes {
			c.endWord()
		}
		if len(c.word) == 0 {
			c.start = start
		}
		n := min(len(text), maxTermBytes-len(c.word))
		c.word, text, start = append(c.word, text[:n]...), text[n:], start+n
		c.end = start
	}
}

func (c *cutter) dense(cl *cell) {
	if c.run > 0 {
		c.both = append(append(c.both[:0], c.prev...), cl.text...)
		c.emit(term{kind: pair, text: c.both, start: c.prevFrom, end: cl.end, first: len(c.prev), firstEnd: c.prevTo})
	}
	c.run++
	c.prev, c.prevFrom, c.prevTo = append(c.prev[:0], cl.text...), cl.start, cl.end
}

func (c *cutter) endWord() {
	if len(c.word) > 0 {
		c.emit(term{kind: word, text: c.word, start: c.start, end: c.end})
		c.word = c.word[:0]
	}
}

func (c *cutter) endRun() {
	if c.run == 0 {
		return
	}
	k := ending
	if c.run == 1 {
		k = lone
	}
	c.emit(term{kind: k, text: c.prev, start: c.prevFrom, end: c.prevTo})
	c.run = 0
}

func (c *cutter) emit(t term) {
	if !c.ended {
		c.term = t
		c.ended = !c.fn(&c.term)
	}
}

// spelled returns the terms of a text with a space between them.
func spelled(text string) string {
	b := make([]byte, 0, len(text)+len(text)/4)
	terms(text, func(t *term) bool {
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(b, t.text...)
		return true
	})
	return string(b)
}
