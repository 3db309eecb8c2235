package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/replica"
)

// act is one write that faults are injected into.
type act struct {
	name  string
	parts bool // it is more than one transaction, so a failure can leave some done
	do    func(s *site, space core.SpaceID) error
}

// acts returns writes of every kind, in an order in which each has something to do.
func acts(from *site, space core.SpaceID) []act {
	w := newAuthor(from.t, from.id.Key(), space, 1)
	chain := []*log.Entry{
		w.write(nil, update("theirs", insert(11, 0, "one "))),
		w.write(nil, log.SpaceMeta{Name: "theirs"}),
		w.write(nil, update("theirs", insert(11, 4, "two ")), update("mine", insert(12, 0, "x"))),
		w.write(nil, log.DocDelete{Doc: "theirs"}),
		w.write(nil, update("theirs", insert(11, 8, "three "))),
	}
	upsert := func(doc string, body []byte) func(*site, core.SpaceID) error {
		return func(s *site, space core.SpaceID) error {
			_, err := s.Upsert(s.ctx(), space, doc, body, replica.WriteOptions{Source: events.SourceRenderer})
			return err
		}
	}
	accept := func(entries ...*log.Entry) func(*site, core.SpaceID) error {
		return func(s *site, space core.SpaceID) error {
			_, err := s.Accept(s.ctx(), space, raws(entries...))
			return err
		}
	}
	remove := func(s *site, space core.SpaceID) error {
		return s.Delete(s.ctx(), space, "mine", events.SourceRenderer)
	}
	save := func(doc string, later time.Duration) func(*site, core.SpaceID) error {
		return func(s *site, space core.SpaceID) (err error) {
			return s.drafts.Save(s.ctx(), mailbox.Draft{
				SpaceID: space, DocumentID: doc, Snippet: "draft of " + doc, UpdatedAtMs: s.clock.now().Add(later).UnixMilli(),
			})
		}
	}
	putBlob := func(mime string) func(*site, core.SpaceID) error {
		return func(s *site, space core.SpaceID) error {
			_, err := s.PutBlob(s.ctx(), space, newBlob("one", mime, "one"), events.SourceRenderer, plainPut(true))
			return err
		}
	}
	return []act{
		{"first update", false, upsert("mine", insert(1, 0, "a"))},
		{"update to the tail", false, upsert("mine", insert(1, 1, "b"))},
		{"content that waits", false, upsert("mine", insert(1, 3, "d"))},
		{"deletion", false, upsert("mine", erase(1, 0, 1))},
		{"completion", false, upsert("mine", insert(1, 2, "c"))},
		{"another document", false, upsert("large", insert(4, 0, "z"))},
		{"delete", false, remove},
		{"restore", false, upsert("mine", []byte{0, 0})},
		{"rename", false, func(s *site, space core.SpaceID) error {
			_, err := s.RenameSpace(s.ctx(), space, "renamed", events.SourceRenderer)
			return err
		}},
		{"park", false, accept(chain[2], chain[1], chain[4])},
		{"unpark", false, accept(chain[0])},
		{"the rest", false, accept(chain[3])},
		{"update after", false, upsert("theirs", insert(5, 0, "mine too "))},
		{"draft", false, save("mine", 0)},
		{"stale draft", false, save("theirs", 0)},
		{"newer draft", false, save("kept", time.Hour)},
		{"update with the draft", false, func(s *site, space core.SpaceID) error {
			at := s.clock.ms.Load()
			opts := replica.WriteOptions{Source: events.SourceRenderer, Draft: &at}
			_, err := s.Upsert(s.ctx(), space, "mine", insert(6, 0, "drafted"), opts)
			return err
		}},
		{"change with a draft", false, accept(w.write(nil, update("theirs", insert(11, 14, "four ")), update("kept", insert(11, 0, "k"))))},
		{"put a blob", false, putBlob("text/plain")},
		{"say something else of it", false, putBlob("image/png")},
		{"blobs of another", false, accept(newAuthor(from.t, from.id.Key(), space, 2).write(nil, blobPut("one", "a/b", ""), blobPut("two", "", "")))},
		{"remove a blob", false, func(s *site, space core.SpaceID) error {
			return s.RemoveBlob(s.ctx(), space, hashOf("one"), events.SourceRenderer)
		}},
		{"seal", true, func(s *site, _ core.SpaceID) error { return s.Seal(s.ctx()) }},
		{"full tail", false, upsert("mine", insert(2, 0, strings.Repeat("x", replica.MaxTailBytes)))},
		{"compact", false, func(s *site, space core.SpaceID) error {
			return s.Compact(s.ctx(), s.record(space, "mine").Key)
		}},
		{"create a space", false, func(s *site, _ core.SpaceID) error {
			_, err := s.CreateSpace(s.ctx(), "another")
			return err
		}},
		{"import", false, func(s *site, space core.SpaceID) error {
			return s.importFrom(archive(s.t, space, s.entries(space)...))
		}},
		// Comes last, since everything after it would have to be checked with it.
		{"split update", false, upsert("large", insert(3, 0, strings.Repeat("y", 1<<20)))},
	}
}

