package collection_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/collection"
)

func (w *world) watch(ctx context.Context, name string) <-chan collection.Change {
	return collection.Watch(ctx, w.Collections, name, func(c collection.Change) collection.Change { return c })
}

func TestWatchCoalesces(t *testing.T) {
	w := newWorld(t)
	changes := w.watch(t.Context(), "c")
	other := w.watch(t.Context(), "other")
	w.put(t, "c", "first", `0`, theTime) // on its way to the reader
	for i := range 10_000 {
		w.put(t, "c", fmt.Sprint("k", i%3), fmt.Sprint(i), theTime+int64(i))
	}
	w.del(t, "k1", theTime+20_000)
	w.put(t, "other", "o", `1`, theTime)
	var got []string
	for range 4 {
		change := <-changes
		got = append(got, fmt.Sprint(change.Kind, " ", show(change.Key, change.Value, change.UpdatedAtMs)))
	}
	want := []string{"put first=0@0", "put k0=9999@9999", "deleted k1=@20000", "put k2=9998@9998"}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if change := <-other; change.Key != "o" || change.Collection != "other" {
		t.Errorf("another watch was told %+v", change)
	}
}

func TestWatchOverflowIsOneReset(t *testing.T) {
	w := newWorld(t)
	w.SetRules("large", func(r *collection.Rules) { r.MaxBytes = 1 << 30 })
	many, large := w.watch(t.Context(), "many"), w.watch(t.Context(), "large")
	err := w.Update(t.Context(), "many", func(b *collection.Batch) error {
		for i := range collection.MaxPendingChanges + 2 {
			if _, err := b.Apply(collection.Write{Key: fmt.Sprint(i), Value: []byte(`1`), UpdatedAtMs: theTime}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		w.put(t, "large", fmt.Sprint(i), `"`+strings.Repeat("x", 900_000)+`"`, theTime)
	}
	for name, changes := range map[string]<-chan collection.Change{"many": many, "large": large} {
		var kinds []collection.ChangeKind
		for change := range changes {
			kinds = append(kinds, change.Kind)
			if change.Kind == collection.Reset {
				break
			}
		}
		if len(kinds) > 2 { // one may have been on its way
			t.Errorf("%s: %d changes before the reset", name, len(kinds))
		}
		w.put(t, name, "after", `1`, theTime+1)
		// The reset may still wait, in a newer form: it stands for this one too then.
		if change := <-changes; change.Key != "after" && change.Kind != collection.Reset {
			t.Errorf("%s: %+v after the reset, want the next change", name, change)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	w := newWorld(t)
	ended, cancel := context.WithCancel(t.Context())
	byContext, byClose := w.watch(ended, "c"), w.watch(t.Context(), "c")
	w.put(t, "c", "a", `1`, theTime) // nobody reads it
	cancel()
	for change := range byContext {
		if change.Key != "a" {
			t.Errorf("told %+v", change)
		}
	}
	if _, ok := <-w.watch(ended, "c"); ok {
		t.Error("a watch under a context that has ended tells something")
	}
	w.Close()
	for change := range byClose {
		if change.Key != "a" {
			t.Errorf("told %+v", change)
		}
	}
	if _, ok := <-w.watch(t.Context(), "c"); ok {
		t.Error("a watch after Close tells something")
	}
	w.put(t, "c", "b", `1`, theTime) // tells nobody
	w.Close()
}

// Writers, readers and watches at once: every watch ends with what is there, in spite of
// resets, and no writer waits for them.
func TestConcurrentUse(t *testing.T) {
	w := newWorld(t)
	w.SetRules("c", func(r *collection.Rules) { r.MaxRecords, r.Evict = 30, true })
	const writers, watches, steps = 4, 3, 300
	var reading, writing sync.WaitGroup
	mirrors := make([]*mirror, watches)
	for i := range mirrors {
		m := newMirror(w.watch(t.Context(), "c"))
		mirrors[i] = m
		reading.Go(func() {
			for change := range m.changes {
				if change.Key == "last" {
					return
				}
				m.apply(change)
			}
		})
	}
	for g := range writers {
		writing.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range steps {
				key, atMs := fmt.Sprint("k", r.IntN(50)), theTime+int64(r.IntN(1000))
				switch r.IntN(20) {
				case 0:
					w.clear(t, "c", theTime+int64(r.IntN(300)))
				case 1, 2, 3:
					w.del(t, key, atMs)
				case 4:
					for _, err := range w.List(t.Context(), "c") {
						if err != nil {
							t.Error(err)
						}
					}
				default:
					w.put(t, "c", key, fmt.Sprint(r.IntN(100)), atMs)
				}
			}
		})
	}
	writing.Wait()
	list := w.list(t, "c")
	w.SetRules("c", func(r *collection.Rules) { r.MaxRecords = 1000 })
	w.put(t, "c", "last", `0`, theTime+2000)
	reading.Wait()
	slices.Sort(list)
	for i, m := range mirrors {
		got := []string{}
		for key, rec := range m.records {
			got = append(got, show(key, rec.Value, rec.UpdatedAtMs))
		}
		slices.Sort(got)
		if m.resets > 0 || !slices.Equal(got, list) {
			t.Errorf("watch %d, after %d resets, was told %q, there is %q", i, m.resets, got, list)
		}
	}
}
