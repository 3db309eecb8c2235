package somasync_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
)

// randomBytes are n bytes that differ by seed.
func randomBytes(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func (d *device) put(t *testing.T, space soma.SpaceID, b []byte) soma.CID {
	t.Helper()
	info, err := d.Blobs().Put(t.Context(), space, bytes.NewReader(b), soma.PutOptions{})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	return info.CID
}

func (d *device) isHere(t *testing.T, space soma.SpaceID, cid soma.CID) bool {
	t.Helper()
	info, err := d.Blobs().Stat(t.Context(), space, cid)
	return err == nil && info.Here
}

// A blob comes when somebody waits for it, when it is wanted, and where all are.
func TestBlobsCome(t *testing.T) {
	t.Parallel()
	a, b := newDevice(t), newDevice(t)
	space := a.create(t)
	content := randomBytes(1, 5<<20)
	large := a.put(t, space, content)
	small := a.put(t, space, []byte("small"))
	rest := a.put(t, space, randomBytes(2, 100_000))
	b.join(t, a.invite(t, space, 1))
	eventually(t, "b knows of the blobs", func() bool {
		_, err := b.Blobs().Stat(t.Context(), space, rest)
		return err == nil
	})
	var told []int64
	began := time.Now()
	blob, err := b.Blobs().Open(t.Context(), space, large, soma.WithFetch(), soma.WithProgress(func(done, _ int64) { told = append(told, done) }))
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Logf("5 MiB came after %v", time.Since(began))
	got, err := io.ReadAll(blob)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(content))
	}
	if err := blob.Close(); err != nil {
		t.Error(err)
	}
	if !slices.IsSorted(told) || len(told) == 0 || told[len(told)-1] != int64(len(content)) {
		t.Errorf("progress %v", told)
	}
	if b.isHere(t, space, small) || b.isHere(t, space, rest) {
		t.Error("what nobody wants came")
	}
	if err := b.Blobs().Want(t.Context(), space, small); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is wanted comes", func() bool { return b.isHere(t, space, small) })
	if err := b.Blobs().SetPin(t.Context(), space, soma.PinAll); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all comes", func() bool { return b.isHere(t, space, rest) && b.status(t, space).WantedBlobs == 0 })
	for n := range 20 { // what is put later, too
		cid := a.put(t, space, fmt.Appendf(nil, "late %d", n))
		eventually(t, "what is new comes", func() bool { return b.isHere(t, space, cid) })
	}
}
