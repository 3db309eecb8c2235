package blobhttp_test

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestDownloads(t *testing.T) {
	w := newWorld(t)
	h := w.handler()
	long := strings.Repeat("\u00e9", 127) // 254 bytes
	for _, c := range []struct {
		name  string // of the blob
		query string
		want  string // the name of the file, "" for the CID
		plain string // for those who do not know filename*, "" for want
	}{
		{"report.pdf", "download", "report.pdf", ""},
		{"report.pdf", "download=", "report.pdf", ""},
		{"report.pdf", "x=1&download&y=2", "report.pdf", ""},
		{"", "download", "", ""},
		{"report.pdf", "download=other.pdf", "other.pdf", ""},
		{"report.pdf", "download=a&download=b", "a", ""},
		{"", "download=a%20b.txt", "a b.txt", ""},
		{"Gr\u00fc\u00dfe \u4e16\u754c.txt", "download", "Gr\u00fc\u00dfe \u4e16\u754c.txt", "Gr__e __.txt"},
		{`a"b\c.txt`, "download", `a"b_c.txt`, "a_b_c.txt"},
		{"100%25.txt", "download", "100%25.txt", "100_25.txt"},
		{"a'b(c)*;=.txt", "download", "a'b(c)*;=.txt", ""},
		{"", "download=..%2F..%2Fetc%2Fpasswd", ".._.._etc_passwd", ""},
		{"", "download=..%5C..%5Cx.exe", ".._.._x.exe", ""},
		{"", "download=%0D%0AX-Evil:%201", "__X-Evil: 1", ""},
		{"", "download=a%00b", "a_b", ""},
		{"", "download=a%FFb", "a_b", ""},
		{"", "download=a%E2%80%AEgpj.exe", "agpj.exe", ""}, // U+202E turns what follows around
		{"", "download=a%E2%80%A8b", "ab", ""},
		{"report.pdf", "download=.", "report.pdf", ""},
		{"report.pdf", "download=..", "report.pdf", ""},
		{"report.pdf", "download=%20%20", "report.pdf", ""},
		{"", "download=...", "", ""},
		{"..", "download=..", "", ""},
		{"", "download=" + url.QueryEscape(long+"xy\u00e9"), long + "x", strings.Repeat("_", 127) + "x"},
	} {
		cid := w.put(letters, "text/html", c.name)
		resp := get(h, http.MethodGet, path(cid)+"?"+c.query)
		if c.want == "" {
			c.want = string(cid)
		}
		if c.plain == "" {
			c.plain = strings.ReplaceAll(c.want, `"`, "_")
		}
		got := resp.Header.Get("Content-Disposition")
		kind, params, err := mime.ParseMediaType(got)
		if err != nil || kind != "attachment" || params["filename"] != c.want {
			t.Errorf("%q?%s: %s, %v, want the name %q", c.name, c.query, got, err, c.want)
		}
		before, _, _ := strings.Cut(got, "; filename*=")
		if before != `attachment; filename="`+c.plain+`"` {
			t.Errorf("%q?%s: %s, want the plain name %q", c.name, c.query, before, c.plain)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Security-Policy") != sandbox {
			t.Errorf("%q?%s: %d, %v", c.name, c.query, resp.StatusCode, resp.Header)
		}
	}
	cid := w.put(letters, "text/html", "report.pdf")
	for _, query := range []string{"", "?", "?x=download", "?Download", "?inline"} {
		if got := get(h, http.MethodGet, path(cid)+query).Header.Get("Content-Disposition"); got != "" {
			t.Errorf("%q: %s", query, got)
		}
	}
	resp := get(h, http.MethodGet, path(cid)+"?download", "Range", "bytes=99-")
	if resp.StatusCode != 416 || resp.Header.Get("Content-Disposition") != "" {
		t.Errorf("no such range: %d, %v", resp.StatusCode, resp.Header)
	}
}
