//go:build cgo

package store_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
	"github.com/soma-sdk/soma/store/storetest"
)

func TestConformance(t *testing.T) {
	for name, opts := range map[string]store.Options{"full": {}, "relaxed": {Relaxed: true}, "one reader": {Readers: 1}} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, dir string) core.Store { return &planned{openIn(t, dir, opts), t} })
		})
	}
}

// planned looks at the plans of all statements that a test used.
type planned struct {
	*store.DB
	t *testing.T
}

func (p *planned) Close() error {
	err := p.Write(context.Background(), func(core.Tx) error { return p.CheckPlans() })
	if err != nil && !errors.Is(err, core.ErrClosed) {
		p.t.Error(err)
	}
	return p.DB.Close()
}

// openIn opens dir; the caller closes.
func openIn(t testing.TB, dir string, opts store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(dir, opts)
	if err != nil {
		t.Fatalf("Open(%s) = %v", dir, err)
	}
	return db
}

// open opens a fresh store and closes it when the test ends, checking that
// nothing of it is left running.
func open(t testing.TB, opts store.Options) *store.DB {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	db := openIn(t, t.TempDir(), opts)
	t.Cleanup(func() {
		mustClose(t, db)
		goleak.VerifyNone(t, ignore)
	})
	return db
}

func mustClose(t testing.TB, db *store.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func setMeta(db *store.DB, key, value string) error {
	return db.Write(context.Background(), func(tx core.Tx) error { return tx.SetMeta(key, []byte(value)) })
}

func getMeta(t testing.TB, db *store.DB, key string) string {
	t.Helper()
	var value []byte
	err := db.Read(context.Background(), func(v core.View) (err error) {
		value, err = v.Meta(key)
		return err
	})
	if err != nil {
		t.Fatalf("read meta %s: %v", key, err)
	}
	return string(value)
}
