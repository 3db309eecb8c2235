package soma_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// cidOf is the CID of bytes, made by the libraries alone.
func cidOf(b []byte) soma.CID {
	mh, err := multihash.Sum(b, multihash.SHA2_256, -1)
	if err != nil {
		panic(err)
	}
	return soma.CID(cid.NewCidV1(cid.Raw, mh).String())
}

// randomBytes are the same for the same seed.
func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(key).Read(b) // never an error
	return b
}

// blobSizes are around the limits of how bytes are kept and read.
var blobSizes = []int{0, 1, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 7}

func putBlob(t *testing.T, db *soma.DB, space soma.SpaceID, b []byte, opts soma.PutOptions) soma.BlobInfo {
	t.Helper()
	info, err := db.Blobs().Put(t.Context(), space, bytes.NewReader(b), opts)
	if err != nil {
		t.Fatalf("Put of %d bytes = %v", len(b), err)
	}
	return info
}

func wantBlob(t *testing.T, db *soma.DB, space soma.SpaceID, want []byte) {
	t.Helper()
	blob, err := db.Blobs().Open(t.Context(), space, cidOf(want))
	if err != nil {
		t.Errorf("Open of %d bytes = %v", len(want), err)
		return
	}
	got, err := io.ReadAll(blob)
	if err := errors.Join(err, blob.Close()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("blob of %d bytes is read as %d bytes, %v", len(want), len(got), err)
	}
}

// poolFiles returns all files of the pool, by path in it.
func poolFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "Blobs")
	var want []soma.BlobInfo
	for i, n := range blobSizes {
		b := randomBytes(uint64(i), n)
		copied := int64(-1)
		info := putBlob(t, db, space, b, soma.PutOptions{Name: fmt.Sprint("file ", i), MIME: "application/x-test", Progress: func(n int64) {
			if n < copied {
				t.Errorf("progress goes from %d to %d", copied, n)
			}
			copied = n
		}})
		if info.CID != cidOf(b) || info.Size != int64(n) || info.SpaceID != space || info.Name != fmt.Sprint("file ", i) ||
			info.MIME != "application/x-test" || info.CreatedBy != db.PeerID() || info.CreatedAtMs == 0 || info.UpdatedAtMs == 0 || !info.Here {
			t.Errorf("Put of %d bytes returns %+v", n, info)
		}
		if copied != int64(n) && n > 0 {
			t.Errorf("progress of %d bytes ends at %d", n, copied)
		}
		if got, err := db.Blobs().Stat(t.Context(), space, info.CID); err != nil || got != info {
			t.Errorf("Stat = %+v, %v, want %+v", got, err, info)
		}
		want = append(want, info)
	}
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	var got []soma.BlobInfo
	for info, err := range db.Blobs().List(t.Context(), space) {
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		got = append(got, info)
	}
	byCID := func(a, b soma.BlobInfo) int { return strings.Compare(string(a.CID), string(b.CID)) }
	slices.SortFunc(want, byCID)
	slices.SortFunc(got, byCID)
	if !slices.Equal(got, want) {
		t.Errorf("List = %+v, want %+v", got, want)
	}
	for i, n := range blobSizes {
		wantBlob(t, db, space, randomBytes(uint64(i), n))
	}
	if report, err := db.Blobs().Scrub(t.Context()); err != nil || report.Blobs != len(blobSizes) || len(report.Damaged) > 0 {
		t.Errorf("Scrub = %+v, %v", report, err)
	}
}

// TestBlobReader reads from random places, as a player that seeks does.
func TestBlobReader(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "Blobs")
	for i, n := range blobSizes {
		b := randomBytes(uint64(i), n)
		putBlob(t, db, space, b, soma.PutOptions{})
		blob, err := db.Blobs().Open(t.Context(), space, cidOf(b))
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && n <= 64<<10+1 { // it reads byte by byte
			if err := iotest.TestReader(blob, b); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		if blob.Size() != int64(n) || blob.Info().Size != int64(n) {
			t.Errorf("blob of %d bytes has %d, %+v", n, blob.Size(), blob.Info())
		}
		r := rand.New(rand.NewPCG(1, uint64(i)))
		for range 50 {
			from := r.IntN(n + 1)
			part := make([]byte, r.IntN(n-from+1))
			if m, err := blob.ReadAt(part, int64(from)); m != len(part) || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(part, b[from:from+m]) {
				t.Fatalf("ReadAt(%d at %d of %d) = %d, %v", len(part), from, n, m, err)
			}
		}
		if _, err := blob.ReadAt(make([]byte, 1), int64(n)); !errors.Is(err, io.EOF) {
			t.Errorf("ReadAt past the end = %v", err)
		}
		if _, err := blob.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("ReadAt before the beginning = %v", err)
		}
		if _, err := blob.Seek(-1, io.SeekStart); err == nil {
			t.Error("Seek before the beginning succeeds")
		}
		if err := blob.Close(); err != nil {
			t.Error(err)
		}
		if _, err := blob.Read(make([]byte, 1)); err == nil {
			t.Error("Read after Close succeeds")
		}
	}
}

