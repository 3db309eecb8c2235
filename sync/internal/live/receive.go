package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// What may have arrived and not be taken in yet. Past it nothing is read, and the peer's
// queue overflows.
const (
	maxInboxEntries = 256
	maxInboxBytes   = 1 << 20
	maxInboxFrames  = 256
)

// Receive takes in what a peer pushes, and acknowledges what is on disk, until ctx or the
// stream ends. It returns an error then, io.EOF at the peer's end of the stream, and nothing of it
// runs any more. Errors: those of the stream and of package wire, the replica's, ctx's.
func Receive(ctx context.Context, s wire.Stream, o Options) error {
	r := &receiver{
		Options: o, conn: newConn(s), acks: make(spaceTips), acked: make(chan struct{}, 1),
		inbox: inbox{came: make(chan struct{}, 1), room: make(chan struct{}, 1)},
	}
	return run(ctx, s, r.read, r.take, r.answer)
}

type receiver struct {
	Options
	conn  *wire.Conn
	inbox inbox

	mu    sync.Mutex
	acks  spaceTips     // that are not sent
	acked chan struct{} // has a value when there are some
}

// inbox is what arrived and is not taken in. One goroutine puts, one takes.
type inbox struct {
	came, room chan struct{}

	mu             sync.Mutex
	messages       []wire.Message
	entries, bytes int
}

