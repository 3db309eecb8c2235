//go:build cgo

package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// filled returns the bytes of a closed database of some 300 pages.
func filled(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	db := openIn(t, dir, store.Options{})
	for i := range 10 {
		err := db.Write(context.Background(), func(tx core.Tx) error {
			for j := range 100 {
				if err := tx.SetMeta(fmt.Sprint("key ", i, " ", j), []byte(strings.Repeat("v", 1000))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, db)
	b, err := os.ReadFile(filepath.Join(dir, "soma.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDamagedFilesAreRefused(t *testing.T) {
	good := filled(t)
	noise := make([]byte, 64<<10)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(noise); i++ {
		noise[i] = byte(r.Uint32())
	}
	patched := func(off int, b ...byte) []byte {
		c := append([]byte(nil), good...)
		copy(c[off:], b)
		return c
	}
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"text":               {[]byte("This is not a database.\n"), core.ErrNotDatabase},
		"nothing":            {nil, core.ErrCorrupt},
		"no version":         {patched(60, 0, 0, 0, 0), core.ErrCorrupt},
		"one byte":           {[]byte("S"), core.ErrNotDatabase},
		"noise":              {noise, core.ErrNotDatabase},
		"zeros":              {make([]byte, 8192), core.ErrNotDatabase},
		"another program's":  {patched(68, 0, 0, 0, 7), core.ErrNotDatabase},
		"nobody's":           {patched(68, 0, 0, 0, 0), core.ErrNotDatabase},
		"magic alone":        {good[:16], core.ErrCorrupt},
		"header cut":         {good[:99], core.ErrCorrupt},
		"header alone":       {good[:100], core.ErrCorrupt},
		"one page":           {good[:4096], core.ErrCorrupt},
		"half":               {good[:len(good)/2], core.ErrCorrupt},
		"one byte missing":   {good[:len(good)-1], core.ErrCorrupt},
		"last page missing":  {good[:len(good)-4096], core.ErrCorrupt},
		"page size 0":        {patched(16, 0, 0), core.ErrCorrupt},
		"page size 4097":     {patched(16, 16, 1), core.ErrCorrupt},
		"newer":              {patched(60, 0, 0, 1, 0), core.ErrSchemaTooNew},
		"negative version":   {patched(60, 255, 255, 255, 255), core.ErrSchemaTooNew},
		"newer and cut":      {patched(60, 0, 0, 1, 0)[:8192], core.ErrCorrupt},
		"another's, and cut": {patched(68, 0, 0, 0, 7)[:8192], core.ErrNotDatabase},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "soma.db"), c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, dir, c.want)
		})
	}
}

func TestDirectoryInPlaceOfTheDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "soma.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, dir, core.ErrNotDatabase)
}

// SQLite would delete a log without a database. It may be all that is left.
func TestLogWithoutDatabaseIsKept(t *testing.T) {
	dir := t.TempDir()
	start(t, "newer", dir).kill(t)
	if err := os.Remove(filepath.Join(dir, "soma.db")); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, dir, core.ErrCorrupt)
}

func TestDamageIsFoundAfterACrash(t *testing.T) {
	content := filled(t)
	middle := len(content) / 4096 / 2 * 4096
	for i := range 4096 { // a whole page, far from those of the schema
		content[middle+i] = 0xa5
	}
	dir := t.TempDir()
	for _, name := range []string{"soma.db", "soma.unclean"} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "soma.db" { // closed well, it is not searched for damage
			mustClose(t, openIn(t, dir, store.Options{}))
		}
	}
	wantRefused(t, dir, core.ErrCorrupt)
}

// Damage that no check can see must still be an error where it is read, never a
// panic, and never another error.
func TestRandomDamageIsAnError(t *testing.T) {
	good := filled(t)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		content := append([]byte(nil), good...)
		for range 1 + r.IntN(20) {
			off := 100 + r.IntN(len(content)-108)
			binary.LittleEndian.PutUint64(content[off:], r.Uint64())
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "soma.db"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := useAll(dir); err != nil && !errors.Is(err, core.ErrCorrupt) && !errors.Is(err, core.ErrNotDatabase) {
			t.Errorf("seed %d: %v, want ErrCorrupt", seed, err)
		}
	}
}

func useAll(dir string) error {
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	err = db.Read(ctx, func(v core.View) error {
		for i := range 10 {
			for j := range 100 {
				if _, err := v.Meta(fmt.Sprint("key ", i, " ", j)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return errors.Join(err, db.Write(ctx, func(tx core.Tx) error { return tx.SetMeta("new", []byte("v")) }), db.Close())
}

func TestFullDiskIsSaidClearly(t *testing.T) {
	db := open(t, store.Options{})
	if err := setMeta(db, "k", "before"); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	exec := func(sql string) {
		t.Helper()
		if err := db.Write(ctx, func(core.Tx) error { _, err := db.Query(sql); return err }); err != nil {
			t.Fatal(err)
		}
	}
	exec("PRAGMA max_page_count = 1") // that is: as large as it is now
	err := db.Write(ctx, func(tx core.Tx) error { return tx.SetDocSnapshot(1, make([]byte, 1<<20)) })
	if err == nil || !strings.Contains(err.Error(), "disk is full") || errors.Is(err, fs.ErrPermission) {
		t.Errorf("write to a full disk = %v", err)
	}
	exec("PRAGMA max_page_count = 1000000")
	if err := setMeta(db, "k", "after"); err != nil {
		t.Errorf("write after space was made = %v", err)
	}
	if got := getMeta(t, db, "k"); got != "after" {
		t.Errorf("meta = %q, want after", got)
	}
}