// TestBlobIsReadToItsEnd removes blobs, and closes the DB, under readers.
func TestBlobIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t, soma.WithBlobGracePeriod(0))
	space := newSpace(t, db, "Blobs")
	for i, n := range blobSizes {
		b := randomBytes(uint64(i), n)
		info := putBlob(t, db, space, b, soma.PutOptions{})
		blob, err := db.Blobs().Open(t.Context(), space, info.CID)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Blobs().Remove(t.Context(), space, info.CID); err != nil {
			t.Fatal(err)
		}
		if done, err := db.Blobs().GC(t.Context()); err != nil || done != (soma.CollectedBlobs{Blobs: 1, Bytes: int64(n)}) {
			t.Errorf("GC = %+v, %v", done, err)
		}
		got, err := io.ReadAll(blob)
		if err := errors.Join(err, blob.Close()); err != nil || !bytes.Equal(got, b) {
			t.Errorf("a removed blob of %d bytes is read as %d bytes, %v", n, len(got), err)
		}
		if _, err := db.Blobs().Open(t.Context(), space, info.CID); !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("Open of a removed blob = %v", err)
		}
	}
	b := randomBytes(99, 5<<20)
	putBlob(t, db, space, b, soma.PutOptions{})
	blob, err := db.Blobs().Open(t.Context(), space, cidOf(b))
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	if _, err := blob.Read(make([]byte, 1)); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Read after the DB was closed = %v", err)
	}
	if err := blob.Close(); err != nil {
		t.Error(err)
	}
}

func TestBlobMediaTypes(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "Blobs")
	types := map[string]string{
		"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR":                          "image/png",
		`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`: "image/svg+xml",
		"<!doctype html><p>x":                                            "text/html; charset=utf-8",
		"just text":                                                      "text/plain; charset=utf-8",
		"%PDF-1.7\n%\xe2\xe3\xcf\xd3":                                    "application/pdf",
		"\x00\x01\x02\x03":                                               "application/octet-stream",
	}
	for body, want := range types {
		info := putBlob(t, db, space, []byte(body), soma.PutOptions{})
		if info.MIME != want {
			t.Errorf("%q is %q, want %q", body, info.MIME, want)
		}
		again := putBlob(t, db, space, []byte(body), soma.PutOptions{MIME: "text/x-mine", Name: "mine"})
		if again.MIME != "text/x-mine" || again.Name != "mine" || again.UpdatedAtMs <= info.UpdatedAtMs {
			t.Errorf("put again it is %+v", again)
		}
		if kept := putBlob(t, db, space, []byte(body), soma.PutOptions{}); kept != again {
			t.Errorf("put without a type it is %+v, was %+v", kept, again)
		}
	}
}

