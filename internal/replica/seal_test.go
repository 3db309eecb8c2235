package replica_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
)

// sealed returns the updates of the document "doc" that are in the log.
func (s *site) sealed(space core.SpaceID) (updates [][]byte) {
	s.t.Helper()
	for _, e := range s.decoded(space) {
		for _, op := range e.Ops {
			if u, ok := op.Body.(log.DocUpdate); ok && u.Doc == "doc" {
				updates = append(updates, u.Update)
			}
		}
	}
	return updates
}

func (s *site) record(space core.SpaceID, doc string) (d core.DocRecord) {
	s.t.Helper()
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		d, err = v.Doc(rec.Key, doc)
		return err
	})
	return d
}

// TestTyping types for a minute at eight keys a second.
func TestTyping(t *testing.T) {
	for _, relaxed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := openSite(t, siteOptions{now: time.Now, relaxed: relaxed, timing: replica.Timing{Every: replica.DefaultEvery}})
			space := s.create("space")
			const keys = 8 * 60
			text := strings.Repeat("What is typed. ", keys/15)
			s.upsert(space, "doc", insert(1, 0, text[:1]))
			want := 1
			if relaxed { // the caller does not wait for the disk, and no entry is made without it
				want = 0
			}
			if got := len(s.sealed(space)); got != want {
				t.Errorf("relaxed %v: the first key made %d entries, want %d", relaxed, got, want)
			}
			for i := uint64(1); i < keys; i++ {
				time.Sleep(time.Second / 8)
				s.upsert(space, "doc", insert(1, i, text[i:i+1]))
			}
			synctest.Wait()
			if got := len(s.sealed(space)); got < want+11 || got > want+12 {
				t.Errorf("relaxed %v: a minute of typing made %d entries, want about 12", relaxed, got)
			}
			time.Sleep(replica.DefaultEvery)
			synctest.Wait()
			if got := s.record(space, "doc").TailCount; got != 0 {
				t.Errorf("relaxed %v: %d updates still in the tail", relaxed, got)
			}
			updates := s.sealed(space)
			if size, most := sum(updates), int64(keys+20*len(updates)); size > most {
				t.Errorf("relaxed %v: %d keys are %d bytes in the log, want at most %d", relaxed, keys, size, most)
			}
			s.wantText(space, "doc", text)

			// Quiet again: the next key does not wait.
			time.Sleep(2 * replica.DefaultQuiet)
			s.upsert(space, "doc", insert(1, keys, "."))
			if got := len(s.sealed(space)) - len(updates); got != want {
				t.Errorf("relaxed %v: the first key after a pause made %d entries, want %d", relaxed, got, want)
			}
		})
	}
}

// TestSealerTriesAgain lets sealing fail once.
func TestSealerTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faults{}
		s := openSite(t, siteOptions{now: time.Now, faults: f, timing: replica.Timing{Every: replica.DefaultEvery}})
		space := s.create("space")
		s.upsert(space, "doc", insert(1, 0, "a"))
		s.upsert(space, "doc", insert(1, 1, "b"))
		f.arm(1, false, false)
		time.Sleep(replica.DefaultEvery)
		synctest.Wait()
		if !f.disarm() || s.record(space, "doc").TailCount != 1 {
			t.Fatal("the sealer did not run")
		}
		time.Sleep(replica.DefaultEvery)
		synctest.Wait()
		if got := s.record(space, "doc").TailCount; got != 0 {
			t.Errorf("%d updates in the tail after another round, want 0", got)
		}
	})
}

func TestTailIsBounded(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "a"))
	clock, before := uint64(1), len(s.sealed(space))
	for range 200 {
		s.upsert(space, "doc", insert(1, clock, strings.Repeat("x", 1000)))
		clock += 1000
		if d := s.record(space, "doc"); d.TailBytes >= replica.MaxTailBytes {
			t.Fatalf("the tail has %d bytes", d.TailBytes)
		}
	}
	if got := len(s.sealed(space)) - before; got != 3 {
		t.Errorf("200,000 bytes made %d entries, want 3", got)
	}
	// One update of that size does not go to the tail at all.
	s.upsert(space, "big", insert(1, 0, "a"))
	s.upsert(space, "big", insert(1, 1, strings.Repeat("x", replica.MaxTailBytes)))
	if d := s.record(space, "big"); d.TailCount != 0 || d.LastN != 2 {
		t.Errorf("%d updates in the tail, %d ops, want 0 and 2", d.TailCount, d.LastN)
	}
}

