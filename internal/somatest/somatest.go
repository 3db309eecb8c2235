// Package somatest opens databases for tests, and makes Yjs updates for them.
package somatest

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma"
)

// Main runs the tests of a package and fails if they leave a goroutine behind.
// It belongs into TestMain. Looking once at the end, not in each test, is what
// lets tests run in parallel.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }

// Open opens a database in a new directory. The test's end closes it, and fails
// the test if that returns an error.
func Open(t testing.TB, opts ...soma.Option) *soma.DB {
	t.Helper()
	return OpenDir(t, t.TempDir(), opts...)
}

// OpenDir is Open of a given directory. A test may Close the DB itself; else the end of
// the test also fails if Verify finds something.
func OpenDir(t testing.TB, dir string, opts ...soma.Option) *soma.DB {
	t.Helper()
	db, err := soma.Open(dir, opts...)
	if err != nil {
		t.Fatalf("Open(%q) = %v", dir, err)
	}
	t.Cleanup(func() {
		found, err := db.Verify(context.Background())
		if err != nil && !errors.Is(err, soma.ErrClosed) {
			t.Errorf("Verify = %v", err)
		}
		for _, p := range found {
			t.Errorf("Verify found %s", p)
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return db
}