func TestPutFile(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "Blobs")
	dir := t.TempDir()
	path := filepath.Join(dir, "Notes [1] ü.txt")
	if err := os.WriteFile(path, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := db.Blobs().PutFile(t.Context(), space, path, soma.PutOptions{})
	if err != nil || info.Name != "Notes [1] ü.txt" || info.CID != cidOf([]byte("from a file")) {
		t.Errorf("PutFile = %+v, %v", info, err)
	}
	if info, err = db.Blobs().PutFile(t.Context(), space, path, soma.PutOptions{Name: "other"}); err != nil || info.Name != "other" {
		t.Errorf("PutFile with a name = %+v, %v", info, err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err == nil {
		if info, err = db.Blobs().PutFile(t.Context(), space, link, soma.PutOptions{}); err != nil || info.Name != "link" {
			t.Errorf("PutFile of a link = %+v, %v", info, err)
		}
	}
	turned := filepath.Join(dir, "a\u202egpj.exe") // no name of a blob
	if err := os.WriteFile(turned, []byte("turned"), 0o600); err == nil {
		if info, err = db.Blobs().PutFile(t.Context(), space, turned, soma.PutOptions{}); err != nil || info.Name != "" {
			t.Errorf("PutFile of a file that no blob can be named after = %+v, %v", info, err)
		}
	}
	if _, err := db.Blobs().PutFile(t.Context(), space, dir, soma.PutOptions{}); !errors.Is(err, soma.ErrInvalidSource) {
		t.Errorf("PutFile of a folder = %v", err)
	}
	if _, err := db.Blobs().PutFile(t.Context(), space, filepath.Join(dir, "none"), soma.PutOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("PutFile of nothing = %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := makeFIFO(fifo); err == nil {
		if _, err := db.Blobs().PutFile(t.Context(), space, fifo, soma.PutOptions{}); !errors.Is(err, soma.ErrInvalidSource) {
			t.Errorf("PutFile of a pipe = %v", err)
		}
	}
}

// TestBadBlobs puts what is to be refused: the error has a name, and nothing is left.
func TestBadBlobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir, soma.WithMaxBlobBytes(2<<20))
	space := newSpace(t, db, "Blobs")
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	small, large := randomBytes(1, 1000), randomBytes(2, 2<<20)
	events := db.Subscribe(t.Context())
	for _, c := range []struct {
		name string
		r    io.Reader
		opts soma.PutOptions
		want error
	}{
		{"one byte too many", bytes.NewReader(randomBytes(3, 2<<20+1)), soma.PutOptions{}, soma.ErrTooLarge},
		{"without end", endless{}, soma.PutOptions{}, soma.ErrTooLarge},
		{"announced too large", bytes.NewReader(small), soma.PutOptions{ExpectedSize: 2<<20 + 1}, soma.ErrTooLarge},
		{"other bytes", bytes.NewReader(small), soma.PutOptions{ExpectedCID: cidOf(large)}, soma.ErrCIDMismatch},
		{"truncated", bytes.NewReader(large[:len(large)-1]), soma.PutOptions{ExpectedCID: cidOf(large)}, soma.ErrCIDMismatch},
		{"fewer", bytes.NewReader(small), soma.PutOptions{ExpectedSize: 1001}, soma.ErrSizeMismatch},
		{"more", bytes.NewReader(small), soma.PutOptions{ExpectedSize: 999}, soma.ErrSizeMismatch},
		{"fails at once", iotest.ErrReader(broken), soma.PutOptions{}, broken},
		{"fails midway", io.MultiReader(bytes.NewReader(large[:1<<20+5]), iotest.ErrReader(broken)), soma.PutOptions{}, broken},
		{"ends too early", io.MultiReader(bytes.NewReader(small), iotest.ErrReader(io.ErrUnexpectedEOF)), soma.PutOptions{}, io.ErrUnexpectedEOF},
		{"gives nothing", stuck{}, soma.PutOptions{}, io.ErrNoProgress},
		{"no reader", nil, soma.PutOptions{}, soma.ErrInvalidOption},
		{"upper case", bytes.NewReader(small), soma.PutOptions{ExpectedCID: soma.CID(strings.ToUpper(string(cidOf(small))))}, soma.ErrInvalidCID},
		{"negative size", bytes.NewReader(small), soma.PutOptions{ExpectedSize: -1}, soma.ErrInvalidOption},
		{"no type", bytes.NewReader(small), soma.PutOptions{MIME: "text"}, soma.ErrInvalidMIME},
		{"type of two lines", bytes.NewReader(small), soma.PutOptions{MIME: "text/plain\r\nX: y"}, soma.ErrInvalidMIME},
		{"long type", bytes.NewReader(small), soma.PutOptions{MIME: "text/" + strings.Repeat("x", 251)}, soma.ErrInvalidMIME},
		{"path as name", bytes.NewReader(small), soma.PutOptions{Name: "../x"}, soma.ErrInvalidName},
		{"dots as name", bytes.NewReader(small), soma.PutOptions{Name: ".."}, soma.ErrInvalidName},
		{"backslash in name", bytes.NewReader(small), soma.PutOptions{Name: `a\b`}, soma.ErrInvalidName},
		{"name that turns around", bytes.NewReader(small), soma.PutOptions{Name: "a\u202egpj.exe"}, soma.ErrInvalidName},
		{"name of two lines", bytes.NewReader(small), soma.PutOptions{Name: "a\nb"}, soma.ErrInvalidName},
		{"long name", bytes.NewReader(small), soma.PutOptions{Name: strings.Repeat("x", 256)}, soma.ErrInvalidName},
		{"name that is not UTF-8", bytes.NewReader(small), soma.PutOptions{Name: "\xff"}, soma.ErrInvalidName},
		{"source", bytes.NewReader(small), soma.PutOptions{Source: "x"}, soma.ErrInvalidOption},
	} {
		if info, err := db.Blobs().Put(t.Context(), space, c.r, c.opts); !errors.Is(err, c.want) || info != (soma.BlobInfo{}) {
			t.Errorf("%s: Put = %+v, %v, want %v", c.name, info, err, c.want)
		}
		if left := poolFiles(t, dir); len(left) > 0 {
			t.Errorf("%s: %q are left", c.name, left)
		}
	}
	if _, err := db.Blobs().Put(cancelled, space, bytes.NewReader(small), soma.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a context that is over = %v", err)
	}
	midway, stop := context.WithCancel(t.Context())
	if _, err := db.Blobs().Put(midway, space, io.MultiReader(bytes.NewReader(large[:1<<20]), call(stop), bytes.NewReader(large[1<<20:])), soma.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put that is cancelled midway = %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic of the reader does not reach who called Put")
			}
		}()
		_, _ = db.Blobs().Put(t.Context(), space, io.MultiReader(bytes.NewReader(large[:1<<20+1]), call(func() { panic("reader") })), soma.PutOptions{})
	}()
	if left := poolFiles(t, dir); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	for info, err := range db.Blobs().List(t.Context(), space) {
		t.Errorf("List has %+v, %v", info, err)
	}
	if usage, err := db.Blobs().Usage(t.Context(), ""); err != nil || usage != (soma.BlobUsage{}) {
		t.Errorf("Usage = %+v, %v", usage, err)
	}
	select {
	case ev := <-events:
		t.Errorf("event %+v", ev)
	default:
	}
	putBlob(t, db, space, large, soma.PutOptions{ExpectedCID: cidOf(large), ExpectedSize: int64(len(large))})
	wantBlob(t, db, space, large)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// call is a reader that has no bytes, but calls a function.
