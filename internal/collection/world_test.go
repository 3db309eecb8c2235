package collection_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// theTime is when tests begin.
const theTime = int64(1_700_000_000_000)

// failer is a test, or one run of a property.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is collections over a real store, with a clock that stands still until it is moved.
type world struct {
	*collection.Collections
	t     testing.TB
	dir   string
	db    *store.DB
	nowMs atomic.Int64
	log   bytes.Buffer
	names int
}

// newWorld opens collections in a new directory. The end of the test looks for damage.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.nowMs.Store(theTime)
	w.open()
	t.Cleanup(func() {
		err := w.db.Read(context.Background(), func(v core.View) error {
			return v.Check(func(d core.Damage) error {
				t.Errorf("Check found %+v", d)
				return nil
			})
		})
		if err != nil {
			t.Errorf("Check = %v", err)
		}
		w.close()
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	db, err := store.Open(w.dir, store.Options{Relaxed: true}) // these tests end no machine
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	w.Collections = collection.New(collection.Config{
		Store: seam{db}, Now: func() time.Time { return time.UnixMilli(w.nowMs.Load()) },
		Logger: slog.New(slog.NewTextHandler(io.Writer(&w.log), nil)),
	})
}

func (w *world) close() {
	w.t.Helper()
	w.Close()
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) reopen() {
	w.t.Helper()
	w.close()
	w.open()
}

// name returns the name of a collection that is not there.
func (w *world) name() string {
	w.names++
	return fmt.Sprint("c", w.names)
}

// seam is a store as collections see it.
type seam struct{ *store.DB }

func (s seam) Write(ctx context.Context, fn func(core.CollectionTx) error) error {
	return s.DB.Write(ctx, func(tx core.Tx) error { return fn(tx) })
}

func (s seam) Read(ctx context.Context, fn func(core.CollectionView) error) error {
	return s.DB.Read(ctx, func(v core.View) error { return fn(v) })
}

// put must succeed.
func (w *world) put(t failer, name, key, value string, atMs int64) {
	t.Helper()
	if err := w.Put(context.Background(), name, key, json.RawMessage(value), atMs); err != nil {
		t.Fatalf("Put(%q, %.40s, %d) = %v", key, value, atMs, err)
	}
}

// del must succeed, on collection c.
func (w *world) del(t failer, key string, atMs int64) {
	t.Helper()
	if err := w.Delete(context.Background(), "c", key, atMs); err != nil {
		t.Fatalf("Delete(%q, %d) = %v", key, atMs, err)
	}
}

func (w *world) clear(t failer, name string, atMs int64) {
	t.Helper()
	if err := w.Clear(context.Background(), name, atMs); err != nil {
		t.Fatalf("Clear(%d) = %v", atMs, err)
	}
}

func show(key string, value []byte, atMs int64) string {
	return fmt.Sprintf("%s=%.40s@%d", key, value, atMs-theTime)
}

// list returns the records in order, with times from theTime on.
func (w *world) list(t failer, name string) []string {
	t.Helper()
	all := []string{}
	for rec, err := range w.List(context.Background(), name) {
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		all = append(all, show(rec.Key, rec.Value, rec.UpdatedAtMs))
	}
	return all
}

func (w *world) wantList(t failer, name string, want ...string) {
	t.Helper()
	if got := w.list(t, name); !slices.Equal(got, want) {
		t.Fatalf("List = %q, want %q", got, want)
	}
}

// row returns the row of collection c.
func (w *world) row(t failer) (row core.CollectionRow) {
	t.Helper()
	err := w.db.Read(context.Background(), func(v core.View) (err error) {
		row, err = v.Collection("c")
		return err
	})
	if err != nil {
		t.Fatalf("Collection = %v", err)
	}
	return row
}
