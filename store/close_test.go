//go:build cgo

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

func TestCloseLetsRunningCallsFinish(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	dir := t.TempDir()
	db := openIn(t, dir, store.Options{})
	ctx := context.Background()

	var calls, closes sync.WaitGroup
	reading, writing, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	calls.Go(func() {
		err := db.Read(ctx, func(v core.View) error {
			close(reading)
			<-release
			_, err := v.Meta("k")
			return err
		})
		if err != nil {
			t.Errorf("Read() during Close = %v", err)
		}
	})
	calls.Go(func() {
		err := db.Write(ctx, func(tx core.Tx) error {
			close(writing)
			<-release
			return tx.SetMeta("k", []byte("v"))
		})
		if err != nil {
			t.Errorf("Write() during Close = %v", err)
		}
	})
	<-reading
	<-writing
	for range 3 {
		closes.Go(func() { mustClose(t, db) })
	}
	for errors.Is(db.Read(ctx, func(core.View) error { return nil }), nil) { // until a Close has begun
	}
	if err := setMeta(db, "late", "v"); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Write() after Close began = %v, want ErrClosed", err)
	}
	close(release)
	calls.Wait()
	closes.Wait()
	goleak.VerifyNone(t, ignore)

	db = openIn(t, dir, store.Options{})
	if got := getMeta(t, db, "k"); got != "v" {
		t.Errorf("meta = %q, want v", got)
	}
	mustClose(t, db)
}

// Whatever Write answered while the store closed must be true.
func TestCloseAmongWrites(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	dir := t.TempDir()
	for round := range 5 {
		db := openIn(t, dir, store.Options{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		stored := make(map[string]bool)
		begun := make(chan struct{}, 8)
		for g := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					key := fmt.Sprint(round, " ", g, " ", i)
					err := setMeta(db, key, "v")
					mu.Lock()
					stored[key] = err == nil
					mu.Unlock()
					if err != nil {
						if !errors.Is(err, core.ErrClosed) {
							t.Errorf("Write() = %v, want ErrClosed", err)
						}
						return
					}
					if i == round {
						begun <- struct{}{}
					}
				}
			})
		}
		<-begun
		mustClose(t, db)
		wg.Wait()
		db = openIn(t, dir, store.Options{})
		for key, want := range stored {
			if got := getMeta(t, db, key) == "v"; got != want {
				t.Errorf("key %s is stored: %v, was acknowledged: %v", key, got, want)
			}
		}
		mustClose(t, db)
	}
	goleak.VerifyNone(t, ignore)
}

func TestUncleanMark(t *testing.T) {
	dir := t.TempDir()
	mark := filepath.Join(dir, "soma.unclean")
	db := openIn(t, dir, store.Options{})
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("mark of an open store: %v", err)
	}
	mustClose(t, db)
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("mark of a closed store: %v, want none", err)
	}
}
