package blobhttp

import (
	"mime"
	"regexp"
	"strings"
)

// sandbox is the policy of a document that somebody else wrote: an origin of its own, no
// scripts, forms or frames, nothing fetched. Styles and pictures in it are left, so that it can
// be seen.
const sandbox = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

const unknownType = "application/octet-stream"

// contentType returns what to serve a blob as that is said to be of a media type, and
// whether a browser might run something in it. The text may be anything. What is served is
// spelled anew, so that browsers read it as this function does.
func contentType(text string) (served string, active bool) {
	kind, params, err := mime.ParseMediaType(text)
	if err != nil || !known.MatchString(kind) || strings.HasSuffix(kind, "/unknown") {
		return unknownType, false
	}
	for name, value := range params {
		if !harmless(name, value) {
			delete(params, name)
		}
	}
	if isScript(kind) {
		// A page may let scripts run from where it comes from itself. With nosniff, text is none.
		kind = "text/plain"
	}
	if served = mime.FormatMediaType(kind, params); served == "" {
		return unknownType, false
	}
	return served, !passive(kind)
}

var (
	// known is the form of registered types (RFC 6838 4.2). For others, as for */*, browsers
	// have rules of their own.
	known  = regexp.MustCompile("^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$")
	token  = regexp.MustCompile("^[A-Za-z0-9!#$&^_.+-]+$")
	codecs = regexp.MustCompile("^[A-Za-z0-9., _-]+$")
)

// harmless reports whether a parameter is read alike by all, without quotes and escapes.
func harmless(name, value string) bool {
	return token.MatchString(value) || name == "codecs" && codecs.MatchString(value)
}

// isScript reports whether browsers run a type as script: the JavaScript types of the
// WHATWG's MIME Sniffing standard, which are all of these words.
func isScript(kind string) bool {
	for _, word := range []string{"javascript", "ecmascript", "jscript", "livescript"} {
		if strings.Contains(kind, word) {
			return true
		}
	}
	return false
}

// passive reports whether browsers show a type without running it, or do not show it. All
// others are taken for active. A viewer of PDF does not work in a sandbox, and is one.
func passive(kind string) bool {
	if strings.Contains(kind, "xml") || strings.Contains(kind, "html") {
		return false
	}
	top, _, _ := strings.Cut(kind, "/")
	switch top {
	case "image", "audio", "video", "font":
		return !strings.Contains(kind, "svg")
	}
	switch kind {
	case "text/plain", "text/csv", "text/markdown", "text/vtt", "text/css",
		"application/json", "application/pdf", "application/zip", "application/gzip", unknownType:
		return true
	}
	return false
}
