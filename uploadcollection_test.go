package soma_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// heldSink takes nothing until it is released, and has nothing.
type heldSink struct{ release chan error }

func (h heldSink) Has(context.Context, soma.SpaceID, soma.CID) (int64, bool, error) {
	return 0, false, nil
}

func (h heldSink) Upload(ctx context.Context, _ soma.UploadRequest, _ io.ReadSeeker, _ func(int64)) error {
	select {
	case err := <-h.release:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// uploadDesk is jobs as windows see them.
type uploadDesk struct {
	t     *testing.T
	db    *soma.DB
	space soma.SpaceID
	sink  heldSink
	ms    atomic.Int64
}

func newUploadDesk(t *testing.T) *uploadDesk {
	t.Helper()
	d := &uploadDesk{t: t, sink: heldSink{make(chan error)}}
	d.ms.Store(theTime)
	d.db = somatest.Open(t, soma.WithUploadSink(d.sink), soma.WithClock(func() time.Time { return time.UnixMilli(d.ms.Load()) }), soma.WithUploadWorkers(1))
	d.space = newSpace(t, d.db, "x")
	return d
}

func (d *uploadDesk) add(text string) string {
	d.t.Helper()
	return enqueue(d.t, d.db, d.space, soma.UploadSource{Reader: strings.NewReader(text), Name: text}).ID
}

func (d *uploadDesk) put(id, value string, at int64) error {
	return d.db.Collections().Put(d.t.Context(), soma.CollectionUploadJobs, id, json.RawMessage(value), at)
}

func (d *uploadDesk) wantRenderer(id, want string) {
	d.t.Helper()
	job, err := d.db.Uploads().Get(d.t.Context(), id)
	if err != nil || string(job.Renderer) != want {
		d.t.Errorf("renderer of %s is %s, %v, want %s", job.Name, job.Renderer, err, want)
	}
}

// windowRows is what a window has in its storage.
type windowRow struct {
	VersionKey string          `json:"versionKey"`
	Data       json.RawMessage `json:"data"`
}

func (d *uploadDesk) snapshot() (map[string]windowRow, int64) {
	d.t.Helper()
	s, err := d.db.Collections().Snapshot(d.t.Context(), soma.CollectionUploadJobs)
	rows := map[string]windowRow{}
	if err == nil {
		err = json.Unmarshal(s.Value, &rows)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return rows, s.Seq
}

func (d *uploadDesk) set(rows map[string]windowRow, base int64, window string) soma.StorageResult {
	d.t.Helper()
	value, err := json.Marshal(rows)
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := d.db.Collections().SetItem(d.t.Context(), soma.CollectionUploadJobs, value, base, soma.WithWindow(window))
	if err != nil {
		d.t.Fatalf("SetItem(%s) = %v", value, err)
	}
	return r
}

// with returns a row that a window has given another renderer's part.
func (r windowRow) with(t *testing.T, version, renderer string) windowRow {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(r.Data, &all); err != nil {
		t.Fatal(err)
	}
	all["renderer"] = json.RawMessage(renderer)
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return windowRow{version, data}
}

func TestUploadCollection(t *testing.T) {
	t.Parallel()
	d := newUploadDesk(t)
	ctx, c := t.Context(), d.db.Collections()
	heard := c.Watch(ctx, soma.CollectionUploadJobs)
	a, b := d.add("a"), d.add("b")
	untilUpload(t, d.db, a, soma.UploadUploading)
	if names, err := c.Names(ctx); err != nil || fmt.Sprint(names) != "[uploadJobs]" {
		t.Errorf("Names = %v, %v", names, err)
	}
	if change := <-heard; change.Kind != soma.ChangePut || change.Seq == 0 {
		t.Errorf("change is %+v", change)
	}
	got, err := c.Get(ctx, soma.CollectionUploadJobs, a)
	if err != nil || got.Key != a || got.UpdatedAtMs != theTime {
		t.Errorf("Get = %+v, %v", got, err)
	}
	job, err := soma.ParseUploadJob(got.Value)
	if err != nil || job.ID != a || job.SpaceID != d.space || job.State != soma.UploadUploading || !job.Spooled || job.Name != "a" {
		t.Errorf("ParseUploadJob(%s) = %+v, %v", got.Value, job, err)
	}

	// The renderer's part is the newer, all else is not a window's to say.
	if err := d.put(a, `{"id":"`+a+`","state":"done","sentBytes":"x","renderer":{ "n" : 1 }}`, theTime); err != nil {
		t.Fatal(err)
	}
	d.wantRenderer(a, `{"n":1}`)
	for _, older := range []int64{0, theTime - 1, theTime} {
		if err := d.put(a, `{"renderer":{"n":0}}`, older); err != nil {
			t.Fatal(err)
		}
	}
	d.wantRenderer(a, `{"n":1}`)
	if err := d.put(a, `{"renderer":{"n":2}}`, theTime); err != nil { // greater bytes
		t.Fatal(err)
	}
	d.wantRenderer(a, `{"n":2}`)
	if err := d.put(a, `{}`, theTime+1); err != nil {
		t.Fatal(err)
	}
	d.wantRenderer(a, "")
	if job, err := d.db.Uploads().Get(ctx, a); err != nil || job.State != soma.UploadUploading || job.SentBytes != 0 {
		t.Errorf("job is %+v, %v", job, err)
	}

	// A deletion that is older than the job does nothing; another one cancels it.
	if err := c.Delete(ctx, soma.CollectionUploadJobs, a, theTime); err != nil {
		t.Fatal(err)
	}
	d.wantRenderer(a, "")
	if err := c.Delete(ctx, soma.CollectionUploadJobs, a, theTime+1); err != nil {
		t.Fatal(err)
	}
	if _, err := d.db.Uploads().Get(ctx, a); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get of a deleted job = %v", err)
	}
	untilUpload(t, d.db, b, soma.UploadUploading) // the worker is free
	for change := range heard {
		if change.Kind == soma.ChangeDeleted {
			if change.Key != a {
				t.Errorf("change is %+v", change)
			}
			break
		}
	}
	if err := c.Clear(ctx, soma.CollectionUploadJobs, theTime-1); err != nil {
		t.Fatal(err)
	}
	d.wantRenderer(b, "")
	if err := c.Clear(ctx, soma.CollectionUploadJobs, theTime); err != nil {
		t.Fatal(err)
	}
	for rec, err := range c.List(ctx, soma.CollectionUploadJobs) {
		t.Errorf("List yields %+v, %v", rec, err)
	}
}

func TestUploadCollectionRefuses(t *testing.T) {
	t.Parallel()
	d := newUploadDesk(t)
	ctx, c := t.Context(), d.db.Collections()
	id := d.add("a")
	untilUpload(t, d.db, id, soma.UploadUploading)
	before, err := c.Snapshot(ctx, soma.CollectionUploadJobs)
	if err != nil {
		t.Fatal(err)
	}
	unknown := strings.Repeat("a", len(id))
	large := `{"renderer":{"x":"` + strings.Repeat("x", soma.MaxUploadRendererBytes) + `"}}`
	set := func(value string, base int64) error {
		_, err := c.SetItem(ctx, soma.CollectionUploadJobs, []byte(value), base)
		return err
	}
	for name, test := range map[string]struct{ got, want error }{
		"no JSON":            {d.put(id, `{`, theTime), soma.ErrInvalidJSON},
		"no object":          {d.put(id, `[]`, theTime), soma.ErrInvalidRecord},
		"another ID":         {d.put(id, `{"id":"x"}`, theTime), soma.ErrInvalidRecord},
		"another field":      {d.put(id, `{"pinned":true}`, theTime), soma.ErrInvalidRecord},
		"renderer a list":    {d.put(id, `{"renderer":[]}`, theTime), soma.ErrInvalidRecord},
		"renderer large":     {d.put(id, large, theTime), soma.ErrTooLarge},
		"unknown":            {d.put(unknown, `{}`, theTime), soma.ErrInvalidRecord},
		"no time":            {d.put(id, `{}`, -1), soma.ErrInvalidTime},
		"renderer null":      {d.put(id, `{"renderer":null}`, theTime), soma.ErrInvalidRecord},
		"far ahead":          {d.put(id, `{"renderer":{}}`, theTime+1<<40), soma.ErrClockSkew},
		"delete at no time":  {c.Delete(ctx, soma.CollectionUploadJobs, id, -1), soma.ErrInvalidTime},
		"delete of no ID":    {c.Delete(ctx, soma.CollectionUploadJobs, "", theTime), soma.ErrInvalidID},
		"half a snapshot":    {set(`{`, 0), soma.ErrInvalidJSON},
		"no job's ID":        {set(`{"s:mine":{"versionKey":"v","data":{}}}`, before.Seq), soma.ErrInvalidRecord},
		"a bad row":          {set(`{"s:`+id+`":{"versionKey":"v","data":{"renderer":1}}}`, before.Seq), soma.ErrInvalidRecord},
		"a null":             {set(`{"s:`+id+`":{"versionKey":"v","data":{"renderer":null}}}`, before.Seq), soma.ErrInvalidRecord},
		"base ahead":         {set(`{}`, before.Seq+1), soma.ErrInvalidSeq},
		"base negative":      {set(`{}`, -1), soma.ErrInvalidSeq},
		"none in quarantine": {c.DropQuarantined(ctx, soma.CollectionUploadJobs, id), soma.ErrNotFound},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
	if after, err := c.Snapshot(ctx, soma.CollectionUploadJobs); err != nil || string(after.Value) != string(before.Value) || after.Seq != before.Seq {
		t.Errorf("snapshot is %s, %d, %v, was %s, %d", after.Value, after.Seq, err, before.Value, before.Seq)
	}
}

// Windows that write back what they read earlier change nothing but their own part.
func TestUploadCollectionWindows(t *testing.T) {
	t.Parallel()
	d := newUploadDesk(t)
	a, b := d.add("a"), d.add("b")
	untilUpload(t, d.db, a, soma.UploadUploading)
	one, baseOne := d.snapshot()
	two, baseTwo := d.snapshot()
	if len(one) != 2 || one["s:"+a].VersionKey == "" || one["s:"+a].VersionKey == one["s:"+b].VersionKey {
		t.Fatalf("snapshot is %v", one)
	}
	if r := d.set(one, baseOne, "one"); !r.Same || r.Seq != baseOne {
		t.Errorf("SetItem of what is there = %+v, at %d", r, baseOne)
	}
	one["s:"+a] = one["s:"+a].with(t, "v1", `{"by":"one"}`)
	baseOne = d.set(one, baseOne, "one").Seq
	d.wantRenderer(a, `{"by":"one"}`)

	// Two has not seen that, and writes another row.
	two["s:"+b] = two["s:"+b].with(t, "v2", `{"by":"two"}`)
	if r := d.set(two, baseTwo, "two"); r.Same {
		t.Error("SetItem of two is the same, but one has written")
	}
	d.wantRenderer(a, `{"by":"one"}`)
	d.wantRenderer(b, `{"by":"two"}`)

	// One writes its old rows once more, after two has overwritten one, and after the job went on.
	two["s:"+a] = two["s:"+a].with(t, "v3", `{"by":"two"}`)
	d.set(two, baseTwo, "two")
	d.sink.release <- errors.New("passing")
	untilUpload(t, d.db, a, soma.UploadWaiting)
	d.set(one, baseOne, "one")
	d.wantRenderer(a, `{"by":"two"}`)
	if job, err := d.db.Uploads().Get(t.Context(), a); err != nil || job.State != soma.UploadWaiting || job.LastError != "passing" {
		t.Errorf("job is %+v, %v", job, err)
	}

	// A window deletes what it has seen, not what others made or wrote since.
	c := d.add("c")
	gone, base := d.snapshot()
	delete(gone, "s:"+b)
	late := d.add("late")
	d.set(gone, base, "one")
	for id, want := range map[string]bool{a: true, b: false, c: true, late: true} {
		if _, err := d.db.Uploads().Get(t.Context(), id); (err == nil) != want || err != nil && !errors.Is(err, soma.ErrNotFound) {
			t.Errorf("Get of %s = %v, want %v", id, err, want)
		}
	}
	stale, base := d.snapshot()
	fresh, _ := d.snapshot()
	fresh["s:"+a] = fresh["s:"+a].with(t, "v4", `{"kept":1}`)
	d.set(fresh, base, "two")
	delete(stale, "s:"+a)
	d.set(stale, base, "one")
	d.wantRenderer(a, `{"kept":1}`)
	delete(fresh, "s:"+a) // by the window that wrote it, before it has an answer
	d.set(fresh, base, "two")
	if _, err := d.db.Uploads().Get(t.Context(), a); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	d.set(fresh, base, "two")
	d.set(map[string]windowRow{"s:" + a: {"v5", json.RawMessage(`{"renderer":{"late":1}}`)}}, 0, "three") // a job that is gone
	if rows, _ := d.snapshot(); rows["s:"+a].VersionKey != "" || len(rows) != 2 {
		t.Errorf("snapshot is %v", rows)
	}
}
