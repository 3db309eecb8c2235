//go:build cgo

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

func openSearch(t *testing.T, dir string) *store.SearchIndex {
	t.Helper()
	x, err := store.OpenSearch(dir, store.SearchOptions{Source: "one", Rules: "1"})
	if err != nil {
		t.Fatalf("OpenSearch = %v", err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return x
}

func closeSearch(t *testing.T, x *store.SearchIndex) {
	t.Helper()
	if err := x.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
}

func apply(t *testing.T, x *store.SearchIndex, changes ...core.IndexChange) {
	t.Helper()
	if err := x.Apply(changes); err != nil {
		t.Fatalf("Apply = %v", err)
	}
}

func change(space core.SpaceID, doc core.DocumentID, at int64, text string) core.IndexChange {
	return core.IndexChange{Space: space, Doc: doc, UpdatedAtMs: at, Title: "title", Text: text}
}

func phrase(terms ...string) core.SearchQuery {
	return core.SearchQuery{All: []core.SearchPhrase{{Terms: terms}}, Weights: [2]float64{1, 1}}
}

// finds returns what a query finds, in order of ID.
func finds(t *testing.T, x *store.SearchIndex, space core.SpaceID, q core.SearchQuery) []core.DocumentID {
	t.Helper()
	found, err := x.Query(t.Context(), space, q, occurrences)
	if err != nil {
		t.Fatalf("Query = %v", err)
	}
	ids := []core.DocumentID{}
	for _, m := range found {
		if m.Score <= 0 {
			t.Errorf("score of %s is %v", m.ID, m.Score)
		}
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}

// occurrences counts those of the phrases of a match.
func occurrences(m core.MatchInfo) float64 {
	n := uint32(0)
	for hits := m[3+2*m[1]:]; len(hits) > 0; hits = hits[3:] {
		n += hits[0]
	}
	return float64(n)
}

func wantDocs(t *testing.T, x *store.SearchIndex, q core.SearchQuery, want ...core.DocumentID) {
	t.Helper()
	if got := finds(t, x, "a", q); !slices.Equal(got, append([]core.DocumentID{}, want...)) {
		t.Errorf("Query(%v) = %q, want %q", q, got, want)
	}
}

func TestSearchIndex(t *testing.T) {
	dir := t.TempDir()
	x := openSearch(t, dir)
	apply(t, x,
		change("a", "1", 10, "red green blue"), change("a", "2", 20, "red red yellow"),
		change("b", "1", 30, "red"), change("a", "3", 30, "redder 東京 京"))
	check := func() {
		t.Helper()
		wantDocs(t, x, phrase("red"), "1", "2")
		wantDocs(t, x, phrase("title"), "1", "2", "3")
		wantDocs(t, x, phrase("green", "blue"), "1")
		wantDocs(t, x, phrase("blue", "green"))
		wantDocs(t, x, phrase("title", "red")) // a phrase is in one column
		wantDocs(t, x, phrase("東京"), "3")
		q := phrase("red")
		q.All[0].Prefix = true
		wantDocs(t, x, q, "1", "2", "3")
		q.All = append(q.All, core.SearchPhrase{Terms: []string{"title"}})
		q.None = []core.SearchPhrase{{Terms: []string{"yellow"}}, {Terms: []string{"green", "bl"}, Prefix: true}}
		wantDocs(t, x, q, "3")
		wantDocs(t, x, core.SearchQuery{None: q.None})
		if got := finds(t, x, "b", phrase("red")); !slices.Equal(got, []core.DocumentID{"1"}) {
			t.Errorf("in the other space: %q", got)
		}
		if got := finds(t, x, "c", phrase("red")); len(got) != 0 {
			t.Errorf("in an unknown space: %q", got)
		}
		docs, err := x.Docs("a", "1", 5)
		if want := []core.IndexedDoc{{ID: "2", UpdatedAtMs: 20}, {ID: "3", UpdatedAtMs: 30}}; err != nil || !slices.Equal(docs, want) {
			t.Errorf("Docs = %v, %v, want %v", docs, err, want)
		}
		spaces, err := x.Spaces()
		if want := []core.SpaceID{"a", "b"}; err != nil || !slices.Equal(spaces, want) {
			t.Errorf("Spaces = %v, %v, want %v", spaces, err, want)
		}
	}
	check()
	if x.IsComplete() {
		t.Error("a new index is complete")
	}
	if err := x.SetComplete(); err != nil {
		t.Fatal(err)
	}
	closeSearch(t, x)
	x = openSearch(t, dir)
	check()
	if !x.IsComplete() {
		t.Error("a complete index is not so after reopening")
	}
	apply(t, x, change("a", "1", 11, "black"), core.IndexChange{Space: "a", Doc: "2", Gone: true},
		core.IndexChange{Space: "a", Doc: "unknown", Gone: true}, core.IndexChange{Space: "unknown", Doc: "1", Gone: true})
	wantDocs(t, x, phrase("red"))
	wantDocs(t, x, phrase("black"), "1")
	if err := x.DropSpace("a"); err != nil {
		t.Fatal(err)
	}
	if err := x.DropSpace("unknown"); err != nil {
		t.Fatal(err)
	}
	wantDocs(t, x, phrase("title"))
	if got := finds(t, x, "b", phrase("red")); len(got) != 1 {
		t.Errorf("in the other space: %q", got)
	}
}

func TestSearchFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	x := openSearch(t, dir)
	apply(t, x, change("a", "1", 10, "red"))
	look := func() {
		files, err := os.ReadDir(dir)
		if err != nil || len(files) == 0 {
			t.Fatalf("ReadDir = %v, %v", files, err)
		}
		for _, f := range files {
			if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode of %s = %v, %v, want 0600", f.Name(), info.Mode(), err)
			}
		}
	}
	look()
	closeSearch(t, x)
	look()
	if err := store.RemoveSearch(dir); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("files after RemoveSearch = %v, %v", files, err)
	}
	if err := store.RemoveSearch(dir); err != nil {
		t.Error(err)
	}
}

