package collection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// counted counts what is read of records, and calls then before the second page.
type counted struct {
	seam
	bytes, pages int
	then         func()
}

func (s *counted) Read(ctx context.Context, fn func(core.CollectionView) error) error {
	if s.pages == 1 && s.then != nil {
		then := s.then
		s.then = nil
		then()
	}
	return s.seam.Read(ctx, func(v core.CollectionView) error { return fn(countedView{v, s}) })
}

type countedView struct {
	core.CollectionView
	s *counted
}

func (v countedView) Records(collection, after int64, limit, maxBytes int) ([]core.RecordRow, error) {
	recs, err := v.CollectionView.Records(collection, after, limit, maxBytes)
	for _, rec := range recs {
		v.s.bytes += len(rec.Value)
	}
	v.s.pages++
	return recs, err
}

// large fills collection c with n records of a MiB each.
func (w *world) large(t *testing.T, n int) (*collection.Collections, *counted) {
	t.Helper()
	value := json.RawMessage(`{"x":"` + strings.Repeat("x", collection.MaxRecordBytes-8) + `"}`)
	err := w.Update(t.Context(), "c", func(b *collection.Batch) error {
		for i := range n {
			if _, err := b.Apply(collection.Write{Key: fmt.Sprint(i), Value: value, UpdatedAtMs: theTime}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &counted{seam: seam{w.db}}
	c := collection.New(collection.Config{
		Store: s, Now: func() time.Time { return time.UnixMilli(w.nowMs.Load()) }, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(c.Close)
	return c, s
}

// A collection that no snapshot can have is not read to its end to find that out.
func TestSnapshotStopsReadingAtItsLimit(t *testing.T) {
	w := newWorld(t)
	c, s := w.large(t, 150)
	if _, _, err := c.Storage(t.Context(), "c"); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("Storage = %v, want ErrTooLarge", err)
	}
	if s.bytes > collection.MaxSnapshotBytes+collection.MaxRecordBytes {
		t.Errorf("%d bytes were read, a snapshot has %d", s.bytes, collection.MaxSnapshotBytes)
	}
}

// What windows do not see leaves its room to others, and all are of one moment.
func TestSnapshotReadsOnWhereRecordsAreLeftOut(t *testing.T) {
	w := newWorld(t)
	c, s := w.large(t, 100)
	small := 0
	c.SetRules("c", func(r *collection.Rules) {
		r.Check = func(key string, value json.RawMessage) (any, error) {
			if len(value) > 100 && key != "0" && key != "99" {
				return nil, errors.New("not seen")
			}
			return nil, nil
		}
	})
	s.then = func() {
		small++
		w.put(t, "c", "0", `{"new":1}`, theTime+1)
		w.put(t, "c", "last", `{}`, theTime+1)
	}
	value, seq, err := c.Storage(t.Context(), "c")
	if err != nil || small != 1 {
		t.Fatalf("Storage = %v, after %d writes", err, small)
	}
	rows, refused, err := collection.ReadSnapshot(value)
	if err != nil || len(refused) > 0 || len(rows) != 3 {
		t.Fatalf("%d rows, %v, %v, want 3", len(rows), refused, err)
	}
	if rows[0].Key != "s:0" || rows[0].Data != `{"new":1}` || rows[1].Key != "s:99" || rows[2].Key != "s:last" || seq != w.row(t).Seq {
		t.Errorf("rows %q, %q, %q as of %d, want the newest of each", rows[0].Key, rows[1].Key, rows[2].Key, seq)
	}
}
