//go:build cgo

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// withStep returns the released schema and one later step.
func withStep(sql string) []string { return append(slices.Clone(store.Steps()), sql) }

func TestMigrationKeepsDataAndBackup(t *testing.T) {
	dir := t.TempDir()
	db := openIn(t, dir, store.Options{})
	if err := setMeta(db, "k", "v"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)

	steps := withStep("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT; INSERT INTO later VALUES (1); INSERT INTO later VALUES (2)")
	for range 2 { // the second time there is nothing to do
		db, err := store.OpenWithSteps(dir, store.Options{}, steps)
		if err != nil {
			t.Fatalf("Open with a later schema = %v", err)
		}
		err = db.Write(context.Background(), func(core.Tx) error {
			n, err := db.Query("SELECT count(*) FROM later")
			if n != int64(2) {
				t.Errorf("the step left %v rows, want 2", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := getMeta(t, db, "k"); got != "v" {
			t.Errorf("meta after the migration = %q, want v", got)
		}
		mustClose(t, db)
	}
	wantTooNew(t, dir)

	// The backup is the old database.
	old := t.TempDir()
	copyFile(t, filepath.Join(dir, fmt.Sprintf("soma.db.v%d.backup", len(store.Steps()))), filepath.Join(old, "soma.db"))
	db = openIn(t, old, store.Options{})
	if got := getMeta(t, db, "k"); got != "v" {
		t.Errorf("meta in the backup = %q, want v", got)
	}
	mustClose(t, db)
}

func TestMigrationFailsAsAWhole(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, openIn(t, dir, store.Options{}))
	steps := append(withStep("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT"), "this is not SQL")
	for range 2 {
		if _, err := store.OpenWithSteps(dir, store.Options{}, steps); err == nil {
			t.Fatal("Open with a broken step = nil")
		}
	}
	db := openIn(t, dir, store.Options{}) // still the old version
	err := db.Write(context.Background(), func(core.Tx) error {
		n, err := db.Query("SELECT count(*) FROM sqlite_schema WHERE name = 'later'")
		if n != int64(0) {
			t.Error("the first step stayed although the second failed")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	mustClose(t, db)
	if _, err := store.OpenWithSteps(t.TempDir(), store.Options{}, steps); err == nil {
		t.Error("Open of a new directory with a broken step = nil")
	}
}

func TestCreationIsTakenUpAfterACrash(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"soma.db.new", "soma.db.new-wal", "soma.db.new-journal"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half a database"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, openIn(t, dir, store.Options{}))
	if got, want := names(t, dir), []string{"soma.db", "soma.lock"}; !slices.Equal(got, want) {
		t.Errorf("files are %v, want %v", got, want)
	}
}

func TestNewerSchemaIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	db, err := store.OpenWithSteps(dir, store.Options{}, withStep("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT"))
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	wantTooNew(t, dir)
}

// A crash can leave the newer version in the log alone. Opening the database
// would replay it.
func TestNewerSchemaInTheLogIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	start(t, "newer", dir).kill(t)
	if info, err := os.Stat(filepath.Join(dir, "soma.db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("the log is %v, %v, want content", info, err)
	}
	wantTooNew(t, dir)
}

func wantTooNew(t *testing.T, dir string) {
	t.Helper()
	wantRefused(t, dir, core.ErrSchemaTooNew)
}

// wantRefused checks that Open returns the error and leaves every file as it was.
func wantRefused(t *testing.T, dir string, want error) {
	t.Helper()
	before := snapshot(t, dir)
	if db, err := store.Open(dir, store.Options{}); !errors.Is(err, want) {
		if err == nil {
			mustClose(t, db)
		}
		t.Fatalf("Open() = %v, want %v", err, want)
	}
	after := snapshot(t, dir)
	if !maps.EqualFunc(before, after, bytes.Equal) {
		t.Errorf("files were changed: %v before, %v after", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
}

// snapshot reads the files of a closed store, but for the lock's.
func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	for _, name := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "soma.lock" || name == "soma.lock.owner" || !info.Mode().IsRegular() {
			continue
		}
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
