package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func testUploads(_ *testing.T, f *fixture) {
	f.read(func(v core.View) error {
		active, finished, oldest, err := v.UploadTotals()
		if err != nil || active != 0 || finished != 0 || oldest != 0 {
			return fmt.Errorf("UploadTotals of nothing = %d, %d, %d, %w", active, finished, oldest, err)
		}
		seq, err := v.UploadSeq()
		return equal("UploadSeq of nothing", seq, err, 0)
	})
	h := hash("bytes")
	full := core.UploadRecord{
		ID: "full", Space: "s", State: core.UploadWaiting, Path: "/a/é\x00", Name: "n", MIME: "m", Size: math.MaxInt64, ModifiedNs: -1, Hash: h[:],
		Attempts: 3, SentBytes: 4, LastError: strings.Repeat("e", 5000), Permanent: true, NextAttemptMs: 5, CreatedAtMs: 6, UpdatedAtMs: 7,
		Renderer: []byte(`{"a":1}`), RendererAtMs: 8, Seen: []byte("12345678"),
	}
	least, gone := core.UploadRecord{ID: "least"}, core.UploadRecord{ID: "gone"}
	done := core.UploadRecord{ID: "done", State: core.UploadDone, UpdatedAtMs: 3}
	var removed int64
	f.everywhere(func(tx core.Tx) error {
		last := int64(0)
		for _, rec := range []*core.UploadRecord{&full, &least, &gone, &done, &full} { // full once more, changed
			key, known := rec.Key, rec.KnownSeq
			if key != 0 {
				rec.LastError += "changed"
			}
			if err := tx.PutUpload(rec); err != nil {
				return err
			}
			if rec.Seq <= last || key != 0 && (rec.Key != key || rec.KnownSeq != known) || key == 0 && rec.KnownSeq != rec.Seq {
				return fmt.Errorf("PutUpload made of key %d, known since %d, %+v after change %d", key, known, rec, last)
			}
			last = rec.Seq
		}
		full.KnownSeq = 0 // the renderer has written
		if err := tx.PutUpload(&full); err != nil || full.KnownSeq != full.Seq {
			return fmt.Errorf("PutUpload = %w, known since %d, changed at %d", err, full.KnownSeq, full.Seq)
		}
		seq, err := tx.DeleteUpload(gone.Key)
		if err != nil || seq <= full.Seq {
			return fmt.Errorf("DeleteUpload = %d, %w after change %d", seq, err, full.Seq)
		}
		removed = seq
		again, err := tx.DeleteUpload(gone.Key)
		if err := equal("DeleteUpload of nothing", again, err, removed); err != nil {
			return err
		}
		if err := tx.PutUpload(&core.UploadRecord{ID: "least"}); err == nil {
			return errors.New("PutUpload of a second job with an ID = nil")
		}
		return nil
	}, func(v core.View) error {
		for _, want := range []core.UploadRecord{full, least, done} {
			got, err := v.Upload(want.ID)
			if err := equal("Upload", got, err, want); err != nil {
				return err
			}
		}
		_, err := v.Upload("gone")
		if err := fails("Upload of gone", err, core.ErrNotFound); err != nil {
			return err
		}
		seq, err := v.UploadSeq()
		if err := equal("UploadSeq", seq, err, removed); err != nil {
			return err
		}
		active, finished, oldest, err := v.UploadTotals()
		if err != nil || active != 2 || finished != 1 || oldest != 3 {
			return fmt.Errorf("UploadTotals = %d, %d, %d, %w, want 2, 1 and 3", active, finished, oldest, err)
		}
		first, err := v.Uploads(0, 2)
		if err := equal("Uploads", first, err, []core.UploadRecord{full, least}); err != nil {
			return err
		}
		rest, err := v.Uploads(least.Key, 2)
		return equal("Uploads after two", rest, err, []core.UploadRecord{done})
	})
}

func testFinishedUploads(_ *testing.T, f *fixture) {
	var want []core.UploadRecord
	f.everywhere(func(tx core.Tx) error {
		for i := range 20 {
			rec := core.UploadRecord{ID: fmt.Sprint(i), State: core.UploadState(i % 8), UpdatedAtMs: int64(i / 8)}
			if err := tx.PutUpload(&rec); err != nil {
				return err
			}
			if rec.State.IsFinished() {
				want = append(want, rec)
			}
		}
		return nil
	}, func(v core.View) error {
		var got []core.UploadRecord
		for after := (core.UploadPlace{}); ; {
			page, err := v.FinishedUploads(after, 2)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				return equal("FinishedUploads", got, nil, want)
			}
			got, after = append(got, page...), page[len(page)-1].Place()
		}
	})
}

func testDamagedUpload(_ *testing.T, f *fixture) {
	damaged := core.UploadRecord{ID: "u", Space: "s", Damaged: true}
	f.everywhere(func(tx core.Tx) error { return tx.PutUpload(&damaged) }, func(v core.View) error {
		got, err := v.Upload("u")
		if err := equal("Upload", got, err, damaged); err != nil {
			return err
		}
		found := 0
		err = v.Check(func(d core.Damage) error {
			if d.Table == "upload_job" && d.Lost {
				found++
			}
			return nil
		})
		return equal("uploads that Check found", found, err, 1)
	})
	f.write(func(tx core.Tx) error { // what is written as good is good
		damaged.Damaged = false
		return tx.PutUpload(&damaged)
	})
	f.read(func(v core.View) error {
		got, err := v.Upload("u")
		return errors.Join(equal("Upload", got, err, damaged), v.Check(func(d core.Damage) error { return fmt.Errorf("%+v", d) }))
	})
}
