package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

const selectUpload = `SELECT id, ident, space, state, path, name, mime, size, modified_ns, hash, attempts, sent_bytes, last_error, permanent,
	next_attempt_ms, created_at_ms, updated_at_ms, renderer_at_ms, seq, known_seq, sum, seen, renderer FROM upload_job WHERE `

// Upload implements core.View.
func (v *view) Upload(id string) (core.UploadRecord, error) {
	recs, err := v.uploads(selectUpload+"ident = ?", id)
	if err == nil && len(recs) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.UploadRecord{}, fmt.Errorf("upload %q: %w", id, err)
	}
	return recs[0], nil
}

// Uploads implements core.View.
func (v *view) Uploads(after int64, limit int) ([]core.UploadRecord, error) {
	return v.uploads(selectUpload+"id > ? ORDER BY id LIMIT ?+0", after, int64(limit))
}

// UploadTotals implements core.View. It reads indexes of all jobs, which are few.
func (v *view) UploadTotals() (active, finished int, oldestMs int64, err error) {
	r, err := v.c.one("SELECT count(*) FROM upload_job WHERE state < 5")
	if err != nil {
		return 0, 0, 0, wrap("count uploads", err)
	}
	active, err = int(r.int(0)), r.bad()
	if err != nil {
		return 0, 0, 0, wrap("count uploads", err)
	}
	if r, err = v.c.one("SELECT count(*), min(updated_at_ms) FROM upload_job WHERE state >= 5 AND updated_at_ms >= ?+0", int64(math.MinInt64)); err != nil {
		return 0, 0, 0, wrap("count uploads", err)
	}
	return active, int(r.int(0)), r.int(1), wrap("count uploads", r.bad())
}

// FinishedUploads implements core.View.
func (v *view) FinishedUploads(after core.UploadPlace, limit int) ([]core.UploadRecord, error) {
	return v.uploads(selectUpload+"state >= 5 AND (updated_at_ms, id) > (?+0, ?+0) ORDER BY updated_at_ms, id LIMIT ?+0",
		after.UpdatedAtMs, after.Key, int64(limit))
}

// metaUploadSeq is the number of the newest change of uploads that left no row.
const metaUploadSeq = "uploads.seq"

// UploadSeq implements core.View.
func (v *view) UploadSeq() (int64, error) {
	r, err := v.c.one("SELECT max(seq) FROM upload_job")
	if err != nil {
		return 0, wrap("count changes of uploads", err)
	}
	last, bad := r.int(0), r.bad()
	if bad != nil {
		return 0, wrap("count changes of uploads", bad)
	}
	gone, err := v.Meta(metaUploadSeq)
	if err == nil && len(gone) == 8 {
		last = max(last, int64(binary.BigEndian.Uint64(gone)))
	}
	return last, err
}

func (v *view) uploads(sql string, args ...any) ([]core.UploadRecord, error) {
	var recs []core.UploadRecord
	err := v.c.each(sql, args, func(r *row) bool {
		recs = append(recs, uploadOf(r))
		return true
	})
	if err != nil {
		return nil, wrap("read uploads", err)
	}
	return recs, nil
}

