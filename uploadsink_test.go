package soma_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// pattern returns bytes of a size that are not all the same.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// Bytes that are damaged are not there, even if the DB does not know it yet: an upload heals
// them, and is done only when they can be read.
func TestUploadHeals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size   int // up to 1 MiB they are hashed when they are opened, then by blocks
		damage func(path string) error
	}{
		"a bit":            {300_000, flipByte(200_000)},
		"a bit of a block": {3 << 20, flipByte(2 << 20)},
		"the last bit":     {3<<20 + 1, flipByte(3 << 20)},
		"cut":              {300_000, func(path string) error { return os.Truncate(path, 299_999) }},
		"cut blocks":       {3 << 20, func(path string) error { return os.Truncate(path, 1<<20) }},
		"empty":            {3 << 20, func(path string) error { return os.Truncate(path, 0) }},
		"gone":             {300_000, os.Remove},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := somatest.OpenDir(t, dir)
			space := newSpace(t, db, "x")
			text := pattern(tt.size)
			info, err := db.Blobs().Put(t.Context(), space, bytes.NewReader(text), soma.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "blobs", "*", string(info.CID)))
			if err != nil || len(files) != 1 {
				t.Fatalf("files are %v, %v", files, err)
			}
			if err := errors.Join(os.Chmod(files[0], 0o600), tt.damage(files[0])); err != nil {
				t.Fatal(err)
			}
			job := untilUpload(t, db, enqueue(t, db, space, soma.UploadSource{Reader: bytes.NewReader(text)}).ID, soma.UploadDone, soma.UploadFailed)
			if job.State != soma.UploadDone || job.CID != info.CID || job.Attempts != 1 || job.LastError != "" {
				t.Fatalf("job is %+v", job)
			}
			b, err := db.Blobs().Open(t.Context(), space, info.CID)
			if err != nil {
				t.Fatalf("Open of a done upload = %v", err)
			}
			got, err := io.ReadAll(b)
			if err = errors.Join(err, b.Close()); err != nil || !bytes.Equal(got, text) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
}

func flipByte(at int64) func(path string) error {
	return func(path string) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		var b [1]byte
		_, err = f.ReadAt(b[:], at)
		if err == nil {
			b[0] ^= 1
			_, err = f.WriteAt(b[:], at)
		}
		return errors.Join(err, f.Close())
	}
}
