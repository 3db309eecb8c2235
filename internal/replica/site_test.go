package replica_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/store"
)

// clock is a clock that stands still until it is moved.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// site is a replica over a real store in a directory.
type site struct {
	*replica.Replica
	t        testing.TB
	dir      string
	id       identity.Identity
	opts     siteOptions
	clock    *clock
	faults   *faults
	closed   bool
	database string
	hub      *events.Hub
	store    *store.DB
	drafts   *mailbox.Mailbox
}

// siteOptions are what tests vary. The zero value is a new directory with a new
// key, a clock that stands still, and no sealing by time.
type siteOptions struct {
	dir      string             // "" for a new one
	id       *identity.Identity // nil for the one in the directory
	clock    *clock             // nil for a new one
	now      func() time.Time   // instead of clock
	timing   replica.Timing
	relaxed  bool
	faults   *faults
	logger   *slog.Logger // nil for none
	noVerify bool         // do not check the projections at the end
}

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &id
}

func openSite(t testing.TB, opts siteOptions) *site {
	t.Helper()
	s, err := tryOpenSite(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryOpenSite(t testing.TB, opts siteOptions) (*site, error) {
	t.Helper()
	if opts.dir == "" {
		opts.dir = t.TempDir()
	}
	if opts.clock == nil {
		opts.clock = newClock()
	}
	now := opts.now
	if now == nil {
		now = opts.clock.now
	}
	if opts.timing.Every == 0 {
		opts.timing.Every = 24 * time.Hour
	}
	// What these tests end is never the machine, so nothing has to wait for the disk.
	db, err := store.Open(opts.dir, store.Options{Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	id := opts.id
	if id == nil {
		own, err := identity.LoadOrCreate(opts.dir)
		if err != nil {
			t.Fatal(err)
		}
		id = &own
	}
	s := &site{
		t: t, dir: opts.dir, id: *id, opts: opts, clock: opts.clock, faults: opts.faults,
		hub: events.NewHub(), store: db, database: filepath.Join(opts.dir, "soma.db"),
	}
	if opts.logger == nil {
		opts.logger = slog.New(slog.DiscardHandler)
	}
	var st core.Store = db
	if opts.faults != nil {
		st = &faultyStore{Store: db, faults: opts.faults}
	}
	s.drafts, err = mailbox.Open(t.Context(), st, now, opts.logger, mailbox.Limits{
		TTL: mailbox.DefaultTTL, Drafts: mailbox.DefaultDrafts, SnippetBytes: mailbox.DefaultSnippetBytes,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.Replica, err = replica.Open(t.Context(), replica.Config{
		Store: st, Identity: *id, Dir: opts.dir, Database: db.Path(), Relaxed: opts.relaxed,
		Hub: s.hub, Logger: opts.logger, Now: now, Timing: opts.timing, Drafts: s.drafts,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	t.Cleanup(func() {
		if !s.closed {
			s.close()
		}
	})
	return s, nil
}

// close checks the projections and closes the replica and its store.
func (s *site) close() {
	s.t.Helper()
	if !s.opts.noVerify && !s.t.Failed() {
		s.verify()
	}
	s.closed = true
	s.hub.Close()
	s.drafts.Close()
	if err := errors.Join(s.Close(), s.store.Close()); err != nil {
		s.t.Errorf("Close = %v", err)
	}
}

// crash ends everything without sealing.
func (s *site) crash() {
	s.t.Helper()
	s.closed = true
	s.hub.Close()
	s.drafts.Close()
	if err := errors.Join(s.Abandon(), s.store.Close()); err != nil {
		s.t.Errorf("crash = %v", err)
	}
}

// reopen opens the directory of a closed site again.
func (s *site) reopen() *site {
	s.t.Helper()
	opts := s.opts
	opts.dir, opts.id, opts.clock, opts.faults = s.dir, &s.id, s.clock, nil
	return openSite(s.t, opts)
}

func (s *site) ctx() context.Context { return context.WithoutCancel(s.t.Context()) }

func (s *site) create(name string) core.SpaceID {
	s.t.Helper()
	space, err := s.CreateSpace(s.ctx(), name)
	if err != nil {
		s.t.Fatalf("CreateSpace(%q) = %v", name, err)
	}
	return space.ID
}

func (s *site) upsert(space core.SpaceID, doc string, update []byte) replica.Revision {
	s.t.Helper()
	rev, err := s.Upsert(s.ctx(), space, doc, update, replica.WriteOptions{Source: events.SourceRenderer})
	if err != nil {
		s.t.Fatalf("Upsert(%q) = %v", doc, err)
	}
	return rev
}

// remove deletes the document "doc".
func (s *site) remove(space core.SpaceID) {
	s.t.Helper()
	if err := s.Delete(s.ctx(), space, "doc", events.SourceRenderer); err != nil {
		s.t.Fatalf("Delete = %v", err)
	}
}

func (s *site) rename(space core.SpaceID, name string) {
	s.t.Helper()
	if _, err := s.RenameSpace(s.ctx(), space, name, events.SourceRenderer); err != nil {
		s.t.Fatalf("RenameSpace(%q) = %v", name, err)
	}
}

func (s *site) name(space core.SpaceID) string {
	s.t.Helper()
	rec, err := s.Space(s.ctx(), space)
	if err != nil {
		s.t.Fatalf("Space = %v", err)
	}
	return rec.Name
}

// text returns the root "text" of a document, or the error of Load.
func (s *site) text(space core.SpaceID, doc string) string {
	s.t.Helper()
	d, err := s.Load(s.ctx(), space, doc)
	if err != nil {
		return err.Error()
	}
	root := d.Root("text")
	if root == nil {
		return ""
	}
	return root.Text()
}

func (s *site) wantText(space core.SpaceID, doc, want string) {
	s.t.Helper()
	if got := s.text(space, doc); got != want {
		s.t.Errorf("text of %q = %q, want %q", doc, got, want)
	}
}

func (s *site) wantHidden(space core.SpaceID, doc string) {
	s.t.Helper()
	if got, err := s.Get(s.ctx(), space, doc); !errors.Is(err, core.ErrNotFound) {
		s.t.Errorf("Get(%q) = %v, %v, want ErrNotFound", doc, got, err)
	}
}

func (s *site) view(fn func(v core.View) error) {
	s.t.Helper()
	if err := s.store.Read(s.ctx(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// records returns the entries of a space in the order of acceptance.
func (s *site) records(space core.SpaceID) []core.EntryRecord {
	s.t.Helper()
	var all []core.EntryRecord
	s.view(func(v core.View) error {
		rec, err := v.Space(space)
		if err != nil {
			return err
		}
		for after := int64(0); ; after = all[len(all)-1].Key {
			page, err := v.EntriesAfter(rec.Key, after, 1<<20)
			if err != nil || len(page) == 0 {
				return err
			}
			all = append(all, page...)
		}
	})
	return all
}

func (s *site) entries(space core.SpaceID) []core.Entry {
	s.t.Helper()
	recs := s.records(space)
	entries := make([]core.Entry, len(recs))
	for i, rec := range recs {
		entries[i] = rec.Entry
	}
	return entries
}

// decoded returns the entries of a space as package log reads them.
func (s *site) decoded(space core.SpaceID) []*log.Entry {
	s.t.Helper()
	var all []*log.Entry
	for _, raw := range s.entries(space) {
		e, err := log.Decode(raw)
		if err != nil {
			s.t.Fatalf("Decode of a stored entry = %v", err)
		}
		all = append(all, e)
	}
	return all
}

func (s *site) seal() {
	s.t.Helper()
	if err := s.Seal(s.ctx()); err != nil {
		s.t.Fatalf("Seal = %v", err)
	}
}

func (s *site) accept(space core.SpaceID, entries ...core.Entry) []core.Outcome {
	s.t.Helper()
	outcomes, err := s.Accept(s.ctx(), space, entries)
	if err != nil {
		s.t.Fatalf("Accept = %v", err)
	}
	return outcomes
}

// pull takes in all sealed entries of another site.
func (s *site) pull(from *site, space core.SpaceID) {
	s.t.Helper()
	for _, o := range s.accept(space, from.entries(space)...) {
		if o.Status != core.EntryAccepted && o.Status != core.EntryKnown {
			s.t.Fatalf("entry %s is %s: %v", o.Hash, o.Status, o.Err)
		}
	}
}

// exchange brings two sites to the same log.
func exchange(a, b *site, space core.SpaceID) {
	a.t.Helper()
	a.seal()
	b.seal()
	a.pull(b, space)
	b.pull(a, space)
}

// archive returns entries in the form that Import reads.
func archive(t testing.TB, space core.SpaceID, entries ...core.Entry) *bytes.Buffer {
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
	return &b
}

// found imports the genesis of a space and nothing else.
func (s *site) found(from *site, space core.SpaceID) {
	s.t.Helper()
	if err := s.importFrom(archive(s.t, space, from.entries(space)[0])); err != nil {
		s.t.Fatalf("Import(genesis) = %v", err)
	}
}

// second opens another directory of the same member, which holds the space.
func (s *site) second(space core.SpaceID) *site {
	s.t.Helper()
	opts := s.opts
	opts.dir, opts.id, opts.faults = "", &s.id, nil
	opts.clock = newClock()
	opts.clock.ms.Store(s.clock.ms.Load())
	b := openSite(s.t, opts)
	b.found(s, space)
	b.pull(s, space)
	return b
}

// A Yjs update with one string in the root "text", after the client's earlier
// units or at the start.
func insert(client, clock uint64, text string) []byte {
	b := []byte{1, 1}
	b = binary.AppendUvarint(b, client)
	b = binary.AppendUvarint(b, clock)
	if clock == 0 {
		b = append(b, 4, 1, 4)
		b = append(b, "text"...)
	} else {
		b = append(b, 4|0x80)
		b = binary.AppendUvarint(b, client)
		b = binary.AppendUvarint(b, clock-1)
	}
	b = binary.AppendUvarint(b, uint64(len(text)))
	b = append(b, text...)
	return append(b, 0)
}

// A Yjs update that deletes.
func erase(client, clock, n uint64) []byte {
	b := []byte{0, 1}
	b = binary.AppendUvarint(b, client)
	b = append(b, 1)
	b = binary.AppendUvarint(b, clock)
	return binary.AppendUvarint(b, n)
}

// importFrom spools and imports an archive.
func (s *site) importFrom(source io.Reader) error {
	spool, err := s.Spool(s.ctx(), source)
	if err != nil {
		return err
	}
	defer spool.Discard()
	return s.Import(s.ctx(), spool)
}
