package soma

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"github.com/soma-sdk/soma/internal/blob"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
	"github.com/soma-sdk/soma/internal/log"
)

// Limits of blobs. The defaults are changed by WithMaxBlobBytes and WithBlobGracePeriod.
const (
	// DefaultMaxBlobBytes bounds one blob.
	DefaultMaxBlobBytes = blob.DefaultBytes
	// MaxBlobBytes bounds WithMaxBlobBytes.
	MaxBlobBytes = blob.MaxBytes
	// DefaultBlobGracePeriod is how long bytes stay on the disk that no space holds any more.
	DefaultBlobGracePeriod = blob.DefaultGrace
	// MaxBlobNameBytes bounds the name of a blob, in UTF-8 bytes.
	MaxBlobNameBytes = log.MaxBlobNameBytes
	// MaxMIMEBytes bounds the media type of a blob.
	MaxMIMEBytes = log.MaxMIMEBytes
)

// ReasonBlobs is the Reason of a SpaceChanged event for blobs that a space holds now, or
// no more, or whose bytes have come.
const ReasonBlobs = "blobs"

// CID names bytes: a CIDv1 (raw, sha2-256) in its canonical text, lower-case base32, as
// multiformats makes it in JavaScript (CID.createV1(raw.code, await sha256.digest(bytes))).
// Any other codec, hash, version or spelling is ErrInvalidCID.
type CID = core.CID

// BlobInfo is what a space says of a blob.
type BlobInfo struct {
	CID         CID
	SpaceID     SpaceID
	Size        int64  // in bytes; until they are here, as CreatedBy says
	MIME        string // its media type, "" for unknown
	Name        string // of the file that it was, "" for none
	CreatedBy   PeerID // who put it; of several, the one whose MIME and Name count
	CreatedAtMs int64  // the clock of CreatedBy
	UpdatedAtMs int64  // this machine's clock
	Here        bool   // its bytes are on this machine, as far as known undamaged
}

// PutOptions says how bytes are put. The zero value is fine.
type PutOptions struct {
	// ExpectedCID is what the bytes must have. Others are ErrCIDMismatch.
	ExpectedCID CID
	// ExpectedSize, if positive, is how many bytes there must be. Others are ErrSizeMismatch.
	ExpectedSize int64
	// MIME is their media type. If it is empty they keep what the space says of them, or
	// else it is detected from their beginning.
	MIME string
	// Name is that of the file, for downloads: one line without slashes, backslashes and
	// characters that turn the direction of text, at most MaxBlobNameBytes bytes. If it is
	// empty they keep the one that they have.
	Name string
	// Progress is called while bytes are copied, with how many were, in the goroutine
	// that called Put. It must not be slow.
	Progress func(copied int64)
	// Source is that of the event, SourceRenderer if it is empty.
	Source EventSource
}

// Blobs are the files of a DB's spaces: bytes that are named by their CID. Which blobs a
// space holds, with their size, media type and name, is in its log, and so reaches all its
// members; the bytes are in a pool on the disk of this machine, each once, however many
// spaces hold them. A space reads only what it holds itself.
//
// Bytes are never served that are not what was put: small ones are hashed when they are
// opened, of large ones each block is compared with its checksum when it is read, and
// Scrub hashes all.
//
// Errors of all calls: ErrNotFound for an unknown space, or a blob that the space does not
// hold; ErrInvalidCID, ErrInvalidID.
type Blobs struct{ db *DB }

// Blobs returns the service for blobs.
func (db *DB) Blobs() Blobs { return Blobs{db} }

// Put reads r to its end, has the space hold what it gave, and returns when all of that is
// durable. It streams: memory does not grow with the size. What is there already is stored
// once; putting it again changes nothing, unless MIME or Name say something else.
//
// On an error nothing was stored and nothing is left on the disk. ctx counts until the
// writer takes the call; it does not interrupt a Read of r. Close does not wait for r: the
// call is ErrClosed then. An error of r is returned as it is, wrapped.
//
// Errors: ErrForbidden for who may not write, before r is read; ErrTooLarge, as soon as r
// gave more than the limit; ErrQuota; ErrCIDMismatch, ErrSizeMismatch; ErrDiskFull;
// ErrInvalidMIME, ErrInvalidName, ErrInvalidOption.
func (b Blobs) Put(ctx context.Context, space SpaceID, r io.Reader, opts PutOptions) (BlobInfo, error) {
	put, err := opts.put()
	if err == nil && r == nil {
		err = fmt.Errorf("nil reader: %w", ErrInvalidOption)
	}
	if err != nil {
		return BlobInfo{}, fmt.Errorf("put blob: %w", err)
	}
	if err := b.begin(space); err != nil {
		return BlobInfo{}, err
	}
	b.db.end() // Close must not wait for r
	staged, err := b.db.blobs.Stage(ctx, space, r, put)
	if err != nil {
		return BlobInfo{}, fmt.Errorf("put blob: %w", err)
	}
	defer staged.Discard()
	if err := b.db.begin(); err != nil {
		return BlobInfo{}, err
	}
	defer b.db.end()
	rec, err := staged.Commit(ctx)
	if err != nil {
		return BlobInfo{}, fmt.Errorf("put blob: %w", err)
	}
	return blobInfo(space, &rec), nil
}

