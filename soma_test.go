package soma_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// Some tests need a second process: the test binary runs itself with the role
// in this variable.
const roleVariable = "SOMA_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "holder":
		os.Exit(holder(os.Args[1]))
	case "writer":
		os.Exit(writer(os.Args[1], os.Args[2:]...))
	case "uploader":
		os.Exit(uploader(os.Args[1], os.Args[2]))
	default:
		somatest.Main(m)
	}
}

// holder opens a directory, says so, and holds it until its input ends.
func holder(dir string) int {
	db, err := soma.Open(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := db.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// process is a running role.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func launch(t *testing.T, role string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe, args...)}
	p.Env = append(os.Environ(), roleVariable+"="+role)
	p.Stderr = os.Stderr
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// kill ends the process as a crash would, and returns the lines that it had
// written and nobody had read.
func (p *process) kill(t *testing.T) []string {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for p.out.Scan() {
		lines = append(lines, p.out.Text())
	}
	_ = p.Wait() // "signal: killed"
	return lines
}

// newSpace creates a space.
func newSpace(t *testing.T, db *soma.DB, name string) soma.SpaceID {
	t.Helper()
	space, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: name})
	if err != nil {
		t.Fatalf("Create(%q) = %v", name, err)
	}
	return space.ID
}

func upsert(t *testing.T, db *soma.DB, space soma.SpaceID, doc soma.DocumentID, update []byte, opts ...soma.WriteOption) soma.Revision {
	t.Helper()
	rev, err := db.Documents().Upsert(t.Context(), space, doc, update, opts...)
	if err != nil {
		t.Fatalf("Upsert(%q, %d bytes) = %v", doc, len(update), err)
	}
	return rev
}

func get(t *testing.T, db *soma.DB, space soma.SpaceID, doc soma.DocumentID) soma.Document {
	t.Helper()
	d, err := db.Documents().Get(t.Context(), space, doc)
	if err != nil {
		t.Fatalf("Get(%q) = %v", doc, err)
	}
	return d
}

func text(t *testing.T, db *soma.DB, space soma.SpaceID, doc soma.DocumentID) string {
	t.Helper()
	s, err := db.Documents().Text(t.Context(), space, doc)
	if err != nil {
		t.Fatalf("Text(%q) = %v", doc, err)
	}
	return s
}

func mustClose(t *testing.T, db *soma.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
}

// testKey returns a member's key that is the same in every run.
func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func TestOptionsAreCheckedBeforeTheDisk(t *testing.T) {
	t.Parallel()
	mismatched := testKey(1)
	mismatched[ed25519.PrivateKeySize-1] ^= 1
	for name, opt := range map[string]soma.Option{
		"nil option":     nil,
		"nil logger":     soma.WithLogger(nil),
		"nil clock":      soma.WithClock(nil),
		"nil key":        soma.WithIdentity(nil),
		"nil sink":       soma.WithUploadSink(nil),
		"nil node":       soma.WithSync(nil),
		"no workers":     soma.WithUploadWorkers(0),
		"many workers":   soma.WithUploadWorkers(soma.MaxUploadWorkers + 1),
		"less attempts":  soma.WithUploadAttempts(-1),
		"short wait":     soma.WithUploadBackoff(0, time.Second),
		"falling wait":   soma.WithUploadBackoff(time.Second, time.Second-1),
		"long wait":      soma.WithUploadBackoff(time.Second, 24*time.Hour+1),
		"short key":      soma.WithIdentity(testKey(1)[:ed25519.SeedSize]),
		"mismatched key": soma.WithIdentity(mismatched),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			db, err := soma.Open(dir, soma.WithRelaxedDurability(), opt)
			if db != nil || !errors.Is(err, soma.ErrInvalidOption) {
				t.Errorf("Open = %v, %v, want nil, ErrInvalidOption", db, err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Stat of the directory = %v, want that Open did not make it", err)
			}
		})
	}
	if db, err := soma.Open(""); db != nil || !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Open(%q) = %v, %v, want nil, ErrInvalidOption", "", db, err)
	}
}

