package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// PullOptions say what to ask for.
type PullOptions struct {
	// Only are the spaces to ask for, up to wire.MaxOnly. For nil it is all that the two
	// share and all that tickets wait for.
	Only []core.SpaceID
	// CompareOnly brings nothing: the two are compared, so that own entries may go to the peer.
	CompareOnly bool
	// Now is the clock of notes, time.Now if nil.
	Now func() time.Time
	// Useless is how many bytes one answer may have that are not taken, MaxUseless if 0.
	Useless int
}

// Result is what a Pull did, as far as it came.
type Result struct {
	Same     bool // the server has exactly what is here, in all spaces
	Listed   int  // spaces that the server showed, unless Same
	Accepted int  // entries that came in
	Known    int  // entries that came although they were here
	Waiting  int  // entries that wait, or were dropped, for want of their past or of a newer version
	Rejected int  // entries that break a rule
	Bytes    int64
	Gone     []core.SpaceID // in which the server says that the local member is none any more
	// Partial are spaces of which not everything that the server has is here now, or which it
	// remembers only now.
	Partial []core.SpaceID
}

// Pull brings here what a peer has and this directory lacks. Two Pulls from one peer at a
// time do no harm, and double the work. An error leaves what was taken in place; another
// Pull goes on from there. Errors: an *wire.Error for what the peer did, of which
// wire.IsOffence tells those that break the protocol; what ends the stream; ctx's and the
// replica's.
func Pull(ctx context.Context, s wire.Stream, r Replica, p *share.Pair, opts PullOptions) (Result, error) {
	defer guard(ctx, s)()
	if opts.Now == nil {
		opts.Now = time.Now
	}
	c := &client{s: s, c: wire.NewConn(s), r: r, p: p, opts: opts, called: map[wire.Tag]int{}}
	err := cause(ctx, c.run(ctx))
	end(s, err)
	if err != nil {
		return c.result, fmt.Errorf("pull from %s: %w", p.Peer(), err)
	}
	return c.result, nil
}

type client struct {
	s    wire.Stream
	c    *wire.Conn
	r    Replica
	p    *share.Pair
	opts PullOptions

	states []state        // of the spaces asked for
	asked  []core.SpaceID // with a ticket
	called map[wire.Tag]int
	kept   int // tips in rows that are kept
	result Result
}

// differing is a space of which the server has another log.
type differing struct {
	state
	digest wire.Digest16 // of the server's
	known  bool          // rows and mark are there
	rows   []core.LogRow
	mark   core.Mark
}

func (c *client) run(ctx context.Context) error {
	hello, err := c.hello(ctx)
	if err != nil {
		return err
	}
	if len(c.states) == 0 {
		// There is nothing to ask for, and the peer learns not even that.
		return c.p.Asked(ctx, c.asked, c.asked)
	}
	if err := c.c.Send(hello); err != nil {
		return err
	}
	f, err := c.read(wire.Limits{wire.KindSame: wire.MaxTagFrame, wire.KindSpaces: wire.MaxSpacesFrame})
	if err != nil {
		return err
	}
	if f.Kind == wire.KindSame {
		if _, err := wire.Decode[wire.Same](f); err != nil {
			return err
		}
		c.result.Same = true
		c.compared()
		if err := c.p.Asked(ctx, c.asked, nil); err != nil {
			return err
		}
		return note(ctx, c.r, c.p.Peer(), c.states, c.opts.Now())
	}
	same, differ, gone, err := c.listed(f)
	if err != nil {
		return err
	}
	unshown := c.unshown(same, differ, gone)
	if err := c.p.Asked(ctx, c.asked, declined(c.asked, same, differ)); err != nil {
		return err
	}
	if err := c.compare(ctx, differ); err != nil {
		return err
	}
	if err := note(ctx, c.r, c.p.Peer(), same, c.opts.Now()); err != nil {
		return err
	}
	if c.opts.CompareOnly {
		return c.part()
	}
	for i := range differ {
		if err := c.bring(ctx, &differ[i]); err != nil {
			return err
		}
		differ[i] = differing{} // its rows
	}
	for _, s := range gone {
		if err := c.takeLast(ctx, s); err != nil {
			return err
		}
	}
	if err := c.remind(ctx, unshown); err != nil {
		return err
	}
	return c.part()
}

// read reads a frame of the server, which must not end the stream before the client does.
func (c *client) read(limits wire.Limits) (wire.Frame, error) {
	f, err := c.c.Read(limits)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return f, err
}

// hello returns the Hello, after noting what it asks for.
func (c *client) hello(ctx context.Context) (wire.Hello, error) {
	hello := wire.Hello{Version: wire.Version}
	shared, err := c.p.Shared(ctx)
	if err != nil {
		return hello, err
	}
	asked, joins, err := c.p.Asks(ctx, c.opts.Only)
	if err != nil {
		return hello, err
	}
	c.asked = asked
	if len(c.opts.Only) > 0 {
		shared = slices.DeleteFunc(slices.Clone(shared), func(s core.SpaceID) bool { return !slices.Contains(c.opts.Only, s) })
	}
	all := append(slices.Clip(shared), asked...)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(c.opts.Only) > 0 {
		if len(all) > wire.MaxOnly {
			return hello, fmt.Errorf("%d spaces at a time, at most %d: %w", len(all), wire.MaxOnly, core.ErrInvalidOption)
		}
		for _, space := range all {
			hello.Only = append(hello.Only, c.p.Out(space))
		}
	}
	if c.states, err = statesOf(ctx, c.r, all, c.p.Out); err != nil {
		return hello, err
	}
	for i, s := range c.states {
		c.called[c.p.Called(s.space)] = i
		if j := slices.Index(asked, s.space); j >= 0 {
			joins[j].Empty = s.Digest.IsZero()
		}
	}
	hello.Root, hello.Joins = rootOf(c.states), joins
	return hello, nil
}

