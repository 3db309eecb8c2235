package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

// The files in a store's directory.
const (
	databaseName = "soma.db"
	lockName     = "soma.lock"
	ownerName    = "soma.lock.owner"
	uncleanName  = "soma.unclean"
)

// defaultReaders is how many reads run beside each other. Four saturated two
// cores; more only cost page cache.
const defaultReaders = 4

// Options configures Open. The zero value is what a host wants.
type Options struct {
	// Relaxed lets Write return before its data is on the disk. A crash of the
	// process loses nothing, a power failure loses the newest writes, never
	// their order or the database. WriteSynced stays durable.
	Relaxed bool
	// Readers is how many reads run beside each other; 0 means 4.
	Readers int
	// Logger receives what a host may want to know but cannot act on; nil discards it.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Readers < 0 || o.Readers > 64 {
		return o, fmt.Errorf("%d readers, 0 to 64 are allowed: %w", o.Readers, core.ErrInvalidOption)
	}
	if o.Readers == 0 {
		o.Readers = defaultReaders
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// DB is an open store. Its methods are safe for concurrent use.
type DB struct {
	dir     string
	log     *slog.Logger
	lock    *dirLock
	writer  *writer
	readers *readers

	poolMu sync.Mutex
	pool   *Pool // nil without

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
	closed    chan struct{} // closed when Close is done
	closeErr  error
}

var _ core.Store = (*DB)(nil)

// Open opens the store in dir, creating both if they do not exist. It blocks
// for disk work only: it never waits for another process.
//
// Errors: *LockedError, which is core.ErrLocked, when dir is in use;
// core.ErrNotDatabase, core.ErrCorrupt and core.ErrSchemaTooNew for a database
// that this version must not touch, which then is left as it was;
// core.ErrInvalidOption; core.ErrNoCgo in a build without cgo.
func Open(dir string, opts Options) (*DB, error) {
	return open(dir, opts, migrations)
}

func open(dir string, opts Options, steps []string) (_ *DB, err error) {
	if !haveCgo {
		return nil, core.ErrNoCgo
	}
	opts, err = opts.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err = prepareDir(dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.release())
		}
	}()

	path := filepath.Join(dir, databaseName)
	if err := prepareDatabase(path, steps); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	unclean, err := markUnclean(dir)
	if err != nil {
		return nil, err
	}
	db := &DB{
		dir: dir, log: opts.Logger, lock: lock,
		closing: make(chan struct{}), closed: make(chan struct{}),
	}
	if err := db.connect(path, opts, steps, unclean); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// prepareDir makes dir, private to the user, and returns its absolute path.
func prepareDir(dir string) (string, error) {
	if dir == "" {
		return "", fmt.Errorf("directory is empty: %w", core.ErrInvalidOption)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("open directory: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return "", fmt.Errorf("open directory: %w", err)
	}
	return dir, nil
}

// makeDir is os.MkdirAll that makes the new names durable: what is acknowledged
// must not be lost with the name of its directory.
func makeDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return &os.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return disk.SyncDir(parent)
}

// prepareDatabase creates the database or finds out, without SQLite, whether
// this version may open it: opening alone can already change files.
func prepareDatabase(path string, steps []string) error {
	found, err := inspect(path)
	switch {
	case err != nil:
		return err
	case !found.exists:
		return create(path, steps)
	}
	return checkVersion(found.applicationID, found.userVersion, len(steps))
}

// connect opens the connections and starts the writer.
func (db *DB) connect(path string, opts Options, steps []string, unclean bool) (err error) {
	conn, err := openConn(path, writerPragmas(opts.Relaxed))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.close())
		}
	}()
	if unclean {
		db.log.Info("store was not closed: checking it", "path", path)
		if err := quickCheck(context.Background(), conn); err != nil {
			return err
		}
	}
	if err := migrate(conn, path, steps, db.log); err != nil {
		return err
	}
	db.readers, err = openReaders(path, opts.Readers, readerPragmas())
	if err != nil {
		return err
	}
	db.writer = startWriter(conn, opts.Relaxed, db.closing, db.log)
	return nil
}

// Close refuses new calls with core.ErrClosed, lets those that run finish,
// folds the write-ahead log into the database and releases the directory. It
// blocks until all that is done and returns what went wrong; further calls wait
// for the first and return the same. It must not be called from a function that
// Write or Read runs.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		defer close(db.closed)
		close(db.closing)
		db.closeErr = db.shutDown()
	})
	<-db.closed
	return db.closeErr
}

func (db *DB) shutDown() error {
	<-db.writer.stopped
	err := errors.Join(db.closePool(), db.readers.close())
	err = errors.Join(err, finish(db.writer.conn))
	if err == nil {
		err = clearUnclean(db.dir)
	}
	err = errors.Join(err, db.lock.release())
	if err != nil {
		return fmt.Errorf("close store %s: %w", db.dir, err)
	}
	return nil
}

// finish leaves one file behind: the last connection folds the log into it.
func finish(conn *conn) error {
	err := conn.script("PRAGMA optimize")
	// A foreign reader can keep the log from being folded in. Nothing is lost by
	// that, so it is no error.
	_, cerr := conn.one("PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(err, wrap("checkpoint", cerr), conn.close())
}

func (db *DB) isClosing() bool {
	select {
	case <-db.closing:
		return true
	default:
		return false
	}
}

// markUnclean leaves the mark of an open store and reports whether there was
// one already: then the last handle did not get to its Close.
func markUnclean(dir string) (found bool, err error) {
	path := filepath.Join(dir, uncleanName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("mark store as open: %w", err)
	}
	if err := f.Close(); err != nil {
		return false, fmt.Errorf("mark store as open: %w", err)
	}
	return false, disk.SyncDir(dir)
}

func clearUnclean(dir string) error {
	if err := os.Remove(filepath.Join(dir, uncleanName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("mark store as closed: %w", err)
	}
	return disk.SyncDir(dir)
}

// closing closes c and keeps the first of the two errors.
func closing(c io.Closer, err error) error {
	if cerr := c.Close(); err == nil {
		err = cerr
	}
	return err
}
