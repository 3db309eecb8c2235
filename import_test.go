package soma_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/somatest"
)

// sample returns a DB with a space of a few documents and its archive.
func sample(t *testing.T) (*soma.DB, soma.SpaceID, []byte) {
	t.Helper()
	db := somatest.Open(t)
	space := newSpace(t, db, "sample")
	for _, s := range fixtures(t, 60) {
		for _, u := range s.Updates {
			upsert(t, db, space, sessionName(s), u)
		}
	}
	upsert(t, db, space, "gone", somatest.Typed(1, 0, "gone"))
	if err := db.Documents().Delete(t.Context(), space, "gone"); err != nil {
		t.Fatal(err)
	}
	return db, space, export(t, db, space)
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	db, space, archive := sample(t)
	if again := export(t, db, space); !bytes.Equal(again, archive) {
		t.Errorf("a second export has %d bytes, want the same %d: exporting writes nothing new", len(again), len(archive))
	}
	copied := somatest.Open(t)
	// Readers that give little at a time, and the end together with data.
	for _, r := range []io.Reader{bytes.NewReader(archive), iotest.OneByteReader(bytes.NewReader(archive)), iotest.DataErrReader(bytes.NewReader(archive)), iotest.HalfReader(bytes.NewReader(archive))} {
		if err := copied.Spaces().Import(t.Context(), r); err != nil {
			t.Errorf("Import = %v", err)
		}
		wantCopy(t, copied, db, space)
	}
	want, err := db.Spaces().Get(t.Context(), space)
	if err != nil {
		t.Fatal(err)
	}
	got, err := copied.Spaces().Get(t.Context(), space)
	if err != nil || got.Name != want.Name || got.CreatedAtMs != want.CreatedAtMs || got.Role != soma.RoleNone {
		t.Errorf("imported space = %+v, %v, want as %+v, with no role", got, err, want)
	}
	if again := export(t, copied, space); len(again) != len(archive) {
		t.Errorf("export of the import has %d bytes, want %d", len(again), len(archive))
	}
}

// wantCopy fails unless both DBs hold the same documents of a space.
func wantCopy(t *testing.T, got, want *soma.DB, space soma.SpaceID) {
	t.Helper()
	if wantSameDocuments(t, got, want, space) == 0 {
		t.Error("there are no documents")
	}
}

