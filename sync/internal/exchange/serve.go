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

// ServeOptions are what a node wants to know of an exchange.
type ServeOptions struct {
	// Joined is called when the peer has shown that it holds a ticket for a space: it
	// gets own entries only after a Pull from it.
	Joined func()
	// Now is the clock of notes, time.Now if nil.
	Now func() time.Time
	// Portion is how many bytes of entries go into a frame, up to wire.EntriesBytes, and that
	// if it is 0. Of a frame that is cut nothing arrives.
	Portion int
}

// Serve answers a client until it has had enough. It may be called for several streams of
// a peer at the same time. Errors: an *wire.Error for what the peer did, of which
// wire.IsOffence tells those that break the protocol; what ends the stream; ctx's and
// the replica's.
func Serve(ctx context.Context, s wire.Stream, r Replica, p *share.Pair, opts ServeOptions) error {
	defer guard(ctx, s)()
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Portion <= 0 || opts.Portion > wire.EntriesBytes {
		opts.Portion = wire.EntriesBytes
	}
	v := &server{c: wire.NewConn(s), r: r, p: p, opts: opts}
	err := cause(ctx, v.run(ctx))
	end(s, err)
	if err != nil {
		return fmt.Errorf("serve %s: %w", p.Peer(), err)
	}
	return nil
}

type server struct {
	c    *wire.Conn
	r    Replica
	p    *share.Pair
	opts ServeOptions

	acks int // that may still come
}

func (v *server) run(ctx context.Context) error {
	f, err := v.c.Read(wire.Limits{wire.KindHello: wire.MaxHelloFrame})
	if err != nil {
		return endOf(err)
	}
	hello, err := wire.Decode[wire.Hello](f)
	if err != nil {
		return err
	}
	if err := v.greet(ctx, hello); err != nil {
		return err
	}
	for range MaxRequests {
		f, err := v.c.Read(wire.Requests)
		if err != nil {
			return endOf(err)
		}
		if err := v.answer(ctx, f); err != nil {
			return err
		}
	}
	return wire.Excess("%d requests on a stream", MaxRequests)
}

// endOf returns nil for the end of a stream.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// greet answers a Hello.
func (v *server) greet(ctx context.Context, hello wire.Hello) error {
	joined, err := v.p.Admit(ctx, hello.Joins)
	if err != nil {
		return err
	}
	if joined > 0 && v.opts.Joined != nil {
		v.opts.Joined()
	}
	shared, err := v.p.Shared(ctx)
	if err != nil {
		return err
	}
	if len(hello.Only) > 0 {
		shared = slices.DeleteFunc(slices.Clone(shared), func(space core.SpaceID) bool {
			return !slices.Contains(hello.Only, v.p.Called(space))
		})
	}
	states, err := statesOf(ctx, v.r, shared, v.p.Called)
	if err != nil {
		return err
	}
	if len(states) > 0 && rootOf(states) == hello.Root {
		if err := v.c.Send(wire.Same{}); err != nil {
			return err
		}
		return note(ctx, v.r, v.p.Peer(), states, v.opts.Now())
	}
	return v.list(ctx, states)
}

// list sends what the client may see.
func (v *server) list(ctx context.Context, states []state) error {
	gone, err := v.p.Gone(ctx)
	if err != nil {
		return err
	}
	v.acks += len(states)
	for first := true; first || len(states)+len(gone) > 0; first = false {
		var page wire.Spaces
		n := min(len(states), wire.PageItems)
		for _, s := range states[:n] {
			page.Items = append(page.Items, wire.SpaceItem{Tag: v.p.Out(s.space), Digest: wire.Shorten(s.Digest)})
		}
		g := min(len(gone), wire.PageGone)
		for _, space := range gone[:g] {
			page.Gone = append(page.Gone, v.p.Out(space))
		}
		states, gone = states[n:], gone[g:]
		page.More = len(states)+len(gone) > 0
		if err := v.c.Queue(page); err != nil {
			return err
		}
	}
	return v.c.Flush()
}

// answer answers a request.
func (v *server) answer(ctx context.Context, f wire.Frame) error {
	switch f.Kind {
	case wire.KindRows:
		return ask(ctx, v, f, func(m wire.Rows) wire.Tag { return m.Tag }, v.rows)
	case wire.KindNodes:
		return ask(ctx, v, f, func(m wire.Nodes) wire.Tag { return m.Tag }, v.nodes)
	case wire.KindGet:
		return ask(ctx, v, f, func(m wire.Get) wire.Tag { return m.Tag }, v.get)
	case wire.KindHashes:
		return ask(ctx, v, f, func(m wire.Hashes) wire.Tag { return m.Tag }, v.hashes)
	case wire.KindAck:
		return v.ack(ctx, f)
	case wire.KindLast:
		return v.last(ctx, f)
	case wire.KindRemind:
		return v.remind(ctx, f)
	default:
		return wire.Breach("message %d is no request", f.Kind)
	}
}

// ask answers a request about a space. Whatever the reason for which there is no answer,
// the client gets the same.
func ask[T wire.Message](
	ctx context.Context, v *server, f wire.Frame, tag func(T) wire.Tag, answer func(context.Context, core.SpaceID, T) error,
) error {
	m, err := wire.Decode[T](f)
	if err != nil {
		return err
	}
	space, err := v.p.In(ctx, tag(m))
	if err == nil {
		err = answer(ctx, space, m)
	}
	if errors.Is(err, core.ErrNotFound) { // also of a space that was deleted just now
		return v.c.Send(wire.None{})
	}
	return err
}

