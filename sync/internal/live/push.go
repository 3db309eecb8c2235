package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// How acknowledgements of a peer are written down.
const (
	ackEvery  = 100 * time.Millisecond // at most
	lastWrite = 5 * time.Second        // at the end, for those that came last
	// maxPendingAcks is how many rows may wait for it. Then nothing is read.
	maxPendingAcks = 1024
)

// Push tells a peer what comes to a queue, and notes what the peer acknowledges, until ctx
// or the stream ends. It returns an error then, and nothing of it runs any more; the queue
// says that the peer has to catch up, so that another Push may go on with it. A queue has
// one Push at a time. Errors: those of the stream and of package wire, the replica's, ctx's.
func Push(ctx context.Context, s wire.Stream, q *Queue, o Options) error {
	defer q.Lost()
	p := &pusher{Options: o, conn: newConn(s), q: q, acks: make(spaceTips), acked: make(chan struct{}, 1)}
	return run(ctx, s, p.write, p.read, p.acknowledge)
}

type pusher struct {
	Options
	conn *wire.Conn
	q    *Queue

	mu    sync.Mutex
	acks  spaceTips     // that are not written down
	acked chan struct{} // has a value when there are some
}

// write sends what comes to the queue.
func (p *pusher) write(ctx context.Context) error {
	alive := time.NewTicker(Heartbeat)
	defer alive.Stop()
	for {
		next, err := p.drain(ctx)
		if err != nil {
			return err
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-p.q.wake:
		case <-due:
		case <-alive.C:
			if err := p.conn.Send(beat{}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain sends all that can be sent now, and returns when there will be more. The longer
// a write takes, the more goes into the next one.
func (p *pusher) drain(ctx context.Context) (next time.Time, err error) {
	for {
		items, notes, behind, next := p.q.take(time.Now(), MaxBatchBytes)
		if len(items) == 0 && len(notes) == 0 && !behind {
			return next, p.conn.Flush()
		}
		if behind {
			if err := p.conn.Queue(catchUp{}); err != nil {
				return next, err
			}
		}
		for _, g := range bySpace(items) {
			if err := p.sendEntries(ctx, g); err != nil {
				return next, err
			}
		}
		for _, n := range notes {
			if err := p.sendNote(ctx, n); err != nil {
				return next, err
			}
		}
	}
}

// sendEntries sends entries of a space. Who may see it is asked at each frame, and not
// only when an entry is queued.
func (p *pusher) sendEntries(ctx context.Context, g spaceEntries) error {
	may, err := p.may(ctx, g.space)
	if err != nil || !may {
		return err // the note about members says what there is to say
	}
	if !p.Pair.Compared(g.space) {
		// The peer may know others of the same writer. A pull compares, and who pulls from
		// here waits for that.
		p.Pull(g.space)
		p.q.tell(g.space, tipsOf(g.entries), newsDelay, false)
		return nil
	}
	direct := make([]core.Entry, 0, len(g.entries))
	for _, e := range g.entries {
		if p.Carried != nil && p.Carried(g.space, e) {
			p.q.tell(g.space, tipsOf([]core.Entry{e}), carriedDelay, true)
			continue
		}
		direct = append(direct, e)
	}
	if len(direct) == 0 {
		return nil
	}
	return p.conn.Queue(entries{Tag: p.Pair.Out(g.space), Entries: wire.FromCore(direct)})
}

// may reports whether the peer may see a space. One that is not here any more nobody may.
func (p *pusher) may(ctx context.Context, space core.SpaceID) (bool, error) {
	may, err := p.Pair.May(ctx, space)
	if err != nil {
		return false, fmt.Errorf("push to space %s: %w", space, err)
	}
	return may, nil
}

// spaceEntries are entries of one space.
type spaceEntries struct {
	space   core.SpaceID
	entries []core.Entry
}

// bySpace divides entries by space, and keeps the order of each.
func bySpace(items []item) []spaceEntries {
	var groups []spaceEntries
	index := make(map[core.SpaceID]int)
	for _, it := range items {
		i, ok := index[it.space]
		if !ok {
			i = len(groups)
			index[it.space] = i
			groups = append(groups, spaceEntries{space: it.space})
		}
		groups[i].entries = append(groups[i].entries, it.entry)
	}
	return groups
}

// sendNote sends what is to be told of a space.
func (p *pusher) sendNote(ctx context.Context, n told) error {
	may, err := p.may(ctx, n.space)
	if err != nil {
		return err
	}
	ask := may && n.behind
	if !may && n.members {
		// Somebody who was removed asks once, and is shown that they are.
		gone, err := p.Pair.Gone(ctx)
		if err != nil {
			return fmt.Errorf("tell of space %s: %w", n.space, err)
		}
		ask = slices.Contains(gone, n.space)
	}
	if ask {
		return p.conn.Queue(catchUp{Tags: []wire.Tag{p.Pair.Out(n.space)}})
	}
	if !may || !n.news {
		return nil
	}
	if !n.late && p.Carried != nil && p.Carried(n.space, core.Entry{}) {
		// Everybody would tell everybody what all of them have.
		p.q.tell(n.space, n.newest, relayedDelay, true)
		return nil
	}
	sum, err := p.Replica.Summary(ctx, n.space)
	switch {
	case errors.Is(err, core.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("tell of space %s: %w", n.space, err)
	}
	return p.conn.Queue(news{Tag: p.Pair.Out(n.space), Digest: wire.Shorten(sum.Digest), Rows: wireRows(n.newest)})
}

// read takes in what the peer answers.
func (p *pusher) read(ctx context.Context) error {
	pace := newPace()
	for {
		f, err := p.conn.Read(answers)
		if err != nil {
			return err
		}
		if f.Kind == kindBeat {
			if err := pace.count(f); err != nil {
				return err
			}
			continue
		}
		m, err := wire.Decode[ack](f)
		if err != nil {
			return err
		}
		space, err := p.Pair.In(ctx, m.Tag)
		switch {
		case errors.Is(err, core.ErrNotFound):
			continue // what is with somebody who is no member any more counts no more
		case err != nil:
			return fmt.Errorf("acknowledgement: %w", err)
		}
		if err := p.note(ctx, space, m.Rows); err != nil {
			return err
		}
	}
}

// note keeps an acknowledgement until it is written down, and waits while there are too
// many.
func (p *pusher) note(ctx context.Context, space core.SpaceID, rows []wire.Row) error {
	for {
		p.mu.Lock()
		room := p.acks.size() < maxPendingAcks
		if room {
			p.acks.of(space).addSent(rows)
		}
		p.mu.Unlock()
		notify(p.acked)
		if room {
			return nil
		}
		select {
		case <-time.After(ackEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// acknowledge writes down what the peer has.
func (p *pusher) acknowledge(ctx context.Context) error {
	for {
		select {
		case <-p.acked:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			return p.writeAcks(last)
		}
		if err := p.writeAcks(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(ackEvery):
		case <-ctx.Done():
		}
	}
}

func (p *pusher) writeAcks(ctx context.Context) error {
	p.mu.Lock()
	acks := p.acks
	p.acks = make(spaceTips)
	p.mu.Unlock()
	for space, t := range acks {
		err := p.Replica.AcknowledgeTaken(ctx, space, p.Pair.Peer(), t.rows())
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return fmt.Errorf("note acknowledgements in space %s: %w", space, err)
		}
	}
	return nil
}