// wantSameDocuments fails if two DBs differ in the documents of a space, and returns how many there are.
func wantSameDocuments(t *testing.T, got, want *soma.DB, space soma.SpaceID) int {
	t.Helper()
	list := func(db *soma.DB) (docs []string) {
		for info, err := range db.Documents().List(t.Context(), space) {
			if err != nil {
				t.Fatalf("List = %v", err)
			}
			d := get(t, db, space, info.ID)
			if info.CreatedBy != want.PeerID() || d.CreatedBy != want.PeerID() {
				t.Errorf("CreatedBy of %q = %v and %v, want %v", info.ID, info.CreatedBy, d.CreatedBy, want.PeerID())
			}
			docs = append(docs, fmt.Sprintf("%s %x %x %v", d.ID, d.Update, d.StateVector, d.Pending))
		}
		return docs
	}
	a, b := list(got), list(want)
	if !slices.Equal(a, b) {
		t.Errorf("documents are\n%s\nwant\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	return len(a)
}

// What somebody else's space is like: all of it can be read, none of it written.
func TestForeignSpace(t *testing.T) {
	t.Parallel()
	db, space, archive := sample(t)
	reader := somatest.Open(t)
	importInto(t, reader, archive)
	before := export(t, reader, space)
	heard := reader.Subscribe(t.Context())
	docs := reader.Documents()
	_, known := docs.Upsert(t.Context(), space, "gone", somatest.Typed(1, 0, "gone"))
	_, fresh := docs.Upsert(t.Context(), space, "new", somatest.Typed(1, 0, "new"))
	_, empty := docs.Upsert(t.Context(), space, "new", []byte{0, 0})
	_, rename := reader.Spaces().Rename(t.Context(), space, "mine")
	_, same := reader.Spaces().Rename(t.Context(), space, "sample")
	first := sessionName(fixtures(t, 60)[0])
	for call, err := range map[string]error{
		"Upsert of known content": known, "Upsert": fresh, "Upsert of nothing": empty, "Rename": rename, "Rename to the same name": same,
		"Delete": docs.Delete(t.Context(), space, first), "Delete of nothing": docs.Delete(t.Context(), space, "none"),
	} {
		if !errors.Is(err, soma.ErrForbidden) {
			t.Errorf("%s in a foreign space = %v, want ErrForbidden", call, err)
		}
	}
	wantCopy(t, reader, db, space)
	if after := export(t, reader, space); !bytes.Equal(after, before) {
		t.Errorf("export after forbidden calls has %d bytes, want the same %d", len(after), len(before))
	}
	newSpace(t, reader, "marker")
	if ev := next(t, heard); ev.Kind != soma.SpacesChanged {
		t.Errorf("first event = %+v, want none for forbidden calls", ev)
	}
	// The reader can pass it on, and the owner learns nothing new from that.
	importInto(t, db, before)
	third := somatest.Open(t)
	importInto(t, third, before)
	wantCopy(t, third, db, space)
}

// refuser is a DB that damaged archives are tried on: nothing may ever be stored.
type refuser struct {
	db  *soma.DB
	dir string
}

func newRefuser(t *testing.T) *refuser {
	dir := t.TempDir()
	return &refuser{somatest.OpenDir(t, dir, soma.WithRelaxedDurability()), dir}
}

func (r *refuser) wantNothing(t *testing.T, after string) {
	t.Helper()
	if list, err := r.db.Spaces().List(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("List after %s = %+v, %v, want nothing stored", after, list, err)
	}
	r.wantNoTemps(t, after)
}

func (r *refuser) wantNoTemps(t *testing.T, after string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(r.dir, "*.tmp*")); err != nil || len(left) != 0 {
		t.Fatalf("temporary files after %s = %q, %v, want none", after, left, err)
	}
}

func TestDamagedArchives(t *testing.T) {
	t.Parallel()
	const seed = 4242
	t.Logf("seed %d", seed)
	_, space, archive := sample(t)
	r := newRefuser(t)
	heard := r.db.Subscribe(t.Context())
	try := func(what string, b []byte) {
		t.Helper()
		err := r.db.Spaces().Import(t.Context(), bytes.NewReader(b))
		if !errors.Is(err, soma.ErrInvalidArchive) && !errors.Is(err, soma.ErrInvalidEntry) {
			t.Fatalf("Import of %s = %v, want ErrInvalidArchive or ErrInvalidEntry", what, err)
		}
		r.wantNothing(t, what)
	}
	// Every place near the ends, and the others in steps that meet all kinds.
	for cut := 0; cut < len(archive); cut++ {
		if cut > 300 && cut < len(archive)-100 {
			cut += 97
		}
		try(fmt.Sprintf("the first %d bytes", cut), archive[:cut])
	}
	try("noise", bytes.Repeat([]byte("noise"), 1000))
	try("an archive and more", append(bytes.Clone(archive), 0))
	try("an archive twice", slices.Concat(archive, archive))
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		b := bytes.Clone(archive)
		what := "a mutation"
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(b))
			switch rng.IntN(5) {
			case 0:
				b[at] ^= 1 << rng.IntN(8)
			case 1:
				b[at] += byte(1 + rng.IntN(255))
			case 2:
				b = slices.Delete(b, at, min(len(b), at+1+rng.IntN(100)))
			case 3:
				b = slices.Insert(b, at, b[:rng.IntN(min(len(b), 100))+1]...)
			case 4: // a length that promises a lot
				b = slices.Replace(b, at, min(len(b), at+4), 0x7f, 0xff, 0xff, 0xff)
			}
			what += fmt.Sprint(" at ", at)
		}
		if bytes.Equal(b, archive) {
			continue
		}
		try(what, b)
	}
	if err := r.db.Spaces().Import(t.Context(), bytes.NewReader(archive)); err != nil {
		t.Errorf("Import of the whole archive in the end = %v", err)
	}
	if ev := next(t, heard); ev.Kind != soma.SpacesChanged {
		t.Errorf("first event = %+v, want none for damaged archives", ev)
	}
	if _, err := r.db.Spaces().Get(t.Context(), space); err != nil {
		t.Errorf("Get = %v", err)
	}
}

