//go:build cgo

package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

// together runs the functions in one batch, in order, and returns their errors.
func together(t *testing.T, db *store.DB, fns ...func(core.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	// This job's own error is the fate of the whole batch, which the others report.
	_ = db.Write(context.Background(), func(core.Tx) error {
		for i, fn := range fns { // the writer is in here: they queue up
			wg.Go(func() { errs[i] = db.Write(context.Background(), fn) })
			for db.QueueLen() != i+1 {
				runtime.Gosched()
			}
		}
		return nil
	})
	wg.Wait()
	return errs
}

func put(key string) func(core.Tx) error {
	return func(tx core.Tx) error { return tx.SetMeta(key, []byte("v")) }
}

func TestJobsShareATransaction(t *testing.T) {
	db := open(t, store.Options{})
	fns := make([]func(core.Tx) error, 20)
	for i := range fns {
		fns[i] = put(fmt.Sprint(i))
	}
	fns = append(fns, func(tx core.Tx) error {
		for i := range 20 {
			mine, err := tx.Meta(fmt.Sprint(i))
			if err != nil || string(mine) != "v" {
				t.Errorf("job sees %q, %v of job %d before the commit", mine, err, i)
			}
			if got := getMeta(t, db, fmt.Sprint(i)); got != "" {
				t.Errorf("reader sees %q of job %d before the commit", got, i)
			}
		}
		return nil
	})
	if err := errors.Join(together(t, db, fns...)...); err != nil {
		t.Error(err)
	}
	for i := range 20 {
		if got := getMeta(t, db, fmt.Sprint(i)); got != "v" {
			t.Errorf("reader sees %q of job %d after the commit", got, i)
		}
	}
}

func TestFailureUndoesOnlyItsJob(t *testing.T) {
	db := open(t, store.Options{})
	mine := errors.New("mine")
	for _, failing := range [][]int{{0}, {1}, {3}, {0, 1}, {1, 2}, {0, 1, 2, 3}} {
		var fns []func(core.Tx) error
		for i := range 4 {
			key := fmt.Sprint(failing, i)
			fns = append(fns, func(tx core.Tx) error {
				if err := tx.SetMeta(key, []byte("v")); err != nil {
					return err
				}
				if slices.Contains(failing, i) {
					return mine
				}
				return nil
			})
		}
		for i, err := range together(t, db, fns...) {
			want, value := error(nil), "v"
			if slices.Contains(failing, i) {
				want, value = mine, ""
			}
			if err != want { //nolint:errorlint // fn's error arrives as it is
				t.Errorf("failing %v: job %d = %v, want %v", failing, i, err, want)
			}
			if got := getMeta(t, db, fmt.Sprint(failing, i)); got != value {
				t.Errorf("failing %v: job %d left %q, want %q", failing, i, got, value)
			}
		}
	}
}

func TestFailedCommitFailsTheBatch(t *testing.T) {
	db := open(t, store.Options{})
	var order []string
	note := func(s string) func() { return func() { order = append(order, s) } }
	errs := together(t, db,
		func(tx core.Tx) error { tx.OnRollback(note("1a")); tx.OnRollback(note("1b")); return put("one")(tx) },
		func(core.Tx) error { // a foreign key that is only looked at by COMMIT
			return errors.Join(db.Exec("PRAGMA defer_foreign_keys = ON"),
				db.Exec("INSERT INTO writer (ident, peer, incarnation) VALUES (x'01', 12345, x'02')"))
		},
		func(tx core.Tx) error { tx.OnRollback(note("3")); return put("three")(tx) },
	)
	for i, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
			t.Errorf("job %d = %v, want the error of the commit", i, err)
		}
	}
	if err := setMeta(db, "next", "v"); err != nil {
		t.Errorf("write after a failed commit = %v", err)
	}
	if want := []string{"3", "1b", "1a"}; !slices.Equal(order, want) {
		t.Errorf("OnRollback order is %v, want %v", order, want)
	}
	for key, want := range map[string]string{"one": "", "three": "", "next": "v"} {
		if got := getMeta(t, db, key); got != want {
			t.Errorf("meta %s = %q, want %q", key, got, want)
		}
	}
}

