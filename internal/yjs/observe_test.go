package yjs_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
)

// TestDeepEvents changes each of many maps that lie in one another: what the events take
// must not grow with how deep they lie, until somebody asks for a path.
func TestDeepEvents(t *testing.T) {
	const depth = 3000
	d := yjs.NewDoc(yjs.Options{ClientID: 1})
	root := declare(t, d, "root", yjs.KindArray)
	maps := make([]*yjs.Type, depth)
	edit(t, d, func(tx *yjs.Transaction) error {
		for i := range maps {
			m, err := yjs.NewMap(nil)
			if err == nil && i == 0 {
				err = root.Insert(tx, 0, "before", m)
			} else if err == nil {
				err = maps[i-1].Set(tx, "in", m)
			}
			if err != nil {
				return err
			}
			maps[i] = m
		}
		return nil
	})
	var fromRoot, fromInner []any
	root.ObserveDeep(func(events []*yjs.Event) {
		if len(events) != depth {
			t.Errorf("%d events, want %d", len(events), depth)
		}
		for i, e := range events {
			if e.Target != maps[i] {
				t.Fatalf("event %d is of another map", i)
			}
		}
		fromRoot = events[2].Path()
	})
	maps[depth-3].ObserveDeep(func(events []*yjs.Event) { fromInner = events[len(events)-1].Path() })
	bytes := allocated(func() {
		edit(t, d, func(tx *yjs.Transaction) error {
			for _, m := range slices.Backward(maps) {
				if err := m.Set(tx, "k", 1); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if bytes > 4000*depth {
		t.Errorf("%d bytes for %d events", bytes, depth)
	}
	if want := []any{uint64(1), "in", "in"}; !reflect.DeepEqual(fromRoot, want) {
		t.Errorf("path is %v, want %v", fromRoot, want)
	}
	if want := []any{"in", "in"}; !reflect.DeepEqual(fromInner, want) {
		t.Errorf("path from further in is %v, want %v", fromInner, want)
	}
}

// TestManyKeys tells of each key once, in order.
func TestManyKeys(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{ClientID: 1})
	root := declare(t, d, "root", yjs.KindMap)
	var changes []yjs.KeyChange
	cancel := root.Observe(func(e *yjs.Event) { changes = e.Keys() })
	edit(t, d, func(tx *yjs.Transaction) error {
		for i := range 200 {
			if err := root.Set(tx, fmt.Sprint(i%100), i); err != nil {
				return err
			}
		}
		return nil
	})
	cancel()
	if len(changes) != 100 {
		t.Fatalf("%d keys, want 100", len(changes))
	}
	for i, c := range changes {
		if want := (yjs.KeyChange{Key: fmt.Sprint(i), Action: yjs.KeyAdded}); c != want {
			t.Errorf("change %d is %v, want %v", i, c, want)
		}
	}
}

// TestObserverSees compares with yjs: what an observer adds is new in the event that it
// was told of, for those that come after it; what it deletes is not in it.
func TestObserverSees(t *testing.T) {
	d := yjs.NewDoc(yjs.Options{Live: true, ClientID: 1})
	text := declare(t, d, "t", yjs.KindText)
	edit(t, d, func(tx *yjs.Transaction) error { return text.InsertText(tx, 0, "me", nil) })
	answered := false
	text.Observe(func(*yjs.Event) {
		if answered {
			return
		}
		answered = true
		edit(t, d, func(tx *yjs.Transaction) error { return text.InsertText(tx, text.Len(), "!", nil) })
		edit(t, d, func(tx *yjs.Transaction) error { return text.Delete(tx, 0, 1) })
	})
	var got [][]yjs.DeltaOp
	text.Observe(func(e *yjs.Event) { got = append(got, e.Delta()) })
	if err := d.Apply(fromOther(t)); err != nil {
		t.Fatal(err)
	}
	want := [][]yjs.DeltaOp{
		{{Retain: 1}, {Insert: "hi!"}},
		{{Retain: 3}, {Insert: "!"}},
		{{Delete: 1}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("deltas are %v, want %v", got, want)
	}
}
