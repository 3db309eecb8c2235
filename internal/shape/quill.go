package shape

import (
	"strings"

	"github.com/soma-sdk/soma/internal/yjs"
)

// writeQuill writes the characters of a text. Quill ends its last line also where the
// document does not, and a line before an embed that is a line of its own (the newline
// between them may have been deleted by somebody who did not know of the embed).
func writeQuill(o *out, root *yjs.Type) {
	ended := false
	for i, v := range root.Values() {
		if o.full() {
			return
		}
		switch v := v.(type) {
		case string:
			o.write(v)
			ended = strings.HasSuffix(v, "\n")
		case yjs.Object:
			_, line := v.Get("video")
			if line && !ended && i > 0 {
				o.write("\n")
			}
			ended = line
		default:
			ended = false
		}
	}
	if !ended {
		o.write("\n")
	}
}

// encodeQuill writes the delta of a text, as its toDelta in yjs.
func encodeQuill(e *encoder, root *yjs.Type) {
	e.open('{')
	e.key("ops")
	e.open('[')
	for p := range pieces(root) {
		e.charge(p.Attributes)
		if e.full() {
			return
		}
		e.open('{')
		e.member("insert", p.Value)
		if len(p.Attributes) > 0 {
			e.member("attributes", p.Attributes)
		}
		e.close('}')
	}
	e.close(']')
	e.close('}')
}
