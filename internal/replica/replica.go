package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/identity"
	"github.com/soma-sdk/soma/internal/log"
)

// Config is what a Replica is made of. All fields but Timing, Random and
// Drafts are required.
type Config struct {
	Store    core.Store
	Identity identity.Identity
	Dir      string // for identity.state and temporary files
	Database string // the database file, which Open marks to recognise copies
	Relaxed  bool   // the store does not sync every commit
	Hub      *events.Hub
	Logger   *slog.Logger
	Now      func() time.Time
	Timing   Timing
	Random   io.Reader // of IDs and incarnations, crypto/rand.Reader if nil
	Drafts   Drafts    // nil for none
}

// Timing says when the local tail is sealed into entries. Zero fields take the
// defaults.
type Timing struct {
	// Quiet is how long a document must have been untouched for its next op to be
	// sealed at once.
	Quiet time.Duration
	// Every is how often a document that is being written to is sealed.
	Every time.Duration
	// Haste is Every in spaces that Hasten was called for.
	Haste time.Duration
}

// The defaults of Timing.
const (
	DefaultQuiet = time.Second
	DefaultEvery = 5 * time.Second
	DefaultHaste = 250 * time.Millisecond
)

// MaxTailBytes is the size from which a document's tail is sealed at once.
const MaxTailBytes = 64 << 10

