package soma_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/somatest"
)

const stateFile = "identity.state"

// snapshot copies a directory, as cp -r would: every file is a new one.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	copyInto(t, to, dir, func(name string) bool { return name != "soma.lock" && name != "soma.lock.owner" })
	return to
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.Name()
	}
	return names
}

// copyInto copies files over those of a directory, in place: a file that is there stays
// the same one to the system.
func copyInto(t *testing.T, dir, from string, which func(name string) bool) {
	t.Helper()
	for _, name := range fileNames(t, from) {
		if !which(name) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// aside moves files away, so that what takes their place cannot be the same to the
// system.
func aside(t *testing.T, dir string, names ...string) {
	t.Helper()
	to := t.TempDir()
	for _, name := range names {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(to, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func everything(string) bool { return true }

// writersOf returns the writers of a DB's own entries in a space, and how many each made.
func writersOf(t *testing.T, db *soma.DB, space soma.SpaceID) map[core.WriterID]int {
	t.Helper()
	writers := map[core.WriterID]int{}
	for _, raw := range entries(t, export(t, db, space)) {
		e, err := log.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if e.Peer == db.PeerID() {
			writers[e.Writer]++
		}
	}
	return writers
}

// forks returns what a DB reports of a space.
func forks(t *testing.T, db *soma.DB, space soma.SpaceID) []soma.Fork {
	t.Helper()
	all, err := db.Spaces().Forks(t.Context(), space)
	if err != nil {
		t.Fatalf("Forks = %v", err)
	}
	return all
}

// logTo makes a DB log into a buffer, which may be read when the DB is closed.
func logTo(w io.Writer) soma.Option { return soma.WithLogger(slog.New(slog.NewTextHandler(w, nil))) }

// A directory writes, others get that, and then an older copy of it takes its place.
// However it was put there, what was lost comes back, nothing is lost, and if the
// machine itself could not tell, the fork is reported.
func TestRestores(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		restore func(t *testing.T, dir, older string)
		unseen  bool // nothing on the machine tells
	}{
		{"the whole directory, in new files", func(t *testing.T, dir, older string) {
			aside(t, dir, fileNames(t, dir)...)
			copyInto(t, dir, older, everything)
		}, false},
		{"the database, in place", func(t *testing.T, dir, older string) {
			copyInto(t, dir, older, func(name string) bool { return name == databaseFile(t, dir) })
		}, false},
		{"the database, in a new file", func(t *testing.T, dir, older string) {
			name := databaseFile(t, dir)
			aside(t, dir, name)
			copyInto(t, dir, older, func(n string) bool { return n == name })
		}, false},
		{"all but the mark, in new files", func(t *testing.T, dir, older string) {
			aside(t, dir, fileNames(t, dir)...)
			copyInto(t, dir, older, func(name string) bool { return name != stateFile })
		}, false},
		{"everything, in place", func(t *testing.T, dir, older string) { copyInto(t, dir, older, everything) }, true},
		{"the database in place, without a mark", func(t *testing.T, dir, older string) {
			aside(t, dir, stateFile)
			copyInto(t, dir, older, func(name string) bool { return name != stateFile })
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := somatest.OpenDir(t, dir)
			space := newSpace(t, db, "x")
			upsert(t, db, space, "doc", somatest.Typed(1, 0, "old "))
			mustClose(t, db)
			older := snapshot(t, dir)

			db = somatest.OpenDir(t, dir)
			upsert(t, db, space, "doc", somatest.Typed(2, 0, "lost "))
			upsert(t, db, space, "only", somatest.Typed(1, 0, "lost too"))
			addSomebody(t, db, space, 1)
			peer := somatest.Open(t)
			importInto(t, peer, export(t, db, space))
			before := writersOf(t, db, space)
			mustClose(t, db)

			c.restore(t, dir, older)
			var lines bytes.Buffer
			db = somatest.OpenDir(t, dir, logTo(&lines))
			upsert(t, db, space, "doc", somatest.Typed(3, 0, "new "))
			addSomebody(t, db, space, 2)
			importInto(t, db, export(t, peer, space))
			upsert(t, db, space, "doc", somatest.Typed(4, 0, "later "))
			mustClose(t, db)
			if got := strings.Contains(lines.String(), "is a copy or a restored backup"); got == c.unseen {
				t.Errorf("the log says that it is a copy = %v, want %v:\n%s", got, !c.unseen, &lines)
			}
			if got := strings.Count(lines.String(), "has forked"); (got > 0) != c.unseen || got > 2 {
				t.Errorf("the log tells of %d forks, want one of each chain, if any:\n%s", got, &lines)
			}
			db = somatest.OpenDir(t, dir)
			upsert(t, db, space, "doc", somatest.Typed(5, 0, "after "))

			importInto(t, peer, export(t, db, space))
			importInto(t, db, export(t, peer, space))
			wantCopy(t, peer, db, space)
			got := text(t, peer, space, "doc")
			for _, want := range []string{"old ", "lost ", "new ", "later ", "after "} {
				if strings.Count(got, want) != 1 {
					t.Errorf("Text = %q, want %q in it once", got, want)
				}
			}
			if got := text(t, db, space, "only"); got != "lost too" {
				t.Errorf("Text of a document that was lost = %q, want it back", got)
			}
			for name, at := range map[string]*soma.DB{"the directory": db, "the other": peer} {
				members, err := at.Spaces().Members(t.Context(), space)
				if err != nil || len(members) != 3 {
					t.Errorf("Members at %s = %+v, %v, want those of both lives", name, members, err)
				}
				wantForks(t, name, forks(t, at, space), db.PeerID(), c.unseen)
			}
			if now := writersOf(t, db, space); len(now) != len(before)+1 {
				t.Errorf("%d writers, want one more than the %d from before: %v", len(now), len(before), now)
			}
		})
	}
}

// addSomebody makes a key a member.
func addSomebody(t *testing.T, db *soma.DB, space soma.SpaceID, seed byte) {
	t.Helper()
	other := somatest.Open(t, soma.WithIdentity(testKey(seed)), soma.WithRelaxedDurability())
	if err := db.Spaces().AddMember(t.Context(), space, soma.NewMember{Peer: other.PeerID(), Role: soma.RoleEditor}); err != nil {
		t.Fatalf("AddMember = %v", err)
	}
}

// wantForks wants a fork on each of a member's chains, or none at all.
func wantForks(t *testing.T, at string, got []soma.Fork, member soma.PeerID, forked bool) {
	t.Helper()
	if !forked {
		if len(got) != 0 {
			t.Errorf("Forks at %s = %+v, want none", at, got)
		}
		return
	}
	if len(got) != 2 || got[0].Membership == got[1].Membership {
		t.Fatalf("Forks at %s = %+v, want one on each chain", at, got)
	}
	for _, f := range got {
		if f.Member != member || f.Seq == 0 || len(f.Entries) != 2 || f.Entries[0] == f.Entries[1] || f.Incarnation != got[0].Incarnation {
			t.Errorf("Fork at %s = %+v, want two entries of %s", at, f, member)
		}
	}
}

// A copy of a directory that is open, with a tail that is not sealed: both seal it, and
// it counts once.
func TestCopyWithTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "x")
	for n, word := range []string{"sealed ", "tail ", "more "} {
		upsert(t, db, space, "doc", somatest.Typed(uint64(n+1), 0, word))
	}
	var lines bytes.Buffer
	twin := somatest.OpenDir(t, snapshot(t, dir), logTo(&lines))
	upsert(t, db, space, "doc", somatest.Typed(10, 0, "original "))
	upsert(t, twin, space, "doc", somatest.Typed(11, 0, "copy "))
	importInto(t, twin, export(t, db, space))
	importInto(t, db, export(t, twin, space))
	wantCopy(t, twin, db, space)
	got := text(t, db, space, "doc")
	for _, want := range []string{"sealed ", "tail ", "more ", "original ", "copy "} {
		if strings.Count(got, want) != 1 {
			t.Errorf("Text = %q, want %q in it once", got, want)
		}
	}
	if writers := writersOf(t, db, space); len(writers) != 2 {
		t.Errorf("writers = %v, want those of the original and of the copy", writers)
	}
	wantForks(t, "the original", forks(t, db, space), db.PeerID(), false)
	mustClose(t, twin)
	if !strings.Contains(lines.String(), "is a copy or a restored backup") {
		t.Errorf("the log of the copy is %q, want that it is one", &lines)
	}
}

// The same with a copy that is put back in place, so that nothing tells: the tail was
// sealed before as well, under the same number.
func TestRestoreWithTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "x")
	for n, word := range []string{"sealed ", "tail ", "more "} {
		upsert(t, db, space, "doc", somatest.Typed(uint64(n+1), 0, word))
	}
	older := snapshot(t, dir)
	peer := somatest.Open(t)
	importInto(t, peer, export(t, db, space))
	upsert(t, db, space, "doc", somatest.Typed(10, 0, "lost "))
	importInto(t, peer, export(t, db, space))
	mustClose(t, db)

	copyInto(t, dir, older, everything)
	db = somatest.OpenDir(t, dir)
	upsert(t, db, space, "doc", somatest.Typed(11, 0, "new "))
	importInto(t, db, export(t, peer, space))
	importInto(t, peer, export(t, db, space))
	wantCopy(t, peer, db, space)
	got := text(t, peer, space, "doc")
	for _, want := range []string{"sealed ", "tail ", "more ", "lost ", "new "} {
		if strings.Count(got, want) != 1 {
			t.Errorf("Text = %q, want %q in it once", got, want)
		}
	}
	for name, at := range map[string]*soma.DB{"the directory": db, "the other": peer} {
		if all := forks(t, at, space); len(all) != 1 || all[0].Membership || all[0].Member != db.PeerID() {
			t.Errorf("Forks at %s = %+v, want one of content", name, all)
		}
	}
}

