package blobhttp_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// TestLiveCurl asks with a client that somebody else wrote.
func TestLiveCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	w := newWorld(t)
	cid := w.put(bytes.Repeat(letters, 10_000), "text/plain", "letters.txt")
	bad := w.add(blob{bytes.Repeat(letters, 10_000), "text/plain", "", 200_000, core.ErrCorrupt})
	base, _ := serve(t, w.handler(), false)
	const status = "\n%{http_code} %{size_download}"
	for _, c := range []struct {
		name string
		args []string
		want []string // in the output, which has the header
	}{
		{"all", []string{base + path(cid)}, []string{"\n200 260000", "Etag: \"" + string(cid)}},
		{"the beginning", []string{"-r", "0-2", base + path(cid)}, []string{"\n206 3", "Content-Range: bytes 0-2/260000", "\r\n\r\nabc\n"}},
		{"the end", []string{"-r", "-2", base + path(cid)}, []string{"\n206 2", "Content-Range: bytes 259998-259999/260000", "\r\n\r\nyz\n"}},
		{"from a place on", []string{"-r", "259990-", base + path(cid)}, []string{"\n206 10", "\r\n\r\nqrstuvwxyz\n"}},
		{"ranges", []string{"-r", "0-2,26-28", base + path(cid)}, []string{"\n206 ", "multipart/byteranges; boundary=", "bytes 0-2/260000\r\n", "bytes 26-28/260000\r\n", "\r\n\r\nabc\r\n--"}},
		{"past the end", []string{"-r", "260000-", base + path(cid)}, []string{"\n416 ", "Content-Range: bytes */260000", "Cache-Control: no-store"}},
		{"header", []string{"-I", base + path(cid)}, []string{"\n200 0", "Content-Length: 260000", "Accept-Ranges: bytes", "X-Content-Type-Options: nosniff"}},
		{"not modified", []string{"-H", `If-None-Match: "` + string(cid) + `"`, base + path(cid)}, []string{"\n304 0", "immutable"}},
		{"as it was written down", []string{"--path-as-is", base + "/../" + path(cid)[1:]}, []string{"\n404 "}},
		{"posted", []string{"-X", "POST", base + path(cid)}, []string{"\n405 ", "Allow: GET, HEAD"}},
		{"damaged", []string{base + path(bad)}, []string{"curl: (18)"}}, // partial file
	} {
		args := append([]string{"-sS", "-i", "-w", status}, c.args...)
		out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
		if err != nil && c.name != "damaged" {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in %.2000s", c.name, want, out)
			}
		}
	}

	file := filepath.Join(t.TempDir(), "part")
	for _, args := range [][]string{{"-r", "0-99999", "-o", file}, {"-C", "-", "-o", file}} {
		if out, err := exec.CommandContext(t.Context(), "curl", append(args, "-sS", base+path(cid))...).CombinedOutput(); err != nil {
			t.Fatalf("curl %q: %v, %s", args, err, out)
		}
	}
	sameFile(t, file, bytes.Repeat(letters, 10_000)) // resumed

	dir := t.TempDir()
	get := exec.CommandContext(t.Context(), "curl", "-sS", "-OJ", base+path(cid)+"?download")
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	sameFile(t, filepath.Join(dir, "letters.txt"), bytes.Repeat(letters, 10_000))
}

func sameFile(t *testing.T, file string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, %v, want the same %d", filepath.Base(file), len(got), err, len(want))
	}
}