// put waits for room. A message that is larger than all room gets all of it.
func (b *inbox) put(ctx context.Context, m wire.Message) error {
	n, size := 0, 0
	if m, ok := m.(entries); ok {
		n = len(m.Entries)
		for _, e := range m.Entries {
			size += e.Size()
		}
	}
	for {
		b.mu.Lock()
		fits := b.entries+n <= maxInboxEntries && b.bytes+size <= maxInboxBytes && len(b.messages) < maxInboxFrames
		if fits || len(b.messages) == 0 {
			b.messages = append(b.messages, m)
			b.entries += n
			b.bytes += size
			b.mu.Unlock()
			notify(b.came)
			return nil
		}
		b.mu.Unlock()
		select {
		case <-b.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takeAll returns all that arrived, and waits for something.
func (b *inbox) takeAll(ctx context.Context) ([]wire.Message, error) {
	for {
		b.mu.Lock()
		messages := b.messages
		b.messages, b.entries, b.bytes = nil, 0, 0
		b.mu.Unlock()
		if len(messages) > 0 {
			notify(b.room)
			return messages, nil
		}
		select {
		case <-b.came:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *receiver) read(ctx context.Context) error {
	pace := newPace()
	for {
		f, err := r.conn.Read(pushes)
		if err != nil {
			return err
		}
		var m wire.Message
		switch f.Kind {
		case kindEntries:
			m, err = wire.Decode[entries](f)
		case kindNews:
			m, err = wire.Decode[news](f)
		case kindCatchUp:
			m, err = wire.Decode[catchUp](f)
		default:
			if err := pace.count(f); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := r.inbox.put(ctx, m); err != nil {
			return err
		}
	}
}

// take takes in what has arrived, the entries of each space in one transaction: the longer
// one takes, the more goes into the next. News are compared when the entries before them
// are there.
func (r *receiver) take(ctx context.Context) error {
	for {
		messages, err := r.inbox.takeAll(ctx)
		if err != nil {
			return err
		}
		if err := r.takeEntries(ctx, messages); err != nil {
			return err
		}
		for _, m := range messages {
			switch m := m.(type) {
			case news:
				err = r.compare(ctx, m)
			case catchUp:
				err = r.catchUp(ctx, m)
			}
			if err != nil {
				return err
			}
		}
	}
}

func (r *receiver) takeEntries(ctx context.Context, messages []wire.Message) error {
	var items []item
	for _, m := range messages {
		p, ok := m.(entries)
		if !ok {
			continue
		}
		space, err := r.space(ctx, p.Tag)
		if err != nil {
			return err
		}
		if space == "" {
			continue
		}
		for _, e := range wire.ToCore(p.Entries) {
			items = append(items, item{space, e})
		}
	}
	for _, g := range bySpace(items) {
		outcomes, err := r.Replica.Take(ctx, g.space, g.entries)
		switch {
		case errors.Is(err, core.ErrNotFound):
			continue
		case err != nil:
			return fmt.Errorf("take in %d entries of space %s: %w", len(g.entries), g.space, err)
		}
		r.judge(g, outcomes)
	}
	return nil
}

// space returns the space of a tag, or "" if nothing of it is to be taken from the peer.
func (r *receiver) space(ctx context.Context, tag wire.Tag) (core.SpaceID, error) {
	space, err := r.Pair.From(ctx, tag)
	if errors.Is(err, core.ErrNotFound) {
		return "", nil // each side learns of members in its own time
	}
	if err != nil {
		return "", fmt.Errorf("space of a push: %w", err)
	}
	return space, nil
}

// judge acknowledges what is here, and asks for what is not.
func (r *receiver) judge(g spaceEntries, outcomes []core.Outcome) {
	have := make(tips)
	pull := false
	for i, out := range outcomes {
		switch out.Status {
		case core.EntryAccepted, core.EntryKnown:
			have.add(g.entries[i])
		case core.EntryWaiting, core.EntryDropped:
			pull = pull || log.WaitsForPast(out)
		case core.EntryRejected:
			if log.ReasonOf(out.Err) == log.ReasonVersion {
				continue // the peer's program is newer
			}
			r.Offend(fmt.Errorf("pushed to space %s: %w", g.space, out.Err))
		}
	}
	if pull {
		r.Pull(g.space)
	}
	if len(have) == 0 {
		return
	}
	r.mu.Lock()
	maps.Copy(r.acks.of(g.space), have)
	r.mu.Unlock()
	notify(r.acked)
}

// compare pulls if news tell of something that is not here.
func (r *receiver) compare(ctx context.Context, n news) error {
	space, err := r.space(ctx, n.Tag)
	if err != nil || space == "" {
		return err
	}
	same, err := r.has(ctx, space, n)
	switch {
	case errors.Is(err, core.ErrNotFound): // it is awaited
	case err != nil:
		return fmt.Errorf("compare space %s: %w", space, err)
	case same && len(n.Rows) > 0 && r.Carried != nil && r.Carried(space, core.Entry{}):
		// These came by another way, on which nothing is acknowledged.
		r.mu.Lock()
		r.acks.of(space).addSent(n.Rows)
		r.mu.Unlock()
		notify(r.acked)
		return nil
	case same:
		return nil
	}
	r.Pull(space)
	return nil
}

// has reports whether all that news tell of is here.
func (r *receiver) has(ctx context.Context, space core.SpaceID, n news) (bool, error) {
	sum, err := r.Replica.Summary(ctx, space)
	if err != nil || wire.Shorten(sum.Digest) == n.Digest {
		return true, err // and so are the rows
	}
	if len(n.Rows) == 0 {
		return false, nil
	}
	// Logs that are written to differ all the time. What matters is what is new.
	newest := make(tips)
	newest.addSent(n.Rows)
	missing, err := r.Replica.Missing(ctx, space, newest.rows())
	return len(missing) == 0, err
}

func (r *receiver) catchUp(ctx context.Context, c catchUp) error {
	if len(c.Tags) == 0 {
		r.Pull("")
	}
	for _, tag := range c.Tags {
		space, err := r.space(ctx, tag)
		if err != nil {
			return err
		}
		if space != "" {
			r.Pull(space)
		}
	}
	return nil
}

// answer sends acknowledgements and heartbeats.
func (r *receiver) answer(ctx context.Context) error {
	alive := time.NewTicker(Heartbeat)
	defer alive.Stop()
	for {
		select {
		case <-r.acked:
			if err := r.sendAcks(ctx); err != nil {
				return err
			}
		case <-alive.C:
			if err := r.conn.Send(beat{}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *receiver) sendAcks(ctx context.Context) error {
	r.mu.Lock()
	acks := r.acks
	r.acks = make(spaceTips)
	r.mu.Unlock()
	for space, t := range acks {
		may, err := r.Pair.May(ctx, space)
		if err != nil {
			return fmt.Errorf("acknowledge to space %s: %w", space, err)
		}
		if !may {
			continue
		}
		for rows := range slices.Chunk(wireRows(t), MaxAckRows) {
			if err := r.conn.Queue(ack{Tag: r.Pair.Out(space), Rows: rows}); err != nil {
				return err
			}
		}
	}
	return r.conn.Flush()
}