// An older copy that nothing tells apart hears of what it lost before it writes: that
// is no fork.
func TestLostEntriesComeFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "x")
	upsert(t, db, space, "doc", somatest.Typed(1, 0, "old "))
	mustClose(t, db)
	older := snapshot(t, dir)
	db = somatest.OpenDir(t, dir)
	upsert(t, db, space, "doc", somatest.Typed(2, 0, "lost "))
	later := newSpace(t, db, "later")
	upsert(t, db, later, "doc", somatest.Typed(1, 0, "lost space"))
	archives := [][]byte{export(t, db, later), export(t, db, space)}
	mustClose(t, db)

	copyInto(t, dir, older, everything)
	db = somatest.OpenDir(t, dir)
	for _, archive := range archives {
		importInto(t, db, archive)
	}
	upsert(t, db, space, "doc", somatest.Typed(3, 0, "new "))
	upsert(t, db, later, "doc", somatest.Typed(3, 0, "new "))
	for id, words := range map[soma.SpaceID][]string{space: {"old ", "lost ", "new "}, later: {"lost space", "new "}} {
		got := text(t, db, id, "doc")
		for _, want := range words {
			if strings.Count(got, want) != 1 {
				t.Errorf("Text = %q, want %q in it once", got, want)
			}
		}
		wantForks(t, "the directory", forks(t, db, id), db.PeerID(), false)
		if writers := writersOf(t, db, id); len(writers) != 2 {
			t.Errorf("writers = %v, want the one before and the one after", writers)
		}
	}
}

