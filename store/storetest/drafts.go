package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func testDrafts(t *testing.T, f *fixture) {
	f.read(func(v core.View) error {
		n, oldestMs, err := v.DraftTotals()
		if err != nil || n != 0 || oldestMs != 0 {
			return fmt.Errorf("DraftTotals of nothing = %d, %d, %w", n, oldestMs, err)
		}
		has, err := v.HasDrafts()
		return equal("HasDrafts of nothing", has, err, false)
	})
	a := core.DraftRecord{
		Space: "s", Doc: "a/b", UpdatedAtMs: 5, Snippet: strings.Repeat("é\x00", 40_000), BaseUpdatedAtMs: math.MaxInt64,
		BaseVector: bytes.Repeat([]byte{0, 255}, 50_000), Conflict: 2,
	}
	other := core.DraftRecord{Space: "t", Doc: "a/b", UpdatedAtMs: 9}
	gone := core.DraftRecord{Space: "s", Doc: "gone", UpdatedAtMs: 1}
	first := core.DraftRecord{Space: "s", Doc: "a/b", UpdatedAtMs: 7, Snippet: "1", Cleared: 3, ClearedAtMs: 100}
	second := core.DraftRecord{Space: "s", Doc: "a/b", UpdatedAtMs: 3, Snippet: "2", Cleared: 1, ClearedAtMs: 90}
	f.everywhere(func(tx core.Tx) error {
		last := int64(0)
		for _, rec := range []*core.DraftRecord{&first, &gone, &a, &other, &second, &a} { // a once more, changed
			if rec == &a && rec.Key != 0 {
				rec.Snippet += "changed"
			}
			if err := tx.PutDraft(rec); err != nil {
				return err
			}
			if rec.Key <= last {
				return fmt.Errorf("PutDraft set key %d after %d", rec.Key, last)
			}
			last = rec.Key
		}
		return errors.Join(tx.DeleteDraft(gone.Key), tx.DeleteDraft(gone.Key), tx.DeleteDraft(math.MaxInt64))
	}, func(v core.View) error {
		for _, want := range []core.DraftRecord{a, other} {
			got, err := v.Draft(want.Space, want.Doc)
			if err := equal("Draft", got, err, want); err != nil {
				return err
			}
		}
		for _, doc := range []string{"gone", "a", ""} {
			_, err := v.Draft("s", doc)
			if err := fails("Draft of "+doc, err, core.ErrNotFound); err != nil {
				return err
			}
		}
		cleared, err := v.ClearedDrafts("s", "a/b")
		if err := equal("ClearedDrafts", cleared, err, []core.DraftRecord{second, first}); err != nil {
			return err
		}
		cleared, err = v.ClearedDrafts("t", "a/b")
		if err := equal("ClearedDrafts of another space", cleared, err, nil); err != nil {
			return err
		}
		n, oldestMs, err := v.DraftTotals()
		if err != nil || n != 4 || oldestMs != 3 {
			return fmt.Errorf("DraftTotals = %d, %d, %w, want 4 and 3", n, oldestMs, err)
		}
		has, err := v.HasDrafts()
		return equal("HasDrafts", has, err, true)
	})
	var newest int64
	f.write(func(tx core.Tx) error {
		before, err := tx.DraftSeq()
		if err != nil || before < max(a.Key, other.Key, first.Key, second.Key) {
			return fmt.Errorf("DraftSeq = %d, %w, with keys up to %d", before, err, max(a.Key, other.Key, first.Key, second.Key))
		}
		passing := core.DraftRecord{Space: "u", Doc: "passing"}
		if err := errors.Join(tx.PutDraft(&passing), tx.DeleteDraft(passing.Key)); err != nil {
			return err
		}
		newest, err = tx.DraftSeq()
		if err == nil && (passing.Key <= before || newest <= passing.Key) {
			err = fmt.Errorf("a draft with key %d came and went, DraftSeq went from %d to %d", passing.Key, before, newest)
		}
		return err
	})
	f.everywhere(func(core.Tx) error { return nil }, func(v core.View) error {
		got, err := v.DraftSeq()
		return equal("DraftSeq", got, err, newest)
	})
	err := f.store.Write(t.Context(), func(tx core.Tx) error {
		return tx.PutDraft(&core.DraftRecord{Space: "s", Doc: "a/b"})
	})
	if err == nil {
		t.Error("PutDraft of a second live draft = nil, want an error")
	}
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(tx.DeleteDraft(a.Key), tx.DeleteDraft(other.Key))
	}, func(v core.View) error {
		has, err := v.HasDrafts()
		return equal("HasDrafts of cleared ones", has, err, false)
	})
}

func testDraftOrder(_ *testing.T, f *fixture) {
	var live, cleared []core.DraftRecord // the oldest first
	f.everywhere(func(tx core.Tx) error {
		for i := range 30 {
			rec := core.DraftRecord{Space: "s", Doc: fmt.Sprint(i), UpdatedAtMs: int64(i / 3), Cleared: int64(i % 2)}
			if err := tx.PutDraft(&rec); err != nil {
				return err
			}
			if rec.Cleared == 0 {
				live = append(live, rec)
			} else {
				cleared = append(cleared, rec)
			}
		}
		return nil
	}, func(v core.View) error {
		for is, want := range map[bool][]core.DraftRecord{false: live, true: cleared} {
			var up, down []core.DraftRecord
			for after := (core.DraftPlace{}); ; {
				page, err := v.OldestDrafts(is, after, 4)
				if err != nil {
					return err
				}
				if len(page) == 0 {
					break
				}
				up, after = append(up, page...), page[len(page)-1].Place()
			}
			for after := core.MaxDraftPlace(); ; {
				page, err := v.NewestDrafts(is, after, 4)
				if err != nil {
					return err
				}
				if len(page) == 0 {
					break
				}
				for _, rec := range page {
					down = append([]core.DraftRecord{rec}, down...)
				}
				after = page[len(page)-1].Place()
			}
			if err := errors.Join(equal("OldestDrafts", up, nil, want), equal("NewestDrafts, backwards", down, nil, want)); err != nil {
				return err
			}
		}
		return nil
	})
}

func testDamagedDraft(_ *testing.T, f *fixture) {
	damaged := core.DraftRecord{Space: "s", Doc: "d", UpdatedAtMs: 1, Snippet: "text", Damaged: true}
	f.everywhere(func(tx core.Tx) error { return tx.PutDraft(&damaged) }, func(v core.View) error {
		got, err := v.Draft("s", "d")
		if err := equal("Draft", got, err, damaged); err != nil {
			return err
		}
		found := 0
		err = v.Check(func(d core.Damage) error {
			if d.Table == "draft" && d.Lost {
				found++
			}
			return nil
		})
		return equal("drafts that Check found", found, err, 1)
	})
	f.write(func(tx core.Tx) error { // what is written as good is good
		damaged.Damaged = false
		return tx.PutDraft(&damaged)
	})
	f.read(func(v core.View) error {
		got, err := v.Draft("s", "d")
		return errors.Join(equal("Draft", got, err, damaged), v.Check(func(d core.Damage) error { return fmt.Errorf("%+v", d) }))
	})
}
