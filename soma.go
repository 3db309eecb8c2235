package soma

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/blob"
	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/mailbox"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/search"
	"github.com/soma-sdk/soma/internal/upload"
	"github.com/soma-sdk/soma/store"
)

// The identifiers of the API.
type (
	// SpaceID names a space. The library mints it.
	SpaceID = core.SpaceID
	// DocumentID names a document in a space. The host chooses it: printable UTF-8,
	// 1 to MaxIDBytes bytes.
	DocumentID = core.DocumentID
	// PeerID is a member: an Ed25519 public key, with the text of a libp2p peer ID.
	PeerID = core.PeerID
)

// ParsePeerID parses the text of a PeerID, such as "12D3KooW...". Empty text is none.
//
// Errors: ErrInvalidID.
func ParsePeerID(text string) (PeerID, error) { return core.ParsePeerID(text) }

// MaxIDBytes bounds every identifier that a host chooses, in bytes.
const MaxIDBytes = core.MaxIDBytes

// DB is an open directory. Its methods and those of its services are safe for
// concurrent use, and two DBs on different directories do not know of each other.
type DB struct {
	store   *store.DB
	replica *replica.Replica
	hub     *events.Hub
	agents  *events.AgentHub
	mailbox *mailbox.Mailbox
	blobs   *blob.Blobs
	uploads *upload.Uploads
	search  *search.Searcher // nil without
	node    core.Node        // nil without
	noNode  core.Watchers    // of a status that never changes
	logger  *slog.Logger
	now     func() time.Time

	collections *collection.Collections

	mu      sync.Mutex
	calls   sync.WaitGroup
	closing bool
	once    sync.Once
	err     error
}

// Open opens the directory dir, creating it if needed. It blocks for disk work
// only and never waits for another process. Options are checked before the disk
// is touched.
//
// Errors: ErrLocked when the directory is in use, ErrNotDatabase, ErrCorrupt and
// ErrSchemaTooNew for a database that this version must not touch and leaves as it
// is, ErrInvalidOption, ErrNoCgo.
func Open(dir string, opts ...Option) (*DB, error) {
	o, err := collect(opts)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(dir, store.Options{Relaxed: o.relaxed, Logger: o.logger})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	db, err := open(filepath.Dir(st.Path()), st, o) // absolute, whatever dir is
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), st.Close())
	}
	return db, nil
}

func open(dir string, st *store.DB, o *options) (*DB, error) {
	if o.identity == nil {
		id, err := identity.LoadOrCreate(dir)
		if err != nil {
			return nil, err
		}
		o.identity = &id
	}
	pool, err := st.OpenPool(o.now)
	if err != nil {
		return nil, err
	}
	drafts, err := mailbox.Open(context.Background(), st, o.now, o.logger, o.drafts)
	if err != nil {
		return nil, err
	}
	collections := openCollections(st, o)
	mirrorDrafts(drafts, collections)
	hub := events.NewHub()
	rep, err := replica.Open(context.Background(), replica.Config{
		Store: st, Identity: *o.identity, Dir: dir, Database: st.Path(), Relaxed: o.relaxed,
		Hub: hub, Logger: o.logger, Now: o.now, Drafts: drafts,
	})
	if err != nil {
		return nil, err
	}
	searcher, err := startSearch(dir, rep, hub, o)
	if err != nil {
		return nil, errors.Join(err, rep.Close())
	}
	blobs := blob.Open(blob.Config{Pool: pool, Log: rep, Limits: o.blobs, Now: o.now, Logger: o.logger})
	uploads, err := openUploads(dir, st, rep, blobs, collections, o)
	if err != nil {
		blobs.Close()
		return nil, errors.Join(err, rep.Close())
	}
	db := &DB{
		store: st, blobs: blobs, uploads: uploads, now: o.now, replica: rep, hub: hub, agents: events.NewAgentHub(), mailbox: drafts, collections: collections,
		search: searcher, logger: o.logger,
	}
	if err := db.startSync(o); err != nil {
		return nil, errors.Join(err, db.closeParts())
	}
	return db, nil
}

// Close finishes what calls have begun, closes all subscriptions and the
// directory. Calls made after it began return ErrClosed. It does not wait for
// subscribers to read. Calling it again returns the same result.
func (db *DB) Close() error {
	db.once.Do(func() {
		db.mu.Lock()
		db.closing = true
		db.mu.Unlock()
		db.err = errors.Join(db.closeParts(), db.store.Close())
	})
	return db.err
}

// closeParts ends everything above the store.
func (db *DB) closeParts() error {
	err := db.closeSync()  // first, since calls may wait for it, and peers bring in entries
	db.closeSearch()       // next, since calls may wait for it, too
	db.uploads.Interrupt() // or for what a sink does
	db.calls.Wait()
	db.hub.Close()
	db.replica.CloseFollowers()
	db.collections.Close()
	db.agents.Close()
	db.mailbox.Close()
	db.uploads.Close() // before what they upload into
	db.blobs.Close()
	return errors.Join(err, db.replica.Close())
}

// begin admits a call, which must call end when it is done.
func (db *DB) begin() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closing {
		return ErrClosed
	}
	db.calls.Add(1)
	return nil
}

func (db *DB) end() { db.calls.Done() }

// PeerID returns who this DB acts as.
func (db *DB) PeerID() PeerID { return db.replica.Peer() }

// Subscribe returns a channel of events, one for each change from now on. The
// channel closes when ctx ends, which is how to unsubscribe, and on Close. A slow
// reader never blocks a writer and misses nothing: waiting events coalesce, see
// DomainEvent. After Close the channel is closed from the start.
func (db *DB) Subscribe(ctx context.Context) <-chan DomainEvent { return db.hub.Subscribe(ctx) }