// compared notes that own entries of all spaces that were asked for may go to the server.
func (c *client) compared() {
	spaces := make([]core.SpaceID, len(c.states))
	for i, s := range c.states {
		spaces[i] = s.space
	}
	c.p.MarkCompared(spaces...)
}

// listed reads what the server lists, from its first frame on, and sorts it by whether it
// is what is here. What the client does not know is passed over: the two may see
// differently who is a member.
func (c *client) listed(f wire.Frame) (same []state, differ []differing, gone []state, err error) {
	seen := map[wire.Tag]bool{}
	for n := 0; ; {
		page, err := wire.Decode[wire.Spaces](f)
		if err != nil {
			return nil, nil, nil, err
		}
		if n += len(page.Items) + len(page.Gone); n > MaxSpaces {
			return nil, nil, nil, wire.Excess("%d spaces", n)
		}
		for _, it := range page.Items {
			i, known := c.called[it.Tag]
			if !known {
				continue
			}
			if seen[it.Tag] {
				return nil, nil, nil, wire.Breach("a space is listed twice")
			}
			seen[it.Tag] = true
			if s := c.states[i]; wire.Shorten(s.Digest) == it.Digest {
				same = append(same, s)
			} else {
				differ = append(differ, differing{state: s, digest: it.Digest})
			}
		}
		for _, tag := range page.Gone {
			if i, known := c.called[tag]; known && !seen[tag] {
				seen[tag] = true
				gone = append(gone, c.states[i])
				c.result.Gone = append(c.result.Gone, c.states[i].space)
			}
		}
		if !page.More {
			c.result.Listed = len(same) + len(differ)
			return same, differ, gone, nil
		}
		if f, err = c.read(wire.Limits{wire.KindSpaces: wire.MaxSpacesFrame}); err != nil {
			return nil, nil, nil, err
		}
	}
}

// declined returns the spaces of those asked for with a ticket that the server does not show.
func declined(asked []core.SpaceID, same []state, differ []differing) []core.SpaceID {
	return slices.DeleteFunc(slices.Clone(asked), func(space core.SpaceID) bool {
		return slices.ContainsFunc(same, func(s state) bool { return s.space == space }) ||
			slices.ContainsFunc(differ, func(d differing) bool { return d.space == space })
	})
}

// compare asks for the rows of all spaces that differ. Only then own entries go to the
// server: if it has some that are not here, they are those of another writer by then.
func (c *client) compare(ctx context.Context, differ []differing) error {
	for i := range differ {
		d := &differ[i]
		if err := c.rows(ctx, d); err != nil {
			return err
		}
		if _, err := c.r.OwnAhead(ctx, d.space, d.rows); gone(err) != nil {
			return err
		}
		if c.kept += tipsOf(d.rows); c.kept > KeptRows || c.opts.CompareOnly {
			c.kept -= tipsOf(d.rows)
			d.rows, d.known = nil, false
		}
	}
	c.compared()
	return nil
}

// bring fetches what is missing of a space and notes what came of it.
func (c *client) bring(ctx context.Context, d *differing) error {
	if !d.known {
		if err := c.rows(ctx, d); err != nil {
			return err
		}
		if !d.known {
			c.result.Partial = append(c.result.Partial, d.space) // parted in between
			return nil
		}
	}
	b := &bringer{client: c, d: d, held: map[core.ChainID]held{}, tips: map[core.ChainID]map[core.Hash]uint64{}}
	complete, err := b.run(ctx)
	if err != nil {
		return err
	}
	if !complete {
		c.result.Partial = append(c.result.Partial, d.space)
	}
	return c.settle(ctx, b, complete)
}

// settle notes what both have by now, and tells the server.
func (c *client) settle(ctx context.Context, b *bringer, complete bool) error {
	d, peer := b.d, c.p.Peer()
	sum, err := c.r.Summary(ctx, d.space)
	if err != nil {
		return gone(err)
	}
	if complete && d.mark != (core.Mark{}) {
		if err := c.r.Exchanged(ctx, d.space, peer, d.mark, c.opts.Now().UnixMilli()); err != nil {
			return gone(err)
		}
	}
	// From its rows it follows what the server has of own entries.
	var all wire.Digest16
	if wire.Shorten(sum.Digest) == d.digest {
		all = d.digest
		err = c.r.AcknowledgeAll(ctx, d.space, peer, sum)
	} else if len(d.rows) > 0 {
		err = c.r.Acknowledge(ctx, d.space, peer, d.rows)
	}
	if err != nil || b.accepted == 0 {
		return gone(err)
	}
	return b.ack(all)
}

// part ends the stream when the server has read all of it.
func (c *client) part() error {
	if err := c.c.CloseWrite(); err != nil {
		return err
	}
	c.c.SetPatience(parting, parting)
	_, err := c.c.Read(wire.Limits{})
	if wire.IsOffence(err) {
		return err
	}
	return nil // it ends, or is late: nothing depends on it
}

func tipsOf(rows []core.LogRow) (n int) {
	for _, r := range rows {
		n += len(r.Tips)
	}
	return n
}

var errNone = errors.New("the server does not show the space any more")
