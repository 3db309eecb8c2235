package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

const selectDraft = "SELECT id, space, doc, updated_at_ms, base_updated_at_ms, conflict, cleared, cleared_at_ms, sum, base_vector, snippet FROM draft WHERE "

// HasDrafts implements core.View.
func (v *view) HasDrafts() (bool, error) {
	r, err := v.c.one("SELECT 1 FROM draft WHERE cleared = 0 AND updated_at_ms >= ? LIMIT 1", int64(math.MinInt64))
	return r != nil, wrap("look for drafts", err)
}

// DraftTotals implements core.View. It reads an index of all drafts, which are few.
func (v *view) DraftTotals() (n int, oldestMs int64, err error) {
	r, err := v.c.one("SELECT count(*), min(updated_at_ms) FROM draft WHERE updated_at_ms >= ?+0", int64(math.MinInt64))
	if err != nil {
		return 0, 0, wrap("count drafts", err)
	}
	return int(r.int(0)), r.int(1), wrap("count drafts", r.bad())
}

// metaDraftSeq is the number of the newest change of drafts that left no row.
const metaDraftSeq = "drafts.seq"

// DraftSeq implements core.View.
func (v *view) DraftSeq() (int64, error) {
	r, err := v.c.one("SELECT max(id) FROM draft")
	if err != nil {
		return 0, wrap("count changes of drafts", err)
	}
	last, bad := r.int(0), r.bad()
	if bad != nil {
		return 0, wrap("count changes of drafts", bad)
	}
	gone, err := v.Meta(metaDraftSeq)
	if err == nil && len(gone) == 8 {
		last = max(last, int64(binary.BigEndian.Uint64(gone)))
	}
	return last, err
}

// Draft implements core.View.
func (v *view) Draft(space core.SpaceID, doc core.DocumentID) (core.DraftRecord, error) {
	recs, err := v.drafts(selectDraft+"space = ? AND doc = ? AND cleared = 0", string(space), doc)
	if err == nil && len(recs) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.DraftRecord{}, fmt.Errorf("draft of document %q: %w", doc, err)
	}
	return recs[0], nil
}

// ClearedDrafts implements core.View.
func (v *view) ClearedDrafts(space core.SpaceID, doc core.DocumentID) ([]core.DraftRecord, error) {
	return v.drafts(selectDraft+"space = ?||'' AND doc = ?||'' AND cleared <> 0 ORDER BY id DESC", string(space), doc)
}

// The queries of NewestDrafts and OldestDrafts: partial indexes want their condition
// word for word.
const (
	draftLive    = "cleared = 0"
	draftCleared = "cleared <> 0"
	draftsDown   = " AND (updated_at_ms, id) < (?+0, ?+0) ORDER BY updated_at_ms DESC, id DESC LIMIT ?+0"
	draftsUp     = " AND (updated_at_ms, id) > (?+0, ?+0) ORDER BY updated_at_ms, id LIMIT ?+0"
)

// NewestDrafts implements core.View.
func (v *view) NewestDrafts(cleared bool, after core.DraftPlace, limit int) ([]core.DraftRecord, error) {
	sql := selectDraft + draftLive + draftsDown
	if cleared {
		sql = selectDraft + draftCleared + draftsDown
	}
	return v.drafts(sql, after.UpdatedAtMs, after.Key, int64(limit))
}

// OldestDrafts implements core.View.
func (v *view) OldestDrafts(cleared bool, after core.DraftPlace, limit int) ([]core.DraftRecord, error) {
	sql := selectDraft + draftLive + draftsUp
	if cleared {
		sql = selectDraft + draftCleared + draftsUp
	}
	return v.drafts(sql, after.UpdatedAtMs, after.Key, int64(limit))
}

func (v *view) drafts(sql string, args ...any) ([]core.DraftRecord, error) {
	var recs []core.DraftRecord
	err := v.c.each(sql, args, func(r *row) bool {
		recs = append(recs, draftOf(r))
		return true
	})
	if err != nil {
		return nil, wrap("read drafts", err)
	}
	return recs, nil
}

// draftOf reads a row of selectDraft.
func draftOf(r *row) core.DraftRecord {
	rec := core.DraftRecord{
		Key: r.int(0), Space: core.SpaceID(r.text(1)), Doc: r.text(2), UpdatedAtMs: r.int(3), BaseUpdatedAtMs: r.int(4),
		Conflict: r.int(5), Cleared: r.int(6), ClearedAtMs: r.int(7), BaseVector: r.blob(9), Snippet: r.text(10),
	}
	if len(rec.BaseVector) == 0 {
		rec.BaseVector = nil
	}
	rec.Damaged = sumOfDraft(&rec) != r.int(8)
	return rec
}

// PutDraft implements core.Tx.
func (t *tx) PutDraft(rec *core.DraftRecord) error {
	last, err := t.DraftSeq()
	if err != nil {
		return err
	}
	if rec.Key != 0 {
		if _, err := t.c.exec(deleteDraft, rec.Key); err != nil {
			return wrap("replace draft", err)
		}
	}
	rec.Key = max(last, rec.Key) + 1
	sum := sumOfDraft(rec)
	if rec.Damaged {
		sum ^= 1
	}
	_, err = t.c.exec(`INSERT INTO draft (id, space, doc, updated_at_ms, base_updated_at_ms, conflict, cleared, cleared_at_ms, sum, base_vector, snippet)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		rec.Key, string(rec.Space), rec.Doc, rec.UpdatedAtMs, rec.BaseUpdatedAtMs, rec.Conflict, rec.Cleared, rec.ClearedAtMs,
		sum, notNil(rec.BaseVector), rec.Snippet)
	if err != nil {
		return fmt.Errorf("write draft of document %q: %w", rec.Doc, err)
	}
	return nil
}

const deleteDraft = "DELETE FROM draft WHERE id = ?"

// DeleteDraft implements core.Tx.
func (t *tx) DeleteDraft(key int64) error {
	last, err := t.DraftSeq()
	if err != nil {
		return err
	}
	n, err := t.c.exec(deleteDraft, key)
	if err == nil && n > 0 { // that is a change too
		err = t.SetMeta(metaDraftSeq, binary.BigEndian.AppendUint64(nil, uint64(max(last, key)+1)))
	}
	return wrap("remove draft", err)
}

func sumOfDraft(rec *core.DraftRecord) int64 {
	var numbers []byte
	for _, n := range []int64{rec.Key, rec.UpdatedAtMs, rec.BaseUpdatedAtMs, rec.Conflict, rec.Cleared, rec.ClearedAtMs} {
		numbers = binary.BigEndian.AppendUint64(numbers, uint64(n))
	}
	return sumOf(numbers, []byte(rec.Space), []byte(rec.Doc), rec.BaseVector, []byte(rec.Snippet))
}

func (v *view) checkDrafts(fn func(core.Damage) error) error {
	const page = selectDraft + "id > ? ORDER BY id LIMIT ?+0"
	return v.eachPage(fn, page, func(r *row) (core.Damage, bool) {
		rec := draftOf(r)
		return core.Damage{Table: "draft", Detail: fmt.Sprintf("draft of document %q has another checksum", rec.Doc), Lost: true}, rec.Damaged
	})
}