// uploadOf reads a row of selectUpload.
func uploadOf(r *row) core.UploadRecord {
	state, permanent := r.int(3), r.int(13)
	rec := core.UploadRecord{
		Key: r.int(0), ID: r.text(1), Space: core.SpaceID(r.text(2)), State: core.UploadState(state), Path: r.text(4), Name: r.text(5),
		MIME: r.text(6), Size: r.int(7), ModifiedNs: r.int(8), Hash: nilIfEmpty(r.blob(9)), Attempts: r.int(10), SentBytes: r.int(11),
		LastError: r.text(12), Permanent: permanent == 1, NextAttemptMs: r.int(14), CreatedAtMs: r.int(15), UpdatedAtMs: r.int(16),
		RendererAtMs: r.int(17), Seq: r.int(18), KnownSeq: r.int(19), Seen: nilIfEmpty(r.blob(21)), Renderer: nilIfEmpty(r.blob(22)),
	}
	rec.Damaged = sumOfUpload(&rec) != r.int(20) || int64(rec.State) != state || permanent != 0 && permanent != 1
	return rec
}

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// PutUpload implements core.Tx.
func (t *tx) PutUpload(rec *core.UploadRecord) error {
	last, err := t.UploadSeq()
	if err == nil && rec.Key == 0 {
		rec.Key, err = t.newUploadKey()
	}
	if err != nil {
		return err
	}
	rec.Seq = last + 1
	if rec.KnownSeq == 0 {
		rec.KnownSeq = rec.Seq
	}
	sum := sumOfUpload(rec)
	if rec.Damaged {
		sum ^= 1
	}
	_, err = t.c.exec(`INSERT INTO upload_job (id, ident, space, state, path, name, mime, size, modified_ns, hash, attempts, sent_bytes,
		last_error, permanent, next_attempt_ms, created_at_ms, updated_at_ms, renderer_at_ms, seq, known_seq, sum, seen, renderer)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET ident = excluded.ident, space = excluded.space, state = excluded.state, path = excluded.path,
		name = excluded.name, mime = excluded.mime, size = excluded.size, modified_ns = excluded.modified_ns, hash = excluded.hash,
		attempts = excluded.attempts, sent_bytes = excluded.sent_bytes, last_error = excluded.last_error, permanent = excluded.permanent,
		next_attempt_ms = excluded.next_attempt_ms, created_at_ms = excluded.created_at_ms, updated_at_ms = excluded.updated_at_ms,
		renderer_at_ms = excluded.renderer_at_ms, seq = excluded.seq, known_seq = excluded.known_seq, sum = excluded.sum,
		seen = excluded.seen, renderer = excluded.renderer`,
		rec.Key, rec.ID, string(rec.Space), int64(rec.State), rec.Path, rec.Name, rec.MIME, rec.Size, rec.ModifiedNs, notNil(rec.Hash),
		rec.Attempts, rec.SentBytes, rec.LastError, bit(rec.Permanent), rec.NextAttemptMs, rec.CreatedAtMs, rec.UpdatedAtMs,
		rec.RendererAtMs, rec.Seq, rec.KnownSeq, sum, notNil(rec.Seen), notNil(rec.Renderer))
	return wrap("write upload", err)
}

// newUploadKey returns the key of a new row, which is in its checksum.
func (t *tx) newUploadKey() (int64, error) {
	r, err := t.c.one("SELECT ifnull(max(id), 0) + 1 FROM upload_job")
	if err != nil {
		return 0, wrap("number upload", err)
	}
	return r.int(0), wrap("number upload", r.bad())
}

// DeleteUpload implements core.Tx.
func (t *tx) DeleteUpload(key int64) (seq int64, err error) {
	if seq, err = t.UploadSeq(); err != nil {
		return 0, err
	}
	n, err := t.c.exec("DELETE FROM upload_job WHERE id = ?", key)
	if err == nil && n > 0 { // that is a change too
		seq++
		err = t.SetMeta(metaUploadSeq, binary.BigEndian.AppendUint64(nil, uint64(seq)))
	}
	return seq, wrap("remove upload", err)
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func sumOfUpload(rec *core.UploadRecord) int64 {
	return sumOf(numbers(rec.Key, int64(rec.State), rec.Size, rec.ModifiedNs, rec.Attempts, rec.SentBytes, bit(rec.Permanent), rec.NextAttemptMs,
		rec.CreatedAtMs, rec.UpdatedAtMs, rec.RendererAtMs, rec.Seq, rec.KnownSeq), []byte(rec.ID), []byte(rec.Space), []byte(rec.Path),
		[]byte(rec.Name), []byte(rec.MIME), rec.Hash, []byte(rec.LastError), rec.Seen, rec.Renderer)
}

func (v *view) checkUploads(fn func(core.Damage) error) error {
	return v.eachPage(fn, selectUpload+"id > ? ORDER BY id LIMIT ?+0", func(r *row) (core.Damage, bool) {
		rec := uploadOf(r)
		return core.Damage{Table: "upload_job", Detail: fmt.Sprintf("upload %q has another checksum", rec.ID), Lost: true}, rec.Damaged
	})
}