// Some errors end the transaction. What the job does next must not be stored on
// its own, and the jobs before it did not happen.
func TestLostTransactionFailsTheBatch(t *testing.T) {
	db := open(t, store.Options{})
	for _, own := range []error{nil, errors.New("own")} {
		testLostTransaction(t, db, own)
	}
}

func testLostTransaction(t *testing.T, db *store.DB, own error) {
	var undone []string
	errs := together(t, db,
		func(tx core.Tx) error {
			tx.OnRollback(func() { undone = append(undone, "first") })
			return errors.Join(tx.SetMeta("after", nil), put("before")(tx))
		},
		func(tx core.Tx) error {
			tx.OnRollback(func() { undone = append(undone, "second") })
			if err := db.Exec("INSERT OR ROLLBACK INTO meta (key, value) VALUES ('before', x'00')"); err == nil {
				t.Error("a second row with the same key was taken")
			}
			if err := put("inside")(tx); err == nil {
				t.Error("SetMeta after the transaction was lost = nil")
			}
			return own // nil is what a careless caller returns
		},
		put("after"),
	)
	if errs[0] == nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("Write() = %v, want errors of the first two", errs)
	}
	if own != nil && !errors.Is(errs[1], own) {
		t.Errorf("Write() = %v, want the error of fn", errs[1])
	}
	if want := []string{"second", "first"}; !slices.Equal(undone, want) {
		t.Errorf("OnRollback order is %v, want %v", undone, want)
	}
	for key, want := range map[string]string{"before": "", "inside": "", "after": "v"} {
		if got := getMeta(t, db, key); got != want {
			t.Errorf("meta %s = %q, want %q", key, got, want)
		}
	}
}

func TestViewEndsWithItsFunction(t *testing.T) {
	db := open(t, store.Options{})
	var leaked core.Tx
	if err := db.Write(context.Background(), func(tx core.Tx) error { leaked = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := leaked.Meta("k"); err == nil {
		t.Error("Meta after the end = nil")
	}
	if err := leaked.PutSpace(&core.SpaceRecord{ID: "s", Creator: core.PeerIDFromKey(make([]byte, 32))}); err == nil {
		t.Error("PutSpace after the end = nil")
	}
}

func TestWriteSyncedSyncsUnderRelaxed(t *testing.T) {
	db := open(t, store.Options{Relaxed: true})
	level := func(want string) func(core.Tx) error {
		return func(core.Tx) error {
			got, err := db.Synchronous()
			if got != want {
				t.Errorf("synchronous = %s, want %s", got, want)
			}
			return err
		}
	}
	ctx := context.Background()
	for range 3 {
		if err := errors.Join(db.Write(ctx, level("1")), db.WriteSynced(ctx, level("2")), db.Write(ctx, level("1"))); err != nil {
			t.Error(err)
		}
	}
	// One that arrives while a relaxed batch runs begins a batch of its own.
	var wg sync.WaitGroup
	err := db.Write(ctx, func(core.Tx) error {
		wg.Go(func() {
			if err := db.WriteSynced(ctx, level("2")); err != nil {
				t.Error(err)
			}
		})
		for db.QueueLen() != 1 {
			runtime.Gosched()
		}
		return level("1")(nil)
	})
	wg.Wait()
	if err != nil {
		t.Error(err)
	}
}

func TestReadWaitsOnItsContext(t *testing.T) {
	db := open(t, store.Options{Readers: 1})
	err := db.Read(context.Background(), func(core.View) error {
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error)
		go func() { result <- db.Read(ctx, func(core.View) error { return nil }) }()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Read() = %v, want context.Canceled", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