// Terms of what was deleted are in no file after a purge, those of what was replaced
// after the next deletion.
func TestPurge(t *testing.T) {
	dir := t.TempDir()
	x := openSearch(t, dir)
	for i := range 50 { // in many segments
		apply(t, x, change("a", fmt.Sprint(i), 10, strings.Repeat(fmt.Sprintf("filler%d secret%d ", i, i), 20)))
	}
	apply(t, x, change("a", "7", 20, "replaced"), core.IndexChange{Space: "a", Doc: "8", Gone: true})
	for _, want := range []bool{true, false} {
		if rewritten, err := x.Purge(t.Context()); err != nil || rewritten != want {
			t.Fatalf("Purge = %v, %v, want %v", rewritten, err, want)
		}
	}
	wantDocs(t, x, phrase("secret9"), "9")
	look := func(word string, want bool) {
		t.Helper()
		found := false
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(b, []byte(word))
		}
		if found != want {
			t.Errorf("%q is in the files: %v, want %v", word, found, want)
		}
	}
	closeSearch(t, x)
	look("secret8", false)
	look("secret7", false)
	look("secret9", true)
}

// cancelled answers as if somebody changed their mind.
func TestSearchInterrupts(t *testing.T) {
	x := openSearch(t, t.TempDir())
	apply(t, x, change("a", "1", 10, "red"), change("a", "2", 10, "red"))
	apply(t, x, core.IndexChange{Space: "a", Doc: "2", Gone: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Query(ctx, "a", phrase("red"), occurrences); !errors.Is(err, context.Canceled) {
		t.Errorf("Query = %v, want Canceled", err)
	}
	if _, err := x.Purge(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Purge = %v, want Canceled", err)
	}
	if _, err := x.Purge(t.Context()); err != nil {
		t.Errorf("Purge = %v", err)
	}
	wantDocs(t, x, phrase("red"), "1")
	closeSearch(t, x)
	if _, err := x.Query(t.Context(), "a", phrase("red"), occurrences); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Query after Close = %v, want ErrClosed", err)
	}
}

// filledSearch returns a directory with a closed, complete index.
func filledSearch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	x := openSearch(t, dir)
	for i := range 40 {
		apply(t, x, change("a", fmt.Sprint(i), 10, strings.Repeat(fmt.Sprintf("common%d word ", i%4), 30)))
	}
	if err := x.SetComplete(); err != nil {
		t.Fatal(err)
	}
	closeSearch(t, x)
	return dir
}