func (o *PutOptions) put() (blob.Put, error) {
	p := blob.Put{
		CID: o.ExpectedCID, Size: o.ExpectedSize, Sized: o.ExpectedSize > 0, MIME: o.MIME, Name: o.Name,
		Source: o.Source, Progress: o.Progress,
	}
	switch {
	case o.ExpectedSize < 0:
		return p, fmt.Errorf("expected size %d: %w", o.ExpectedSize, ErrInvalidOption)
	case p.Source == "":
		p.Source = SourceRenderer
	case p.Source != SourceRenderer && p.Source != SourceDaemon:
		return p, fmt.Errorf("source %q: %w", p.Source, ErrInvalidOption)
	}
	return p, nil
}

// PutFile is Put of a file, with its name unless another one is given, or a blob cannot have
// it. It must be a
// regular file, or a link to one, else it is ErrInvalidSource; what changes while it is read
// is ErrSizeMismatch, or what was read of it. It also returns the errors of opening it.
func (b Blobs) PutFile(ctx context.Context, space SpaceID, path string, opts PutOptions) (BlobInfo, error) {
	f, info, err := disk.OpenRegular(path)
	if err != nil {
		return BlobInfo{}, fmt.Errorf("put file: %w", err)
	}
	defer f.Close()
	if opts.ExpectedSize == 0 {
		opts.ExpectedSize = info.Size()
	}
	if opts.Name == "" {
		if name := filepath.Base(path); log.CheckBlobName(name) == nil {
			opts.Name = name
		}
	}
	return b.Put(ctx, space, f, opts)
}

// Blob is a blob that is open for reading. It is for one goroutine at a time, but for
// ReadAt. Close must be called. What it returns is checked: a Read of damaged bytes is
// ErrCorrupt, and one after the DB was closed is ErrClosed.
type Blob struct {
	content core.BlobContent
	info    BlobInfo
}

// Info returns what the space said of the blob when it was opened, with its true size.
func (b *Blob) Info() BlobInfo { return b.info }

// Size returns how many bytes it has.
func (b *Blob) Size() int64 { return b.info.Size }

// Read implements io.Reader.
func (b *Blob) Read(p []byte) (int, error) { return b.content.Read(p) }

// Seek implements io.Seeker.
func (b *Blob) Seek(offset int64, whence int) (int64, error) { return b.content.Seek(offset, whence) }

// ReadAt implements io.ReaderAt.
func (b *Blob) ReadAt(p []byte, offset int64) (int, error) { return b.content.ReadAt(p, offset) }

// Close implements io.Closer.
func (b *Blob) Close() error { return b.content.Close() }

// Open opens a blob. ctx counts until it returns. A blob that is removed meanwhile can be
// read to its end. It waits for no other machine, unless WithFetch says so. Errors: those of
// Blobs; ErrNotHere, which is ErrNotFound too, if its bytes have not come to this machine;
// ErrCorrupt for damaged ones; those of WithFetch; ErrInvalidOption.
func (b Blobs) Open(ctx context.Context, space SpaceID, cid CID, opts ...OpenOption) (*Blob, error) {
	o, err := collectOpen(opts)
	if err != nil {
		return nil, aboutBlob("open", cid, err)
	}
	if err := b.begin(space); err != nil {
		return nil, err
	}
	defer b.db.end()
	rec, content, err := b.db.blobs.Open(ctx, space, cid)
	if o.fetch && (errors.Is(err, core.ErrNotHere) || errors.Is(err, core.ErrCorrupt)) {
		if err := b.bring(ctx, space, cid, o); err != nil {
			return nil, aboutBlob("fetch", cid, err)
		}
		rec, content, err = b.db.blobs.Open(ctx, space, cid)
	}
	if err != nil {
		return nil, aboutBlob("open", cid, err)
	}
	return &Blob{content, blobInfo(space, &rec)}, nil
}

// Stat returns what the space says of a blob. It does not look at the bytes.
func (b Blobs) Stat(ctx context.Context, space SpaceID, cid CID) (BlobInfo, error) {
	if err := b.begin(space); err != nil {
		return BlobInfo{}, err
	}
	defer b.db.end()
	rec, err := b.db.blobs.Stat(ctx, space, cid)
	if err != nil {
		return BlobInfo{}, aboutBlob("stat", cid, err)
	}
	return blobInfo(space, &rec), nil
}

// blobsPage is how many blobs one read of List takes.
const blobsPage = 256

// List iterates over the blobs of a space, also those whose bytes are not here, in an
// order that says nothing. It reads a page at a time: nothing is locked while the caller's
// code runs, and what changes meanwhile may be in it or not. An error ends it.
func (b Blobs) List(ctx context.Context, space SpaceID) iter.Seq2[BlobInfo, error] {
	return func(yield func(BlobInfo, error) bool) {
		for after := (core.Hash{}); ; {
			page, err := b.page(ctx, space, after)
			if err != nil {
				yield(BlobInfo{}, fmt.Errorf("list blobs: %w", err))
				return
			}
			for i := range page {
				after = page[i].Hash
				if !yield(blobInfo(space, &page[i]), nil) {
					return
				}
			}
			if len(page) < blobsPage {
				return
			}
		}
	}
}

