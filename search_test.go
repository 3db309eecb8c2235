package soma_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// found returns what a fresh search finds, in order.
func found(t *testing.T, db *soma.DB, space soma.SpaceID, query string) []soma.DocumentID {
	t.Helper()
	hits, err := db.Documents().Search(t.Context(), space, query, soma.WithFresh(), soma.WithLimit(soma.MaxSearchHits))
	if err != nil {
		t.Fatalf("Search(%q) = %v", query, err)
	}
	ids := []soma.DocumentID{}
	for _, h := range hits {
		ids = append(ids, h.DocumentID)
	}
	return ids
}

func wantFound(t *testing.T, db *soma.DB, space soma.SpaceID, query string, want ...soma.DocumentID) {
	t.Helper()
	if got := found(t, db, space, query); !slices.Equal(got, append([]soma.DocumentID{}, want...)) {
		t.Errorf("Search(%q) = %q, want %q", query, got, want)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	db := somatest.Open(t)
	space, other := newSpace(t, db, "notes"), newSpace(t, db, "other")
	first := upsert(t, db, space, "trip", somatest.Typed(1, 0, "\n Zürich \nWe take the train\nto the Große Halle."))
	upsert(t, db, space, "food", somatest.Typed(1, 0, "Food\n東京都のラーメン, and a train"))
	upsert(t, db, other, "elsewhere", somatest.Typed(1, 0, "another train"))
	wantFound(t, db, space, "train", "trip", "food") // the shorter one first
	wantFound(t, db, other, "train", "elsewhere")
	wantFound(t, db, space, "ZURICH grosse tra", "trip")
	wantFound(t, db, space, "京都", "food")
	hits, err := db.Documents().Search(t.Context(), space, "train zurich")
	if err != nil || len(hits) != 1 {
		t.Fatalf("Search = %+v, %v", hits, err)
	}
	h := hits[0]
	if h.Title != "Zürich" || len(h.TitleMatches) != 1 || h.Title[h.TitleMatches[0].Start:h.TitleMatches[0].End] != "Zürich" ||
		h.UpdatedAtMs != first.UpdatedAtMs || h.Score <= 0 {
		t.Errorf("hit = %+v", h)
	}
	var marked []string
	for _, m := range h.Snippet.Matches {
		marked = append(marked, h.Snippet.Text[m.Start:m.End])
	}
	if !slices.Equal(marked, []string{"Zürich", "train"}) || strings.Contains(h.Snippet.Text, "\n") {
		t.Errorf("snippet = %+v", h.Snippet)
	}
	page, err := db.Documents().Search(t.Context(), space, "train", soma.WithLimit(1), soma.WithOffset(1))
	if err != nil || len(page) != 1 || page[0].DocumentID != "food" {
		t.Errorf("second page = %+v, %v", page, err)
	}

	for name, opt := range map[string]soma.SearchOption{
		"nil": nil, "limit 0": soma.WithLimit(0), "limit": soma.WithLimit(soma.MaxSearchHits + 1), "offset": soma.WithOffset(-1),
	} {
		if _, err := db.Documents().Search(t.Context(), space, "x", opt); !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("%s: Search = %v, want ErrInvalidOption", name, err)
		}
	}
}

func TestSearchFollowsDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "notes")
	if wantFound(t, db, space, "apple"); t.Failed() {
		return
	}
	upsert(t, db, space, "a", somatest.Typed(1, 0, "apple"))
	upsert(t, db, space, "b", somatest.Typed(1, 0, "apple pear"))
	wantFound(t, db, space, "apple", "a", "b")
	upsert(t, db, space, "a", somatest.Deletion(1, 0, 5))
	upsert(t, db, space, "a", somatest.Typed(1, 5, "pear"))
	wantFound(t, db, space, "apple", "b")
	wantFound(t, db, space, "pear", "a", "b")
	if err := db.Documents().Delete(t.Context(), space, "b"); err != nil {
		t.Fatal(err)
	}
	// Without waiting too: what is deleted is never found.
	if hits, err := db.Documents().Search(t.Context(), space, "pear"); err != nil || len(hits) != 1 {
		t.Errorf("Search after a delete = %+v, %v", hits, err)
	}
	wantFound(t, db, space, "pear", "a")
	upsert(t, db, space, "b", somatest.Typed(1, 10, " again"))
	wantFound(t, db, space, "pear agai", "b")
	mustClose(t, db)

	db = somatest.OpenDir(t, dir)
	wantFound(t, db, space, "pear", "a", "b")

	// What another directory has is found after an import.
	copied := somatest.Open(t)
	wantFound(t, copied, newSpace(t, copied, "own"), "pear")
	if err := copied.Spaces().Import(t.Context(), strings.NewReader(string(export(t, db, space)))); err != nil {
		t.Fatal(err)
	}
	wantFound(t, copied, space, "pear", "a", "b")
	mustClose(t, db)

	// An older database beside a newer index, and what Rebuild brings back.
	damage(t, dir, `UPDATE doc SET hidden = 1 WHERE ident = 'a'`)
	db = somatest.OpenDir(t, dir)
	wantFound(t, db, space, "pear", "b")
	if err := db.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := found(t, db, space, "pear"); len(got) != 2 {
		t.Errorf("after Rebuild Search = %q, want both", got)
	}
}

