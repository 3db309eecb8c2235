package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/soma-sdk/soma/internal/core"
)

// searchName is the file of the search index. All that is in it can be made anew.
const searchName = "search.db"

// searchReaders is how many queries run beside each other.
const searchReaders = 2

// searchID marks the file as Soma's search index ("Somx" in ASCII), and searchVersion
// is that of its tables.
const (
	searchID      = 0x536f6d78
	searchVersion = 1
)

// SearchOptions configures OpenSearch. An index that was made with another Source or
// other Rules is made anew.
type SearchOptions struct {
	Source string       // the database whose documents are in it
	Rules  string       // what made the terms of their text
	Logger *slog.Logger // nil discards
}

// SearchIndex keeps the terms of documents for full-text queries, in a file beside the
// database that can be deleted at any time. Query and IsComplete may be called
// concurrently with all methods; the others have one caller at a time.
//
// Errors are as those of DB. core.ErrCorrupt says that the index has to be made anew:
// Discard it, and open another.
type SearchIndex struct {
	path    string
	engine  engine
	writer  *conn
	readers *readers
	sound   atomic.Bool // its checksum was right when it was opened, or Check found nothing
	whole   atomic.Bool // SetComplete was called

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// OpenSearch opens the search index in dir, which the caller holds the lock of. One that
// is damaged, foreign, newer or about another database is deleted, and an empty one takes
// its place. It blocks for disk work, in proportion to the size of the file.
func OpenSearch(dir string, o SearchOptions) (*SearchIndex, error) {
	if !haveCgo {
		return nil, core.ErrNoCgo
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	path := filepath.Join(dir, searchName)
	x, err := openSearch(path, o)
	if err == nil {
		return x, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		o.Logger.Warn("search index is made anew", "path", path, "why", err)
	}
	if err := deleteSearch(path); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if x, err = createSearch(path, o); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return x, nil
}

// openSearch opens an index that is there.
func openSearch(path string, o SearchOptions) (_ *SearchIndex, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file: %w", core.ErrNotDatabase)
	}
	sound, err := takeSum(path)
	if err != nil {
		return nil, err
	}
	c, err := openConn(path, searchPragmas())
	if err != nil {
		return nil, err
	}
	x := newSearchIndex(path, c)
	x.sound.Store(sound)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if err := x.recognise(o); err != nil {
		return nil, err
	}
	x.readers, err = openReaders(path, searchReaders, searchReaderPragmas())
	return x, err
}

// createSearch makes an empty index. A crash in here leaves one without a stamp.
func createSearch(path string, o SearchOptions) (_ *SearchIndex, err error) {
	if err := private(path); err != nil {
		return nil, err
	}
	c, err := openConn(path, append(creationPragmas(), searchPragmas()...))
	if err != nil {
		return nil, err
	}
	x := newSearchIndex(path, c)
	x.sound.Store(true)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if x.engine, err = findEngine(c); err != nil {
		return nil, err
	}
	if err := x.stamp(o); err != nil {
		return nil, err
	}
	x.readers, err = openReaders(path, searchReaders, searchReaderPragmas())
	return x, err
}

func newSearchIndex(path string, c *conn) *SearchIndex {
	return &SearchIndex{path: path, writer: c, closing: make(chan struct{})}
}

// stamp makes the tables, and says what they are.
func (x *SearchIndex) stamp(o SearchOptions) error {
	return x.change(func() error {
		if err := x.writer.script(searchSchema + x.engine.schema()); err != nil {
			return err
		}
		if _, err := x.writer.exec("INSERT INTO state (id, source, rules, engine, complete, removed, replaced) VALUES (1, ?, ?, ?, 0, 0, 0)",
			o.Source, o.Rules, string(x.engine)); err != nil {
			return err
		}
		return x.writer.script(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", searchID, searchVersion))
	})
}

// recognise returns an error unless the index is one that this program can go on with.
func (x *SearchIndex) recognise(o SearchOptions) error {
	for _, p := range []pragma{
		{name: "application_id", want: fmt.Sprint(searchID)},
		{name: "user_version", want: fmt.Sprint(searchVersion)},
	} {
		if err := x.writer.checkPragma(p); err != nil {
			return err
		}
	}
	r, err := x.writer.one("SELECT source, rules, engine, complete FROM state WHERE id = 1")
	if err != nil {
		return err
	}
	if r == nil {
		return damaged("state of the index")
	}
	source, rules, name := r.text(0), r.text(1), r.text(2)
	x.whole.Store(r.int(3) != 0)
	if err := r.bad(); err != nil {
		return err
	}
	if x.engine, err = findEngine(x.writer); err != nil {
		return err
	}
	if source != o.Source || rules != o.Rules || name != string(x.engine) {
		return errors.New("it was made from another database, or by other rules")
	}
	return nil
}

// searchPragmas are those of the writing connection. Losing the newest commits costs
// nothing, as they are made again, but commits must stay whole: hence NORMAL, not OFF.
// What is deleted must not stay in the file.
func searchPragmas() []pragma {
	return []pragma{
		{"journal_mode", "WAL", "wal"},
		synchronousNormal,
		{"cache_size", "-8000", "-8000"},
		{"mmap_size", "0", "0"},
		{"temp_store", "MEMORY", "2"},
		{"secure_delete", "ON", "1"},
		{"trusted_schema", "OFF", "0"},
		{"cell_size_check", "ON", "1"},
		{"journal_size_limit", "16777216", "16777216"},
		{"busy_timeout", "5000", "5000"},
	}
}

func searchReaderPragmas() []pragma {
	return append(searchPragmas(), pragma{"query_only", "ON", "1"})
}

// Close lets running queries finish and closes the index, with a checksum by which the
// next OpenSearch knows that nobody changed the file. Calling it again returns the same.
func (x *SearchIndex) Close() error {
	x.closeOnce.Do(func() {
		x.closeErr = wrap("close "+x.path, x.shutDown())
	})
	return x.closeErr
}

func (x *SearchIndex) shutDown() error {
	close(x.closing)
	err := errors.Join(x.readers.close(), finish(x.writer))
	if err != nil || !x.sound.Load() {
		return err
	}
	return leaveSum(x.path)
}

// Discard closes the index and deletes it.
func (x *SearchIndex) Discard() error {
	x.sound.Store(false)
	err := x.Close() // what went wrong with it does not matter any more, unless it stays
	if derr := deleteSearch(x.path); derr != nil {
		return errors.Join(err, derr)
	}
	return nil
}

// HasSearch reports whether a directory has a search index, in whatever state.
func HasSearch(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, searchName))
	return err == nil
}

