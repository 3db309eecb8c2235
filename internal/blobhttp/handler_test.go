package blobhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/blobhttp"
	"github.com/soma-sdk/soma/internal/core"
)

const immutable = "private, max-age=31536000, immutable"

func TestServes(t *testing.T) {
	w := newWorld(t)
	h := w.handler()
	for name, data := range map[string][]byte{"empty": {}, "letters": letters, "large": bytes.Repeat(letters, 40_000)} {
		cid := w.put(data, "text/plain; charset=utf-8", "letters.txt")
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			resp := get(h, method, path(cid))
			want := string(data)
			if method == http.MethodHead {
				want = ""
			}
			if got := text(t, resp); resp.StatusCode != http.StatusOK || got != want {
				t.Errorf("%s %s = %d, %d bytes, want 200, %d", method, name, resp.StatusCode, len(got), len(want))
			}
			for field, value := range map[string]string{
				"Content-Type": "text/plain; charset=utf-8", "Content-Length": fmt.Sprint(len(data)),
				"ETag": `"` + string(cid) + `"`, "Cache-Control": immutable, "Accept-Ranges": "bytes",
				"X-Content-Type-Options": "nosniff", "Content-Disposition": "", "Content-Security-Policy": "", "Last-Modified": "",
			} {
				if got := resp.Header.Get(field); got != value {
					t.Errorf("%s %s: %s = %q, want %q", method, name, field, got, value)
				}
			}
		}
	}
}

func TestRanges(t *testing.T) {
	w := newWorld(t)
	h := w.handler()
	cid, empty := w.put(letters, "text/plain", ""), w.put(nil, "text/plain", "")
	many := func(n int) string { return "bytes=" + strings.TrimSuffix(strings.Repeat("1-1,", n), ",") }
	for _, c := range []struct {
		cid    core.CID
		header string
		code   int
		body   string
		ranges []string // what Content-Range says, of one or of each part
	}{
		{cid, "bytes=0-2", 206, "abc", []string{"bytes 0-2/26"}},
		{cid, "bytes=23-", 206, "xyz", []string{"bytes 23-25/26"}},
		{cid, "bytes=-2", 206, "yz", []string{"bytes 24-25/26"}},
		{cid, "bytes=-99", 206, string(letters), []string{"bytes 0-25/26"}},
		{cid, "bytes=20-99", 206, "uvwxyz", []string{"bytes 20-25/26"}},
		{cid, "bytes=25-25", 206, "z", []string{"bytes 25-25/26"}},
		{cid, "bytes=0-1,4-5", 206, "abef", []string{"bytes 0-1/26", "bytes 4-5/26"}},
		{cid, "bytes=4-5, 0-1", 206, "efab", []string{"bytes 4-5/26", "bytes 0-1/26"}},
		{cid, "bytes=0-3,2-4,-1", 206, "abcdcdez", []string{"bytes 0-3/26", "bytes 2-4/26", "bytes 25-25/26"}},
		{cid, "bytes=0-1,99-", 206, "ab", []string{"bytes 0-1/26"}},
		{cid, "bytes=0-20,0-20", 200, string(letters), nil}, // more than there is
		{cid, many(26), 206, strings.Repeat("b", 26), slices.Repeat([]string{"bytes 1-1/26"}, 26)},
		{cid, many(blobhttp.MaxRanges + 1), 200, string(letters), nil},
		{cid, "bytes=26-", 416, "", []string{"bytes */26"}},
		{cid, "bytes=99-100", 416, "", []string{"bytes */26"}},
		{cid, "bytes=-0", 416, "", []string{"bytes */26"}},
		{cid, "bytes=0-1, -00", 206, "ab", []string{"bytes 0-1/26"}},
		{cid, "bytes=5-2", 416, "", nil},
		{cid, "bytes=a-b", 416, "", nil},
		{cid, "bytes=-", 416, "", nil},
		{cid, "bytes=1", 416, "", nil},
		{cid, "bytes=0-99999999999999999999", 416, "", nil},
		{cid, "bytes=", 200, string(letters), nil},
		{cid, "lines=0-2", 200, string(letters), nil}, // RFC 9110 14.2
		{cid, "nonsense", 200, string(letters), nil},
		{empty, "bytes=0-", 200, "", nil},
		{empty, "bytes=-5", 200, "", nil},
	} {
		t.Run(c.header[:min(len(c.header), 20)], func(t *testing.T) {
			resp := get(h, http.MethodGet, path(c.cid), "Range", c.header)
			body, ranges := parts(t, resp)
			if resp.StatusCode == 416 {
				body = ""
			}
			if resp.StatusCode != c.code || body != c.body || !slices.Equal(ranges, c.ranges) {
				t.Errorf("%q = %d, %q, %q, want %d, %q, %q", c.header, resp.StatusCode, body, ranges, c.code, c.body, c.ranges)
			}
			cache, etag := immutable, `"`+string(c.cid)+`"`
			if c.code == 416 {
				cache, etag = "no-store", ""
			}
			if resp.Header.Get("Cache-Control") != cache || resp.Header.Get("ETag") != etag {
				t.Errorf("%q: Cache-Control %q, ETag %q", c.header, resp.Header.Get("Cache-Control"), resp.Header.Get("ETag"))
			}
		})
	}
}