func wantLocked(t *testing.T, dir string, pid int) {
	t.Helper()
	db, err := soma.Open(dir)
	if err == nil {
		t.Errorf("Open of a directory in use succeeds, want ErrLocked")
		_ = db.Close() // has failed already
		return
	}
	var locked *soma.LockedError
	if !errors.Is(err, soma.ErrLocked) || !errors.As(err, &locked) {
		t.Errorf("Open of a directory in use = %v, want ErrLocked and a *LockedError", err)
		return
	}
	if locked.PID != pid || !strings.Contains(err.Error(), fmt.Sprint(pid)) {
		t.Errorf("Open of a directory in use = %v (PID %d), want that it names process %d", err, locked.PID, pid)
	}
}

func TestDirectoryInUse(t *testing.T) {
	t.Parallel()
	t.Run("same process", func(t *testing.T) {
		dir := t.TempDir()
		db := somatest.OpenDir(t, dir)
		wantLocked(t, dir, os.Getpid())
		wantLocked(t, dir, os.Getpid()) // being refused takes nothing away
		space := newSpace(t, db, "still usable")
		mustClose(t, db)
		db = somatest.OpenDir(t, dir)
		if _, err := db.Spaces().Get(t.Context(), space); err != nil {
			t.Errorf("Get after reopening = %v", err)
		}
	})
	t.Run("other process", func(t *testing.T) {
		dir := t.TempDir()
		p := launch(t, "holder", dir)
		if !p.out.Scan() || p.out.Text() != "open" {
			t.Fatalf("holder says %q, want open", p.out.Text())
		}
		wantLocked(t, dir, p.Process.Pid)
		p.kill(t)
		somatest.OpenDir(t, dir) // a lock dies with its process
	})
}

// files returns the names, sizes and hashes of all files below dir, without
// those that only say that a process has it open.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "soma.lock") {
			return err
		}
		content, err := os.ReadFile(path)
		list = append(list, fmt.Sprintf("%s %d %x", d.Name(), len(content), sha256.Sum256(content)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestFilesThatMustNotBeTouched(t *testing.T) {
	t.Parallel()
	template := t.TempDir()
	db := somatest.OpenDir(t, template)
	space := newSpace(t, db, "kept")
	for i := range 200 {
		upsert(t, db, space, fmt.Sprint("doc ", i), somatest.Typed(1, 0, strings.Repeat("words ", 100)))
	}
	mustClose(t, db)
	name := databaseFile(t, template)
	good, err := os.ReadFile(filepath.Join(template, name))
	if err != nil {
		t.Fatal(err)
	}
	// The schema version is the header's user_version, https://www.sqlite.org/fileformat2.html.
	newer := bytes.Clone(good)
	newer[60] = 0x7f

	for _, tt := range []struct {
		name    string
		content []byte
		want    []error // any of them
	}{
		{"text", []byte("Dear diary"), []error{soma.ErrNotDatabase}},
		{"zeros", make([]byte, 1<<16), []error{soma.ErrNotDatabase}},
		{"other SQLite file", append([]byte("SQLite format 3\x00\x10\x00\x01\x01"), make([]byte, 4076)...), []error{soma.ErrNotDatabase, soma.ErrCorrupt}},
		{"newer", newer, []error{soma.ErrSchemaTooNew}},
		{"cut in the magic", good[:7], []error{soma.ErrNotDatabase, soma.ErrCorrupt}},
		{"cut in the header", good[:60], []error{soma.ErrCorrupt}},
		{"cut after the first page", good[:4096], []error{soma.ErrCorrupt}},
		{"cut in the middle", good[:len(good)/2], []error{soma.ErrCorrupt}},
		{"cut by a byte", good[:len(good)-1], []error{soma.ErrCorrupt}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			for range 2 { // again: the first one must not have taken the lock along
				db, err := soma.Open(dir)
				if db != nil || !slices.ContainsFunc(tt.want, func(want error) bool { return errors.Is(err, want) }) {
					t.Errorf("Open = %v, %v, want nil and one of %v", db, err, tt.want)
				}
			}
			if after := files(t, dir); !slices.Equal(before, after) {
				t.Errorf("files after Open = %q, want as before: %q", after, before)
			}
		})
	}
}

// databaseFile returns the name of the one SQLite file of a closed directory.
func databaseFile(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir) // Glob would read the directory's name as a pattern
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".db" {
			names = append(names, e.Name())
		}
	}
	if len(names) != 1 {
		t.Fatalf("databases in the directory = %q, want one", names)
	}
	return names[0]
}

func TestDamagedIdentityIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, somatest.OpenDir(t, dir))
	path := filepath.Join(dir, "identity.key")
	if err := os.WriteFile(path, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if db, err := soma.Open(dir); db != nil || !errors.Is(err, soma.ErrCorrupt) {
			t.Errorf("Open with a damaged key = %v, %v, want nil, ErrCorrupt", db, err)
		}
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "no key" {
		t.Errorf("damaged key after Open = %q, %v, want it untouched", content, err)
	}
}

// The tests may run as root, who may write to any directory, so these are places
// where nobody can make one.
func TestDirectoryThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), filepath.Join(file, "far", "below"), filepath.Join(t.TempDir(), "nul\x00byte")} {
		db, err := soma.Open(dir)
		var path *fs.PathError
		if db != nil || !errors.As(err, &path) {
			t.Errorf("Open(%q) = %v, %v, want nil and an *fs.PathError", dir, db, err)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "content" {
		t.Errorf("file in the way = %q, %v, want it untouched", content, err)
	}
}

func TestDirectoryNames(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	for _, name := range []string{"a?b=c&mode=memory", "with#hash", "100%", "%2e%2e", "two words", " lead", "çå日本語🙂", "quo'te\"s", "semi;colon", "file:x", "back\\slash", "-dash", "a/b/c"} {
		dir := filepath.Join(parent, name)
		db := somatest.OpenDir(t, dir)
		space := newSpace(t, db, name)
		upsert(t, db, space, "doc", somatest.Typed(1, 0, name))
		mustClose(t, db)
		databaseFile(t, dir) // there, and not where a URI would point
		db = somatest.OpenDir(t, dir)
		if got := text(t, db, space, "doc"); got != name {
			t.Errorf("Text in directory %q = %q, want %q", name, got, name)
		}
		mustClose(t, db)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 13 {
		t.Errorf("ReadDir of the parent = %d entries, %v, want 13: one for each directory", len(entries), err)
	}
}

func TestRelativeDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	db := somatest.OpenDir(t, "data")
	space := newSpace(t, db, "x")
	t.Chdir(t.TempDir()) // a host may do that at any time
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "hello"))
	var archive bytes.Buffer
	if err := db.Spaces().Export(t.Context(), space, &archive); err != nil {
		t.Fatalf("Export = %v", err)
	}
	if err := db.Spaces().Import(t.Context(), &archive); err != nil {
		t.Errorf("Import after a change of the working directory = %v", err)
	}
	mustClose(t, db)
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("files in the new working directory = %v, %v, want none", left, err)
	}
}

func TestTwoDBsInOneProcess(t *testing.T) {
	t.Parallel()
	a, b := somatest.Open(t), somatest.Open(t)
	if a.PeerID() == b.PeerID() {
		t.Errorf("PeerID of two directories = %v for both, want different ones", a.PeerID())
	}
	space := newSpace(t, a, "only in a")
	heard := b.Subscribe(t.Context())
	upsert(t, a, space, "doc", somatest.Typed(1, 0, "a"))
	if _, err := b.Spaces().Get(t.Context(), space); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get in the other DB = %v, want ErrNotFound", err)
	}
	mustClose(t, a)
	newSpace(t, b, "b lives on")
	if ev := <-heard; ev.Kind != soma.SpacesChanged {
		t.Errorf("first event of b = %+v, want its own spaces-changed", ev)
	}
}

// What a directory is does not change: who it acts as, and what is in it.
func TestIdentityStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	peer := db.PeerID()
	space := newSpace(t, db, "mine")
	mustClose(t, db)
	db = somatest.OpenDir(t, dir)
	if got := db.PeerID(); got != peer || got.IsZero() {
		t.Errorf("PeerID after reopening = %v, want %v", got, peer)
	}
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "mine"))
	mustClose(t, db)

	// Under another key the same files belong to somebody else.
	db = somatest.OpenDir(t, dir, soma.WithIdentity(testKey(7)))
	if got := db.PeerID(); got == peer {
		t.Errorf("PeerID WithIdentity = %v, want that of the given key", got)
	}
	if s, err := db.Spaces().Get(t.Context(), space); err != nil || s.Role != soma.RoleNone {
		t.Errorf("Get of another's space = %+v, %v, want RoleNone", s, err)
	}
	_, err := db.Documents().Upsert(t.Context(), space, "doc", somatest.Typed(1, 4, "!"))
	if !errors.Is(err, soma.ErrForbidden) {
		t.Errorf("Upsert into another's space = %v, want ErrForbidden", err)
	}
	if got := text(t, db, space, "doc"); got != "mine" {
		t.Errorf("Text of another's document = %q, want %q", got, "mine")
	}
}

