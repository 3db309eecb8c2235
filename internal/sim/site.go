package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/store"
)

// site is an honest replica in a directory.
type site struct {
	w    *world
	n    int // from 0, in order of appearance
	key  ed25519.PrivateKey
	peer core.PeerID
	dir  string

	clockMs int64
	opens   int
	clients uint64 // Yjs clientIDs that editors here have used
	editors map[core.DocumentID]*editor

	*replica.Replica // nil while closed
	db               *store.DB
	hub              *events.Hub
	fault            fault

	log  []core.Entry // what is in the store, as far as it was collected
	have map[core.Hash]bool
	last int64
}

// editor is a Y.Doc that a host holds. An epoch that changes ends it.
type editor struct {
	client uint64
	epoch  string
}

// keyOf returns a key that is the same in every run of a seed.
func keyOf(seed uint64, name string) ed25519.PrivateKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "soma simulator key %d %s", seed, name))
	return ed25519.NewKeyFromSeed(sum[:])
}

func peerOf(key ed25519.PrivateKey) core.PeerID {
	return core.PeerIDFromKey(key.Public().(ed25519.PublicKey))
}

// addSite adds a site, closed, in a new directory.
func (w *world) addSite(key ed25519.PrivateKey) *site {
	n := len(w.sites)
	s := &site{
		w: w, n: n, key: key, peer: peerOf(key), dir: w.newDir(), clockMs: startMs,
		editors: map[core.DocumentID]*editor{}, have: map[core.Hash]bool{},
	}
	w.sites = append(w.sites, s)
	return s
}

func (w *world) newDir() string {
	w.dirs++
	return filepath.Join(w.conf.Dir, fmt.Sprint(w.dirs))
}

func (s *site) String() string { return fmt.Sprint("site ", s.n) }

func (s *site) isOpen() bool { return s.Replica != nil }

// open opens the directory as a new process would.
func (s *site) open() error {
	if s.isOpen() {
		return nil
	}
	// More readers would do nothing here but take time to open.
	db, err := store.Open(s.dir, store.Options{Relaxed: true, Readers: 1})
	if err != nil {
		return err
	}
	id, err := identity.FromKey(s.key)
	if err != nil {
		return err
	}
	s.opens++
	s.fault = fault{}
	clear(s.editors) // a clientID is never kept across opens
	hub := events.NewHub()
	r, err := replica.Open(s.w.ctx, replica.Config{
		Store: &mortalStore{db, &s.fault}, Identity: id, Dir: s.dir, Database: db.Path(), Hub: hub,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.UnixMilli(s.clockMs) },
		// Nothing happens by time here: sealing is a step like others.
		Timing: replica.Timing{Quiet: time.Hour, Every: 1000 * time.Hour},
		Random: rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d/%d/%d", s.w.conf.Seed, s.n, s.opens))),
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.Replica, s.db, s.hub = r, db, hub
	return s.collect()
}

// close closes the replica. If it is killed before or by that, it just ends.
func (s *site) close() error {
	if !s.isOpen() {
		return nil
	}
	err := s.collect()
	if e := s.Close(); !errors.Is(e, errKilled) {
		err = errors.Join(err, e, s.collect())
	}
	s.hub.Close()
	err = errors.Join(err, s.db.Close())
	s.Replica = nil
	return err
}

// try is do of something that may be refused: what is fine is what an honest user may
// be told.
func (s *site) try(fn func(ctx context.Context) error) error {
	return s.do(func(ctx context.Context) error {
		err := fn(ctx)
		for _, fine := range []error{
			core.ErrForbidden, core.ErrNotFound, core.ErrExists, core.ErrLastOwner, core.ErrStaleDocument,
			core.ErrClientIDTaken, core.ErrTooNew, core.ErrPageCycle, core.ErrInvalidPlace,
		} {
			if errors.Is(err, fine) {
				s.w.tell("%s: %v", s, err)
				return nil
			}
		}
		return err
	})
}

// do calls fn, if the site is open. A site that is killed by it is closed afterwards.
func (s *site) do(fn func(ctx context.Context) error) error {
	if !s.isOpen() {
		return nil
	}
	err := fn(s.w.ctx)
	if errors.Is(err, errKilled) {
		s.w.tell("%s is killed", s)
		return s.close()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return s.collect()
}

// collect reads the entries that are new in the store.
func (s *site) collect() error {
	records, err := s.records(s.last)
	for _, rec := range records {
		s.last = rec.Key
		s.log = append(s.log, rec.Entry)
		s.have[rec.Hash] = true
		s.w.tell("%s has %s", s, rec.Hash)
		if err := s.w.ledger.note(rec.Entry); err != nil {
			return fmt.Errorf("%s stored an entry that is not admissible: %w", s, err)
		}
	}
	return err
}

// records returns the entries of the space after a key, in the order of acceptance.
func (s *site) records(after int64) (all []core.EntryRecord, err error) {
	err = s.db.Read(s.w.ctx, func(v core.View) error {
		rec, err := v.Space(s.w.space)
		if errors.Is(err, core.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for {
			page, err := v.EntriesAfter(rec.Key, after, 1<<20)
			if err != nil || len(page) == 0 {
				return err
			}
			all = append(all, page...)
			after = page[len(page)-1].Key
		}
	})
	return all, err
}

// forget drops what was collected, because the directory is another.
func (s *site) forget() {
	s.log, s.last = nil, 0
	clear(s.have)
}

// found brings the space to a site, as the genesis alone.
func (s *site) found(genesis core.Entry) error {
	return s.do(func(ctx context.Context) error {
		var b strings.Builder
		archive, err := log.NewArchiveWriter(&b, s.w.space)
		if err != nil {
			return err
		}
		if err := errors.Join(archive.Write(genesis), archive.Close()); err != nil {
			return err
		}
		spool, err := s.Spool(ctx, strings.NewReader(b.String()))
		if err != nil {
			return err
		}
		defer spool.Discard()
		return s.Import(ctx, spool)
	})
}

// backup is a copy of a directory.
type backup struct {
	site  *site
	dir   string
	notes int // the notes of the site that are in it are those before
}

// copyTo copies a closed directory, all but its lock, or the database alone.
func copyTo(to, from string, only string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.Contains(f.Name(), ".lock") || only != "" && f.Name() != only {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// database returns the path of the database.
func (s *site) database() string { return filepath.Join(s.dir, "soma.db") }