// entries reads an archive's entries.
func entries(t *testing.T, archive []byte) []core.Entry {
	t.Helper()
	r, err := log.NewArchiveReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var all []core.Entry
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

// pack makes an archive of entries, well formed whatever they hold.
func pack(t *testing.T, space soma.SpaceID, all []core.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := log.NewArchiveWriter(&b, space)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Somebody who knows the format gets no further: what a checksum cannot tell,
// signatures do.
func TestForgedArchives(t *testing.T) {
	t.Parallel()
	const seed = 17
	t.Logf("seed %d", seed)
	owner, space, archive := sample(t)
	good := entries(t, archive)
	if len(good) < 10 {
		t.Fatalf("the sample has %d entries: the test tests nothing", len(good))
	}
	other := somatest.Open(t)
	otherSpace := newSpace(t, other, "other")
	foreign := entries(t, export(t, other, otherSpace))

	r := newRefuser(t)
	refused := func(what string, want error, archive []byte) {
		t.Helper()
		err := r.db.Spaces().Import(t.Context(), bytes.NewReader(archive))
		if !errors.Is(err, want) {
			t.Errorf("Import of %s = %v, want %v", what, err, want)
		}
		var rejected *soma.RejectedError
		if errors.Is(want, soma.ErrInvalidEntry) && (!errors.As(err, &rejected) || rejected.Reason == "") {
			t.Errorf("Import of %s = %v, want a *RejectedError with a reason", what, err)
		}
		r.wantNoTemps(t, what)
	}
	refused("no entries", soma.ErrInvalidArchive, pack(t, space, nil))
	r.wantNothing(t, "no entries")
	refused("no genesis", soma.ErrInvalidArchive, pack(t, space, good[1:]))
	refused("entries of another space", soma.ErrInvalidArchive, pack(t, space, foreign))
	r.wantNothing(t, "archives without their genesis")

	rng := rand.New(rand.NewPCG(seed, 0))
	for range 25 {
		all := slices.Clone(good)
		i := rng.IntN(len(all))
		e := &all[i]
		part := []*[]byte{&e.Header, &e.Ops, &e.Sig}[rng.IntN(3)]
		if len(*part) == 0 {
			continue
		}
		*part = bytes.Clone(*part)
		(*part)[rng.IntN(len(*part))] ^= byte(1 + rng.IntN(255))
		r := newRefuserOnce(t)
		err := r.Spaces().Import(t.Context(), bytes.NewReader(pack(t, space, all)))
		if !errors.Is(err, soma.ErrInvalidEntry) && (i > 0 || !errors.Is(err, soma.ErrInvalidArchive)) {
			t.Errorf("Import with a forged entry %d of %d = %v, want ErrInvalidEntry", i, len(all), err)
		}
		for info, err := range r.Documents().List(t.Context(), space) {
			if errors.Is(err, soma.ErrNotFound) {
				break // the genesis itself was forged
			}
			if err != nil {
				t.Fatalf("List = %v", err)
			}
			if d := get(t, r, space, info.ID); d.CreatedBy != owner.PeerID() {
				t.Errorf("document %q is by %v, want only what %v has signed", d.ID, d.CreatedBy, owner.PeerID())
			}
		}
		if err := r.Spaces().Import(t.Context(), bytes.NewReader(archive)); err != nil {
			t.Fatalf("Import of the good archive after a forged one = %v", err)
		}
		wantCopy(t, r, owner, space)
		mustClose(t, r)
	}
	mixed := pack(t, space, slices.Concat(good, foreign))
	refused("a space with entries of another", soma.ErrInvalidEntry, mixed)
	wantCopy(t, r.db, owner, space) // the good ones are taken
	if _, err := r.db.Spaces().Get(t.Context(), otherSpace); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get of the other space = %v, want ErrNotFound", err)
	}
}

func newRefuserOnce(t *testing.T) *soma.DB { return somatest.Open(t, soma.WithRelaxedDurability()) }

// The order in an archive does not matter as long as all of it is there: what
// comes early waits.
func TestShuffledArchives(t *testing.T) {
	t.Parallel()
	const seed = 23
	t.Logf("seed %d", seed)
	owner, space, archive := sample(t)
	good := entries(t, archive)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 10 {
		all := slices.Concat(good, good[1:])
		rest := all[1:] // the genesis founds the space
		rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		db := newRefuserOnce(t)
		for part := range slices.Chunk(rest, 1+rng.IntN(len(rest))) {
			// A part whose past is in a later one waits, and the import says so.
			err := db.Spaces().Import(t.Context(), bytes.NewReader(pack(t, space, append([]core.Entry{all[0]}, part...))))
			if err != nil && !errors.Is(err, soma.ErrInvalidArchive) {
				t.Fatalf("Import of a part = %v, want nil or ErrInvalidArchive", err)
			}
		}
		wantCopy(t, db, owner, space)
		if sum := sorted(entries(t, export(t, db, space))); !slices.Equal(sum, sorted(good)) {
			t.Errorf("export after a shuffled import has %d entries, want the same %d", len(sum), len(good))
		}
	}
}

func TestImportOfAnIncompleteArchive(t *testing.T) {
	t.Parallel()
	owner, space, archive := sample(t)
	good := entries(t, archive)
	db := newRefuserOnce(t)
	lacking := slices.Concat(good[:2], good[3:])
	if err := db.Spaces().Import(t.Context(), bytes.NewReader(pack(t, space, lacking))); !errors.Is(err, soma.ErrInvalidArchive) {
		t.Errorf("Import without an entry that others build upon = %v, want ErrInvalidArchive", err)
	}
	importInto(t, db, archive) // what waited comes out
	wantCopy(t, db, owner, space)
}

// Close must not wait for a reader or a writer of the caller.
func TestCloseBesideStuckTransfers(t *testing.T) {
	t.Parallel()
	_, space, archive := sample(t)
	db := newRefuserOnce(t)
	importInto(t, db, archive)
	source, feed := io.Pipe()
	drain, target := io.Pipe()
	results := make(chan error, 2)
	go func() { results <- db.Spaces().Import(context.Background(), source) }()
	go func() {
		results <- db.Spaces().Export(context.Background(), space, target)
		_ = target.Close() // ends the copy below
	}()
	if _, err := feed.Write(archive[:20]); err != nil { // Import is reading
		t.Fatal(err)
	}
	if _, err := drain.Read(make([]byte, 1)); err != nil { // Export is writing
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	go func() {
		_, _ = feed.Write(archive[20:])
		_ = feed.Close()
	}()
	go func() { _, _ = io.Copy(io.Discard, drain) }()
	for range 2 {
		if err := <-results; err != nil && !errors.Is(err, soma.ErrClosed) {
			t.Errorf("transfer beside Close = %v, want nil or ErrClosed", err)
		}
	}
}

func sorted(all []core.Entry) []string {
	var hashes []string
	for _, e := range all {
		hashes = append(hashes, fmt.Sprintf("%s %x", e.Hash(), sha256.Sum256(e.Ops)))
	}
	slices.Sort(hashes)
	return hashes
}

var errBroken = errors.New("the cable broke")

func TestImportFromAReaderThatFails(t *testing.T) {
	t.Parallel()
	_, _, archive := sample(t)
	r := newRefuser(t)
	for _, n := range []int{0, 1, 15, 16, 17, 60, 500, len(archive) / 2, len(archive) - 1, len(archive)} {
		source := io.MultiReader(bytes.NewReader(archive[:n]), iotest.ErrReader(errBroken))
		err := r.db.Spaces().Import(t.Context(), source)
		if !errors.Is(err, errBroken) {
			t.Errorf("Import from a reader that fails after %d of %d bytes = %v, want its error", n, len(archive), err)
		}
		if errors.Is(err, soma.ErrInvalidArchive) {
			t.Errorf("Import from a reader that fails = %v, want no word about the archive", err)
		}
		r.wantNothing(t, fmt.Sprintf("a reader that fails after %d bytes", n))
	}
}

// failing writes n bytes and then fails.
type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestExportToAWriterThatFails(t *testing.T) {
	t.Parallel()
	db, space, archive := sample(t)
	for _, n := range []int{0, 1, 100, len(archive) - 1} {
		if err := db.Spaces().Export(t.Context(), space, &failing{n}); !errors.Is(err, errBroken) {
			t.Errorf("Export to a writer that fails after %d bytes = %v, want its error", n, err)
		}
	}
	if again := export(t, db, space); !bytes.Equal(again, archive) {
		t.Errorf("export after failed ones has %d bytes, want the same %d", len(again), len(archive))
	}
}

// ending cancels a context when so many bytes were read.
type ending struct {
	r      io.Reader
	n      int
	cancel context.CancelFunc
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p[:min(len(p), 64)])
	if e.n -= n; e.n <= 0 {
		e.cancel()
	}
	return n, err
}

func TestImportCancelled(t *testing.T) {
	t.Parallel()
	_, _, archive := sample(t)
	r := newRefuser(t)
	for _, n := range []int{0, 1, 500, len(archive) / 2} {
		ctx, cancel := context.WithCancel(t.Context())
		err := r.db.Spaces().Import(ctx, &ending{bytes.NewReader(archive), n, cancel})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Import cancelled after %d of %d bytes = %v, want context.Canceled", n, len(archive), err)
		}
		r.wantNothing(t, "a cancelled Import")
		cancel()
	}
}

