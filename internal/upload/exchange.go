package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/strictjson"
)

// Row is what a job is as a row of a collection, beside its value.
type Row struct {
	Seq         int64
	UpdatedAtMs int64
}

func rowOf(rec *core.UploadRecord) Row {
	return Row{Seq: rec.Seq, UpdatedAtMs: max(rec.UpdatedAtMs, rec.RendererAtMs)}
}

// Value returns the canonical JSON of a job, as JSON.stringify would write it.
func (j *Job) Value() ([]byte, error) { return strictjson.Marshal(j) }

// VersionKey names what the row of a job was after a change. It tells a copy of such a row
// from one that a window made.
func VersionKey(id string, seq int64) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("soma upload "+id+" "), uint64(seq)))
	text := hex.EncodeToString(binary.BigEndian.AppendUint64(sum[:8:8], uint64(seq)))
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

// isVersion reports whether VersionKey has made a text for a job.
func isVersion(id, key string) bool {
	b, err := hex.DecodeString(strings.ReplaceAll(key, "-", ""))
	return err == nil && len(b) == 16 && VersionKey(id, int64(binary.BigEndian.Uint64(b[8:]))) == key
}

// Snapshot returns all jobs that can be read, in the order in which they were made, and the
// number of the newest change of any.
func (u *Uploads) Snapshot(ctx context.Context) (all []Change, seq int64, err error) {
	err = u.store.Read(ctx, func(v core.View) error {
		if seq, err = v.UploadSeq(); err != nil {
			return err
		}
		return eachUpload(v, func(rec *core.UploadRecord) error {
			if _, err := readable(rec); err == nil {
				all = append(all, Change{jobOf(rec), rowOf(rec)})
			}
			return nil
		})
	})
	return all, seq, err
}

// Row returns a job as a row. It returns core.ErrNotFound and core.ErrCorrupt.
func (u *Uploads) Row(ctx context.Context, id string) (c Change, err error) {
	err = u.store.Read(ctx, func(v core.View) error {
		rec, err := v.Upload(id)
		if err == nil {
			_, err = readable(&rec)
		}
		c = Change{jobOf(&rec), rowOf(&rec)}
		return err
	})
	return c, err
}