func (v *server) rows(ctx context.Context, space core.SpaceID, m wire.Rows) error {
	rows, now, ok, err := v.r.RowsSince(ctx, space, m.Mark.Core(), SinceRows)
	if err != nil {
		return err
	}
	if !ok {
		return v.tree(ctx, space, []core.TreePath{""})
	}
	pages := wire.FromRows(rows)
	if len(pages) == 0 {
		return v.c.Send(wire.RowList{Mark: wire.MarkOf(now)})
	}
	for i, page := range pages {
		if err := v.c.Queue(wire.RowList{Rows: page, Mark: wire.MarkOf(now), More: i < len(pages)-1}); err != nil {
			return err
		}
	}
	return v.c.Flush()
}

func (v *server) nodes(ctx context.Context, space core.SpaceID, m wire.Nodes) error {
	paths := make([]core.TreePath, len(m.Paths))
	for i, p := range m.Paths {
		paths[i] = core.TreePath(p)
	}
	return v.tree(ctx, space, paths)
}

// tree sends nodes, with the mark from before they were read.
func (v *server) tree(ctx context.Context, space core.SpaceID, paths []core.TreePath) error {
	sum, err := v.r.Summary(ctx, space)
	if err != nil {
		return err
	}
	page := wire.Tree{Mark: wire.MarkOf(sum.Mark)}
	room := wire.PageTips
	turn := func() error {
		page.More = true
		err := v.c.Queue(page)
		page.Nodes, page.More, room = nil, false, wire.PageTips
		return err
	}
	for _, path := range paths {
		node, err := v.r.Node(ctx, space, path)
		if err != nil {
			return err
		}
		if node.Children != nil {
			page.Nodes = append(page.Nodes, wire.Node{Children: node.Children[:]})
			continue
		}
		page.Nodes = append(page.Nodes, wire.Node{})
		at := &page.Nodes[len(page.Nodes)-1]
		for _, row := range node.Rows {
			for tips := row.Tips; len(tips) > 0; {
				if room == 0 {
					if err := turn(); err != nil {
						return err
					}
					page.Nodes = append(page.Nodes, wire.Node{Cont: true})
					at = &page.Nodes[0]
				}
				n := min(room, len(tips))
				part := core.LogRow{Writer: row.Writer, Chain: row.Chain, Tips: tips[:n]}
				at.Rows = append(at.Rows, wire.FromRows([]core.LogRow{part})[0]...)
				tips, room = tips[n:], room-n
			}
		}
	}
	return v.c.Send(page)
}

func (v *server) get(ctx context.Context, space core.SpaceID, m wire.Get) error {
	v.acks += 2 // at the end, and one for AckBytes; more are allowed below
	if err := v.p.AwaitCompared(ctx, space); errors.Is(err, share.ErrNotCompared) {
		return &wire.Error{Code: wire.CodeBusy, Detail: err.Error()}
	} else if err != nil {
		return err
	}
	ranges := make([]core.Range, len(m.Ranges))
	for i, r := range m.Ranges {
		ranges[i] = core.Range{Writer: r.Writer, Chain: r.Chain, From: r.From, To: r.To}
	}
	sent := 0
	for at := (core.Cursor{}); ; {
		entries, next, err := v.r.Entries(ctx, space, ranges, at, v.opts.Portion)
		if err != nil {
			return err
		}
		// Asked for each frame, when it has been read: a removal counts at once, for what was
		// written after it too.
		if may, err := v.p.May(ctx, space); err != nil {
			return err
		} else if !may {
			return &wire.Error{Code: wire.CodeParted}
		}
		if len(entries) == 0 {
			return v.c.Send(wire.End{})
		}
		at = next
		n, err := v.send(entries)
		if err != nil {
			return err
		}
		for sent += n; sent > AckBytes; sent -= AckBytes {
			v.acks++
		}
	}
}

// send sends entries, and returns their size.
func (v *server) send(entries []core.Entry) (size int, err error) {
	for _, run := range wire.Split(entries, v.opts.Portion) {
		if err := v.c.Queue(wire.Entries{Entries: wire.FromCore(run)}); err != nil {
			return size, err
		}
		for _, e := range run {
			size += e.Size()
		}
	}
	return size, v.c.Flush()
}

func (v *server) hashes(ctx context.Context, space core.SpaceID, m wire.Hashes) error {
	hashes, err := v.r.Hashes(ctx, space, m.Writer, m.Chain, m.Seqs)
	if err != nil {
		return err
	}
	for i := range hashes {
		if len(hashes[i]) > wire.MaxSame {
			hashes[i] = []core.Hash{{}}
		}
	}
	return v.c.Send(wire.HashList{Hashes: hashes})
}

// ack notes what the client has.
func (v *server) ack(ctx context.Context, f wire.Frame) error {
	m, err := wire.Decode[wire.Ack](f)
	if err != nil {
		return err
	}
	if v.acks--; v.acks < 0 {
		return wire.Excess("more acknowledgements than anything to acknowledge")
	}
	space, err := v.p.In(ctx, m.Tag)
	if errors.Is(err, core.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rows, err := wire.AppendRows(nil, m.Rows)
	if err != nil {
		return err
	}
	if m.Digest != (wire.Digest16{}) {
		sum, err := v.r.Summary(ctx, space)
		if err == nil && wire.Shorten(sum.Digest) == m.Digest {
			err = v.r.AcknowledgeAll(ctx, space, v.p.Peer(), sum)
			rows = nil
		}
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := v.r.Acknowledge(ctx, space, v.p.Peer(), rows); !errors.Is(err, core.ErrNotFound) {
		return err
	}
	return nil
}
