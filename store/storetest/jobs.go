package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// meta returns the value of a key as a reader sees it; "" if there is none.
func (f *fixture) meta(key string) string {
	f.t.Helper()
	var got []byte
	f.read(func(v core.View) (err error) {
		got, err = v.Meta(key)
		return err
	})
	return string(got)
}

func (f *fixture) wantMeta(key, want string) {
	f.t.Helper()
	if got := f.meta(key); got != want {
		f.t.Errorf("Meta(%q) = %q, want %q", key, got, want)
	}
}

func testFailedJob(t *testing.T, f *fixture) {
	ctx, mine := context.Background(), errors.New("mine")
	f.write(func(tx core.Tx) error { return tx.SetMeta("k", []byte("before")) })
	err := f.store.Write(ctx, func(tx core.Tx) error {
		if err := tx.SetMeta("k", []byte("during")); err != nil {
			return err
		}
		rec := core.SpaceRecord{ID: "s", Creator: peer("only here")}
		return errors.Join(tx.PutSpace(&rec), mine)
	})
	if !errors.Is(err, mine) {
		t.Fatalf("Write() = %v, want the error of fn", err)
	}
	f.wantMeta("k", "before")
	// What the failed job interned must not be remembered as stored.
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.PutSpace(&core.SpaceRecord{ID: "a", Creator: peer("someone else")}),
			tx.PutSpace(&core.SpaceRecord{ID: "b", Creator: peer("only here")}))
	}, func(v core.View) error {
		a, err := v.Space("a")
		b, err2 := v.Space("b")
		return errors.Join(equal("creator of a", a.Creator, err, peer("someone else")), equal("creator of b", b.Creator, err2, peer("only here")))
	})
	err = f.store.Read(ctx, func(core.View) error { return mine })
	if !errors.Is(err, mine) {
		t.Errorf("Read() = %v, want the error of fn", err)
	}
}

func testPanic(t *testing.T, f *fixture) {
	value := func() (value any) {
		defer func() { value = recover() }()
		_ = f.store.Write(context.Background(), func(tx core.Tx) error {
			if err := tx.SetMeta("k", []byte("v")); err != nil {
				return err
			}
			panic("in write")
		})
		return nil
	}()
	if value != "in write" {
		t.Errorf("Write panicked with %v, want the value of fn", value)
	}
	f.wantMeta("k", "")
	value = func() (value any) {
		defer func() { value = recover() }()
		_ = f.store.Read(context.Background(), func(core.View) error { panic("in read") })
		return nil
	}()
	if value != "in read" {
		t.Errorf("Read panicked with %v, want the value of fn", value)
	}
	f.write(func(tx core.Tx) error { return tx.SetMeta("k", []byte("after")) })
	f.wantMeta("k", "after")
}

// testGoexit does what testing.T.FailNow does inside a job.
func testGoexit(t *testing.T, f *fixture) {
	undone := false
	err := make(chan error, 1)
	go func() {
		defer close(err)
		err <- f.store.Write(context.Background(), func(tx core.Tx) error {
			tx.OnRollback(func() { undone = true })
			if err := tx.SetMeta("k", []byte("v")); err != nil {
				return err
			}
			runtime.Goexit()
			return nil
		})
	}()
	if <-err == nil {
		// A store that runs fn in the caller's goroutine ends it: nothing arrives.
		t.Log("Write ended its caller")
	}
	f.wantMeta("k", "")
	f.write(func(tx core.Tx) error { return tx.SetMeta("k", []byte("after")) })
	f.wantMeta("k", "after")
	if !undone {
		t.Error("OnRollback did not run")
	}
}

func testRollback(t *testing.T, f *fixture) {
	var order []string
	note := func(s string) func() { return func() { order = append(order, s) } }
	fail := errors.New("fail")
	_ = f.store.Write(context.Background(), func(tx core.Tx) error {
		tx.OnRollback(note("first"))
		tx.OnRollback(note("second"))
		return fail
	})
	f.write(func(tx core.Tx) error {
		tx.OnRollback(note("never"))
		order = append(order, "next job")
		return nil
	})
	func() {
		defer func() { _ = recover() }()
		_ = f.store.Write(context.Background(), func(tx core.Tx) error {
			tx.OnRollback(note("panic"))
			panic("p")
		})
	}()
	f.write(func(core.Tx) error { return nil })
	if want := []string{"second", "first", "next job", "panic"}; !slices.Equal(order, want) {
		t.Errorf("order is %v, want %v", order, want)
	}
}

