package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// When a stream is taken to be dead.
const (
	// Heartbeat is how often each side says something.
	Heartbeat = 10 * time.Second
	// Silence is how long nothing may come, or a frame take to arrive.
	Silence = 25 * time.Second
	// Stall is how long a write may take.
	Stall = 10 * time.Second
)

// Heartbeats beyond these are a flood.
const (
	beatBurst = 16
	beatEvery = time.Second
)

// Replica is what streams need of core.Replica.
type Replica interface {
	Summary(ctx context.Context, space core.SpaceID) (core.Summary, error)
	Missing(ctx context.Context, space core.SpaceID, rows []core.LogRow) ([]core.Range, error)
	Take(ctx context.Context, space core.SpaceID, entries []core.Entry) ([]core.Outcome, error)
	AcknowledgeTaken(ctx context.Context, space core.SpaceID, peer core.PeerID, rows []core.LogRow) error
}

// Options are what the two ends of a stream need. The functions are called by several
// goroutines, and must not wait for anything.
type Options struct {
	Replica Replica
	Pair    *share.Pair

	// Pull asks for an exchange with the peer, of a space, or of all for "".
	Pull func(space core.SpaceID)
	// Offend is told of what the peer did that it must not do. Those that end the stream
	// are returned instead.
	Offend func(err error)
	// Carried reports whether an entry of a space reaches the peer by another way, so that
	// news of it do, a while later. nil: none does.
	Carried func(space core.SpaceID, e core.Entry) bool
	Logger  *slog.Logger // nil for none
}

// run runs the parts of one end of a stream, until one of them fails or ctx ends, and ends
// the stream.
func run(ctx context.Context, s wire.Stream, parts ...func(context.Context) error) error {
	inner, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var first error
	var once sync.Once
	do := func(part func(context.Context) error) {
		if err := part(inner); err != nil {
			once.Do(func() {
				first = err
				fail(err)
			})
		}
	}
	var others sync.WaitGroup
	for _, part := range parts[1:] {
		others.Go(func() { do(part) })
	}
	// A part that reads or writes does not see that inner has ended.
	stop := context.AfterFunc(inner, func() {
		code := wire.CodeClosing
		if ctx.Err() == nil {
			code = wire.CodeFor(context.Cause(inner))
		}
		_ = s.Reset(code) // it may be gone already
	})
	do(parts[0]) // in this goroutine: there are two streams for each peer
	others.Wait()
	if stop() {
		_ = s.Reset(wire.CodeClosing)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return first
}

// newConn returns a Conn that notices a dead peer.
func newConn(s wire.Stream) *wire.Conn {
	c := wire.NewConn(s)
	c.SetPatience(Silence, Stall)
	return c
}

// pace is how many heartbeats a peer may still send.
type pace struct {
	left int
	at   time.Time
}

func newPace() *pace { return &pace{left: beatBurst, at: time.Now()} }

// count counts a heartbeat.
func (p *pace) count(f wire.Frame) error {
	if _, err := wire.Decode[beat](f); err != nil {
		return err
	}
	n := int(time.Since(p.at) / beatEvery)
	p.at = p.at.Add(time.Duration(n) * beatEvery)
	p.left = min(beatBurst, p.left+n)
	if p.left == 0 {
		return wire.Excess("a flood of heartbeats")
	}
	p.left--
	return nil
}

// spaceTips are tips of spaces.
type spaceTips map[core.SpaceID]tips

// of returns the tips of a space, to be added to.
func (s spaceTips) of(space core.SpaceID) tips {
	t := s[space]
	if t == nil {
		t = make(tips)
		s[space] = t
	}
	return t
}

// size returns how many tips there are.
func (s spaceTips) size() int {
	n := 0
	for _, t := range s {
		n += len(t)
	}
	return n
}

// notify puts a value into a channel that has room for one, unless it has one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