// Who is removed after a fork keeps what they wrote on both branches.
func TestRemovalAfterAFork(t *testing.T) {
	m := newTeam(t, "bob", "cid")
	m.upsert("bob", "page", typed(1, 0, nil, "base "))
	m.sync()
	m.must("Close", m.dbs["bob"].Close())
	older := snapshot(t, m.dirs["bob"])
	m.dbs["bob"] = somatest.OpenDir(t, m.dirs["bob"])
	m.upsert("bob", "page", typed(2, 0, nil, "one "))
	m.upsert("bob", "more", typed(2, 0, nil, "one"))
	m.send("bob", "ann")
	m.must("Close", m.dbs["bob"].Close())
	copyInto(t, m.dirs["bob"], older, everything)
	m.dbs["bob"] = somatest.OpenDir(t, m.dirs["bob"])
	m.upsert("bob", "page", typed(3, 0, nil, "two "))
	for _, way := range [][2]string{{"bob", "ann"}, {"ann", "bob"}, {"bob", "ann"}} { // the last is no news
		db := m.dbs[way[1]]
		heard := db.Subscribe(m.ctx())
		var want []soma.DomainEvent
		if known := forks(t, db, m.space); len(known) == 0 {
			want = append(want,
				soma.DomainEvent{Kind: soma.SpaceChanged, SpaceID: m.space, Source: soma.SourceDaemon, Reason: soma.ReasonForked},
				soma.DomainEvent{Kind: soma.DocumentChanged, SpaceID: m.space, DocumentID: "page", Source: soma.SourceDaemon})
			if way[1] == "bob" {
				want = append(want, soma.DomainEvent{Kind: soma.DocumentChanged, SpaceID: m.space, DocumentID: "more", Source: soma.SourceDaemon})
			}
		}
		m.send(way[0], way[1])
		wantEvents(t, db, heard, fmt.Sprintf("an archive from %s to %s", way[0], way[1]), want...)
	}
	m.remove("ann", "bob")
	m.sync()
	m.wantAgreement()
	for name, db := range m.dbs {
		rejected, err := db.Spaces().Rejected(m.ctx(), m.space)
		if err != nil || len(rejected) != 0 {
			t.Errorf("Rejected at %s = %+v, %v, want nothing of either branch", name, rejected, err)
		}
		got := forks(t, db, m.space)
		if len(got) != 1 || got[0].Member != m.peer("bob") || got[0].Membership {
			t.Errorf("Forks at %s = %+v, want bob's", name, got)
		}
		for _, want := range []string{"base ", "one ", "two "} {
			if text := m.text(name, "page"); strings.Count(text, want) != 1 {
				t.Errorf("Text at %s = %q, want %q in it once", name, text, want)
			}
		}
	}
	// The report is of what is stored.
	before := fmt.Sprint(forks(t, m.dbs["cid"], m.space))
	m.reopen("cid")
	if got := fmt.Sprint(forks(t, m.dbs["cid"], m.space)); got != before {
		t.Errorf("Forks after reopening = %s, want %s", got, before)
	}
}

func TestForksOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	wantForks(t, "a new space", forks(t, db, newSpace(t, db, "x")), db.PeerID(), false)
	for id, want := range map[soma.SpaceID]error{"bafy": soma.ErrNotFound, "": soma.ErrInvalidID} {
		if got, err := db.Spaces().Forks(context.Background(), id); !errors.Is(err, want) {
			t.Errorf("Forks(%q) = %v, %v, want %v", id, got, err, want)
		}
	}
}