// What became void is found no more.
func TestSearchAfterRemoval(t *testing.T) {
	t.Parallel()
	m := newTeam(t, "bob", "cid")
	m.upsert("bob", "page", typed(2, 0, nil, "before "))
	m.sync()
	m.upsert("bob", "page", typed(2, 7, &[2]uint64{2, 6}, "after "))
	m.upsert("bob", "new", typed(2, 0, nil, "after"))
	m.send("bob", "cid")
	wantFound(t, m.dbs["cid"], m.space, "after", "new", "page")
	m.must("Remove", m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("bob"), soma.RemoveOptions{}))
	m.sync()
	wantFound(t, m.dbs["cid"], m.space, "after")
	wantFound(t, m.dbs["cid"], m.space, "before", "page")
}

func TestWithoutSearch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "notes")
	upsert(t, db, space, "a", somatest.Typed(1, 0, "apple"))
	index := filepath.Join(dir, "search.db")
	if _, err := os.Stat(index); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("index of a host that never searched: %v", err)
	}
	wantFound(t, db, space, "apple", "a")
	mustClose(t, db)
	if info, err := os.Stat(index); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("index = %v, %v", info, err)
	}
	db = somatest.OpenDir(t, dir, soma.WithoutSearch())
	if _, err := db.Documents().Search(t.Context(), space, "apple"); !errors.Is(err, soma.ErrInvalidOption) {
		t.Errorf("Search = %v, want ErrInvalidOption", err)
	}
	for _, name := range fileNames(t, dir) {
		if strings.HasPrefix(name, "search") {
			t.Errorf("%s is left", name)
		}
	}
	mustClose(t, db)
	if _, err := db.Documents().Search(t.Context(), space, "apple"); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Search after Close = %v, want ErrClosed", err)
	}
}

// A copy of a directory has its own index, and an index in the way does not matter.
func TestDamagedSearchIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "notes")
	for i := range 20 {
		upsert(t, db, space, fmt.Sprint(i), somatest.Typed(1, 0, fmt.Sprintf("apple number%d", i)))
	}
	wantFound(t, db, space, "number7", "7")
	mustClose(t, db)
	index := filepath.Join(dir, "search.db")
	for name, damage := range map[string]func() error{
		"garbage":   func() error { return os.WriteFile(index, []byte(strings.Repeat("garbage", 5000)), 0o600) },
		"cut":       func() error { return os.Truncate(index, 5000) },
		"gone":      func() error { return os.Remove(index) },
		"unsigned":  func() error { return os.Remove(index + ".sum") },
		"directory": func() error { return errors.Join(os.Remove(index), os.MkdirAll(filepath.Join(index, "x"), 0o700)) },
	} {
		if err := damage(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		db := somatest.OpenDir(t, dir)
		hits, err := db.Documents().Search(t.Context(), space, "apple", soma.WithLimit(100)) // waits for a new index
		if err != nil || len(hits) != 20 {
			t.Errorf("%s: Search found %d, %v, want 20", name, len(hits), err)
		}
		upsert(t, db, space, "7", somatest.Typed(2, 0, "more"))
		wantFound(t, db, space, "number7", "7")
		mustClose(t, db)
	}
	if err := os.RemoveAll(index + ".aside1"); err != nil { // where the directory was moved
		t.Fatal(err)
	}
	db = somatest.OpenDir(t, snapshot(t, dir))
	wantFound(t, db, space, "number7", "7")
}

func TestSearchAmongWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir, soma.WithRelaxedDurability())
	space := newSpace(t, db, "notes")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			clock := uint64(0)
			for i := range 40 {
				words := fmt.Sprintf("writer%d step%d ", g, i)
				_, err := db.Documents().Upsert(t.Context(), space, fmt.Sprint(g), somatest.Typed(uint64(g+1), clock, words))
				if err != nil {
					t.Errorf("Upsert = %v", err)
					return
				}
				clock += somatest.Units(words)
				if i%10 != 0 {
					continue
				}
				// A writer finds what it wrote.
				hits, err := db.Documents().Search(t.Context(), space, fmt.Sprintf(`"writer%d step%d"`, g, i), soma.WithFresh())
				if err != nil || len(hits) != 1 || hits[0].DocumentID != fmt.Sprint(g) {
					t.Errorf("Search after a write = %+v, %v", hits, err)
				}
			}
		})
	}
	wg.Wait()
	wantFound(t, db, space, "writer3 step39", "3")

	// Close comes in the middle of it.
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := db.Documents().Upsert(t.Context(), space, fmt.Sprint("late", g), somatest.Typed(uint64(100*g+i+100), 0, "late"))
				if err == nil {
					_, err = db.Documents().Search(t.Context(), space, "late", soma.WithFresh())
				}
				if err != nil {
					if !errors.Is(err, soma.ErrClosed) {
						t.Errorf("call during Close = %v, want ErrClosed", err)
					}
					return
				}
			}
		})
	}
	found(t, db, space, "late")
	mustClose(t, db)
	wg.Wait()
	db = somatest.OpenDir(t, dir)
	var listed []soma.DocumentID
	for info, err := range db.Documents().List(t.Context(), space) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(info.ID, "late") {
			listed = append(listed, info.ID)
		}
	}
	got := found(t, db, space, "late")
	if slices.Sort(got); !slices.Equal(got, listed) {
		t.Errorf("Search after reopening = %q, want %q", got, listed)
	}
}