func (b Blobs) page(ctx context.Context, space SpaceID, after core.Hash) ([]core.BlobRecord, error) {
	if err := b.begin(space); err != nil {
		return nil, err
	}
	defer b.db.end()
	return b.db.blobs.Page(ctx, space, after, blobsPage)
}

// Remove has the space hold a blob no more. Whoever puts it at the same time prevails. Its
// bytes leave the disk a while after the last space that holds them has removed them: see
// GC. It is a write itself, for which a full disk may have no room. Errors: those of Blobs, ErrForbidden, ErrInvalidOption.
func (b Blobs) Remove(ctx context.Context, space SpaceID, cid CID, opts ...WriteOption) error {
	o, err := plainWriteOptions(opts)
	if err != nil {
		return aboutBlob("remove", cid, err)
	}
	if err := b.begin(space); err != nil {
		return err
	}
	defer b.db.end()
	return aboutBlob("remove", cid, b.db.blobs.Remove(ctx, space, cid, o.source))
}

// BlobUsage is how many blobs, and bytes, are on this machine.
type BlobUsage = core.BlobUsage

// Usage returns what is here of the blobs that a space holds, or, for "", of those that any
// space holds, each once. These are what the quotas bound.
func (b Blobs) Usage(ctx context.Context, space SpaceID) (BlobUsage, error) {
	if space != "" {
		if err := checkSpace(space); err != nil {
			return BlobUsage{}, err
		}
	}
	if err := b.db.begin(); err != nil {
		return BlobUsage{}, err
	}
	defer b.db.end()
	usage, err := b.db.blobs.Usage(ctx, space)
	if err != nil {
		return BlobUsage{}, fmt.Errorf("usage of blobs: %w", err)
	}
	return usage, nil
}

// CollectedBlobs is what GC removed from the disk.
type CollectedBlobs = core.CollectedBlobs

// GC removes bytes from the disk that no space has held since the grace period
// (WithBlobGracePeriod), and what crashes left. The DB does so by itself every hour. Whole
// files of which the database knows nothing, as after an older one was put back, it keeps for
// a week more: they are Here again once a space holds them.
func (b Blobs) GC(ctx context.Context) (CollectedBlobs, error) {
	if err := b.db.begin(); err != nil {
		return CollectedBlobs{}, err
	}
	defer b.db.end()
	done, err := b.db.blobs.Collect(ctx)
	if err != nil {
		return done, fmt.Errorf("collect blobs: %w", err)
	}
	return done, nil
}

// ScrubReport is what Scrub found.
type ScrubReport struct {
	Blobs   int   // that were looked at
	Bytes   int64 // that were hashed
	Damaged []DamagedBlob
}

// DamagedBlob is a blob whose bytes are not what they should be.
type DamagedBlob struct {
	CID    CID
	Size   int64
	Gone   bool      // there are no bytes
	Spaces []SpaceID // that hold it
}

// Scrub hashes all bytes of the pool, and sets aside what is damaged or gone: it is not
// Here any more, and Open is ErrCorrupt, until it is put again. It reads all there is, and
// keeps nobody waiting. Damage is no error. Bytes that cannot be read now are one, but no damage:
// it goes on, and returns the report with the errors of the first 100 of them.
func (b Blobs) Scrub(ctx context.Context) (ScrubReport, error) {
	if err := b.db.begin(); err != nil {
		return ScrubReport{}, err
	}
	defer b.db.end()
	var report ScrubReport
	done, err := b.db.blobs.Scrub(ctx, func(d core.DamagedBlob) error {
		report.Damaged = append(report.Damaged, DamagedBlob{core.CIDFromHash(d.Hash), d.Size, d.Gone, d.Spaces})
		return nil
	})
	report.Blobs, report.Bytes = done.Blobs, done.Bytes
	if err != nil {
		return report, fmt.Errorf("scrub blobs: %w", err)
	}
	return report, nil
}

func (b Blobs) begin(space SpaceID) error {
	if err := checkSpace(space); err != nil {
		return err
	}
	return b.db.begin()
}

func blobInfo(space SpaceID, rec *core.BlobRecord) BlobInfo {
	size := rec.Size
	if rec.Here { // whatever its author says
		size = rec.HereSize
	}
	return BlobInfo{
		CID: core.CIDFromHash(rec.Hash), SpaceID: space, Size: size, MIME: rec.MIME, Name: rec.Name,
		CreatedBy: rec.CreatedBy, CreatedAtMs: rec.CreatedAtMs, UpdatedAtMs: rec.UpdatedAtMs, Here: rec.Here,
	}
}

func aboutBlob(op string, cid CID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, core.ErrNotHere):
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return fmt.Errorf("%s blob %q: %w", op, string(cid), err)
}
