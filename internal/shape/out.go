package shape

import (
	"strings"

	"github.com/soma-sdk/soma/internal/yjs"
)

// out collects plain text: all of it, or only the first line that says something.
type out struct {
	b         strings.Builder
	separator string
	first     *firstLine // nil for all of it
	err       error
}

func (o *out) write(s string) {
	if o.first != nil {
		o.first.write(s)
		return
	}
	o.b.WriteString(s)
}

// full reports whether nothing more is wanted.
func (o *out) full() bool { return o.err != nil || o.first != nil && o.first.done }

// tooDeep notes that types are nested deeper than reading follows.
func (o *out) tooDeep(depth int) bool {
	if depth > yjs.MaxDepth && o.err == nil {
		o.err = yjs.ErrTooDeep
	}
	return o.err != nil
}
