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
type Spool struct {
	file    *os.File
	genesis *core.Entry // if it is in there
}

// Spool reads an archive to its end. It touches nothing of the replica, so it may
// take as long as the source does. A damaged, truncated or empty archive is
// core.ErrInvalidArchive.
func (r *Replica) Spool(ctx context.Context, source io.Reader) (*Spool, error) {
	file, err := os.CreateTemp(r.dir, importPattern)
	if err != nil {
		return nil, fmt.Errorf("spool the archive: %w", err)
	}
	s := &Spool{file: file}
	if s.genesis, err = check(ctx, io.TeeReader(source, file)); err != nil {
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

// archive returns the archive from its start.
func (s *Spool) archive() (*log.ArchiveReader, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the archive again: %w", err)
	}
	return log.NewArchiveReader(bufio.NewReaderSize(s.file, 64<<10))
}

// Import takes in the entries of an archive, in whatever order they are there,
// founding its space if it is unknown. If ctx ends or the disk fails, what was taken
// in stays, whole entries with their past, and the same import can be made again. An
// entry that breaks a rule fails the import with core.ErrInvalidEntry, after all
// others were taken in; so do entries whose past is not in the archive, with
// core.ErrInvalidArchive: they wait for it, or were dropped if too much waits.
func (r *Replica) Import(ctx context.Context, spool *Spool) error {
	if err := r.found(ctx, spool); err != nil {
		return err
	}
	for {
		pass, err := r.importOnce(ctx, spool)
		switch {
		case err != nil:
			return err
		case pass.dropped == nil:
			return cmp.Or(pass.refused, r.stillWaiting(ctx, pass.space, pass.waiting))
		case pass.accepted == 0:
			return cmp.Or(pass.refused, fmt.Errorf("the archive is incomplete: %w: %w", core.ErrInvalidArchive, pass.dropped))
		}
		// Far from causal order more had to wait than may. What was taken in by now is
		// what the rest waited for.
	}
}

// found makes sure that the space of an archive is known.
func (r *Replica) found(ctx context.Context, spool *Spool) error {
	archive, err := spool.archive()
	if err != nil {
		return err
	}
	var genesis []core.Entry
	if spool.genesis != nil {
		genesis = append(genesis, *spool.genesis)
	}
	_, err = r.accept(ctx, archive.Space(), inspectAll(genesis), true)
	if errors.Is(err, core.ErrNotFound) {
		return fmt.Errorf("the archive lacks its genesis: %w", core.ErrInvalidArchive)
	}
	return err
}

// check reads an archive to its end and returns its genesis, nil if that is not in
// there.
func check(ctx context.Context, source io.Reader) (genesis *core.Entry, err error) {
	archive, err := log.NewArchiveReader(source)
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		raw, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return nil, fmt.Errorf("the archive is empty: %w", core.ErrInvalidArchive)
		case errors.Is(err, io.EOF):
			return genesis, nil
		case err != nil:
			return nil, err
		}
		if genesis == nil && core.SpaceIDFromHash(raw.Hash()) == archive.Space() {
			genesis = &raw
		}
	}
}

// pass is what became of the entries of an archive.
type pass struct {
	space    core.SpaceID
	accepted int
	refused  error // the first
	dropped  error // the first
	waiting  []core.Outcome
}

// importOnce takes in an archive from its start to its end.
func (r *Replica) importOnce(ctx context.Context, spool *Spool) (p pass, err error) {
	archive, err := spool.archive()
	if err != nil {
		return p, err
	}
	p.space = archive.Space()
	for {
		batch, err := readBatch(archive)
		if err != nil || len(batch) == 0 {
			return p, err
		}
		outcomes, err := r.accept(ctx, p.space, inspectAll(batch), false)
		if err != nil {
			return p, err
		}
		for _, o := range outcomes {
			switch o.Status {
			case core.EntryAccepted:
				p.accepted++
			case core.EntryRejected:
				p.refused = cmp.Or(p.refused, o.Err)
			case core.EntryDropped:
				p.dropped = cmp.Or(p.dropped, o.Err)
			case core.EntryWaiting:
				p.waiting = append(p.waiting, o)
			case core.EntryKnown:
			}
		}
	}
}

// stillWaiting reports entries of an archive whose past did not come with it.
func (r *Replica) stillWaiting(ctx context.Context, id core.SpaceID, entries []core.Outcome) error {
	if len(entries) == 0 {
		return nil
	}
	return r.readSpace(ctx, id, func(v core.View, space *core.SpaceRecord) error {
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