// calls makes every call that a DB offers and returns the results by name.
func calls(ctx context.Context, db *soma.DB, space soma.SpaceID, doc soma.DocumentID) map[string]error {
	_, create := db.Spaces().Create(ctx, soma.NewSpace{Name: "x"})
	_, spaceGet := db.Spaces().Get(ctx, space)
	_, spaceList := db.Spaces().List(ctx)
	_, rename := db.Spaces().Rename(ctx, space, "y")
	_, up := db.Documents().Upsert(ctx, space, doc, somatest.Typed(1, 0, "x"))
	_, docGet := db.Documents().Get(ctx, space, doc)
	_, diff := db.Documents().Diff(ctx, space, doc, nil)
	_, txt := db.Documents().Text(ctx, space, doc)
	_, js := db.Documents().JSON(ctx, space, doc)
	_, title := db.Documents().Title(ctx, space, doc)
	_, _, shaped := db.Documents().Shape(ctx, space, doc)
	_, search := db.Documents().Search(ctx, space, "x")
	tree, page := db.Pages(), soma.DocumentID("page")
	_, pageCreate := tree.Create(ctx, space, soma.NewPage{ID: page})
	_, pageGet := tree.Get(ctx, space, page)
	_, pageBy := tree.CreatedBy(ctx, space, page)
	_, pageRename := tree.Rename(ctx, space, page, "x")
	_, pageMove := tree.Move(ctx, space, page, soma.PageTarget{})
	_, pageArchive := tree.Archive(ctx, space, page)
	_, pageTree := tree.Tree(ctx, space)
	_, pageChildren := tree.Children(ctx, space, "")
	_, pagePath := tree.Path(ctx, space, page)
	_, pageTrash := tree.Trash(ctx, space)
	_, pageRestore := tree.Restore(ctx, space, page)
	files, cid := db.Blobs(), cidOf([]byte("x"))
	_, blobPut := files.Put(ctx, space, strings.NewReader("x"), soma.PutOptions{})
	_, blobPutFile := files.PutFile(ctx, space, "soma_test.go", soma.PutOptions{})
	_, blobOpen := files.Open(ctx, space, cid)
	_, blobStat := files.Stat(ctx, space, cid)
	_, blobUsage := files.Usage(ctx, space)
	_, blobFetch := files.Open(ctx, space, cid, soma.WithFetch())
	_, blobPin := files.Pin(ctx, space)
	var list, blobList, blobWanted, uploadList error
	for _, err := range files.Wanted(ctx, space) {
		blobWanted = err
	}
	for _, err := range files.List(ctx, space) {
		blobList = err
	}
	for _, err := range db.Documents().List(ctx, space) {
		list = err
	}
	_, enqueued := db.Uploads().Enqueue(ctx, space, soma.UploadSource{Reader: strings.NewReader("x")})
	_, uploadGet := db.Uploads().Get(ctx, "x")
	for _, err := range db.Uploads().List(ctx) {
		uploadList = err
	}
	return map[string]error{
		"Uploads.Enqueue": enqueued, "Uploads.Get": uploadGet, "Uploads.List": uploadList, "Uploads.Cancel": db.Uploads().Cancel(ctx, "x"),
		"Uploads.Retry": db.Uploads().Retry(ctx, "x"), "Uploads.Remove": db.Uploads().Remove(ctx, "x"),
		"Pages.Create": pageCreate, "Pages.Get": pageGet, "Pages.CreatedBy": pageBy, "Pages.Rename": pageRename, "Pages.Move": pageMove,
		"Pages.Archive": pageArchive, "Pages.Tree": pageTree, "Pages.Children": pageChildren, "Pages.Path": pagePath, "Pages.Trash": pageTrash,
		"Blobs.Put": blobPut, "Blobs.PutFile": blobPutFile, "Blobs.Open": blobOpen, "Blobs.Stat": blobStat, "Blobs.List": blobList,
		"Blobs.Usage": blobUsage, "Blobs.Remove": files.Remove(ctx, space, cid),
		"Blobs.Open with a fetch": blobFetch, "Blobs.Want": files.Want(ctx, space, cid), "Blobs.Unwant": files.Unwant(ctx, space, cid),
		"Blobs.Wanted": blobWanted, "Blobs.Pin": blobPin, "Blobs.SetPin": files.SetPin(ctx, space, soma.PinAll),
		"Pages.Restore": pageRestore, "Pages.Delete": tree.Delete(ctx, space, page),
		"Spaces.Create": create, "Spaces.Get": spaceGet, "Spaces.List": spaceList, "Spaces.Rename": rename,
		"Spaces.Export":    db.Spaces().Export(ctx, space, io.Discard),
		"Spaces.Import":    db.Spaces().Import(ctx, strings.NewReader("x")),
		"Documents.Upsert": up, "Documents.Get": docGet, "Documents.Diff": diff, "Documents.Text": txt,
		"Documents.JSON": js, "Documents.Title": title, "Documents.Shape": shaped, "Documents.List": list, "Documents.Search": search, "Documents.Delete": db.Documents().Delete(ctx, space, doc),
	}
}

