package collection_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/collection"
)

// A call that stores nothing does not decide which version later values have.
func TestVersionOfACollectionThatIsNotThere(t *testing.T) {
	for what, call := range map[string]func(*world) error{
		"SetItem of nothing": func(w *world) error {
			_, err := w.SetItem(t.Context(), "c", collection.StorageWrite{Value: []byte(`{}`)})
			return err
		},
		"Put that has expired": func(w *world) error {
			w.SetRules("c", func(r *collection.Rules) { r.TTL = time.Second })
			return w.Put(t.Context(), "c", "k", json.RawMessage(`1`), theTime-10_000)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			if err := call(w); err != nil {
				t.Fatal(err)
			}
			w.setSchema(2, map[int]collection.Migration{1: wrap(2)})
			w.put(t, "c", "k", `{"new":1}`, theTime)
			if row := w.row(t); row.Schema != 2 || row.Stale != 0 {
				t.Errorf("row is %+v, want values of version 2", row)
			}
			w.reopen()
			w.setSchema(2, map[int]collection.Migration{1: wrap(2)})
			w.wantList(t, "c", `k={"new":1}@0`)
		})
	}
}