// RemoveSearch deletes the search index in a directory that nobody has open, if there is one.
func RemoveSearch(dir string) error {
	if !HasSearch(dir) {
		return nil
	}
	return wrap("remove search index", deleteSearch(filepath.Join(dir, searchName)))
}

// deleteSearch makes room for a new index. A directory that somebody put in its place,
// with something in it, is no index: it is moved aside.
func deleteSearch(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal", sumSuffix} {
		name := path + suffix
		err := os.Remove(name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if info, serr := os.Lstat(name); serr != nil || !info.IsDir() {
			return err
		}
		if err := moveAside(name); err != nil {
			return err
		}
	}
	return nil
}

func moveAside(name string) error {
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.aside%d", name, n)
		if _, err := os.Lstat(aside); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		return os.Rename(name, aside)
	}
}

// change runs fn in a transaction of the writer.
func (x *SearchIndex) change(fn func() error) error {
	c := x.writer
	if err := c.begin("BEGIN IMMEDIATE"); err != nil {
		return x.failed(err)
	}
	err := fn()
	if err == nil {
		err = c.commit()
	}
	if err != nil {
		err = errors.Join(err, c.rollback())
	}
	return x.failed(err)
}

// failed says which errors mean damage: all but those that the disk, its owner and the
// caller make. Tables that are not there, for one, are an error without a name.
func (x *SearchIndex) failed(err error) error {
	if err == nil || isOutside(err) {
		return err
	}
	x.sound.Store(false)
	if errors.Is(err, core.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: %w", core.ErrCorrupt, err)
}

func isOutside(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) || errors.Is(err, fs.ErrPermission) || errors.Is(err, core.ErrClosed) || isCancelled(err)
}
