package soma_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// TestBlobsOfRestoredDatabase has an older database take the place of the one in the directory.
// The log of what was put since comes back from a peer; the bytes must not be gone.
func TestBlobsOfRestoredDatabase(t *testing.T) {
	dir := t.TempDir()
	db := somatest.OpenDir(t, dir)
	space := newSpace(t, db, "x")
	putBlob(t, db, space, randomBytes(1, 100_000), soma.PutOptions{})
	mustClose(t, db)
	older := t.TempDir()
	copyInto(t, older, dir, func(name string) bool { return name == "soma.db" })

	db = somatest.OpenDir(t, dir)
	b := randomBytes(2, 100_000)
	putBlob(t, db, space, b, soma.PutOptions{})
	archive := export(t, db, space)
	mustClose(t, db)
	old := time.Now().Add(-48 * time.Hour)
	for _, f := range poolFiles(t, dir) {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	aside(t, dir, "soma.db")
	copyInto(t, dir, older, func(name string) bool { return name == "soma.db" })

	db = somatest.OpenDir(t, dir)
	done, err := db.Blobs().GC(t.Context()) // the DB does so a minute after Open
	if done.Blobs != 0 || err != nil {
		t.Errorf("GC = %+v, %v", done, err)
	}
	importInto(t, db, archive)
	wantBlob(t, db, space, b)
}

// TestBlobsOfMendedDatabase loses the rows of table blob, which Verify finds and Rebuild mends. The bytes must still be there.
func TestBlobsOfMendedDatabase(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	var mu sync.Mutex
	clock := soma.WithClock(func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	db := somatest.OpenDir(t, dir, clock)
	space := newSpace(t, db, "x")
	b := randomBytes(1, 100_000)
	putBlob(t, db, space, b, soma.PutOptions{})
	mustClose(t, db)
	damage(t, dir, "DELETE FROM blob")
	db = somatest.OpenDir(t, dir, clock)
	if found, err := db.Verify(t.Context()); err != nil || len(found) == 0 {
		t.Errorf("Verify = %v, %v, want problems", found, err)
	}
	for range 2 {
		if done, err := db.Blobs().GC(t.Context()); err != nil || done.Blobs != 0 {
			t.Errorf("GC = %+v, %v", done, err)
		}
		mu.Lock()
		now = now.Add(3 * time.Hour)
		mu.Unlock()
	}
	if err := db.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantBlob(t, db, space, b)
}
