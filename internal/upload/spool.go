package upload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

// spool is a folder of bytes that came from readers, each in a file with the ID of its job.
type spool struct {
	dir    string
	create func(path string) (spoolFile, error)
}

type spoolFile interface {
	io.WriteCloser
	Sync() error
}

func newSpool(dir string) spool {
	return spool{dir, func(path string) (spoolFile, error) {
		return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	}}
}

const partSuffix = ".part"

func (s spool) path(id string) string { return filepath.Join(s.dir, id) }

// part is bytes that come from a reader, before they are those of a job.
type part struct {
	spool spool
	id    string
	f     spoolFile // nil once it is closed
	path  string    // of the file, "" once it is the job's
}

// begin makes an empty part.
func (s spool) begin(id string) (*part, error) {
	if err := s.make(); err != nil {
		return nil, disk.Full(err)
	}
	path := s.path(id) + partSuffix
	f, err := s.create(path)
	if err != nil {
		return nil, disk.Full(err)
	}
	return &part{spool: s, id: id, f: f, path: path}, nil
}

// take copies all that r gives, and returns when it is durable, though not under its name.
// More than limit bytes are core.ErrTooLarge.
func (p *part) take(ctx context.Context, r io.Reader, limit int64) (hash core.Hash, size int64, err error) {
	if hash, size, err = copyHashed(ctx, p.f, r, limit); err == nil {
		err = p.f.Sync()
	}
	return hash, size, disk.Full(errors.Join(err, p.close()))
}

func (p *part) close() error {
	if p.f == nil {
		return nil
	}
	err := p.f.Close()
	p.f = nil
	return err
}

// place gives the file its name, under which the next Open looks for it.
func (p *part) place() error {
	to := p.spool.path(p.id)
	if err := os.Rename(p.path, to); err != nil {
		return disk.Full(err)
	}
	p.path = to
	return disk.Full(disk.SyncDir(p.spool.dir))
}

// keep says that a job has the file from now on.
func (p *part) keep() { p.path = "" }

// discard removes what no job has.
func (p *part) discard() error {
	if p.path == "" {
		return nil
	}
	err := p.close()
	if rerr := os.Remove(p.path); !errors.Is(rerr, os.ErrNotExist) { // another Open may have swept it
		err = errors.Join(err, rerr)
	}
	return err
}

// make makes the folder, private to the user.
func (s spool) make() error {
	err := os.Mkdir(s.dir, 0o700)
	switch {
	case errors.Is(err, os.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return disk.SyncDir(filepath.Dir(s.dir))
}

// maxEmptyReads is how often a reader may give nothing.
const maxEmptyReads = 100

func copyHashed(ctx context.Context, w io.Writer, r io.Reader, limit int64) (hash core.Hash, size int64, err error) {
	sum, block := sha256.New(), make([]byte, sourceBlock)
	for empty := 0; ; {
		if ctx.Err() != nil {
			return hash, size, context.Cause(ctx)
		}
		n, rerr := r.Read(block)
		if n < 0 || n > len(block) {
			return hash, size, fmt.Errorf("reader gave %d of %d bytes: %w", n, len(block), core.ErrInvalidSource)
		}
		if size += int64(n); size > limit {
			return hash, size, tooLarge(size, limit)
		}
		_, _ = sum.Write(block[:n]) // never fails
		if _, err := w.Write(block[:n]); err != nil {
			return hash, size, err
		}
		switch {
		case errors.Is(rerr, io.EOF):
			sum.Sum(hash[:0])
			return hash, size, nil
		case rerr != nil:
			return hash, size, fmt.Errorf("read source: %w", rerr)
		case n > 0:
			empty = 0
		default:
			if empty++; empty == maxEmptyReads {
				return hash, size, io.ErrNoProgress
			}
		}
	}
}

func (s spool) remove(name string) error {
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// LostTTL is how long bytes are kept that have no job. Somebody may look at an older copy of
// the database, and put the newer one back.
const LostTTL = 7 * 24 * time.Hour

// lostMark is between the ID of a job that is not there, and the time at which that was seen.
const lostMark = ".lost-"

// claims say which jobs there are.
type claims struct {
	needs map[string]bool // by ID: whether it needs its bytes
	doubt bool            // there are more, whose IDs cannot be read
}

// sweep removes what no job needs: at once what was never whole, or whose job has ended, and
// after LostTTL what has no job. Files that are not ours stay.
func (s spool) sweep(jobs claims, nowMs int64) error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, s.settle(e.Name(), jobs, nowMs))
	}
	return err
}

func (s spool) settle(name string, jobs claims, nowMs int64) error {
	if id, found := strings.CutSuffix(name, partSuffix); found && IsID(id) {
		return s.remove(name)
	}
	id, stamp, lost := strings.Cut(name, lostMark)
	var sinceMs int64
	if lost {
		var err error
		if sinceMs, err = strconv.ParseInt(stamp, 10, 64); err != nil {
			id = "" // somebody else has made it
		}
	}
	if !IsID(id) {
		return nil
	}
	needed, known := jobs.needs[id]
	switch {
	case needed && lost: // the job is back
		return os.Rename(s.path(name), s.path(id))
	case needed, !known && jobs.doubt:
		return nil
	case known, lost && nowMs-sinceMs >= LostTTL.Milliseconds():
		return s.remove(name)
	case !lost, sinceMs > nowMs: // or the clock was set back
		return os.Rename(s.path(name), s.path(id+lostMark+strconv.FormatInt(nowMs, 10)))
	}
	return nil
}