// TestSealingOrder says what seals the tail, and where its entry then stands.
func TestSealingOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *site, space core.SpaceID)
	}{
		{"Seal", func(s *site, _ core.SpaceID) { s.seal() }},
		{"Export", func(s *site, space core.SpaceID) {
			var b bytes.Buffer
			if err := s.Export(s.ctx(), space, &b); err != nil {
				s.t.Fatalf("Export = %v", err)
			}
			r, err := log.NewArchiveReader(&b)
			if err != nil {
				s.t.Fatal(err)
			}
			var last core.Entry
			for e, err := r.Next(); err != io.EOF; e, err = r.Next() { //nolint:errorlint // never wrapped
				if err != nil {
					s.t.Fatal(err)
				}
				last = e
			}
			e, err := log.Decode(last)
			if err != nil || !bytes.Equal(e.Ops[0].Body.(log.DocUpdate).Update, insert(1, 1, "bc")) {
				s.t.Errorf("the archive ends with %+v, %v, want the tail", e, err)
			}
		}},
		{"Delete", func(s *site, space core.SpaceID) { s.remove(space) }},
		{"a remote entry", func(s *site, space core.SpaceID) {
			w := newAuthor(s.t, s.id.Key(), space, 1)
			remote := w.write(nil, update("remote", insert(9, 0, "r")))
			s.wantStatus(space, core.EntryAccepted, remote.Raw)
			all := s.decoded(space)
			if all[len(all)-1].Hash != remote.Hash {
				s.t.Error("the remote entry does not come last")
			}
			if own := all[len(all)-2]; len(own.Deps) != 0 {
				s.t.Errorf("the tail's entry cites %s", own.Deps)
			}
			s.upsert(space, "doc", insert(1, 3, "d"))
			s.seal()
			all = s.decoded(space)
			if own := all[len(all)-1]; len(own.Deps) != 1 || own.Deps[0] != remote.Hash {
				s.t.Errorf("the next entry cites %s, want %s", own.Deps, remote.Hash)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openSite(t, siteOptions{})
			space := s.create("space")
			s.upsert(space, "doc", insert(1, 0, "a"))
			s.upsert(space, "doc", insert(1, 1, "b"))
			s.upsert(space, "doc", insert(1, 2, "c"))
			if got := len(s.sealed(space)); got != 1 {
				t.Fatalf("%d entries before, want 1", got)
			}
			c.do(s, space)
			if got := s.sealed(space); len(got) < 2 || !bytes.Equal(got[1], insert(1, 1, "bc")) {
				t.Errorf("sealed = %x, want one run for b and c", got)
			}
			if got := s.record(space, "doc").TailCount; got != 0 {
				t.Errorf("%d updates in the tail, want 0", got)
			}
		})
	}
}

func TestTailOfTheLastRun(t *testing.T) {
	for _, crash := range []bool{false, true} {
		s := openSite(t, siteOptions{})
		space := s.create("space")
		for i := range uint64(20) {
			s.upsert(space, "doc", insert(1, i, "x"))
		}
		if crash {
			s.crash()
		} else {
			s.close()
		}
		s = s.reopen()
		if got := len(s.sealed(space)); got != 2 {
			t.Errorf("crash %v: %d entries after opening again, want 2", crash, got)
		}
		if d := s.record(space, "doc"); d.TailCount != 0 || d.TailBytes != 0 {
			t.Errorf("crash %v: %d updates in the tail, want 0", crash, d.TailCount)
		}
		s.wantText(space, "doc", strings.Repeat("x", 20))
		s.upsert(space, "doc", insert(1, 20, "y"))
		s.wantText(space, "doc", strings.Repeat("x", 20)+"y")
	}
}

