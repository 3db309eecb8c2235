package yjs

// What parts of a document take in memory, measured as the growth of the heap.
const (
	structBytes = 176 // one struct with its place in the list, and the head of its content
	typeBytes   = 256
	clientBytes = 160
	valueBytes  = 16 // any value, beside what follows
)

// Footprint estimates the memory that a document takes, in bytes. Its cost is that of
// walking over it once.
func (d *Doc) Footprint() int64 {
	n := len(d.pending) + typeBytes*len(d.roots)
	for _, s := range d.clients {
		n += clientBytes + structBytes*s.len()
		for i := range s.len() {
			n += s.at(i).contentBytes()
		}
	}
	return int64(n)
}

func (it *item) contentBytes() int {
	switch c := it.content.(type) {
	case *stringContent:
		return len(c.text)
	case *binaryContent:
		return len(c.data)
	case *anyContent:
		return sizeOf(c.values)
	case *jsonContent:
		return sizeOf(c.values)
	case *embedContent:
		return sizeOf(c.value)
	case *formatContent:
		return len(c.key) + sizeOf(c.value)
	case *docContent:
		return len(c.guid) + sizeOf(c.opts)
	case *typeContent:
		return typeBytes
	}
	return 0
}

// sizeOf estimates what a value takes.
func sizeOf(value any) int {
	n := valueBytes
	switch v := value.(type) {
	case float64, BigInt:
		n += 8
	case string:
		n += 16 + len(v)
	case []byte:
		n += 24 + len(v)
	case []any:
		n += 24
		for _, e := range v {
			n += sizeOf(e)
		}
	case Object:
		n += 24
		for _, m := range v {
			n += 16 + len(m.Key) + sizeOf(m.Value)
		}
	}
	return n
}