// TestManyRanges asks for as many as are served of a blob that is large enough for more.
func TestManyRanges(t *testing.T) {
	w := newWorld(t)
	cid := w.put(bytes.Repeat(letters, 1000), "", "")
	for n, code := range map[int]int{blobhttp.MaxRanges: 206, blobhttp.MaxRanges + 1: 200} {
		resp := get(w.handler(), http.MethodGet, path(cid), "Range", "bytes="+strings.Repeat("0-0,", n-1)+"1-1")
		body, _ := parts(t, resp)
		if want := map[int]int{206: n, 200: 26_000}[code]; resp.StatusCode != code || len(body) != want {
			t.Errorf("%d ranges = %d, %d bytes, want %d, %d", n, resp.StatusCode, len(body), code, want)
		}
	}
}

// parts returns what all parts of an answer have in them, and the Content-Range of each.
func parts(t *testing.T, resp *http.Response) (body string, ranges []string) {
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/byteranges" {
		if r := resp.Header.Get("Content-Range"); r != "" {
			ranges = []string{r}
		}
		return text(t, resp), ranges
	}
	reader := multipart.NewReader(resp.Body, params["boundary"])
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return body, ranges
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		body += string(data)
		ranges = append(ranges, part.Header.Get("Content-Range"))
	}
}

func TestConditions(t *testing.T) {
	w := newWorld(t)
	cid := w.put(letters, "image/png", "")
	etag, all, first := `"`+string(cid)+`"`, string(letters), "abc"
	for _, c := range []struct {
		name   string
		header []string
		code   int
		body   string
	}{
		{"the same", []string{"If-None-Match", etag}, 304, ""},
		{"weak", []string{"If-None-Match", "W/" + etag}, 304, ""},
		{"any", []string{"If-None-Match", "*"}, 304, ""},
		{"in a list", []string{"If-None-Match", `"a", ` + etag + `, "b"`}, 304, ""},
		{"another", []string{"If-None-Match", `"` + string(missing) + `"`}, 200, all},
		{"without quotes", []string{"If-None-Match", string(cid)}, 200, all},
		{"the same, with a range", []string{"If-None-Match", etag, "Range", "bytes=0-2"}, 304, ""},
		{"a date", []string{"If-Modified-Since", "Thu, 01 Jan 2099 00:00:00 GMT"}, 200, all},
		{"a range of the same", []string{"If-Range", etag, "Range", "bytes=0-2"}, 206, first},
		{"a range of another", []string{"If-Range", `"x"`, "Range", "bytes=0-2"}, 200, all},
		{"a range of a weak one", []string{"If-Range", "W/" + etag, "Range", "bytes=0-2"}, 200, all},
		{"a range of a date", []string{"If-Range", "Thu, 01 Jan 2099 00:00:00 GMT", "Range", "bytes=0-2"}, 200, all},
		{"it must be the same", []string{"If-Match", etag}, 200, all},
		{"it must be another", []string{"If-Match", `"x"`}, 412, ""},
	} {
		resp := get(w.handler(), http.MethodGet, path(cid), c.header...)
		if got := text(t, resp); resp.StatusCode != c.code || got != c.body {
			t.Errorf("%s: %d, %q, want %d, %q", c.name, resp.StatusCode, got, c.code, c.body)
		}
		want := immutable
		if c.code == 412 {
			want = "no-store"
		}
		if resp.Header.Get("ETag") != etag || resp.Header.Get("Cache-Control") != want || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: header %v", c.name, resp.Header)
		}
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t)
	cid := w.put(letters, "text/plain", "")
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"} {
		resp := get(w.handler(), method, path(cid))
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s = %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
		plainError(t, method, resp)
	}
	if w.asked != 0 {
		t.Errorf("%d blobs were looked for", w.asked)
	}
}