// What a crash in the middle of an import leaves goes away, and nothing else.
func TestInterruptedImportsAreSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, somatest.OpenDir(t, dir))
	left, kept := filepath.Join(dir, "import-123.tmp"), filepath.Join(dir, "import-of-mine.txt")
	for _, name := range []string{left, kept} {
		if err := os.WriteFile(name, []byte("half an archive"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	somatest.OpenDir(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat of an interrupted import after Open = %v, want that it is gone", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("Stat of another file after Open = %v, want it kept", err)
	}
}

// A directory that was copied is another device: both write on, and what they
// wrote merges.
func TestCopiedDirectory(t *testing.T) {
	t.Parallel()
	dir, twin := t.TempDir(), t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "x")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "both "))
	mustClose(t, db)
	if err := os.CopyFS(twin, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	var dbs []*soma.DB
	for i, d := range []string{dir, twin} {
		for range 3 {
			mustClose(t, somatest.OpenDir(t, d))
		}
		db := somatest.OpenDir(t, d)
		for n := range 3 {
			upsert(t, db, space, "doc", somatest.Typed(uint64(10+i), uint64(n), fmt.Sprint(i)))
			upsert(t, db, space, fmt.Sprint("of ", i, " ", n), somatest.Typed(1, 0, "x"))
		}
		dbs = append(dbs, db)
	}
	if dbs[0].PeerID() != dbs[1].PeerID() {
		t.Errorf("PeerIDs = %v and %v, want one member", dbs[0].PeerID(), dbs[1].PeerID())
	}
	importInto(t, dbs[0], export(t, dbs[1], space))
	importInto(t, dbs[1], export(t, dbs[0], space))
	wantCopy(t, dbs[0], dbs[1], space)
	if got := text(t, dbs[0], space, "doc"); !strings.Contains(got, "000") || !strings.Contains(got, "111") || !strings.Contains(got, "both ") {
		t.Errorf("Text = %q, want what either wrote", got)
	}
	type place struct {
		writer core.WriterID
		chain  core.Chain
		seq    uint64
	}
	seen := map[place]bool{}
	for _, raw := range entries(t, export(t, dbs[0], space)) {
		e, err := log.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		at := place{e.Writer, e.Chain, e.Seq}
		if seen[at] {
			t.Errorf("two entries at %+v: the copies wrote as one writer", at)
		}
		seen[at] = true
	}
}

// An older copy of the database put back in its place has forgotten entries that
// others may have: it must not write them a second time.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "x")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "old "))
	mustClose(t, db)
	name := filepath.Join(dir, databaseFile(t, dir))
	backup, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	db = somatest.OpenDir(t, dir)
	upsert(t, db, space, "doc", somatest.Typed(2, 0, "lost "))
	elsewhere := export(t, db, space)
	mustClose(t, db)
	// In place, so that it is the same file to the system.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(backup); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	db = somatest.OpenDir(t, dir)
	upsert(t, db, space, "doc", somatest.Typed(3, 0, "new "))
	importInto(t, db, elsewhere)
	got := text(t, db, space, "doc")
	for _, want := range []string{"old ", "lost ", "new "} {
		if !strings.Contains(got, want) {
			t.Errorf("Text after a restore and an import = %q, want %q in it", got, want)
		}
	}
	other := somatest.Open(t)
	importInto(t, other, elsewhere)
	importInto(t, other, export(t, db, space))
	wantCopy(t, other, db, space)
}
