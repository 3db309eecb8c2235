package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// key names a wanted blob.
type key struct {
	space core.SpaceID
	hash  core.Hash
}

// job is a wanted blob that is being fetched, waited for, or was not to be had. Its fields
// are guarded by Fetcher.mu.
type job struct {
	key
	running  bool
	stale    bool // whether it is still wanted has to be looked at
	waiters  map[*waiter]bool
	failures int
	until    time.Time // when it is tried again
	idle     bool      // until then because nobody has it
	bad      map[core.PeerID]bool
	alone    bool // no bytes of several peers: the last ones were wrong
}

// What ends an attempt.
var (
	errGone     = errors.New("the blob is here, or not wanted any more")
	errNoSource = errors.New("nobody who is connected has the blob")
)

// attempt is one try of a job, by the goroutine that runs it.
type attempt struct {
	f    *Fetcher
	job  *job
	want core.WantedBlob
	part core.PartialBlob

	tried map[core.PeerID]bool
	from  core.PeerID // who sent all of what has come, zero for several or nobody knows
	short bool        // somebody has fewer bytes than have come
	last  error       // of a peer
	moved bool        // some bytes came
}

// try brings a blob here. It returns nil when it is.
func (f *Fetcher) try(ctx context.Context, j *job) (moved bool, err error) {
	a := &attempt{f: f, job: j, tried: map[core.PeerID]bool{}}
	if a.want, err = f.stillWanted(ctx, j.key); err != nil {
		return false, err
	}
	if err := a.resume(ctx); err != nil {
		return false, err
	}
	defer func() { _ = a.part.Close() }() // what came stays; after Commit it does nothing
	err = a.run(ctx)
	return a.moved, err
}

// stillWanted returns what is wanted as the space says now, or errGone.
func (f *Fetcher) stillWanted(ctx context.Context, k key) (core.WantedBlob, error) {
	wanted, err := f.blobs.Wanted(ctx, k.space, core.WantedBlob{Space: k.space, Hash: before(k.hash)}, 1)
	switch {
	case errors.Is(err, core.ErrNotFound):
		return core.WantedBlob{}, errGone
	case err != nil:
		return core.WantedBlob{}, err
	case len(wanted) == 0 || wanted[0].Hash != k.hash:
		return core.WantedBlob{}, errGone
	}
	return wanted[0], nil
}

// before returns the hash that is one less.
func before(h core.Hash) core.Hash {
	for i := len(h) - 1; i >= 0; i-- {
		h[i]--
		if h[i] != 0xff {
			return h
		}
	}
	return core.Hash{} // nothing comes before it
}

func (a *attempt) resume(ctx context.Context) error {
	part, err := a.f.blobs.Resume(ctx, a.want)
	if err != nil {
		return err
	}
	a.part, a.from = part, core.PeerID{}
	return nil
}

// restart begins with no bytes.
func (a *attempt) restart(ctx context.Context) error {
	if a.part.Offset() == 0 {
		return nil
	}
	if err := a.part.Drop(); err != nil {
		return err
	}
	return a.resume(ctx)
}

// run asks one peer after the other, each once, until all bytes are here.
func (a *attempt) run(ctx context.Context) error {
	for {
		peer, ok := a.f.pick(a.job, a.tried)
		if !ok {
			again, err := a.doubt(ctx)
			if err != nil {
				return err
			}
			if again {
				continue
			}
			if a.last != nil {
				return a.last
			}
			return errNoSource
		}
		if a.f.isAlone(a.job) && a.from != peer {
			if err := a.restart(ctx); err != nil {
				return err
			}
		}
		done, err := a.ask(ctx, peer)
		a.f.unpick(peer)
		if done || err != nil {
			return err
		}
	}
}

// doubt is for when nobody could complete what has come: if somebody has fewer bytes than
// that, they may be wrong. It reports whether it is worth to begin again.
func (a *attempt) doubt(ctx context.Context) (again bool, err error) {
	if !a.short {
		return false, nil
	}
	a.short = false
	a.f.setAlone(a.job)
	clear(a.tried)
	return true, a.restart(ctx)
}

// ask lets one peer send what is missing. It returns an error if no other peer can help.
func (a *attempt) ask(ctx context.Context, peer core.PeerID) (done bool, err error) {
	a.tried[peer] = true
	src, err := a.f.sources.Open(ctx, peer)
	if err != nil {
		a.last = err
		return false, ctx.Err()
	}
	at := a.part.Offset()
	err = pull(ctx, src, a.want, a.part, a.watch(ctx))
	switch {
	case at == 0:
		a.from = peer
	case a.part.Offset() > at && a.from != peer:
		a.from = core.PeerID{}
	}
	a.moved = a.moved || a.part.Offset() > at
	var local *localError
	switch {
	case err == nil:
		return a.commit(ctx, peer)
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, errGone), errors.As(err, &local):
		return false, err
	case errors.Is(err, errShort):
		a.short = true
	case errors.Is(err, errNotThere), errors.Is(err, errSize):
	case wire.IsOffence(err):
		a.f.blame(a.job, peer, err)
	default:
		a.last = err
	}
	return false, nil
}

// commit checks what has come, of which peer sent the last.
func (a *attempt) commit(ctx context.Context, peer core.PeerID) (done bool, err error) {
	whose := a.from
	err = a.part.Commit(ctx)
	if !errors.Is(err, core.ErrCIDMismatch) {
		return err == nil, err
	}
	if whose == peer {
		a.f.blame(a.job, peer, wrongBytes(a.want, err))
	} else {
		a.f.setAlone(a.job) // of several, nobody knows whose
		clear(a.tried)
	}
	return false, a.resume(ctx)
}

func wrongBytes(want core.WantedBlob, err error) error {
	return &wire.Error{Code: wire.CodeProtocol, Detail: fmt.Sprintf("bytes of a blob of space %s: %v", want.Space, err)}
}

// watch is what pull calls between pieces.
func (a *attempt) watch(ctx context.Context) func(int) error {
	return func(int) error {
		if a.f.moved(a.job, a.part.Offset(), a.want.Size) {
			_, err := a.f.stillWanted(ctx, a.job.key)
			if err != nil && !errors.Is(err, errGone) {
				err = &localError{err}
			}
			return err
		}
		return nil
	}
}
