package collection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// measured counts how often the quarantine of a collection is measured.
type measured struct {
	seam
	times *int
}

func (s measured) Write(ctx context.Context, fn func(core.CollectionTx) error) error {
	return s.seam.Write(ctx, func(tx core.CollectionTx) error { return fn(measuredTx{tx, s.times}) })
}

type measuredTx struct {
	core.CollectionTx
	times *int
}

func (tx measuredTx) QuarantineSize(collection int64) (rows, bytes int64, err error) {
	*tx.times++
	return tx.CollectionTx.QuarantineSize(collection)
}

// One call that sets many records aside measures what is there once, so that it does not
// take quadratic time, and keeps the bounds all the same.
func TestQuarantineIsMeasuredOnce(t *testing.T) {
	w := newWorld(t)
	n := collection.MaxQuarantined + 500
	err := w.Update(t.Context(), "c", func(b *collection.Batch) error {
		for i := range n {
			if _, err := b.Apply(collection.Write{Key: fmt.Sprint(i), Value: json.RawMessage(`1`), UpdatedAtMs: theTime}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	c := collection.New(collection.Config{
		Store: measured{seam{w.db}, &times}, Now: func() time.Time { return time.UnixMilli(theTime) }, Logger: slog.New(slog.DiscardHandler),
	})
	defer c.Close()
	c.SetRules("c", func(r *collection.Rules) {
		r.Schema = 2
		r.Migrations = map[int]collection.Migration{1: func(string, json.RawMessage) (json.RawMessage, error) { return nil, errors.New("no") }}
	})
	if err := c.Clear(t.Context(), "c", theTime); err != nil {
		t.Fatal(err)
	}
	all, err := c.Quarantined(t.Context(), "c", none)
	if err != nil || len(all) != collection.MaxQuarantined {
		t.Errorf("Quarantined = %d, %v, want %d", len(all), err, collection.MaxQuarantined)
	}
	if times != 1 {
		t.Errorf("the quarantine was measured %d times", times)
	}
}