// Replica is the spaces of one directory. It is safe for concurrent use.
type Replica struct {
	store  core.Store
	self   *self
	dir    string
	hub    *events.Hub
	logger *slog.Logger
	now    func() time.Time
	timing Timing
	random io.Reader
	drafts Drafts
	relax  bool
	opened int64 // in ms, when all that came before was in the log

	sealer    *sealer
	compactor *compactor
	heads     *headCache
	feed      *feed
	docs      *docFeeds
	circle    *circle
	logs      *logs
	notes     *notes
	live      *liveDocs

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open starts a replica over an open store. It sweeps what an interrupted import
// left in the directory, decides under which incarnation to write, and seals
// what an earlier process left in the tail. Close must be called before the
// store is closed.
func Open(ctx context.Context, c Config) (*Replica, error) {
	if c.Timing.Quiet == 0 {
		c.Timing.Quiet = DefaultQuiet
	}
	if c.Timing.Every == 0 {
		c.Timing.Every = DefaultEvery
	}
	if c.Timing.Haste == 0 {
		c.Timing.Haste = DefaultHaste
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	c.Random = &lockedReader{Reader: c.Random}
	if err := sweepImports(c.Dir); err != nil {
		return nil, err
	}
	self, err := openSelf(ctx, c)
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Replica{
		store: c.Store, self: self, dir: c.Dir, hub: c.Hub, logger: c.Logger, now: c.Now,
		timing: c.Timing, random: c.Random, drafts: c.Drafts, relax: c.Relaxed, stop: stop, heads: newHeadCache(), live: newLiveDocs(),
		docs: newDocFeeds(), circle: newCircle(), logs: newLogs(), notes: newNotes(),
	}
	r.feed = newFeed(r)
	r.sealer = newSealer(r)
	r.compactor = newCompactor(r)
	switch err := r.Seal(ctx); {
	case err != nil && isDamage(err): // the tail stays; Verify and Rebuild need an open directory
		r.logger.Error("tail of the last run not sealed", "err", err)
		r.sealer.wake()
	case err != nil:
		stop()
		return nil, errors.Join(fmt.Errorf("seal the tail of the last run: %w", err), self.state.Close())
	}
	r.opened = r.now().UnixMilli()
	r.done.Go(func() { r.sealer.run(background) })
	r.done.Go(func() { r.compactor.run(background) })
	return r, nil
}

// isDamage reports whether an own entry could not be made because of what is stored.
func isDamage(err error) bool {
	var waiting *log.WaitingError
	return errors.Is(err, core.ErrCorrupt) || errors.Is(err, core.ErrInvalidID) || isNotFound(err) ||
		errors.As(err, &waiting) || log.ReasonOf(err) != ""
}

// Close stops the background work and seals the tail. It does not close the store.
func (r *Replica) Close() error {
	r.stop()
	r.done.Wait()
	err := errors.Join(r.Seal(context.Background()), r.flushNotes(context.Background()))
	if e := r.self.state.Close(); err == nil {
		err = e
	}
	return err
}

// Peer returns who this replica writes as.
func (r *Replica) Peer() core.PeerID { return r.self.peer }

// work is one write: a transaction and what has to happen once it is durable.
type work struct {
	core.Tx
	r      *Replica
	nowMs  int64
	source events.EventSource
	origin any // of the write, nil for none

	past        map[int64]*past               // by space key
	authorities map[int64]*authority          // by space key, those that were asked for
	forks       map[int64]uint64              // by writer key, those that were asked for
	chains      map[*log.CutHead]*chains      // by the first head, those that were asked for
	mintNext    bool                          // an own entry became void
	remakes     map[headKey]*pendingRemake    // documents to be made anew
	voided      map[headKey]*core.SpaceRecord // documents that got void content
	ripe        map[headKey]*core.SpaceRecord // documents with early deletions whose content may have come
	arrived     []*arrivedEntry               // new content
	noted       map[int64]*noted              // by space key, see note

	events    []events.DomainEvent
	docs      []followed            // as events has them
	toldBlobs map[core.SpaceID]bool // see blobsChanged
	mark      *mark                 // of own entries, if this sealed some
	compact   []int64               // documents that have grown
	ended     []func()              // for what outdate noted
	saves     int                   // of documents
	tailed    bool                  // a tail was left

	stored []storedEntry               // new, in order
	told   map[core.SpaceID]*core.News // what else peers have to learn of
}

// write runs fn in the writer and then does what its changes call for.
func (r *Replica) write(ctx context.Context, source events.EventSource, fn func(*work) error) error {
	return r.run(ctx, r.store.Write, !r.relax, source, fn)
}

// writeSynced is write that reaches the disk whatever the durability option is.
func (r *Replica) writeSynced(ctx context.Context, source events.EventSource, fn func(*work) error) error {
	return r.run(ctx, r.store.WriteSynced, true, source, fn)
}

func (r *Replica) run(
	ctx context.Context, commit func(context.Context, func(core.Tx) error) error, synced bool,
	source events.EventSource, fn func(*work) error,
) error {
	defer r.live.jobBegins()()
	var w *work
	err := commit(ctx, func(tx core.Tx) error {
		w = &work{Tx: tx, r: r, nowMs: r.now().UnixMilli(), source: source}
		if err := fn(w); err != nil {
			return err
		}
		if err := w.finish(); err != nil {
			return err
		}
		if err := w.tellFollowers(); err != nil {
			return err
		}
		w.OnCommit(func() { r.feed.commit(w, synced) })
		return nil
	})
	if err != nil {
		return err
	}
	r.settle(w)
	return nil
}

// finish draws the conclusions from what a job did, in the same transaction.
func (w *work) finish() error {
	for _, a := range w.authorities {
		if a.Now() != a.before {
			if err := w.joinNow(a); err != nil {
				return err
			}
		}
		if err := w.witness(a); err != nil {
			return err
		}
		if err := w.settleMembers(a); err != nil {
			return err
		}
	}
	if err := w.foldNoted(); err != nil {
		return err
	}
	if err := w.remakeNow(); err != nil {
		return err
	}
	if err := w.tellVoided(); err != nil {
		return err
	}
	if err := w.recount(); err != nil {
		return err
	}
	if err := w.ripen(); err != nil {
		return err
	}
	if err := w.reviewDrafts(); err != nil {
		return err
	}
	if w.mintNext {
		w.mintNext = false
		return w.mint()
	}
	return nil
}

// settle is what follows a commit.
func (r *Replica) settle(w *work) {
	for _, ended := range w.ended {
		ended()
	}
	if w.mark != nil {
		if err := r.self.raise(*w.mark); err != nil {
			r.logger.Warn("high-water mark not written", "err", err)
		}
	}
	if w.tailed {
		for space, n := range w.told {
			if n.Tail {
				r.sealer.wakeFor(space)
			}
		}
	}
	if len(w.compact) > 0 {
		r.compactor.add(w.compact...)
	}
	if len(w.events) > 0 {
		r.hub.Emit(w.events...)
	}
}

// changed notes an event, to be emitted after the commit.
func (w *work) changed(kind events.EventKind, space core.SpaceID, doc core.DocumentID, reason string) {
	w.events = append(w.events, events.DomainEvent{
		Kind: kind, Source: w.source, AtMs: max(w.nowMs, 0), SpaceID: space, DocumentID: doc, Reason: reason,
	})
	if kind == events.DocumentChanged {
		w.docs = append(w.docs, followed{key: liveKey{space, doc}})
	}
}

// lockedReader is a source of random bytes for several goroutines.
type lockedReader struct {
	mu sync.Mutex
	io.Reader
}

func (r *lockedReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Reader.Read(b)
}