type call func()

func (fn call) Read([]byte) (int, error) {
	fn()
	return 0, io.EOF
}

// badCIDs are texts of which none names a blob.
func badCIDs() []soma.CID {
	b := []byte("some bytes")
	good := string(cidOf(b))
	sum := sha256.Sum256(b)
	as := func(code uint64, digest []byte) multihash.Multihash {
		mh, err := multihash.Encode(digest, code)
		if err != nil {
			panic(err)
		}
		return mh
	}
	base58, err := cid.NewCidV1(cid.Raw, as(multihash.SHA2_256, sum[:])).StringOfBase('z')
	if err != nil {
		panic(err)
	}
	texts := []string{
		"", " ", good + " ", " " + good, strings.ToUpper(good), strings.ToUpper(good[:1]) + good[1:], good[:len(good)-1], good + "a", base58,
		"/ipfs/" + good, "ipfs://" + good, good + "/../" + good, "../" + good, "..", ".", "/", `..\` + good, good + "\x00", "%2e%2e%2f", strings.Repeat("b", 1<<16),
		cid.NewCidV0(as(multihash.SHA2_256, sum[:])).String(),
		cid.NewCidV1(cid.DagProtobuf, as(multihash.SHA2_256, sum[:])).String(),
		cid.NewCidV1(cid.DagCBOR, as(multihash.SHA2_256, sum[:])).String(),
		cid.NewCidV1(cid.Raw, as(multihash.IDENTITY, b)).String(),
		cid.NewCidV1(cid.Raw, as(multihash.BLAKE2B_MIN+31, sum[:])).String(),
		cid.NewCidV1(cid.Raw, as(multihash.SHA2_256, sum[:20])).String(),
		cid.NewCidV1(cid.Raw, as(0x300001, sum[:])).String(),
	}
	cids := make([]soma.CID, len(texts))
	for i, text := range texts {
		cids[i] = soma.CID(text)
	}
	return cids
}

func TestInvalidCIDs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "Blobs")
	putBlob(t, db, space, []byte("some bytes"), soma.PutOptions{})
	before := poolFiles(t, dir)
	for _, c := range badCIDs() {
		_, open := db.Blobs().Open(t.Context(), space, c)
		_, stat := db.Blobs().Stat(t.Context(), space, c)
		for what, err := range map[string]error{"Open": open, "Stat": stat, "Remove": db.Blobs().Remove(t.Context(), space, c)} {
			if !errors.Is(err, soma.ErrInvalidCID) {
				t.Errorf("%s(%.80q) = %v", what, c, err)
			}
		}
		if c != "" {
			if _, err := db.Blobs().Put(t.Context(), space, strings.NewReader("some bytes"), soma.PutOptions{ExpectedCID: c}); !errors.Is(err, soma.ErrInvalidCID) {
				t.Errorf("Put as %.80q = %v", c, err)
			}
		}
	}
	if after := poolFiles(t, dir); !slices.Equal(before, after) {
		t.Errorf("files were %q, are %q", before, after)
	}
	wantBlob(t, db, space, []byte("some bytes"))
}

// TestBlobsOfSpaces checks that a space reads what it holds itself, and that bytes are on
// the disk once, and until the last space has removed them.
func TestBlobsOfSpaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	db := somatest.OpenDir(t, dir, soma.WithClock(func() time.Time { return now }))
	one, two, three := newSpace(t, db, "one"), newSpace(t, db, "two"), newSpace(t, db, "three")
	b := randomBytes(1, 3<<20)
	info := putBlob(t, db, one, b, soma.PutOptions{Name: "in one"})
	putBlob(t, db, two, b, soma.PutOptions{Name: "in two", MIME: "text/plain"})
	if files := poolFiles(t, dir); len(files) != 1 {
		t.Errorf("the pool has %q", files)
	}
	if _, err := db.Blobs().Open(t.Context(), three, info.CID); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Open in a space that does not hold it = %v", err)
	}
	if got, err := db.Blobs().Stat(t.Context(), one, info.CID); err != nil || got != info {
		t.Errorf("Stat = %+v, %v, want %+v", got, err, info)
	}
	for space, want := range map[soma.SpaceID]soma.BlobUsage{
		"": {Blobs: 1, Bytes: 3 << 20}, one: {Blobs: 1, Bytes: 3 << 20}, two: {Blobs: 1, Bytes: 3 << 20}, three: {},
	} {
		if usage, err := db.Blobs().Usage(t.Context(), space); err != nil || usage != want {
			t.Errorf("Usage(%q) = %+v, %v, want %+v", space, usage, err, want)
		}
	}
	gc := func(want soma.CollectedBlobs) {
		t.Helper()
		if done, err := db.Blobs().GC(t.Context()); err != nil || done != want {
			t.Errorf("GC = %+v, %v, want %+v", done, err, want)
		}
	}
	for _, space := range []soma.SpaceID{one, two} {
		if err := db.Blobs().Remove(t.Context(), space, info.CID); err != nil {
			t.Fatal(err)
		}
		if err := db.Blobs().Remove(t.Context(), space, info.CID); !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("Remove again = %v", err)
		}
		gc(soma.CollectedBlobs{})
	}
	if usage, err := db.Blobs().Usage(t.Context(), ""); err != nil || usage != (soma.BlobUsage{}) {
		t.Errorf("Usage of what was removed = %+v, %v", usage, err)
	}
	now = now.Add(soma.DefaultBlobGracePeriod - time.Second)
	gc(soma.CollectedBlobs{})
	putBlob(t, db, three, b, soma.PutOptions{})
	now = now.Add(2 * time.Second)
	gc(soma.CollectedBlobs{})
	wantBlob(t, db, three, b)
	if err := db.Blobs().Remove(t.Context(), three, info.CID); err != nil {
		t.Fatal(err)
	}
	now = now.Add(soma.DefaultBlobGracePeriod + time.Second)
	gc(soma.CollectedBlobs{Blobs: 1, Bytes: 3 << 20})
	gc(soma.CollectedBlobs{})
	if files := poolFiles(t, dir); len(files) > 0 {
		t.Errorf("the pool has %q", files)
	}
}

func TestBlobQuotas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir, soma.WithBlobQuota(10_000), soma.WithSpaceBlobQuota(6_000), soma.WithMaxBlobBytes(1<<20))
	one, two := newSpace(t, db, "one"), newSpace(t, db, "two")
	put := func(space soma.SpaceID, seed uint64, n int, want error) {
		t.Helper()
		if _, err := db.Blobs().Put(t.Context(), space, bytes.NewReader(randomBytes(seed, n)), soma.PutOptions{}); !errors.Is(err, want) {
			t.Errorf("Put of %d bytes = %v, want %v", n, err, want)
		}
	}
	put(one, 1, 6_001, soma.ErrQuota)
	put(one, 1, 1<<20+1, soma.ErrQuota)
	put(one, 1, 5_000, nil)
	put(one, 1, 5_000, nil) // it is there
	put(one, 2, 1_001, soma.ErrQuota)
	put(one, 2, 1_000, nil)
	put(two, 1, 5_000, nil) // the same bytes: 6,000 in all
	put(two, 3, 1_001, soma.ErrQuota)
	if err := db.Blobs().Remove(t.Context(), two, cidOf(randomBytes(1, 5_000))); err != nil {
		t.Fatal(err)
	}
	put(two, 3, 4_001, soma.ErrQuota) // 10,001 in all
	put(two, 3, 4_000, nil)
	put(two, 4, 1, soma.ErrQuota)
	put(two, 5, 0, nil)
	mustClose(t, db)

	db = somatest.OpenDir(t, dir, soma.WithBlobQuota(100))
	wantBlob(t, db, one, randomBytes(1, 5_000)) // what is there stays
	put(one, 4, 1, soma.ErrQuota)
	put(two, 2, 1_000, soma.ErrQuota) // beyond what a quota of this size can hold
	for _, opt := range []soma.Option{
		soma.WithBlobQuota(0), soma.WithSpaceBlobQuota(-1), soma.WithMaxBlobBytes(0), soma.WithMaxBlobBytes(soma.MaxBlobBytes + 1),
		soma.WithBlobGracePeriod(-1),
	} {
		if _, err := soma.Open(t.TempDir(), opt); !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("Open with a bad option = %v", err)
		}
	}
}

func TestBlobEvents(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "Blobs")
	events := db.Subscribe(t.Context())
	changed := func(source soma.EventSource) soma.DomainEvent {
		return soma.DomainEvent{Kind: soma.SpaceChanged, SpaceID: space, Source: source, Reason: soma.ReasonBlobs}
	}
	info := putBlob(t, db, space, []byte("x"), soma.PutOptions{})
	wantEvents(t, db, events, "Put", changed(soma.SourceRenderer))
	putBlob(t, db, space, []byte("x"), soma.PutOptions{})
	wantEvents(t, db, events, "Put again")
	putBlob(t, db, space, []byte("y"), soma.PutOptions{Source: soma.SourceDaemon})
	wantEvents(t, db, events, "Put of a bot", changed(soma.SourceDaemon))
	if err := db.Blobs().Remove(t.Context(), space, info.CID, soma.WithSource(soma.SourceDaemon)); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, db, events, "Remove", changed(soma.SourceDaemon))
}

// TestBlobsAmongMembers carries entries by hand: bytes do not come with them.
func TestBlobsAmongMembers(t *testing.T) {
	t.Parallel()
	m := newTeam(t, "bob", "eve")
	ann, bob, eve := m.dbs["ann"], m.dbs["bob"], m.dbs["eve"]
	if err := ann.Spaces().SetRole(t.Context(), m.space, eve.PeerID(), soma.RoleViewer); err != nil {
		t.Fatal(err)
	}
	m.sync()
	b := randomBytes(7, 100_000)
	events := bob.Subscribe(t.Context())
	info := putBlob(t, ann, m.space, b, soma.PutOptions{Name: "of ann"})
	m.sync()
	wantEvents(t, bob, events, "the blob of another member",
		soma.DomainEvent{Kind: soma.SpaceChanged, SpaceID: m.space, Source: soma.SourceDaemon, Reason: soma.ReasonBlobs})
	got, err := bob.Blobs().Stat(t.Context(), m.space, info.CID)
	if err != nil || got.Here || got.Name != "of ann" || got.Size != 100_000 || got.CreatedBy != ann.PeerID() || got.CreatedAtMs != info.CreatedAtMs {
		t.Errorf("Stat at bob's = %+v, %v", got, err)
	}
	if _, err := bob.Blobs().Open(t.Context(), m.space, info.CID); !errors.Is(err, soma.ErrNotHere) || !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Open of what is not here = %v", err)
	}
	if usage, err := bob.Blobs().Usage(t.Context(), m.space); err != nil || usage.Bytes != 0 {
		t.Errorf("Usage at bob's = %+v, %v", usage, err)
	}
	if here := putBlob(t, bob, m.space, b, soma.PutOptions{}); !here.Here || here.Name != "of ann" || here.CreatedBy != ann.PeerID() {
		t.Errorf("Put of bytes that were missing = %+v", here)
	}
	wantEvents(t, bob, events, "the bytes come",
		soma.DomainEvent{Kind: soma.SpaceChanged, SpaceID: m.space, Source: soma.SourceRenderer, Reason: soma.ReasonBlobs})
	wantBlob(t, bob, m.space, b)

	read := false
	_, err = eve.Blobs().Put(t.Context(), m.space, call(func() { read = true }), soma.PutOptions{})
	if !errors.Is(err, soma.ErrForbidden) || read {
		t.Errorf("Put of a viewer = %v, read: %v", err, read)
	}
	if err := eve.Blobs().Remove(t.Context(), m.space, info.CID); !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Remove of a viewer = %v", err)
	}

	// Of a put beside a remove the put prevails.
	if err := bob.Blobs().Remove(t.Context(), m.space, info.CID); err != nil {
		t.Fatal(err)
	}
	putBlob(t, ann, m.space, b, soma.PutOptions{Name: "anew"})
	m.sync()
	for name, db := range m.dbs {
		if got, err := db.Blobs().Stat(t.Context(), m.space, info.CID); err != nil || got.Name != "anew" {
			t.Errorf("%s has %+v, %v", name, got, err)
		}
	}
	if err := ann.Blobs().Remove(t.Context(), m.space, info.CID); err != nil {
		t.Fatal(err)
	}
	m.sync()
	for name, db := range m.dbs {
		if _, err := db.Blobs().Stat(t.Context(), m.space, info.CID); !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("%s still has it: %v", name, err)
		}
	}
}

// TestDamagedBlobs flips a bit of each blob: it is never served as good.
func TestDamagedBlobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "Blobs")
	var all [][]byte
	for i := range 12 {
		b := randomBytes(uint64(i), 700_000*(i+1))
		putBlob(t, db, space, b, soma.PutOptions{})
		all = append(all, b)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, path := range poolFiles(t, dir) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range all {
		blob, err := db.Blobs().Open(t.Context(), space, cidOf(want))
		if err == nil {
			var got []byte
			got, err = io.ReadAll(blob)
			if !bytes.HasPrefix(want, got) {
				t.Errorf("blob %d: bytes were served that are not its own", i)
			}
			_ = blob.Close()
		}
		if !errors.Is(err, soma.ErrCorrupt) {
			t.Errorf("blob %d: %v", i, err)
		}
	}
	report, err := db.Blobs().Scrub(t.Context())
	if err != nil || len(report.Damaged) != len(all) {
		t.Errorf("Scrub found %d of %d, %v", len(report.Damaged), len(all), err)
	}
	for _, d := range report.Damaged {
		if d.Gone || !slices.Equal(d.Spaces, []soma.SpaceID{space}) {
			t.Errorf("Scrub found %+v", d)
		}
	}
	for i, want := range all {
		info, err := db.Blobs().Stat(t.Context(), space, cidOf(want))
		if err != nil || info.Here {
			t.Errorf("blob %d: Stat = %+v, %v", i, info, err)
		}
		if _, err := db.Blobs().Open(t.Context(), space, cidOf(want)); !errors.Is(err, soma.ErrCorrupt) {
			t.Errorf("blob %d: Open = %v", i, err)
		}
		if healed := putBlob(t, db, space, want, soma.PutOptions{}); !healed.Here {
			t.Errorf("blob %d: Put of good bytes = %+v", i, healed)
		}
		wantBlob(t, db, space, want)
	}
	if report, err := db.Blobs().Scrub(t.Context()); err != nil || len(report.Damaged) > 0 {
		t.Errorf("Scrub after all were put again = %+v, %v", report, err)
	}
}
