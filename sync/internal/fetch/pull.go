package fetch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// When a transfer is given up, to go on with another peer, or later.
const (
	// Silence is how long nothing may come.
	Silence = 30 * time.Second
	// SlowBytes is how many bytes must come in each Silence.
	SlowBytes = 32 << 10

	pullBytes = 256 << 10
)

// Source is a stream to a peer that may have a blob.
type Source struct {
	Stream wire.Stream
	Pair   *share.Pair
	Done   func() // is called when the stream has ended, nil for nothing
}

// What a peer answers, or does, that says nothing about the bytes.
var (
	errNotThere = errors.New("the peer does not have the blob")
	errSize     = errors.New("the peer's blob is larger than the space says")
	errShort    = errors.New("the peer's blob is shorter than what has come")
	errSlow     = errors.New("the peer is too slow")
)

var pullBuffers = sync.Pool{New: func() any { return new([pullBytes]byte) }}

// pull appends the bytes after its offset to what has come of a blob. It returns nil once
// the peer has sent all that it has. watch is called between pieces, and may end it.
func pull(ctx context.Context, src Source, want core.WantedBlob, to core.PartialBlob, watch func(came int) error) error {
	if src.Done != nil {
		defer src.Done()
	}
	stop := context.AfterFunc(ctx, func() { _ = src.Stream.Reset(wire.CodeClosing) }) // it may be gone
	defer stop()
	conn := wire.NewConn(src.Stream)
	conn.SetPatience(Silence, Silence)
	size, err := ask(conn, src.Pair.Out(want.Space), want.Hash, to)
	if err == nil {
		err = take(conn, to, size, watch)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		code := wire.CodeFor(err)
		if code == wire.CodeInternal {
			code = wire.CodeClosing // the peer does nothing wrong
		}
		_ = src.Stream.Reset(code) // it may be gone
		return err
	}
	if src.Stream.Close() != nil { // the peer has closed it: all has come that there is
		_ = src.Stream.Reset(wire.CodeNone) // so that nothing of it stays
	}
	return nil
}

// ask returns how many bytes the peer says that there are.
func ask(conn *wire.Conn, tag wire.Tag, hash core.Hash, to core.PartialBlob) (int64, error) {
	if err := conn.Send(get{Tag: tag, Hash: hash, Offset: uint64(to.Offset())}); err != nil {
		return 0, err
	}
	f, err := conn.Read(answers)
	if err != nil {
		return 0, err
	}
	if f.Kind == kindNotFound {
		if _, err := wire.Decode[notFound](f); err != nil {
			return 0, err
		}
		return 0, errNotThere
	}
	m, err := wire.Decode[found](f)
	if err != nil {
		return 0, err
	}
	size := int64(m.Size)
	switch {
	case size < to.Offset():
		return 0, errShort
	case size > to.Size():
		return 0, errSize
	}
	return size, nil
}

// take takes bytes up to a size.
func take(conn *wire.Conn, to core.PartialBlob, size int64, watch func(came int) error) error {
	buf := pullBuffers.Get().(*[pullBytes]byte)
	defer pullBuffers.Put(buf)
	raw := conn.Raw()
	began, came := time.Now(), 0
	for to.Offset() < size {
		part := buf[:min(pullBytes, size-to.Offset())]
		n := 0
		var err error
		for n < len(part) && err == nil {
			var m int
			m, err = raw.Read(part[n:])
			n, came = n+m, came+m
			if passed := time.Since(began); passed >= Silence && err == nil {
				if came < SlowBytes {
					err = errSlow
				}
				began, came = time.Now(), 0
			}
		}
		if _, werr := to.Write(part[:n]); werr != nil {
			return &localError{werr}
		}
		if werr := watch(n); werr != nil {
			return werr
		}
		if to.Offset() < size && err != nil {
			return err
		}
	}
	return nil
}

// localError is of this side: another peer does not help.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }

func (e *localError) Unwrap() error { return e.err }