// wantContent fails unless names and documents are as they were, whatever was
// sealed meanwhile.
func wantContent(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for key := range want {
		if strings.HasPrefix(key, "head") || strings.HasPrefix(key, "frontier") {
			delete(want, key)
		}
	}
	for key := range got {
		if strings.HasPrefix(key, "head") || strings.HasPrefix(key, "frontier") {
			delete(got, key)
		}
	}
	wantEqual(t, what, got, want)
}

// try runs an act and turns an injected panic into an error.
func (a act) try(s *site, space core.SpaceID) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %w", r.(error))
		}
	}()
	return a.do(s, space)
}

// TestFailingWrites lets the first write call of every act fail, then the second,
// and so on until the act gets through, and goes on with the same replica.
func TestFailingWrites(t *testing.T) {
	for _, panics := range []bool{false, true} {
		t.Run(fmt.Sprint("panic ", panics), func(t *testing.T) {
			t.Parallel()
			f := &faults{}
			s := openSite(t, siteOptions{faults: f})
			space := s.create("space")
			total := 0
			for _, a := range acts(s, space) {
				for k := int64(1); ; k++ {
					before := s.dump(space)
					f.arm(k, false, panics)
					err := a.try(s, space)
					if !f.disarm() {
						if err != nil {
							t.Fatalf("%s = %v", a.name, err)
						}
						break
					}
					total++
					if !errors.Is(err, errInjected) {
						t.Fatalf("%s, failing at %d = %v, want the injected error", a.name, k, err)
					}
					if a.parts {
						wantContent(t, fmt.Sprintf("%s, failing at %d", a.name, k), s.dump(space), before)
					} else {
						wantEqual(t, fmt.Sprintf("%s, failing at %d", a.name, k), s.dump(space), before)
					}
					s.verify()
					if t.Failed() {
						return
					}
				}
			}
			if total < 100 {
				t.Errorf("%d failures in all, want one for every write", total)
			}
			s.wantResult(space)
		})
	}
}

// wantResult checks what acts lead to.
func (s *site) wantResult(space core.SpaceID) {
	s.t.Helper()
	if got, want := s.text(space, "mine"), []string{"bcd", "x", "drafted", strings.Repeat("x", replica.MaxTailBytes)}; len(got) != len(strings.Join(want, "")) || !strings.Contains(got, "bcd") {
		s.t.Errorf("text of %q has %d letters, want %d", "mine", len(got), len(strings.Join(want, "")))
	}
	if got, want := s.text(space, "theirs"), "one two three four mine too "; len(got) != len(want) || !strings.Contains(got, "one two three four ") {
		s.t.Errorf("text of %q = %q, want the pieces of %q", "theirs", got, want)
	}
	if got := len(s.text(space, "large")); got != 1<<20+1 {
		s.t.Errorf("text of %q has %d letters, want %d", "large", got, 1<<20+1)
	}
	if got := s.waiting(space); got != 0 {
		s.t.Errorf("%d bytes wait, want 0", got)
	}
	for doc, want := range map[string]error{"mine": core.ErrNotFound, "theirs": core.ErrNotFound, "kept": nil} {
		if d, err := s.drafts.Get(s.ctx(), space, doc); !errors.Is(err, want) || err == nil && d.ConflictState != mailbox.Ahead {
			s.t.Errorf("draft of %q = %+v, %v, want %v", doc, d, err, want)
		}
	}
}

// TestCrashes ends the process, as it were, at every write call of every act: from
// there on nothing is written any more.
func TestCrashes(t *testing.T) {
	t.Parallel()
	s := openSite(t, siteOptions{faults: &faults{}})
	space := s.create("space")
	for _, a := range acts(s, space) {
		for k := int64(1); ; k++ {
			before := s.dump(space)
			s.faults.arm(k, true, false)
			err := a.do(s, space)
			if !s.faults.disarm() {
				if err != nil {
					t.Fatalf("%s = %v", a.name, err)
				}
				break
			}
			s.faults.arm(1, true, false) // the background must not write on
			_, incarnation := s.Writer()
			s.crash()
			s.opts.faults = &faults{}
			s = openSite(t, s.again())
			wantContent(t, fmt.Sprintf("%s, crashed at %d", a.name, k), s.dump(space), before)
			if _, got := s.Writer(); got != incarnation {
				t.Errorf("%s, crashed at %d: a new incarnation", a.name, k)
			}
			s.verify()
			if t.Failed() {
				return
			}
		}
	}
	s.wantResult(space)
}

// again returns the options that open the site's directory once more.
func (s *site) again() siteOptions {
	opts := s.opts
	opts.dir, opts.id, opts.clock = s.dir, &s.id, s.clock
	return opts
}

