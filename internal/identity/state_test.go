package identity_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/identity"
)

func openState(t *testing.T, dir string) *identity.State {
	t.Helper()
	s, err := identity.OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStateKeepsTheHighest(t *testing.T) {
	dir := t.TempDir()
	s := openState(t, dir)
	if _, err := s.Read(); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("Read(new) = %v, want ErrNotFound", err)
	}
	a, b := identity.NewIncarnation(rand.Reader), identity.NewIncarnation(rand.Reader)
	if a == b {
		t.Fatal("two incarnations are equal")
	}
	for _, step := range []struct{ update, want identity.Record }{
		{identity.Record{Incarnation: a}, identity.Record{Incarnation: a}},
		{identity.Record{Incarnation: a, Sealed: 5}, identity.Record{Incarnation: a, Sealed: 5}},
		{identity.Record{Incarnation: a, Sealed: 3}, identity.Record{Incarnation: a, Sealed: 5}},
		{identity.Record{Incarnation: b, Sealed: 1}, identity.Record{Incarnation: b, Sealed: 1}},
	} {
		if err := s.Update(step.update); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); err != nil || got != step.want {
			t.Fatalf("after Update(%v): Read = %v, %v, want %v", step.update, got, err, step.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	if _, err := s.Read(); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Read after Close = %v, want ErrClosed", err)
	}
	if err := s.Update(identity.Record{}); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Update after Close = %v, want ErrClosed", err)
	}

	s = openState(t, dir)
	if err := s.Update(identity.Record{Incarnation: b}); err != nil { // also after opening again
		t.Fatal(err)
	}
	if got, err := s.Read(); err != nil || got != (identity.Record{Incarnation: b, Sealed: 1}) {
		t.Errorf("after opening again: Read = %v, %v", got, err)
	}
}

func TestDamagedStateSaysNothingAndHeals(t *testing.T) {
	rec := identity.Record{Incarnation: core.Incarnation{1, 2, 3}, Sealed: 9}
	sample := t.TempDir()
	if err := openState(t, sample).Update(rec); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(sample, identity.StateFile))
	if err != nil || len(good) != 64 {
		t.Fatalf("record of %d bytes, %v, want 64", len(good), err)
	}
	damaged := map[string][]byte{
		"short": good[:63],
		"one":   good[:1],
		"long":  append(bytes.Clone(good), 0),
		"huge":  bytes.Repeat(good, 100),
		"zero":  make([]byte, 64),
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x10
		damaged["flip "+string(rune('A'+i))] = b
	}
	for name, content := range damaged {
		dir := t.TempDir()
		path := filepath.Join(dir, identity.StateFile)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openState(t, dir)
		if _, err := s.Read(); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: Read = %v, want ErrCorrupt", name, err)
		}
		if err := s.Update(rec); err != nil {
			t.Errorf("%s: Update = %v", name, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, good) {
			t.Errorf("%s: file after Update = %x, %v, want %x", name, got, err, good)
		}
	}
}

func TestAhead(t *testing.T) {
	a, b := core.Incarnation{1}, core.Incarnation{2}
	for _, c := range []struct {
		rec    identity.Record
		inc    core.Incarnation
		sealed uint64
		want   bool
	}{
		{identity.Record{Incarnation: a, Sealed: 5}, a, 5, false},
		{identity.Record{Incarnation: a, Sealed: 5}, a, 6, false}, // killed between commit and mark
		{identity.Record{Incarnation: a, Sealed: 5}, a, 4, true},  // the database was put back
		{identity.Record{Incarnation: b, Sealed: 1}, a, 9, true},  // to before another incarnation
	} {
		if got := c.rec.Ahead(c.inc, c.sealed); got != c.want {
			t.Errorf("%v.Ahead(%v, %d) = %v, want %v", c.rec, c.inc, c.sealed, got, c.want)
		}
	}
}

func TestStateConcurrentUpdates(t *testing.T) {
	s := openState(t, t.TempDir())
	inc := identity.NewIncarnation(rand.Reader)
	var wg sync.WaitGroup
	for i := range uint64(50) {
		wg.Go(func() {
			if err := s.Update(identity.Record{Incarnation: inc, Sealed: i}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := s.Read(); err != nil || got.Sealed != 49 {
		t.Errorf("Read = %v, %v, want 49 sealed", got, err)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 64))
	dir := f.TempDir()
	s, err := identity.OpenState(dir)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(s.Update(identity.Record{Incarnation: core.Incarnation{1}, Sealed: 2}), s.Close()); err != nil {
		f.Fatal(err)
	}
	valid, err := os.ReadFile(filepath.Join(dir, identity.StateFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, identity.StateFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := openState(t, dir).Read()
		if err != nil {
			return
		}
		again := t.TempDir()
		if err := openState(t, again).Update(r); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(again, identity.StateFile)); err != nil || !bytes.Equal(got, b) {
			t.Errorf("record %x was read and is written as %x, %v", b, got, err)
		}
	})
}