// plainError checks that an answer says the name of its status and nothing else.
func plainError(t *testing.T, what string, resp *http.Response) {
	t.Helper()
	for field, value := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Type": "text/plain; charset=utf-8",
		"ETag": "", "Content-Range": "", "Accept-Ranges": "", "Content-Disposition": "", "Content-Security-Policy": "",
	} {
		if got := resp.Header.Get(field); got != value {
			t.Errorf("%s: %s = %q, want %q", what, field, got, value)
		}
	}
	if got, want := text(t, resp), http.StatusText(resp.StatusCode)+"\n"; got != want {
		t.Errorf("%s says %q, want %q", what, got, want)
	}
}

func TestErrors(t *testing.T) {
	for code, errs := range map[int][]error{
		404: {core.ErrNotFound, core.ErrNotHere, core.ErrInvalidCID, core.ErrInvalidID, fmt.Errorf("%w: %w", core.ErrNotFound, core.ErrNotHere)},
		500: {core.ErrCorrupt, errors.New("open /home/user/secret: input/output error")},
		503: {core.ErrClosed, context.Canceled, context.DeadlineExceeded},
	} {
		for _, err := range errs {
			w := newWorld(t)
			w.err = fmt.Errorf("open /home/user/secret: %w", err)
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				resp := get(w.handler(), method, path(missing), "Range", "bytes=0-1", "If-None-Match", "*")
				if resp.StatusCode != code {
					t.Errorf("%v = %d, want %d", err, resp.StatusCode, code)
				}
				plainError(t, err.Error(), resp)
			}
			if logged := w.log.Len() > 0; logged != (code == 500) {
				t.Errorf("%v: logged %t", err, logged)
			}
		}
	}
}

func TestHostilePaths(t *testing.T) {
	w := newWorld(t)
	cid := w.put(letters, "text/plain", "")
	s, c := string(space), string(cid)
	h := w.handler()
	for _, p := range []string{
		"/", "", "//", "/" + s, "/" + s + "/", "/" + c, "/" + s + "/" + c + "/", "/" + s + "/" + c + "/x", "//" + s + "/" + c,
		"/" + s + "//" + c, "/x/" + s + "/" + c, "/" + c + "/" + s, "/" + s + "/" + string(missing), "/unknown/" + c,
		"/" + strings.ToUpper(s) + "/" + c, "/" + s + "/" + strings.ToUpper(c), "/" + s + "/B" + c[1:], "/" + s + "/" + c[:58], "/" + s + "/" + c + "a",
		"/ipfs/" + c, "/" + s + "/ipfs/" + c, "/../" + s + "/" + c, "/" + s + "/../" + s + "/" + c, "/" + s + "/" + c + "/..", "/..%2f..%2fetc/passwd",
		"/" + s + "/..%2f..%2f..%2fetc%2fpasswd", "/" + s + "%2f" + c, "/%2f" + s + "/" + c, "/" + s + "/%62" + c[1:], "/%62" + s[1:] + "/" + c,
		"/" + s + "/" + c + "%00", "/" + s + "/%00", "/%00/" + c, "/%ff%fe/" + c, "/" + s + "/" + c + "%20", "/" + s + "/" + c + ";x", "/" + s + "/" + c + ".png",
		"/" + s + "/Qm" + strings.Repeat("a", 44), "/" + s + "/bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
		"/" + strings.Repeat("a", 10_000) + "/" + c, "/" + s + "/" + strings.Repeat("b", 100_000),
	} {
		r := &http.Request{Method: http.MethodGet, Header: http.Header{}, Body: http.NoBody}
		var err error
		if r.URL, err = url.Parse("http://x" + p); err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		resp := rec.Result()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%.200q = %d", p, resp.StatusCode)
		}
		plainError(t, p, resp)
	}
}