func TestDocumentsShareEntries(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	const docs = 50
	for n := range docs {
		s.upsert(space, fmt.Sprint("doc-", n), insert(1, 0, "a"))
		s.upsert(space, fmt.Sprint("doc-", n), insert(1, 1, "b"))
	}
	before := len(s.entries(space))
	s.seal()
	if got := len(s.entries(space)) - before; got != 1 {
		t.Errorf("the tails of %d documents made %d entries, want 1", docs, got)
	}
	all := s.decoded(space)
	if got := len(all[len(all)-1].Ops); got != docs {
		t.Errorf("the entry holds %d ops, want %d", got, docs)
	}
	// Far more than one entry takes.
	for n := range 300 {
		s.upsert(space, fmt.Sprint("more-", n), insert(1, 0, "a"))
		s.upsert(space, fmt.Sprint("more-", n), insert(1, 1, "b"))
	}
	s.seal()
	s.wantText(space, "more-299", "ab")
	b := openSite(t, siteOptions{})
	b.found(s, space)
	b.pull(s, space)
	wantEqual(t, "other", b.dump(space), s.dump(space))
}

// binary returns an update with one value that cannot be split.
func binaryUpdate(client uint64, size int) []byte {
	b := binary.AppendUvarint([]byte{1, 1}, client)
	b = append(b, 0, 3, 1, 1, 'b')
	b = binary.AppendUvarint(b, uint64(size))
	return append(append(b, make([]byte, size)...), 0)
}

func TestLargeUpdates(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	text := strings.Repeat("Large ✎ text. ", 5<<19/16)
	before := len(s.entries(space))
	s.upsert(space, "doc", insert(1, 0, text))
	all := s.decoded(space)[before:]
	if len(all) != 3 {
		t.Errorf("%d bytes made %d entries, want 3", len(text), len(all))
	}
	for i, e := range all[1:] {
		if e.Prev != all[i].Hash {
			t.Errorf("entry %d follows %s, want %s", i+1, e.Prev, all[i].Hash)
		}
	}
	s.wantText(space, "doc", text)
	b := openSite(t, siteOptions{})
	b.found(s, space)
	b.pull(s, space)
	wantEqual(t, "other", b.dump(space), s.dump(space))

	dump := s.dump(space)
	for _, size := range []int{log.MaxDocUpdateBytes, 2 << 20} {
		if _, err := s.Upsert(s.ctx(), space, "blob", binaryUpdate(1, size), replica.WriteOptions{Source: events.SourceRenderer}); !errors.Is(err, core.ErrTooLarge) {
			t.Errorf("Upsert(value of %d bytes) = %v, want ErrTooLarge", size, err)
		}
	}
	wantEqual(t, "after ErrTooLarge", s.dump(space), dump)
	s.upsert(space, "blob", binaryUpdate(1, 1<<20-64<<10))
}

// TestLargeFirstUpdate fills the first entry of a new incarnation, which has to
// name the earlier ones too.
func TestLargeFirstUpdate(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.close()
	s = copyOf(s)
	for range 3 {
		s.rename(space, "a name by incarnation "+fmt.Sprint(len(s.Retired())))
		s.close()
		s = copyOf(s)
	}
	before := len(s.entries(space))
	doc := strings.Repeat("d", core.MaxIDBytes)
	text := strings.Repeat("x", log.MaxDocUpdateBytes-len(insert(1, 0, ""))-2)
	if got := len(insert(1, 0, text)); got != log.MaxDocUpdateBytes {
		t.Fatalf("an update of %d bytes, want %d", got, log.MaxDocUpdateBytes)
	}
	s.upsert(space, doc, insert(1, 0, text))
	s.wantText(space, doc, text)
	if got := s.decoded(space)[before].Ops[0].Body.Number(); got != log.OpWriterRetire {
		t.Errorf("the first entry begins with %s, want %s", got, log.OpWriterRetire)
	}
}

// TestExportWaitsForTheDisk has own entries in the log that no commit has synced.
func TestExportWaitsForTheDisk(t *testing.T) {
	f := &faults{}
	s := openSite(t, siteOptions{relaxed: true, faults: f})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "a"))
	s.seal()
	for name, write := range map[string]func(){
		"rename":    func() { s.rename(space, "other") },
		"delete":    func() { s.remove(space) },
		"full tail": func() { s.upsert(space, "big", insert(1, 0, strings.Repeat("x", replica.MaxTailBytes))) },
	} {
		write()
		before := f.syncs.Load()
		if err := s.Export(s.ctx(), space, io.Discard); err != nil {
			t.Fatalf("Export = %v", err)
		}
		if f.syncs.Load() == before {
			t.Errorf("after %s: Export handed out an entry that is not on disk", name)
		}
	}
}

// sum returns the size of updates together.
func sum(updates [][]byte) (n int64) {
	for _, u := range updates {
		n += int64(len(u))
	}
	return n
}
