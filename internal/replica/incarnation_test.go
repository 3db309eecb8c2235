package replica_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// copyFile copies a file, if it is there.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyOf opens a copy of a closed site's directory.
func copyOf(s *site) *site {
	s.t.Helper()
	opts := s.opts
	opts.dir, opts.id, opts.clock, opts.faults = copyDir(s.t, s.dir), &s.id, newClock(), nil
	return openSite(s.t, opts)
}

func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.IsDir() {
			if err := os.CopyFS(filepath.Join(to, f.Name()), os.DirFS(filepath.Join(dir, f.Name()))); err != nil {
				t.Fatal(err)
			}
			continue
		}
		copyFile(t, filepath.Join(dir, f.Name()), filepath.Join(to, f.Name()))
	}
	return to
}

func TestIncarnationIsKept(t *testing.T) {
	s := openSite(t, siteOptions{})
	_, want := s.Writer()
	if want == (core.Incarnation{}) {
		t.Fatal("no incarnation after the first open")
	}
	var space core.SpaceID
	for i, between := range []func(){
		func() {}, // nothing was written yet
		func() { space = s.create("space") },
		func() { s.upsert(space, "doc", insert(1, 0, "a")) },
		func() {},
	} {
		between()
		if i%2 == 0 {
			s.close()
		} else {
			s.crash()
		}
		s = s.reopen()
		if _, got := s.Writer(); got != want || len(s.Retired()) != 0 {
			t.Fatalf("step %d: incarnation = %x, retired %x, want %x and none", i, got, s.Retired(), want)
		}
	}
	// A damaged high-water mark says nothing.
	s.close()
	if err := os.WriteFile(filepath.Join(s.dir, "identity.state"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = s.reopen()
	if _, got := s.Writer(); got != want {
		t.Errorf("with a damaged mark: incarnation = %x, want %x", got, want)
	}
}

// TestCopiedDirectory lets a directory and its copy write at the same time.
func TestCopiedDirectory(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	a.upsert(space, "doc", insert(1, 0, "base "))
	_, first := a.Writer()
	a.upsert(space, "doc", insert(1, 5, "tail ")) // in the tail, so it is in the copy's too
	a.crash()
	b := copyOf(a)
	a = a.reopen()
	if _, got := a.Writer(); got != first {
		t.Errorf("original: incarnation = %x, want %x", got, first)
	}
	_, second := b.Writer()
	if second == first || !slices.Equal(b.Retired(), []core.Incarnation{first}) {
		t.Errorf("copy: incarnation = %x, retired %x, want a new one and %x", second, b.Retired(), first)
	}
	// Opening it again, also before it wrote, changes nothing more.
	c := openSite(t, siteOptions{id: &a.id})
	c.found(a, space)
	b.close()
	b = b.reopen()
	if _, got := b.Writer(); got != second {
		t.Errorf("copy opened again: incarnation = %x, want %x", got, second)
	}

	a.upsert(space, "doc", insert(2, 0, "by the original "))
	b.upsert(space, "doc", insert(3, 0, "by the copy "))
	a.rename(space, "original")
	b.rename(space, "copy")
	exchange(a, b, space)
	c.pull(b, space)
	wantEqual(t, "copy", b.dump(space), a.dump(space))
	wantEqual(t, "third", c.dump(space), a.dump(space))

	type at struct {
		writer core.WriterID
		chain  core.Chain
		seq    uint64
	}
	seen := map[at]bool{}
	for _, e := range a.decoded(space) {
		here := at{e.Writer, e.Chain, e.Seq}
		if seen[here] {
			t.Errorf("two entries at %v", here)
		}
		seen[here] = true
		if e.Incarnation != second || e.Seq != 1 {
			continue
		}
		retire, ok := e.Ops[0].Body.(log.WriterRetire)
		if !ok || !slices.Equal(retire.Incarnations, []core.Incarnation{first}) {
			t.Errorf("the copy's first entry begins with %v, want one that retires %x", e.Ops[0].Body, first)
		}
	}
}

// TestOlderDatabase puts an older database beside the newer high-water mark, in
// place, so that its inode says nothing.
func TestOlderDatabase(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	a.upsert(space, "doc", insert(1, 0, "old "))
	a.close()
	backup := filepath.Join(t.TempDir(), "backup")
	copyFile(t, a.database, backup)
	a = a.reopen()
	_, first := a.Writer()
	a.upsert(space, "doc", insert(1, 4, "new "))
	a.close()
	newer := a.reopen()
	lost := newer.entries(space)
	newer.close()

	copyFile(t, backup, a.database)
	a = a.reopen()
	_, second := a.Writer()
	if second == first {
		t.Fatal("the incarnation is that of the newer database")
	}
	a.wantText(space, "doc", "old ")
	a.upsert(space, "doc", insert(5, 0, "after "))
	a.seal()
	// What was lost comes back from somewhere, as entries of an earlier writer.
	a.wantStatus(space, core.EntryAccepted, lost[len(lost)-1])
	if _, got := a.Writer(); got != second {
		t.Error("entries of an earlier incarnation make a new one")
	}
	b := openSite(t, siteOptions{})
	b.found(a, space)
	b.pull(a, space)
	wantEqual(t, "other", b.dump(space), a.dump(space))
	if got := a.text(space, "doc"); len(got) != len("old new after ") {
		t.Errorf("text = %q, want all three pieces", got)
	}
}

// TestBackupMark opens a database that says it is a backup.
func TestBackupMark(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	_, first := a.Writer()
	err := a.store.Write(a.ctx(), func(tx core.Tx) error { return tx.SetMeta(replica.MetaBackup, []byte{1}) })
	if err != nil {
		t.Fatal(err)
	}
	a.close()
	a = a.reopen()
	_, second := a.Writer()
	if second == first {
		t.Error("the incarnation is that of the original")
	}
	a.upsert(space, "doc", insert(1, 0, "a"))
	a.close()
	if _, got := a.reopen().Writer(); got != second {
		t.Error("a backup is one only once")
	}
}

// TestOwnEntriesFromElsewhere puts an older copy back so that nothing local tells, and
// has it meet what it lost while something waits in its tail. If all of that comes, or
// an entry that has to wait, nothing is written twice.
func TestOwnEntriesFromElsewhere(t *testing.T) {
	for _, waits := range []bool{false, true} {
		s := openSite(t, siteOptions{})
		space := s.create("space")
		s.upsert(space, "doc", insert(1, 0, "old "))
		_, first := s.Writer()
		s.close()
		older := copyDir(t, s.dir)
		s = s.reopen()
		for n, text := range []string{"lost ", "gone "} {
			s.upsert(space, "doc", insert(2, uint64(5*n), text))
			s.seal()
		}
		lost := s.entries(space)
		s.close()
		for _, name := range []string{"soma.db", "identity.state"} {
			copyFile(t, filepath.Join(older, name), filepath.Join(s.dir, name))
		}

		opts := s.opts
		opts.dir, opts.id, opts.relaxed = s.dir, &s.id, true // so that a write goes to the tail
		s = openSite(t, opts)
		if _, got := s.Writer(); got != first {
			t.Fatalf("incarnation = %x, want %x: nothing tells", got, first)
		}
		s.upsert(space, "doc", insert(3, 0, "new "))
		if waits {
			s.wantStatus(space, core.EntryWaiting, lost[len(lost)-1])
		} else {
			s.accept(space, lost...)
		}
		if _, got := s.Writer(); got == first {
			t.Errorf("with the entry waiting = %v: the incarnation is still the first", waits)
		}
		s.accept(space, lost...)
		forks, err := s.Forks(s.ctx(), space)
		if err != nil || len(forks) != 0 {
			t.Errorf("with the entry waiting = %v: Forks = %+v, %v, want none", waits, forks, err)
		}
		if got := s.text(space, "doc"); len(got) != len("new lost gone old ") {
			t.Errorf("text = %q, want all four pieces", got)
		}
	}
}

// TestOwnEntriesOfOtherSpaces shows a replica own entries where they do not belong.
func TestOwnEntriesOfOtherSpaces(t *testing.T) {
	s := openSite(t, siteOptions{})
	space, other := s.create("one"), s.create("another")
	_, want := s.Writer()
	s.wantStatus(space, core.EntryRejected, s.entries(other)...)
	s.wantStatus(space, core.EntryKnown, s.entries(space)...)
	if _, got := s.Writer(); got != want {
		t.Errorf("incarnation = %x, want %x", got, want)
	}
}