// TestFailingOpen lets every write call of Open fail.
func TestFailingOpen(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "a"))
	s.upsert(space, "doc", insert(1, 1, "b"))
	s.crash()
	s = copyOfFiles(s)
	for k := int64(1); ; k++ {
		opts := s.again()
		opts.faults = &faults{}
		opts.faults.arm(k, true, false)
		opened, err := tryOpenSite(t, opts)
		if !opts.faults.disarm() {
			if err != nil {
				t.Fatalf("Open = %v", err)
			}
			if k < 10 {
				t.Errorf("Open got through after %d failures, want more", k-1)
			}
			opened.wantText(space, "doc", "ab")
			if got := len(opened.Retired()); got != 1 {
				t.Errorf("%d incarnations retired, want 1", got)
			}
			return
		}
		if !errors.Is(err, errInjected) {
			t.Fatalf("Open, failing at %d = %v, want the injected error", k, err)
		}
	}
}

// copyOfFiles is copyOf without opening.
func copyOfFiles(s *site) *site {
	c := *s
	c.dir = copyDir(s.t, s.dir)
	return &c
}

// TestImportIsWholeOrNothing damages archives.
func TestImportIsWholeOrNothing(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	a.upsert(space, "doc", insert(1, 0, "text"))
	whole := archive(t, space, a.entries(space)...).Bytes()
	b := openSite(t, siteOptions{})
	for n := range len(whole) {
		if err := b.importFrom(bytes.NewReader(whole[:n])); !errors.Is(err, core.ErrInvalidArchive) {
			t.Fatalf("Import(first %d bytes) = %v, want ErrInvalidArchive", n, err)
		}
	}
	if spaces, err := b.Spaces(b.ctx()); err != nil || len(spaces) != 0 {
		t.Errorf("Spaces = %v, %v, want none", spaces, err)
	}
	entries := a.entries(space)
	if err := b.importFrom(archive(t, space, entries[1:]...)); !errors.Is(err, core.ErrInvalidArchive) {
		t.Errorf("Import(no genesis) = %v, want ErrInvalidArchive", err)
	}
	for range 2 { // again changes nothing
		if err := b.importFrom(bytes.NewReader(whole)); err != nil {
			t.Fatalf("Import = %v", err)
		}
		wantEqual(t, "imported", b.dump(space), a.dump(space))
	}
	// An entry that breaks a rule fails the import, after all others.
	w := newAuthor(t, a.id.Key(), space, 1)
	bad := w.sign(w.header(), update("doc", []byte("bad")))
	good := w.write(nil, update("good", insert(1, 0, "good")))
	if err := b.importFrom(archive(t, space, append(entries, bad.Raw, good.Raw)...)); !errors.Is(err, core.ErrInvalidEntry) {
		t.Errorf("Import(with a bad entry) = %v, want ErrInvalidEntry", err)
	}
	b.wantText(space, "good", "good")
}

// TestImportLosesNothing has archives that are not in causal order, with more to wait
// than may wait, and the genesis last.
func TestImportLosesNothing(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	w := newAuthor(t, a.id.Key(), space, 1)
	entries := a.entries(space)
	for n := range uint64(7) {
		entries = append(entries, w.write(nil, update("doc", insert(n+1, 0, strings.Repeat("x", 1<<20-500)))).Raw)
	}
	for n := range uint64(60) {
		entries = append(entries, w.write(nil, update("small", insert(1, n, "y"))).Raw)
	}
	moved := append(append(slices.Clone(entries[:2]), entries[3:]...), entries[2])
	reversed := slices.Clone(entries)
	slices.Reverse(reversed)
	for name, order := range map[string][]core.Entry{"one moved": moved, "reversed": reversed, "twice": append(reversed, moved...)} {
		b := openSite(t, siteOptions{})
		if err := b.importFrom(archive(t, space, order...)); err != nil {
			t.Errorf("%s: Import = %v", name, err)
			continue
		}
		if got, want := len(b.entries(space)), len(entries); got != want || b.waiting(space) != 0 {
			t.Errorf("%s: %d entries came and %d bytes wait, want %d and none", name, got, b.waiting(space), want)
		}
		b.close()
	}

	// What is not there at all is missed.
	b := openSite(t, siteOptions{})
	if err := b.importFrom(archive(t, space, append(reversed[:8:8], entries[:2]...)...)); !errors.Is(err, core.ErrInvalidArchive) {
		t.Errorf("Import of an archive with a hole = %v, want ErrInvalidArchive", err)
	}
	if err := b.importFrom(archive(t, space, entries[1:]...)); err != nil {
		t.Errorf("Import without genesis into a space that is here = %v", err)
	}
	c := openSite(t, siteOptions{})
	if err := c.importFrom(archive(t, space, entries[1:]...)); !errors.Is(err, core.ErrInvalidArchive) {
		t.Errorf("Import without genesis = %v, want ErrInvalidArchive", err)
	}
}