// An index that is not as it was left is made anew; it never answers wrongly.
func TestSearchDamage(t *testing.T) {
	write := func(b []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, b, 0o600) }
	}
	onFile := func(fn func(path string, size int64) error) func(string) error {
		return func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return fn(path, info.Size())
		}
	}
	flip := func(path string, size int64) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		at := rand.Int64N(size)
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, at); err != nil {
			return err
		}
		b[0] ^= 1 << rand.IntN(8)
		_, err = f.WriteAt(b, at)
		return err
	}
	tests := map[string]func(path string) error{
		"garbage":    write(bytes.Repeat([]byte("garbage "), 10_000)),
		"empty":      write(nil),
		"one byte":   write([]byte{0}),
		"cut":        onFile(func(path string, size int64) error { return os.Truncate(path, size/2) }),
		"cut a byte": onFile(func(path string, size int64) error { return os.Truncate(path, size-1) }),
		"longer":     onFile(func(path string, size int64) error { return os.Truncate(path, size+4096) }),
		"missing":    os.Remove,
		"directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.MkdirAll(filepath.Join(path, "with", "content"), 0o700)
		},
		"empty directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
		"link to nowhere": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Symlink("nowhere", path)
		},
		"unreadable": func(path string) error { return errors.Join(os.Chmod(path, 0), flipFirst(path)) },
		"other sum":  func(path string) error { return os.WriteFile(path+".sum", []byte("1 00000000\n"), 0o600) },
		"sum is a directory": func(path string) error {
			return errors.Join(os.Remove(path+".sum"), os.MkdirAll(path+".sum/x", 0o700))
		},
		"foreign, without a sum": func(path string) error {
			other := filepath.Dir(path) + "-other"
			db, err := store.Open(other, store.Options{})
			if err != nil {
				return err
			}
			defer os.RemoveAll(other)
			if err := db.Close(); err != nil {
				return err
			}
			return errors.Join(os.Remove(path+".sum"), os.Rename(filepath.Join(other, "soma.db"), path))
		},
		"newer, without a sum": func(path string) error {
			return errors.Join(os.Remove(path+".sum"), patch(path, 60, []byte{0, 0, 0, 2}))
		},
	}
	for i := range 40 {
		tests[fmt.Sprintf("flipped bit %d", i)] = onFile(flip)
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filledSearch(t)
			if err := damage(filepath.Join(dir, "search.db")); err != nil {
				t.Fatal(err)
			}
			x := openSearch(t, dir)
			if x.IsComplete() {
				t.Error("the index goes on as if nothing were")
			}
			wantDocs(t, x, phrase("word"))
			apply(t, x, change("a", "1", 10, "word"))
			wantDocs(t, x, phrase("word"), "1")
			closeSearch(t, x)
			x = openSearch(t, dir)
			wantDocs(t, x, phrase("word"), "1")
		})
	}
}

// flipFirst changes a file that may be unreadable for others than root.
func flipFirst(path string) error { return patch(path, 0, []byte{'X'}) }

func patch(path string, at int64, b []byte) error {
	mode := os.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode()
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close(), os.Chmod(path, mode))
}

func TestSearchOfAnotherDatabase(t *testing.T) {
	for _, o := range []store.SearchOptions{{Source: "two", Rules: "1"}, {Source: "one", Rules: "2"}} {
		dir := filledSearch(t)
		x, err := store.OpenSearch(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if x.IsComplete() {
			t.Errorf("an index for %v goes on", o)
		}
		closeSearch(t, x)
	}
}

// After a crash there is no checksum: what was committed is there, and damage is found
// by Check.
func TestSearchAfterCrash(t *testing.T) {
	dir := filledSearch(t)
	x := openSearch(t, dir)
	apply(t, x, change("a", "new", 10, "fresh"))
	crashed := t.TempDir()
	for _, name := range []string{"search.db", "search.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	closeSearch(t, x)
	x = openSearch(t, crashed)
	if !x.IsComplete() {
		t.Error("a crash cost the index")
	}
	if err := x.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
	wantDocs(t, x, phrase("fresh"), "new")
	closeSearch(t, x)

	if err := os.Remove(filepath.Join(crashed, "search.db.sum")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(crashed, "search.db"))
	if err != nil {
		t.Fatal(err)
	}
	// "common3" is spelled out in what is indexed, and once in the index itself.
	b = bytes.Replace(b, []byte("common3 word common3"), []byte("commonX word common3"), 1)
	if err := os.WriteFile(filepath.Join(crashed, "search.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	x = openSearch(t, crashed)
	if err := x.Check(t.Context()); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Check of a damaged index = %v, want ErrCorrupt", err)
	}
	if err := x.Discard(); err != nil {
		t.Errorf("Discard = %v", err)
	}
	if files, err := os.ReadDir(crashed); err != nil || len(files) != 0 {
		t.Errorf("files after Discard = %v, %v", files, err)
	}
}
