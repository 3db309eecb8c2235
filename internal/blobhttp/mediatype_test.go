package blobhttp_test

import (
	"net/http"
	"strings"
	"testing"
)

const sandbox = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

// TestMediaTypes puts blobs that are said to be of many types, which members choose.
func TestMediaTypes(t *testing.T) {
	w := newWorld(t)
	h := w.handler()
	for _, c := range []struct {
		mime, served string
		active       bool
	}{
		// What is shown, or kept.
		{"image/png", "image/png", false},
		{"image/avif", "image/avif", false},
		{"audio/wav", "audio/wav", false},
		{"video/webm; codecs=\"vp9, opus\"", `video/webm; codecs="vp9, opus"`, false},
		{"video/mp4;codecs=avc1.42E01E", "video/mp4; codecs=avc1.42E01E", false},
		{"font/woff2", "font/woff2", false},
		{"text/plain", "text/plain", false},
		{"text/plain; charset=utf-8", "text/plain; charset=utf-8", false},
		{"Text/Plain;Charset=\"UTF-8\"", "text/plain; charset=UTF-8", false},
		{"application/pdf", "application/pdf", false},
		{"application/json", "application/json", false},
		{"application/octet-stream", "application/octet-stream", false},

		// What runs.
		{"text/html", "text/html", true},
		{"TEXT/HTML", "text/html", true},
		{"text/html; charset=utf-8", "text/html; charset=utf-8", true},
		{" text/html ", "text/html", true},
		{"application/xhtml+xml", "application/xhtml+xml", true},
		{"image/svg+xml", "image/svg+xml", true},
		{"image/SVG+XML; charset=utf-8", "image/svg+xml; charset=utf-8", true},
		{"image/svg", "image/svg", true},
		{"text/xml", "text/xml", true},
		{"application/xml", "application/xml", true},
		{"application/xml-dtd", "application/xml-dtd", true},
		{"text/xsl", "text/xsl", true},
		{"application/mathml+xml", "application/mathml+xml", true},
		{"application/rss+xml", "application/rss+xml", true},
		{"audio/x+xml", "audio/x+xml", true},
		{"video/x+xml", "video/x+xml", true},
		{"multipart/related", "multipart/related", true},
		{"multipart/x-mixed-replace; boundary=x", "multipart/x-mixed-replace; boundary=x", true},
		{"message/rfc822", "message/rfc822", true},
		{"application/wasm", "application/wasm", true},
		{"application/x-shockwave-flash", "application/x-shockwave-flash", true},
		{"application/x-something", "application/x-something", true},
		{"x/y", "x/y", true},

		// Scripts.
		{"text/javascript", "text/plain", false},
		{"text/javascript; charset=utf-8", "text/plain; charset=utf-8", false},
		{"application/javascript", "text/plain", false},
		{"application/x-ecmascript", "text/plain", false},
		{"text/JavaScript1.5", "text/plain", false},
		{"text/jscript", "text/plain", false},
		{"text/livescript", "text/plain", false},

		// What is no media type, or only for some.
		{"", "application/octet-stream", false},
		{"html", "application/octet-stream", false},
		{"text/", "application/octet-stream", false},
		{"/html", "application/octet-stream", false},
		{"*/*", "application/octet-stream", false},
		{"text/*", "application/octet-stream", false},
		{"unknown/unknown", "application/octet-stream", false},
		{"application/unknown", "application/octet-stream", false},
		{"text/html/x", "application/octet-stream", false},
		{"text/html, image/png", "application/octet-stream", false},
		{"image/png, text/html", "application/octet-stream", false},
		{"image/png text/html", "application/octet-stream", false},
		{"image/png; x", "application/octet-stream", false},
		{"image/png; charset=a; charset=b", "application/octet-stream", false},
		{"image/png\r\nX-Evil: 1", "application/octet-stream", false},
		{"image/png\x00", "application/octet-stream", false},
		{"image/p\u00f6ng", "application/octet-stream", false},
		{strings.Repeat("a", 255), "application/octet-stream", false},

		// Parameters that may be read in two ways.
		{`image/png; x=", text/html"`, "image/png", false},
		{`image/png; x="\", text/html; y=\""`, "image/png", false},
		{`video/mp4; codecs="a, text/html"`, "video/mp4", false},
		{`text/plain; charset="a;b"`, "text/plain", false},
		{"text/plain; charset*=utf-8''%0d%0aX-Evil%3a1", "text/plain", false},
		{"text/plain; a*0=x; a*1=\"\r\n\"", "application/octet-stream", false},
	} {
		cid := w.put(letters, c.mime, "")
		resp := get(h, http.MethodGet, path(cid))
		policy := ""
		if c.active {
			policy = sandbox
		}
		if got := resp.Header.Values("Content-Type"); resp.StatusCode != 200 || len(got) != 1 || got[0] != c.served {
			t.Errorf("%q is served as %q, %d, want %q", c.mime, got, resp.StatusCode, c.served)
		}
		if got := resp.Header.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%q has the policy %q, want %q", c.mime, got, policy)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%q has X-Content-Type-Options %q", c.mime, got)
		}
	}
}

// FuzzMediaType sends a type and a name through a real server, whose header a real client reads.
func FuzzMediaType(f *testing.F) {
	f.Add("text/html; charset=utf-8", "a.html")
	f.Add("image/png\r\nX-Evil: 1", "a\r\nX-Evil: 1")
	f.Add(`image/svg+xml; x="\"`, `"; filename="b`)
	f.Fuzz(func(t *testing.T, mime, name string) {
		w := newWorld(t)
		resp := get(w.handler(), http.MethodGet, path(w.put(letters, mime, name))+"?download")
		kind, disposition := resp.Header.Get("Content-Type"), resp.Header.Get("Content-Disposition")
		for _, value := range []string{kind, disposition} {
			if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%q, %q: header %q", mime, name, value)
			}
		}
		essence, _, _ := strings.Cut(kind, ";")
		for _, active := range []string{"html", "xml", "svg"} {
			if strings.Contains(essence, active) && resp.Header.Get("Content-Security-Policy") != sandbox {
				t.Fatalf("%q is served as %q, without a sandbox", mime, kind)
			}
		}
		if strings.Contains(essence, "script") && resp.Header.Get("Content-Security-Policy") != sandbox {
			t.Fatalf("%q is served as %q", mime, kind)
		}
	})
}
