package yjs_test

// builder writes updates that no yjs client would.
type builder struct{ buf []byte }

func (b *builder) uint(numbers ...uint64) *builder {
	for _, n := range numbers {
		for n >= 0x80 {
			b.buf = append(b.buf, byte(n)|0x80)
			n >>= 7
		}
		b.buf = append(b.buf, byte(n))
	}
	return b
}

func (b *builder) bytes(bytes ...byte) *builder {
	b.buf = append(b.buf, bytes...)
	return b
}

func (b *builder) text(s string) *builder {
	b.uint(uint64(len(s)))
	b.buf = append(b.buf, s...)
	return b
}

// section starts the structs of a client.
func (b *builder) section(structs int, client, clock uint64) *builder {
	return b.uint(uint64(structs), client, clock)
}

const (
	maxSafe = 1<<53 - 1

	cGC, cDeleted, cBinary, cString, cEmbed, cFormat, cType, cValues, cSkip = 0, 1, 3, 4, 5, 6, 7, 8, 10

	hasSub, hasRight, hasLeft = 0x20, 0x40, 0x80
)

// in writes an item's header for a parent that is a root.
func (b *builder) in(content byte, root string) *builder {
	return b.bytes(content, 1).text(root)
}

// inside writes an item's header for a parent that is a nested type.
func (b *builder) inside(content byte, client, clock uint64) *builder {
	return b.bytes(content, 0).uint(client, clock)
}

// after writes an item's header for a left neighbour.
func (b *builder) after(content byte, client, clock uint64) *builder {
	return b.bytes(content|hasLeft).uint(client, clock)
}

// hostileSeeds are small updates at the edges of the format.
func hostileSeeds() [][]byte {
	b := func() *builder { return &builder{} }
	return [][]byte{
		b().uint(0, 0).buf,
		// A GC and a deleted item as long as clocks go.
		b().uint(1).section(1, 1, 0).bytes(cGC).uint(maxSafe).uint(0).buf,
		b().uint(1).section(1, 1, 0).in(cDeleted, "t").uint(maxSafe).uint(0).buf,
		b().uint(1).section(2, maxSafe, 0).bytes(cGC).uint(maxSafe-1).bytes(cGC, 1).uint(0).buf,
		// Skips first, last, of length zero.
		b().uint(1).section(4, 1, 0).bytes(cSkip).uint(0).in(cString, "t").text("ab").bytes(cSkip, 2).bytes(cSkip, 0).uint(0).buf,
		b().uint(1).section(2, 1, 0).bytes(cSkip).uint(3).in(cString, "t").text("ab").uint(0).buf,
		// Two clients that wait for each other.
		b().uint(2).section(1, 2, 0).after(cString, 1, 0).text("b").section(1, 1, 0).after(cString, 2, 0).text("a").uint(0).buf,
		// Neighbours in different parents.
		b().uint(1).section(3, 1, 0).in(cString, "a").text("xy").in(cString, "b").text("z").
			bytes(cString|hasLeft|hasRight).uint(1, 0, 1, 2).text("q").uint(0).buf,
		// A parent that is no type, and one that is deleted.
		b().uint(1).section(2, 1, 0).in(cString, "a").text("x").inside(cString, 1, 0).text("y").uint(0).buf,
		b().uint(1).section(2, 1, 0).in(cType, "a").uint(0).inside(cString, 1, 0).text("y").uint(1, 1, 1, 0, 1).buf,
		// A run of values under a key, then another one.
		b().uint(1).section(2, 1, 0).bytes(cValues|hasSub, 1).text("m").text("k").bytes(2, 126, 125, 7).
			after(cValues, 1, 1).bytes(1, 120).uint(1, 1, 1, 0, 1).buf,
		// An origin in the middle of a GC.
		b().uint(2).section(1, 2, 0).after(cString, 1, 2).text("a").section(1, 1, 0).bytes(cGC, 5).uint(0).buf,
		// Deletions out of order, overlapping, of nobody.
		b().uint(1).section(1, 1, 0).in(cString, "t").text("abc😀def").
			uint(2).uint(1, 3).uint(5, 2, 0, 1, 4, 3).uint(9, 1, 0, 7).buf,
	}
}