func TestMounts(t *testing.T) {
	w := newWorld(t)
	cid := w.put(letters, "text/plain", "")
	h := w.handler()
	for name, c := range map[string]struct {
		mount  func(*http.ServeMux)
		prefix string
	}{
		"root":     {func(m *http.ServeMux) { m.Handle("/", h) }, ""},
		"prefix":   {func(m *http.ServeMux) { m.Handle("/blobs/", http.StripPrefix("/blobs", h)) }, "/blobs"},
		"slash":    {func(m *http.ServeMux) { m.Handle("/blobs/", http.StripPrefix("/blobs/", h)) }, "/blobs"},
		"deep":     {func(m *http.ServeMux) { m.Handle("/a/b/c/", http.StripPrefix("/a/b/c", h)) }, "/a/b/c"},
		"space":    {func(m *http.ServeMux) { m.Handle("/a%20b/", http.StripPrefix("/a b", h)) }, "/a%20b"},
		"pattern":  {func(m *http.ServeMux) { m.Handle("GET /files/{space}/{cid}", h) }, "/files"},
		"host":     {func(m *http.ServeMux) { m.Handle("example.com/{space}/{cid}", h) }, ""},
		"handfunc": {func(m *http.ServeMux) { m.HandleFunc("GET /f/{space}/{cid}", h.ServeHTTP) }, "/f"},
	} {
		mux := http.NewServeMux()
		c.mount(mux)
		for p, code := range map[string]int{
			path(cid): 200, path(missing): 404, "/" + string(space) + "/%62" + string(cid)[1:]: 404, "/" + string(space) + "/": 404, path(cid) + "/x": 404,
		} {
			if resp := get(mux, http.MethodGet, c.prefix+p); resp.StatusCode != code {
				t.Errorf("%s: %s = %d, want %d", name, p, resp.StatusCode, code)
			}
		}
	}
}

func TestAuthorize(t *testing.T) {
	w := newWorld(t)
	cid := w.put(letters, "text/plain", "")
	yes := func(*http.Request, core.SpaceID) error { return nil }
	no := func(*http.Request, core.SpaceID) error { return errors.New("the secret reason") }
	var seen []core.SpaceID
	h := w.handler(func(r *http.Request, s core.SpaceID) error {
		seen = append(seen, s)
		if r.Header.Get("Authorization") != "Bearer good" {
			return errors.New("the secret reason")
		}
		return nil
	})
	if resp := get(h, http.MethodGet, path(cid), "Authorization", "Bearer good"); resp.StatusCode != 200 || text(t, resp) != string(letters) {
		t.Errorf("with a token: %d", resp.StatusCode)
	}
	if !slices.Equal(seen, []core.SpaceID{space}) {
		t.Errorf("asked for %q", seen)
	}
	asked := w.asked
	for _, p := range []string{path(cid), path(missing), "/unknown/" + string(cid), "/" + string(space) + "/nonsense"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			resp := get(h, method, p, "If-None-Match", "*")
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s = %d", method, p, resp.StatusCode)
			}
			plainError(t, p, resp)
		}
	}
	for name, h := range map[string]http.Handler{"yes, no": w.handler(yes, no), "no, yes": w.handler(no, yes), "nil": w.handler(nil), "nil, yes": w.handler(nil, yes)} {
		if resp := get(h, http.MethodGet, path(cid)); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s = %d", name, resp.StatusCode)
		}
	}
	if w.asked != asked {
		t.Error("something was looked for")
	}
	if resp := get(w.handler(yes, yes), http.MethodGet, path(cid)); resp.StatusCode != 200 {
		t.Errorf("yes, yes = %d", resp.StatusCode)
	}
}

// TestContext has the request's context reach Open.
func TestContext(t *testing.T) {
	type key struct{}
	h := blobhttp.New(blobhttp.Config{Open: func(ctx context.Context, _ core.SpaceID, _ core.CID) (blobhttp.Blob, error) {
		if ctx.Value(key{}) != "here" {
			t.Error("another context")
		}
		return blobhttp.Blob{}, core.ErrNotFound
	}})
	r := httptest.NewRequest(http.MethodGet, path(missing), nil)
	h.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(t.Context(), key{}, "here")))
}
