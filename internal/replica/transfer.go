package replica

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// Entries are read, and taken in, in batches of at most this size.
const (
	batchEntries = 256
	batchBytes   = 4 << 20
)

// Export writes all entries of a space to w, in causal order. Writes that happen
// meanwhile may or may not be in it. It returns core.ErrNotFound.
func (r *Replica) Export(ctx context.Context, id core.SpaceID, w io.Writer) error {
	space, err := r.Space(ctx, id)
	if err != nil {
		return err
	}
	// What a peer may see is on disk, and marked, before.
	if err := r.sealSpace(ctx, &space.SpaceRecord); err != nil {
		return err
	}
	buffered := bufio.NewWriter(w)
	archive, err := log.NewArchiveWriter(buffered, id)
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		var page []core.EntryRecord
		err := r.store.Read(ctx, func(v core.View) (err error) {
			page, err = v.EntriesAfter(space.Key, after, batchBytes)
			return err
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		if err := r.sync(ctx); err != nil {
			return err
		}
		for _, rec := range page {
			if err := archive.Write(rec.Entry); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Key
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// sync returns when everything that was committed is on disk, whatever the
// durability option is: a peer that has an entry which its author lost, and writes
// anew, sees a fork.
func (r *Replica) sync(ctx context.Context) error {
	if !r.relax {
		return nil
	}
	return r.writeSynced(ctx, events.SourceDaemon, func(w *work) error {
		synced, err := w.Meta(metaSynced)
		if err != nil {
			return err
		}
		return w.SetMeta(metaSynced, bytesOf(number(synced)+1)) // a commit without changes is no commit
	})
}

// importPattern names the copies of archives that are being imported.
const importPattern = "import-*.tmp"

// sweepImports removes what interrupted imports left.
func sweepImports(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for interrupted imports: %w", err)
	}
	for _, f := range files {
		if ours, _ := filepath.Match(importPattern, f.Name()); !ours {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return fmt.Errorf("remove an interrupted import: %w", err)
		}
	}
	return nil
}

// Spool is a copy on disk of an archive that was read to its end and found whole.
// Discard it after use.
type Spool struct{ file *os.File }

// Spool reads an archive to its end. It touches nothing of the replica, so it may
// take as long as the source does. A damaged, truncated or empty archive is
// core.ErrInvalidArchive.
func (r *Replica) Spool(ctx context.Context, source io.Reader) (*Spool, error) {
	file, err := os.CreateTemp(r.dir, importPattern)
	if err != nil {
		return nil, fmt.Errorf("spool the archive: %w", err)
	}
	s := &Spool{file}
	if err := check(ctx, io.TeeReader(source, file)); err != nil {
		s.Discard()
		return nil, err
	}
	return s, nil
}

// Discard removes the copy.
func (s *Spool) Discard() {
	_ = s.file.Close() // only read from since it was checked, nothing to lose
	_ = os.Remove(s.file.Name())
}

// Import takes in the entries of an archive, founding its space if it is unknown.
// If ctx ends or the disk fails, what was taken in stays, whole entries with their
// past, and the same import can be made again. An entry that breaks a rule fails
// the import with core.ErrInvalidEntry, after all others were taken in; so do
// entries whose past is not in the archive, with core.ErrInvalidArchive: they wait
// for it, or were dropped if too much waits.
func (r *Replica) Import(ctx context.Context, spool *Spool) error {
	if _, err := spool.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the archive again: %w", err)
	}
	return r.importFrom(ctx, bufio.NewReaderSize(spool.file, batchBytes))
}

// check reads an archive to its end.
func check(ctx context.Context, source io.Reader) error {
	archive, err := log.NewArchiveReader(source)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch _, err := archive.Next(); {
		case errors.Is(err, io.EOF) && n == 0:
			return fmt.Errorf("the archive is empty: %w", core.ErrInvalidArchive)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (r *Replica) importFrom(ctx context.Context, source io.Reader) error {
	archive, err := log.NewArchiveReader(source)
	if err != nil {
		return err
	}
	var refused error
	var waiting []Outcome
	for {
		batch, err := readBatch(archive)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			return cmp.Or(refused, r.stillWaiting(ctx, archive.Space(), waiting))
		}
		outcomes, err := r.accept(ctx, archive.Space(), inspectAll(batch), true)
		if errors.Is(err, core.ErrNotFound) {
			return fmt.Errorf("the archive does not begin with its genesis: %w", core.ErrInvalidArchive)
		}
		if err != nil {
			return err
		}
		for _, o := range outcomes {
			switch {
			case refused != nil:
			case o.Status == Rejected:
				refused = o.Err
			case o.Status == Dropped:
				refused = fmt.Errorf("the archive is not in causal order: %w: %w", core.ErrInvalidArchive, o.Err)
			case o.Status == Waiting:
				waiting = append(waiting, o)
			}
		}
	}
}

// stillWaiting reports entries of an archive whose past did not come with it.
func (r *Replica) stillWaiting(ctx context.Context, id core.SpaceID, entries []Outcome) error {
	if len(entries) == 0 {
		return nil
	}
	return r.store.Read(ctx, func(v core.View) error {
		space, err := v.Space(id)
		if err != nil {
			return err
		}
		for _, o := range entries {
			parked, err := v.IsParked(space.Key, o.Hash)
			if err != nil {
				return err
			}
			if parked {
				return fmt.Errorf("the archive is incomplete: %w: %w", core.ErrInvalidArchive, o.Err)
			}
		}
		return nil
	})
}

func readBatch(archive *log.ArchiveReader) ([]core.Entry, error) {
	var batch []core.Entry
	for size := 0; len(batch) < batchEntries && size < batchBytes; {
		raw, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		batch = append(batch, raw)
		size += raw.Size()
	}
	return batch, nil
}