// ReadRow reads what a renderer wants of a row: the rest of a job is not its own, so that
// stale values are nothing wrong. Without one, the renderer keeps nothing. It returns core.ErrInvalidUpload for a row that has the ID
// of another job, a field that no job has, or a renderer that is none or too large.
func ReadRow(id string, value []byte) (renderer json.RawMessage, err error) {
	_, err = strictjson.Object(value, func(name string, raw json.RawMessage) error {
		switch name {
		case "id":
			if got, err := strictjson.String(name, raw); err != nil || got != id {
				return fmt.Errorf("id is not %q", id)
			}
		case "renderer":
			renderer, err = rendererOf(raw)
			return err
		default:
			if !isField(name) {
				return strictjson.Unknown(name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, invalid(err)
	}
	return renderer, nil
}

var fields = []string{
	"spaceId", "path", "spooled", "name", "mime", "size", "cid", "state", "attempts", "sentBytes", "lastError", "permanent",
	"nextAttemptAtMs", "createdAtMs", "updatedAtMs",
}

func isField(name string) bool { return slices.Contains(fields, name) }

// PutRenderer stores what a renderer keeps with a job, unless what is there is newer. At equal
// times the greater bytes win, so that the order of arrival does not matter. It returns
// core.ErrNotFound.
func (u *Uploads) PutRenderer(ctx context.Context, id string, renderer json.RawMessage, updatedAtMs int64) error {
	return u.write(ctx, func(b *batch) error {
		rec, err := b.find(id)
		if err != nil || updatedAtMs < rec.RendererAtMs || updatedAtMs == rec.RendererAtMs && bytes.Compare(renderer, rec.Renderer) <= 0 {
			return err
		}
		return b.setRenderer(rec, renderer, updatedAtMs)
	})
}

// setRenderer stores the renderer's part of a job, which is no change of the job's own.
func (b *batch) setRenderer(rec *core.UploadRecord, renderer json.RawMessage, updatedAtMs int64) error {
	rec.Renderer, rec.RendererAtMs, rec.KnownSeq = renderer, updatedAtMs, 0
	return b.store(rec)
}

// RemoveUntil takes out a job, whatever it does, unless it was made, or its renderer's part
// written, after a time. An unknown one is no error.
func (u *Uploads) RemoveUntil(ctx context.Context, id string, updatedAtMs int64) error {
	return u.write(ctx, func(b *batch) error {
		rec, err := b.Upload(id)
		if isNotFound(err) {
			return nil
		}
		if err != nil || isNewer(&rec, updatedAtMs) {
			return err
		}
		return b.remove(&rec)
	})
}

func isNewer(rec *core.UploadRecord, updatedAtMs int64) bool {
	return rec.Damaged || max(rec.CreatedAtMs, rec.RendererAtMs) > updatedAtMs
}

// RemoveAllUntil is RemoveUntil for all jobs.
func (u *Uploads) RemoveAllUntil(ctx context.Context, updatedAtMs int64) error {
	return u.write(ctx, func(b *batch) error {
		return b.removeIf(func(rec *core.UploadRecord) bool { return !isNewer(rec, updatedAtMs) })
	})
}

func (b *batch) removeIf(is func(*core.UploadRecord) bool) error {
	var gone []core.UploadRecord
	err := eachUpload(b, func(rec *core.UploadRecord) error {
		if is(rec) {
			gone = append(gone, *rec)
		}
		return nil
	})
	for i := range gone {
		if err == nil {
			err = b.remove(&gone[i])
		}
	}
	return err
}

// Exchange is all jobs as a window wants them, who had seen what there was at BaseSeq.
type Exchange struct {
	Rows    []WindowRow
	BaseSeq int64
	Window  string // "" for none
}

// WindowRow is a job as a window has it.
type WindowRow struct {
	ID         string
	VersionKey string
	Value      []byte
	Renderer   json.RawMessage // of the value
}

// Exchanged is what became of an Exchange.
type Exchanged struct {
	Seq  int64
	Same bool // the jobs are those that were given
}

// Exchange takes over the renderer's part of the rows that the window has written since it
// read them, and removes the jobs that it does not have any more: those that it has seen as
// they are, but for their own state. A row of a job that is not there is a copy from before
// its end. It returns core.ErrInvalidSeq for a BaseSeq that is not there yet.
func (u *Uploads) Exchange(ctx context.Context, x Exchange) (done Exchanged, err error) {
	given := make(map[string]*WindowRow, len(x.Rows))
	for i := range x.Rows {
		given[x.Rows[i].ID] = &x.Rows[i]
	}
	err = u.write(ctx, func(b *batch) error {
		if done.Seq, err = b.UploadSeq(); err != nil {
			return err
		}
		if x.BaseSeq < 0 || x.BaseSeq > done.Seq {
			return fmt.Errorf("baseSeq %d, the newest change is %d: %w", x.BaseSeq, done.Seq, core.ErrInvalidSeq)
		}
		for i := range x.Rows {
			if err := b.takeRow(&x.Rows[i], x.Window); err != nil {
				return err
			}
		}
		err := b.removeIf(func(rec *core.UploadRecord) bool {
			return given[rec.ID] == nil && !rec.Damaged && (rec.KnownSeq <= x.BaseSeq || x.Window != "" && u.windows[rec.ID] == author{rec.KnownSeq, x.Window})
		})
		if err != nil {
			return err
		}
		if done.Same, err = b.holds(given); err != nil {
			return err
		}
		done.Seq, err = b.UploadSeq()
		return err
	})
	return done, err
}

// takeRow stores the renderer's part of a row that is news.
func (b *batch) takeRow(row *WindowRow, window string) error {
	if isVersion(row.ID, row.VersionKey) {
		return nil
	}
	rec, err := b.find(row.ID)
	if isNotFound(err) {
		return nil
	}
	mark := markOf(row.VersionKey)
	if err != nil || hasMark(rec.Seen, mark) {
		return err
	}
	rec.Seen = append(rec.Seen, mark...)
	rec.Seen = rec.Seen[max(0, len(rec.Seen)-maxSeen*markBytes):]
	atMs := max(b.u.now().UnixMilli(), rec.RendererAtMs+1)
	if err := b.setRenderer(rec, row.Renderer, atMs); err != nil {
		return err
	}
	if window != "" {
		b.OnCommit(func() { b.u.windows.note(rec.ID, author{rec.KnownSeq, window}) })
	}
	return nil
}

// maxSeen is how many versions of its row that windows wrote a job remembers.
const (
	maxSeen   = 16
	markBytes = 8
)

func markOf(versionKey string) []byte {
	sum := sha256.Sum256([]byte(versionKey))
	return sum[:markBytes]
}

func hasMark(seen, mark []byte) bool {
	for m := range slices.Chunk(seen, markBytes) {
		if bytes.Equal(m, mark) {
			return true
		}
	}
	return false
}

// holds reports whether the jobs are exactly those of a window.
func (b *batch) holds(given map[string]*WindowRow) (same bool, err error) {
	same = true
	n := 0
	err = eachUpload(b, func(rec *core.UploadRecord) error {
		if rec.Damaged {
			return nil
		}
		n++
		row := given[rec.ID]
		if !same || row == nil {
			same = false
			return nil
		}
		if row.VersionKey != VersionKey(rec.ID, rec.Seq) {
			job := jobOf(rec)
			value, err := job.Value()
			same = same && bytes.Equal(value, row.Value)
			return err
		}
		return nil
	})
	return same && n == len(given), err
}

// authors are the windows that wrote the renderer's part of jobs last. Only the writer's
// goroutine uses them.
type authors map[string]author

type author struct {
	seq    int64
	window string
}

func (a authors) note(id string, by author) {
	if len(a) >= MaxJobs {
		clear(a) // they only save a window from waiting for an answer
	}
	a[id] = by
}
