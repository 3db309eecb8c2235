package log_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

func writeArchive(t testing.TB, space core.SpaceID, entries ...core.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := log.NewArchiveWriter(&b, space)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readArchive returns what a reader gives out and the error that ends it, nil for io.EOF.
func readArchive(r io.Reader) (space core.SpaceID, entries []core.Entry, err error) {
	a, err := log.NewArchiveReader(r)
	if err != nil {
		return "", nil, err
	}
	for {
		e, err := a.Next()
		if err == nil {
			entries = append(entries, e)
			continue
		}
		if _, again := a.Next(); !errors.Is(again, err) {
			return a.Space(), entries, errors.New("the error does not stick")
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return a.Space(), entries, err
	}
}

func (w *world) archive(t testing.TB) ([]byte, []core.Entry) {
	t.Helper()
	var entries []core.Entry
	for _, e := range w.entries() {
		entries = append(entries, e.Raw)
	}
	return writeArchive(t, w.genesis.SpaceID(), entries...), entries
}

func TestArchiveRoundTrip(t *testing.T) {
	w := newWorld(t)
	b, want := w.archive(t)
	for name, r := range map[string]io.Reader{
		"whole":  bytes.NewReader(b),
		"bytes":  iotest.OneByteReader(bytes.NewReader(b)),
		"eof":    iotest.DataErrReader(bytes.NewReader(b)),
		"halves": iotest.HalfReader(bytes.NewReader(b)),
	} {
		space, got, err := readArchive(r)
		if err != nil || space != w.genesis.SpaceID() || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: space %s, %d entries, %v", name, space, len(got), err)
		}
	}
	big := seal(t, w.owner, w.update.Header, log.Op{ID: opID(1), Body: log.DocUpdate{Doc: "d", Update: make([]byte, log.MaxDocUpdateBytes)}})
	_, got, err := readArchive(bytes.NewReader(writeArchive(t, w.genesis.SpaceID(), big.Raw)))
	if err != nil || !reflect.DeepEqual(got, []core.Entry{big.Raw}) {
		t.Errorf("the largest entry: %v", err)
	}
	if _, got, err := readArchive(bytes.NewReader(writeArchive(t, w.genesis.SpaceID()))); err != nil || len(got) != 0 {
		t.Errorf("empty archive: %v, %v", got, err)
	}
}

func TestArchiveDamage(t *testing.T) {
	b, _ := newWorld(t).archive(t)
	for n := range b { // every truncation
		if _, _, err := readArchive(bytes.NewReader(b[:n])); !errors.Is(err, core.ErrInvalidArchive) {
			t.Fatalf("cut at %d: %v, want ErrInvalidArchive", n, err)
		}
	}
	for i := range b { // every byte
		damaged := bytes.Clone(b)
		damaged[i] ^= 1 << (i % 8)
		if _, _, err := readArchive(bytes.NewReader(damaged)); !errors.Is(err, core.ErrInvalidArchive) {
			t.Fatalf("bit flipped in byte %d: %v, want ErrInvalidArchive", i, err)
		}
	}
	for name, tail := range map[string][]byte{"byte": {0}, "archive": b} {
		if _, _, err := readArchive(bytes.NewReader(append(bytes.Clone(b), tail...))); !errors.Is(err, core.ErrInvalidArchive) {
			t.Errorf("%s after the end: %v, want ErrInvalidArchive", name, err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		junk := make([]byte, rng.IntN(200))
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		if _, _, err := readArchive(bytes.NewReader(junk)); !errors.Is(err, core.ErrInvalidArchive) {
			t.Fatalf("junk %x: %v, want ErrInvalidArchive", junk, err)
		}
	}
}

// Entries out of order or of wrong number must show even where each is sound.
func TestArchiveSwap(t *testing.T) {
	w := newWorld(t)
	a := writeArchive(t, w.genesis.SpaceID(), w.genesis.Raw, w.retire.Raw)
	b := writeArchive(t, w.genesis.SpaceID(), w.retire.Raw, w.genesis.Raw)
	mixed := append(bytes.Clone(b[:len(b)-60]), a[len(a)-60:]...)
	if _, _, err := readArchive(bytes.NewReader(mixed)); !errors.Is(err, core.ErrInvalidArchive) {
		t.Errorf("swapped entries: %v, want ErrInvalidArchive", err)
	}
}

func TestArchiveErrorsOfTheReader(t *testing.T) {
	b, _ := newWorld(t).archive(t)
	oops := errors.New("disk on fire")
	for _, n := range []int{0, 10, 40, 200, len(b) - 1, len(b)} {
		r := io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(oops))
		if _, _, err := readArchive(r); !errors.Is(err, oops) || errors.Is(err, core.ErrInvalidArchive) {
			t.Errorf("error after %d bytes: %v, want it", n, err)
		}
	}
}

// full takes n bytes.
type full struct{ n int }

var errFull = errors.New("disk is full")

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.n {
		return 0, errFull
	}
	f.n -= len(b)
	return len(b), nil
}

func TestArchiveWriterErrors(t *testing.T) {
	w := newWorld(t)
	if _, err := log.NewArchiveWriter(io.Discard, "nonsense"); !errors.Is(err, core.ErrInvalidID) {
		t.Errorf("NewArchiveWriter(nonsense) = %v, want ErrInvalidID", err)
	}
	if _, err := log.NewArchiveWriter(&full{}, w.genesis.SpaceID()); !errors.Is(err, errFull) {
		t.Errorf("NewArchiveWriter on a full disk = %v", err)
	}
	a, err := log.NewArchiveWriter(&full{100}, w.genesis.SpaceID())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it sticks
		if err := a.Write(w.genesis.Raw); !errors.Is(err, errFull) {
			t.Errorf("Write on a full disk = %v", err)
		}
	}
	if err := a.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close on a full disk = %v", err)
	}

	var b bytes.Buffer
	if a, err = log.NewArchiveWriter(&b, w.genesis.SpaceID()); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]core.Entry{
		"no signature": {Header: w.genesis.Raw.Header, Ops: w.genesis.Raw.Ops},
		"header":       {Header: make([]byte, log.MaxHeaderBytes+1), Sig: make([]byte, 64)},
		"ops":          {Ops: make([]byte, log.MaxOpsBytes+1), Sig: make([]byte, 64)},
	} {
		if err := a.Write(e); !errors.Is(err, core.ErrInvalidEntry) {
			t.Errorf("Write(%s) = %v, want ErrInvalidEntry", name, err)
		}
	}
	if err := a.Write(w.genesis.Raw); err != nil { // what was refused left no trace
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Write(w.genesis.Raw); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Write after Close = %v, want ErrClosed", err)
	}
	if _, got, err := readArchive(&b); err != nil || len(got) != 1 {
		t.Errorf("%d entries, %v, want 1", len(got), err)
	}
}
