package soma_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// damage runs SQL on the database of a directory that nobody has open.
func damage(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, "soma.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// library is a closed directory with two spaces of two documents each.
func library(t *testing.T) (dir string, spaces []soma.SpaceID) {
	t.Helper()
	dir = t.TempDir()
	db := somatest.OpenDir(t, dir)
	for _, name := range []string{"one", "two"} {
		space, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		spaces = append(spaces, space.ID)
		for client, doc := range []soma.DocumentID{"a", "b"} {
			if _, err := db.Documents().Upsert(t.Context(), space.ID, doc, typed(uint64(client+1), 0, nil, "text")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, spaces
}

func TestVerifyAndRebuild(t *testing.T) {
	dir, spaces := library(t)
	damage(t, dir, `UPDATE space SET name = 'damaged' WHERE name = 'one';
		UPDATE doc SET hidden = 1 WHERE ident = 'a' AND space = (SELECT id FROM space WHERE name = 'two')`)
	db := somatest.OpenDir(t, dir)
	found, err := db.Verify(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatalf("Verify = %v, %v, want 2 problems", found, err)
	}
	for _, p := range found {
		want := soma.Problem{SpaceID: p.SpaceID, Table: "space", Detail: `name is "damaged", should be "one"`, Mendable: true}
		if p.SpaceID == spaces[1] {
			want.DocumentID, want.Table, want.Detail = "a", "doc", "hidden is true, should be false"
		}
		if p != want {
			t.Errorf("problem = %+v, want %+v", p, want)
		}
		if text := p.String(); !strings.Contains(text, string(p.SpaceID)) || !strings.HasSuffix(text, p.Detail) {
			t.Errorf("String = %q", text)
		}
	}
	synced := collectEvents(t, db, func() {
		if err := db.Rebuild(t.Context()); err != nil {
			t.Fatalf("Rebuild = %v", err)
		}
	})
	want := map[soma.DomainEvent]bool{
		{Kind: soma.SpacesChanged, Source: soma.SourceDaemon}:                                                                    true,
		{Kind: soma.SpaceChanged, Source: soma.SourceDaemon, SpaceID: spaces[0], Reason: soma.ReasonRebuilt}:                     true,
		{Kind: soma.DocumentChanged, Source: soma.SourceDaemon, SpaceID: spaces[1], DocumentID: "a", Reason: soma.ReasonRebuilt}: true,
	}
	for _, ev := range synced {
		ev.AtMs = 0
		if !want[ev] {
			t.Errorf("event %+v is not wanted", ev)
		}
		delete(want, ev)
	}
	for ev := range want {
		t.Errorf("event %+v is missing", ev)
	}
	if again := collectEvents(t, db, func() {
		if err := db.Rebuild(t.Context()); err != nil {
			t.Errorf("Rebuild of a sound database = %v", err)
		}
	}); len(again) > 0 {
		t.Errorf("Rebuild of a sound database fires %v", again)
	}
	if text, err := db.Documents().Text(t.Context(), spaces[1], "a"); err != nil || text != "text" {
		t.Errorf("Text = %q, %v", text, err)
	}
}

// collectEvents returns the events that fn fires, by the time a last one of its own has come.
func collectEvents(t *testing.T, db *soma.DB, fn func()) []soma.DomainEvent {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := db.Subscribe(ctx)
	fn()
	mark, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: "mark"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Documents().Upsert(t.Context(), mark.ID, "mark", typed(9, 0, nil, "x")); err != nil {
		t.Fatal(err)
	}
	var all []soma.DomainEvent
	for ev := range events {
		if ev.SpaceID == mark.ID {
			return all
		}
		if ev.Kind != soma.SpacesChanged || ev.Source == soma.SourceDaemon {
			all = append(all, ev)
		}
	}
	return all
}

// Signed data that is damaged cannot be mended: its space stays as it is, the others
// are rebuilt.
func TestRebuildLeavesDamagedSpaces(t *testing.T) {
	dir, spaces := library(t)
	damage(t, dir, `UPDATE entry SET ops = zeroblob(length(ops)) WHERE id = (SELECT max(id) FROM entry WHERE space = 1);
		UPDATE space SET name = 'damaged'`)
	db, err := soma.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found, err := db.Verify(t.Context())
	if err != nil || len(found) != 2 || found[0].Mendable == found[1].Mendable {
		t.Fatalf("Verify = %v, %v, want a problem of each kind", found, err)
	}
	if err := db.Rebuild(t.Context()); !errors.Is(err, soma.ErrCorrupt) || !strings.Contains(err.Error(), string(spaces[0])) {
		t.Errorf("Rebuild = %v, want ErrCorrupt for space %s", err, spaces[0])
	}
	for i, name := range []string{"damaged", "two"} {
		if space, err := db.Spaces().Get(t.Context(), spaces[i]); err != nil || space.Name != name {
			t.Errorf("space %d = %+v, %v, want the name %q", i, space, err, name)
		}
		if text, err := db.Documents().Text(t.Context(), spaces[i], "a"); err != nil || text != "text" {
			t.Errorf("Text = %q, %v", text, err)
		}
	}
}

func TestVerifyDuringWrites(t *testing.T) {
	db := somatest.Open(t)
	space, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: "busy"})
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for client := range uint64(4) {
		writers.Go(func() {
			for clock := range uint64(100) {
				var after *[2]uint64
				if clock > 0 {
					after = &[2]uint64{client + 1, clock - 1}
				}
				doc := soma.DocumentID([]string{"a", "b"}[client%2])
				if _, err := db.Documents().Upsert(t.Context(), space.ID, doc, typed(client+1, clock, after, "x")); err != nil {
					t.Errorf("Upsert = %v", err)
				}
			}
		})
	}
	for range 10 {
		if found, err := db.Verify(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("Verify = %v, %v", found, err)
		}
		if err := db.Rebuild(t.Context()); err != nil {
			t.Errorf("Rebuild = %v", err)
		}
	}
	writers.Wait()
}

func TestVerifyEnds(t *testing.T) {
	db := somatest.Open(t)
	if _, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify with an ended context = %v", err)
	}
	if err := db.Rebuild(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Rebuild with an ended context = %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Verify(t.Context()); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Verify after Close = %v, want ErrClosed", err)
	}
	if err := db.Rebuild(t.Context()); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("Rebuild after Close = %v, want ErrClosed", err)
	}
}

// A document that cannot be read is not edited either, and keeps no other from it.
func TestEditOfADamagedDocument(t *testing.T) {
	dir, spaces := library(t)
	damage(t, dir, `UPDATE entry SET ops = zeroblob(length(ops))
		WHERE space = (SELECT id FROM space WHERE name = 'one') AND chain = 1 AND length(ops) > 0`)
	db, err := soma.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		called := false
		_, err := db.Documents().Edit(t.Context(), spaces[0], "a", func(*soma.EditTx) error { called = true; return nil })
		if !errors.Is(err, soma.ErrCorrupt) || called {
			t.Errorf("Edit = %v, function called: %t", err, called)
		}
		err = db.Documents().View(t.Context(), spaces[0], "a", func(*soma.ViewTx) error { called = true; return nil })
		if !errors.Is(err, soma.ErrCorrupt) || called {
			t.Errorf("View = %v, function called: %t", err, called)
		}
	}
	edit(t, db, spaces[1], "a", write("!"))
	if text := rootText(t, db, spaces[1], "a"); text != "text!" {
		t.Errorf("text = %q", text)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