// takesNoSpace reports whether one of calls does not name a space.
func takesNoSpace(call string) bool {
	switch call {
	case "Spaces.Create", "Spaces.List", "Spaces.Import":
		return true
	}
	return strings.HasPrefix(call, "Uploads.") && call != "Uploads.Enqueue"
}

func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "x")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "x"))
	peer := db.PeerID()
	open := db.Subscribe(t.Context())
	mustClose(t, db)
	for name, err := range calls(t.Context(), db, space, "doc") {
		if !errors.Is(err, soma.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
	for range open {
	}
	if ev, ok := <-db.Subscribe(t.Context()); ok {
		t.Errorf("Subscribe after Close yields %+v, want a closed channel", ev)
	}
	if _, err := db.Sync().Status(t.Context()); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Sync.Status after Close = %v, want ErrClosed", err)
	}
	for name, err := range map[string]error{
		"Start": db.Sync().Start(t.Context()), "Stop": db.Sync().Stop(t.Context()), "Connect": db.Sync().Connect(t.Context(), "x"),
		"Block": db.Sync().Block(t.Context(), peer), "Allow": db.Sync().Allow(t.Context(), peer),
	} {
		if !errors.Is(err, soma.ErrClosed) {
			t.Errorf("Sync.%s after Close = %v, want ErrClosed", name, err)
		}
	}
	if _, ok := <-db.Sync().Watch(t.Context()); ok {
		t.Error("Sync.Watch after Close has a value, want a closed channel")
	}
	if job, ok := <-db.Uploads().Watch(t.Context()); ok {
		t.Errorf("Watch after Close yields %+v, want a closed channel", job)
	}
	if got := db.PeerID(); got != peer {
		t.Errorf("PeerID after Close = %v, want %v", got, peer)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close = %v, want nil", err)
	}
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space := newSpace(t, db, "x")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "kept"))
	before := get(t, db, space, "doc")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range calls(ctx, db, space, "doc") {
		if name == "Spaces.Import" {
			continue // what it was given is no archive, which it may say first
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context = %v, want context.Canceled", name, err)
		}
	}
	if after := get(t, db, space, "doc"); after.UpdatedAtMs != before.UpdatedAtMs || !bytes.Equal(after.Update, before.Update) {
		t.Errorf("document after cancelled calls = %+v, want %+v", after, before)
	}
	if spaces, err := db.Spaces().List(t.Context()); err != nil || len(spaces) != 1 || spaces[0].Name != "x" {
		t.Errorf("List after cancelled calls = %+v, %v, want only space x", spaces, err)
	}
}

