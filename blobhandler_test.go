package soma_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// fileServer is a DB with a space, and a server with its handler under /blobs/.
type fileServer struct {
	*httptest.Server
	t     *testing.T
	dir   string
	db    *soma.DB
	space soma.SpaceID
}

func newFileServer(t *testing.T, opts ...soma.BlobHandlerOption) *fileServer {
	s := &fileServer{t: t, dir: t.TempDir()}
	s.db = somatest.OpenDir(t, s.dir)
	space, err := s.db.Spaces().Create(t.Context(), soma.NewSpace{Name: "Files"})
	if err != nil {
		t.Fatal(err)
	}
	s.space = space.ID
	mux := http.NewServeMux()
	mux.Handle("/blobs/", http.StripPrefix("/blobs", soma.BlobHandler(s.db, opts...)))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *fileServer) put(data []byte, opts soma.PutOptions) soma.CID {
	s.t.Helper()
	info, err := s.db.Blobs().Put(s.t.Context(), s.space, bytes.NewReader(data), opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return info.CID
}

func (s *fileServer) url(cid soma.CID) string {
	return s.URL + "/blobs/" + string(s.space) + "/" + string(cid)
}

// get returns the status, and the body as far as it came.
func (s *fileServer) get(url string, header ...string) (*http.Response, []byte, error) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// wantStatus checks an answer that is an error, and that it shows nothing of the disk.
func (s *fileServer) wantStatus(url string, code int) {
	s.t.Helper()
	resp, body, err := s.get(url)
	if err != nil || resp.StatusCode != code || resp.Header.Get("Cache-Control") != "no-store" {
		s.t.Errorf("%s = %d, %v, %v, want %d", url, resp.StatusCode, resp.Header, err, code)
	}
	if all := fmt.Sprint(resp.Header, string(body)); strings.Contains(all, s.dir) || len(body) > 100 {
		s.t.Errorf("%s says %s", url, all)
	}
}

// noise is bytes that are the same for the same seed.
func noise(size int, seed byte) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data) // it never fails
	return data
}

func TestBlobHandler(t *testing.T) {
	s := newFileServer(t)
	for i, size := range []int{0, 1, 4096, 100_000, 1 << 20, 1<<20 + 1, 5_000_000} {
		data := noise(size, byte(i))
		cid := s.put(data, soma.PutOptions{MIME: "image/png", Name: "noise.png"})
		resp, body, err := s.get(s.url(cid))
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(body, data) || resp.Header.Get("Content-Type") != "image/png" || resp.ContentLength != int64(size) {
			t.Errorf("%d bytes = %d, %d bytes, %v, %v", size, resp.StatusCode, len(body), resp.Header, err)
		}
		if resp, _, _ := s.get(s.url(cid), "If-None-Match", `"`+string(cid)+`"`); resp.StatusCode != 304 {
			t.Errorf("%d bytes, the same = %d", size, resp.StatusCode)
		}
		if resp, _, _ := s.get(s.url(cid) + "?download"); !strings.Contains(resp.Header.Get("Content-Disposition"), `filename="noise.png"`) {
			t.Errorf("%d bytes: %v", size, resp.Header)
		}
		if size < 2 {
			continue
		}
		from, to := size/3, size/3*2
		resp, body, err = s.get(s.url(cid), "Range", fmt.Sprintf("bytes=%d-%d", from, to))
		if err != nil || resp.StatusCode != 206 || !bytes.Equal(body, data[from:to+1]) {
			t.Errorf("a part of %d bytes = %d, %d bytes, %v", size, resp.StatusCode, len(body), err)
		}
	}
}

// TestBlobHandlerDetects serves what Put has found out, and an unknown type as bytes.
func TestBlobHandlerDetects(t *testing.T) {
	s := newFileServer(t)
	for content, want := range map[string]string{
		"\x89PNG\r\n\x1a\n0000IHDR":                               "image/png",
		"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>": "image/svg+xml",
		"<!DOCTYPE html><script></script>":                        "text/html; charset=utf-8",
		"just text":                                               "text/plain; charset=utf-8",
		"\x00\x01\x02\xff":                                        "application/octet-stream",
	} {
		resp, _, err := s.get(s.url(s.put([]byte(content), soma.PutOptions{})))
		active := strings.Contains(want, "svg") || strings.Contains(want, "html")
		if err != nil || resp.Header.Get("Content-Type") != want || strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "sandbox") != active {
			t.Errorf("%q is served as %v, want %s", content, resp.Header, want)
		}
	}
}

func TestBlobHandlerNotFound(t *testing.T) {
	s := newFileServer(t)
	cid := s.put([]byte("a blob"), soma.PutOptions{})
	other, err := s.db.Spaces().Create(t.Context(), soma.NewSpace{Name: "Other"})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := s.URL + "/blobs/" + string(other.ID) + "/" + string(cid)
	for _, url := range []string{
		elsewhere, s.URL + "/blobs/", s.URL + "/blobs/" + string(s.space), s.url("nonsense"), s.url(soma.CID(strings.ToUpper(string(cid)))), s.url(cid) + "/",
		s.URL + "/blobs/ipfs/" + string(cid), s.URL + "/blobs/unknown/" + string(cid), s.URL + "/blobs/%2e%2e%2fsoma.db/" + string(cid), s.url("..%2f..%2fsoma.db"),
	} {
		s.wantStatus(url, http.StatusNotFound)
	}
	if err := s.db.Blobs().Remove(t.Context(), s.space, cid); err != nil {
		t.Fatal(err)
	}
	s.wantStatus(s.url(cid), http.StatusNotFound)
}