func testReadIsolation(t *testing.T, f *fixture) {
	f.write(func(tx core.Tx) error { return errors.Join(tx.SetMeta("a", []byte("1")), tx.SetMeta("b", []byte("1"))) })
	f.read(func(v core.View) error {
		a, err := v.Meta("a")
		if err := equal("Meta(a)", string(a), err, "1"); err != nil {
			return err
		}
		// A write beside this read is not held up by it, and not seen by it.
		f.write(func(tx core.Tx) error { return errors.Join(tx.SetMeta("a", []byte("2")), tx.SetMeta("b", []byte("2"))) })
		b, err := v.Meta("b")
		return equal("Meta(b)", string(b), err, "1")
	})
	f.wantMeta("b", "2")
}

func testConcurrentWrites(t *testing.T, f *fixture) {
	const callers, each = 16, 40
	fail := errors.New("fail")
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprint("key ", c, " ", i)
				write := f.store.Write
				if i%5 == 0 {
					write = f.store.WriteSynced
				}
				err := write(context.Background(), func(tx core.Tx) error {
					if err := tx.SetMeta(key, []byte("v")); err != nil || i%3 == 0 {
						return errors.Join(err, fail)
					}
					return nil
				})
				if (i%3 == 0) != errors.Is(err, fail) || (i%3 != 0) != (err == nil) {
					t.Errorf("write %s: %v", key, err)
				}
				if i%7 == 0 {
					want := "v"
					if i%3 == 0 {
						want = ""
					}
					err := f.store.Read(context.Background(), func(v core.View) error {
						got, err := v.Meta(key)
						return equal("Meta", string(got), err, want)
					})
					if err != nil {
						t.Errorf("read own write: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	f.reopen()
	f.read(func(v core.View) error {
		for c := range callers {
			for i := range each {
				want := "v"
				if i%3 == 0 {
					want = ""
				}
				got, err := v.Meta(fmt.Sprint("key ", c, " ", i))
				if err := equal(fmt.Sprint("Meta of ", c, " ", i), string(got), err, want); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func testContext(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ran := false
	fn := func(core.Tx) error { ran = true; return nil }
	for name, err := range map[string]error{
		"Write":       f.store.Write(ctx, fn),
		"WriteSynced": f.store.WriteSynced(ctx, fn),
		"Read":        f.store.Read(ctx, func(core.View) error { ran = true; return nil }),
	} {
		if err := fails(name+" with a cancelled ctx", err, context.Canceled); err != nil {
			t.Error(err)
		}
	}
	if ran {
		t.Error("a function ran in spite of its ctx")
	}

	// Cancelled after the claim: the result counts.
	ctx, cancel = context.WithCancel(context.Background())
	err := f.store.Write(ctx, func(tx core.Tx) error {
		cancel()
		return tx.SetMeta("k", []byte("stored"))
	})
	if err != nil {
		t.Errorf("Write() with a ctx that ends after the claim = %v", err)
	}
	f.wantMeta("k", "stored")

	// Cancelled before the claim: nothing is stored.
	ctx, cancel = context.WithCancel(context.Background())
	result := make(chan error)
	f.write(func(core.Tx) error { // the writer is busy until the second call has given up
		go func() {
			result <- f.store.Write(ctx, func(tx core.Tx) error { return tx.SetMeta("k", []byte("too late")) })
		}()
		cancel()
		return fails("Write before its claim", <-result, context.Canceled)
	})
	f.wantMeta("k", "stored")
}

func testClosed(t *testing.T, f *fixture) {
	ctx := context.Background()
	f.close()
	f.close()
	ran := false
	for name, err := range map[string]error{
		"Write":       f.store.Write(ctx, func(core.Tx) error { ran = true; return nil }),
		"WriteSynced": f.store.WriteSynced(ctx, func(core.Tx) error { ran = true; return nil }),
		"Read":        f.store.Read(ctx, func(core.View) error { ran = true; return nil }),
	} {
		if err := fails(name+" after Close", err, core.ErrClosed); err != nil {
			t.Error(err)
		}
	}
	if ran {
		t.Error("a function ran after Close")
	}
}