// Close while others call: every call either has its whole effect or is refused,
// and every Close returns the same, after the work is done.
func TestCloseBesideCalls(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		dir := t.TempDir()
		db := somatest.OpenDir(t, dir)
		space := newSpace(t, db, "x")
		var wg sync.WaitGroup
		acked := make([]int, 8)
		for g := range acked {
			wg.Go(func() {
				for i := 0; ; i++ {
					_, err := db.Documents().Upsert(t.Context(), space, fmt.Sprint("doc ", g), somatest.Typed(uint64(g+1), uint64(i), "x"))
					if errors.Is(err, soma.ErrClosed) {
						return
					}
					if err != nil {
						t.Errorf("Upsert beside Close = %v, want nil or ErrClosed", err)
						return
					}
					acked[g]++
				}
			})
		}
		wg.Go(func() {
			for {
				for _, err := range calls(t.Context(), db, space, "doc 0") {
					if errors.Is(err, soma.ErrClosed) {
						return
					}
				}
			}
		})
		for range 3 {
			wg.Go(func() {
				for range db.Subscribe(t.Context()) {
				}
			})
		}
		time.Sleep(time.Duration(round*7) * time.Millisecond) // moves the moment, decides nothing
		for range 4 {
			wg.Go(func() {
				if err := db.Close(); err != nil {
					t.Errorf("Close = %v, want nil", err)
				}
				again, err := soma.Open(dir) // the lock is free once any Close has returned
				if err == nil {
					err = again.Close()
				}
				if err != nil && !errors.Is(err, soma.ErrLocked) { // another of the four has it
					t.Errorf("Open after Close = %v", err)
				}
			})
		}
		wg.Wait()
		db = somatest.OpenDir(t, dir)
		for g, n := range acked {
			if g == 0 {
				continue // calls deletes it now and then
			}
			got, err := db.Documents().Text(t.Context(), space, fmt.Sprint("doc ", g))
			if n > 0 && (err != nil || len(got) != n) {
				t.Errorf("round %d: Text of doc %d = %d characters, %v, want the %d that were acknowledged", round, g, len(got), err, n)
			}
		}
		mustClose(t, db)
	}
}

// Not parallel: it looks at the goroutines of the whole process.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := t.TempDir()
	var space soma.SpaceID
	for i := range 50 {
		db := somatest.OpenDir(t, dir)
		if i == 0 {
			space = newSpace(t, db, "x")
		}
		events := db.Subscribe(t.Context())
		upsert(t, db, space, "doc", somatest.Typed(1, uint64(i), "x"))
		if i%2 == 0 {
			<-events
		}
		if got := text(t, db, space, "doc"); got != strings.Repeat("x", i+1) {
			t.Fatalf("Text in cycle %d = %q, want %d characters", i, got, i+1)
		}
		mustClose(t, db)
		if err := goleak.Find(before); err != nil {
			t.Fatalf("after Close in cycle %d: %v", i, err)
		}
	}
	for _, opt := range []soma.Option{nil, soma.WithClock(nil)} {
		_, err := soma.Open(dir, opt)
		if err == nil {
			t.Error("Open with an invalid option succeeds")
		}
	}
	db := somatest.OpenDir(t, dir)
	wantLocked(t, dir, os.Getpid())
	mustClose(t, db)
	if err := os.WriteFile(filepath.Join(dir, databaseFile(t, dir)), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := soma.Open(dir); !errors.Is(err, soma.ErrNotDatabase) {
		t.Errorf("Open of a damaged database = %v, want ErrNotDatabase", err)
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("after an Open that failed: %v", err)
	}
}

// logged keeps the records of a logger.
type logged struct {
	mu      sync.Mutex
	records []string
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, string(p))
	return len(p), nil
}

// A warning in a host's log is something to look into: a life without incident
// has none.
func TestNothingIsLoggedInGoodTimes(t *testing.T) {
	t.Parallel()
	var out logged
	logger := soma.WithLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	dir := t.TempDir()
	var space soma.SpaceID
	for i := range 3 {
		db := somatest.OpenDir(t, dir, logger)
		if i == 1 {
			space = newSpace(t, db, "x")
		}
		if i > 1 {
			upsert(t, db, space, "doc", somatest.Typed(1, 0, "x"))
		}
		mustClose(t, db)
	}
	if len(out.records) > 0 {
		t.Errorf("log of a new directory = %q, want nothing", out.records)
	}
}