// TestBlobHandlerNotHere serves a space whose entries have come without the bytes.
func TestBlobHandlerNotHere(t *testing.T) {
	s := newFileServer(t)
	cid := s.put([]byte("a blob"), soma.PutOptions{})
	var archive bytes.Buffer
	if err := s.db.Spaces().Export(t.Context(), s.space, &archive); err != nil {
		t.Fatal(err)
	}
	there := newFileServer(t)
	if err := there.db.Spaces().Import(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	there.space = s.space
	if info, err := there.db.Blobs().Stat(t.Context(), s.space, cid); err != nil || info.Here {
		t.Fatalf("Stat = %+v, %v", info, err)
	}
	there.wantStatus(there.url(cid), http.StatusNotFound)
}

func TestBlobHandlerAuthorize(t *testing.T) {
	var allowed soma.SpaceID
	s := newFileServer(t, soma.WithAuthorize(func(r *http.Request, space soma.SpaceID) error {
		if space != allowed || r.Header.Get("Authorization") == "" {
			return errors.New("the reason")
		}
		return nil
	}), nil)
	allowed = s.space
	cid := s.put([]byte("a blob"), soma.PutOptions{})
	if resp, body, err := s.get(s.url(cid), "Authorization", "x"); err != nil || resp.StatusCode != 200 || string(body) != "a blob" {
		t.Errorf("allowed = %d, %q, %v", resp.StatusCode, body, err)
	}
	for _, url := range []string{s.url(cid), s.url("nonsense"), s.URL + "/blobs/unknown/" + string(cid)} {
		s.wantStatus(url, http.StatusForbidden)
	}
	if _, body, _ := s.get(s.url(cid)); string(body) != "Forbidden\n" {
		t.Errorf("the client learns %q", body)
	}
}

// TestBlobHandlerDamage flips bits of a file, at its start and far behind it.
func TestBlobHandlerDamage(t *testing.T) {
	s := newFileServer(t)
	for i, c := range []struct {
		size, at int
		code     int // 0 for an answer that is cut
	}{{500_000, 3, 500}, {500_000, 400_000, 500}, {5_000_000, 3, 500}, {5_000_000, 4_000_000, 0}, {5_000_000, 4_999_999, 0}} {
		data := noise(c.size, byte(i))
		cid := s.put(data, soma.PutOptions{MIME: "image/png"})
		s.flip(cid, int64(c.at))
		if c.code != 0 {
			s.wantStatus(s.url(cid), c.code)
			continue
		}
		for range 2 { // it may be set aside meanwhile
			resp, body, err := s.get(s.url(cid))
			if resp.StatusCode != 500 && (err == nil || len(body) > c.at || !bytes.HasPrefix(data, body)) {
				t.Errorf("%d bytes, damaged at %d = %d, %d bytes, %v", c.size, c.at, resp.StatusCode, len(body), err)
			}
		}
	}
}

// flip turns a bit of the file that holds a blob.
func (s *fileServer) flip(cid soma.CID, at int64) {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, "blobs", "*", string(cid)))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("files of %s: %q, %v", cid, found, err)
	}
	if err := os.Chmod(found[0], 0o600); err != nil {
		s.t.Fatal(err)
	}
	f, err := os.OpenFile(found[0], os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		s.t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		s.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// TestBlobHandlerClose closes the DB while a client reads: Close does not wait for it, and
// it does not get an answer that looks whole.
func TestBlobHandlerClose(t *testing.T) {
	s := newFileServer(t)
	cid := s.put(noise(40_000_000, 1), soma.PutOptions{}) // more than what waits in sockets
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url(cid), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 1000); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d more bytes and no error", n)
	}
	s.wantStatus(s.url(cid), http.StatusServiceUnavailable)
}

func TestBlobURL(t *testing.T) {
	s := newFileServer(t)
	cid := s.put([]byte("a blob"), soma.PutOptions{})
	url := soma.FormatBlobURL(s.space, cid)
	if want := "soma-blob://daemon/" + string(s.space) + "/" + string(cid); url != want {
		t.Errorf("FormatBlobURL = %q, want %q", url, want)
	}
	if space, got, err := soma.ParseBlobURL(url); space != s.space || got != cid || err != nil {
		t.Errorf("ParseBlobURL(%q) = %q, %q, %v", url, space, got, err)
	}
	for text, wants := range map[string][]error{
		"":                           {soma.ErrInvalidBlobURL},
		url + "?download":            {soma.ErrInvalidBlobURL, soma.ErrInvalidCID},
		soma.FormatBlobURL("x", cid): {soma.ErrInvalidBlobURL, soma.ErrInvalidID},
		soma.FormatBlobURL(s.space, soma.CID(s.space)):            {soma.ErrInvalidBlobURL, soma.ErrInvalidCID},
		strings.Replace(url, "soma-blob", "SOMA-BLOB", 1):         {soma.ErrInvalidBlobURL},
		strings.Replace(url, "soma-blob://daemon", "file://", 1):  {soma.ErrInvalidBlobURL},
		strings.Replace(url, "soma-blob://daemon", "/ipfs", 1):    {soma.ErrInvalidBlobURL},
		strings.Replace(url, "daemon/", "daemon/../../etc/", 1):   {soma.ErrInvalidBlobURL},
		strings.Replace(url, "soma-blob://daemon/", "daemon/", 1): {soma.ErrInvalidBlobURL},
	} {
		_, _, err := soma.ParseBlobURL(text)
		for _, want := range wants {
			if !errors.Is(err, want) {
				t.Errorf("ParseBlobURL(%q) = %v, want %v", text, err, want)
			}
		}
	}
}
