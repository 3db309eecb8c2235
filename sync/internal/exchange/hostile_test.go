package exchange_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/exchange"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// script is a hostile server: it speaks on its end of a stream after the Hello.
type script func(c *wire.Conn, raw wire.Stream)

// hear reads the next message, whatever it is.
func hear(c *wire.Conn) error {
	all := wire.Limits{}
	for k := range 32 {
		all[wire.Kind(k)] = wire.MaxFrameBytes
	}
	_, err := c.Read(all)
	return err
}

// against has a site pull from a script.
func against(t *testing.T, s *site, peer core.PeerID, play script) (exchange.Result, error) {
	t.Helper()
	x, y := wire.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := wire.NewConn(y)
		if hear(c) == nil {
			play(c, y)
		}
		_ = hear(c) // what it has to say to that
		_ = y.Reset(wire.CodeBusy)
	}()
	r, err := exchange.Pull(t.Context(), x, s, share.NewPair(s, peer), exchange.PullOptions{Useless: 8 << 20})
	<-done
	return r, err
}

// A server that does not do as it should: nothing is stored, and the client tells why.
func TestHostileServers(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	other := a.create()
	admit(t, a, b, space)
	tag := share.TagOf(must(space.Hash()), a.Self(), b.Self())
	author := newAuthor(t, a.key, space, 3)
	good := author.chain(t, 3)
	writer := log.WriterIDOf(a.Self(), author.incarnation)
	foreign := newAuthor(t, a.key, other, 3).chain(t, 1)
	forged := core.Entry{Header: good[0].Header, Ops: good[0].Ops, Sig: make([]byte, 64)}
	broken := core.Entry{Header: good[0].Header, Ops: []byte{1}, Sig: good[0].Sig}
	list := wire.Spaces{Items: []wire.SpaceItem{{Tag: tag, Digest: wire.Digest16{1}}}}
	row := wire.Row{Writer: writer, Chain: 1, Tips: []wire.Tip{{Seq: 3, Hash: good[2].Hash()}}}
	rows := wire.RowList{Rows: []wire.Row{row}, Mark: wire.Mark{Epoch: core.Incarnation{1}, Row: 9}}
	say := func(ms ...wire.Message) script {
		return func(c *wire.Conn, _ wire.Stream) {
			for i, m := range ms {
				if i > 0 && i < 3 && hear(c) != nil {
					return
				}
				if c.Send(m) != nil {
					return
				}
			}
		}
	}
	give := func(entries ...core.Entry) script {
		return say(list, rows, wire.Entries{Entries: wire.FromCore(entries)}, wire.End{})
	}
	children := make([]core.Hash, 16)
	for i := range children {
		children[i] = core.Hash{byte(i), 1}
	}
	before := len(b.entries(space))
	for name, test := range map[string]struct {
		play    script
		offence bool
	}{
		"closes":            {func(_ *wire.Conn, s wire.Stream) { _ = s.Close() }, false},
		"resets":            {func(_ *wire.Conn, s wire.Stream) { _ = s.Reset(wire.CodeBusy) }, false},
		"garbage":           {func(_ *wire.Conn, s wire.Stream) { _, _ = s.Write([]byte{0x55, 0xff, 1, 2, 3, 4, 5, 6}) }, true},
		"a huge frame":      {func(_ *wire.Conn, s wire.Stream) { _, _ = s.Write([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}) }, true},
		"an answer to none": {say(wire.End{}), true},
		"same twice":        {say(list, wire.Same{}), true},
		"lists twice":       {say(wire.Spaces{Items: append(list.Items, list.Items...)}), true},
		"lists for ever": {func(c *wire.Conn, _ wire.Stream) {
			page := wire.Spaces{Items: make([]wire.SpaceItem, wire.PageItems), More: true}
			for c.Send(page) == nil {
			}
		}, true},
		"rows for ever": {func(c *wire.Conn, _ wire.Stream) {
			if c.Send(list) != nil || hear(c) != nil {
				return
			}
			page := wire.RowList{More: true}
			for range wire.PageTips {
				page.Rows = append(page.Rows, row)
			}
			for c.Send(page) == nil {
			}
		}, true},
		"a tree without end": {func(c *wire.Conn, _ wire.Stream) {
			if c.Send(list) != nil || hear(c) != nil {
				return
			}
			tree := wire.Tree{Nodes: []wire.Node{{Children: children}}}
			for c.Send(tree) == nil && hear(c) == nil {
				tree.Nodes = nil
				for range wire.MaxPaths {
					tree.Nodes = append(tree.Nodes, wire.Node{Children: children})
				}
				// It is asked for 16 first.
				if len(tree.Nodes) > 16 {
					tree.Nodes = tree.Nodes[:16]
				}
			}
		}, true},
		"a row at a wrong place": {say(list, wire.Tree{Nodes: []wire.Node{{Children: append([]core.Hash{{7}}, make([]core.Hash, 15)...)}}},
			wire.Tree{Nodes: []wire.Node{{Rows: []wire.Row{{Writer: core.WriterID{0xff}, Tips: row.Tips}}}}}), true},
		"forged":          {give(forged), true},
		"broken":          {give(broken), true},
		"another space's": {give(foreign...), true},
		"not asked for":   {give(newAuthor(t, a.key, space, 4).chain(t, 1)...), true},
		"no entry":        {give(core.Entry{}), true},
		"without a past":  {give(good[2]), false},
		"out of order":    {give(good[2], good[2], good[2]), false},
		"the same without end": {func(c *wire.Conn, _ wire.Stream) {
			say(list, rows)(c, nil)
			if hear(c) != nil {
				return
			}
			m := wire.Entries{}
			for range 700 {
				m.Entries = append(m.Entries, wire.FromCore(good[2:])...)
			}
			for c.Send(m) == nil {
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := against(t, b, a.Self(), test.play)
			if got := wire.IsOffence(err); got != test.offence {
				t.Errorf("Pull = %+v, %v: an offence is %v, want %v", r, err, got, test.offence)
			}
			if got := len(b.entries(space)); got != before {
				t.Errorf("%d entries are stored, want the %d from before", got, before)
			}
			if mark, _, err := b.LastExchange(b.ctx(), space, a.Self()); mark.Epoch == (core.Incarnation{1}) || err != nil {
				t.Errorf("LastExchange = %+v, %v, want not the mark of this server", mark, err)
			}
		})
	}
	// It does not keep the honest from being heard.
	a.take(space, good...)
	meet(t, a, b)
	same(t, space, a, b)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What is of no use is not fetched again from a peer, and other news is.
func TestRefusedOnce(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	good := newAuthor(t, a.key, space, 3).chain(t, 3)
	news := newAuthor(t, a.key, space, 4).chain(t, 1)
	tag := share.TagOf(must(space.Hash()), a.Self(), b.Self())
	asked := 0
	play := func(c *wire.Conn, rows ...wire.Row) {
		_ = c.Send(wire.Spaces{Items: []wire.SpaceItem{{Tag: tag, Digest: wire.Digest16{1}}}})
		all := wire.Limits{}
		for k := range 32 {
			all[wire.Kind(k)] = wire.MaxFrameBytes
		}
		for {
			f, err := c.Read(all)
			if err != nil {
				return
			}
			switch f.Kind {
			case wire.KindRows:
				err = c.Send(wire.RowList{Rows: rows})
			case wire.KindHashes:
				err = c.Send(wire.HashList{Hashes: [][]core.Hash{{{1}}}})
			case wire.KindGet:
				m, _ := wire.Decode[wire.Get](f)
				for _, r := range m.Ranges {
					switch {
					case r.Writer == rows[0].Writer && r.To < 3:
						// It has nothing before the entry that waits.
					case r.Writer == rows[0].Writer:
						asked++
						err = c.Send(wire.Entries{Entries: wire.FromCore(good[2:])})
					default:
						err = c.Send(wire.Entries{Entries: wire.FromCore(news)})
					}
				}
				err = errors.Join(err, c.Send(wire.End{}))
			default:
			}
			if err != nil {
				return
			}
		}
	}
	rowOf := func(e core.Entry, n byte, seq uint64) wire.Row {
		return wire.Row{Writer: log.WriterIDOf(a.Self(), core.Incarnation{n}), Chain: 1, Tips: []wire.Tip{{Seq: seq, Hash: e.Hash()}}}
	}
	first, second := rowOf(good[2], 3, 3), rowOf(news[0], 4, 1)
	pair := share.NewPair(b, a.Self())
	pull := func(rows ...wire.Row) exchange.Result {
		t.Helper()
		x, y := wire.Pipe()
		go func() {
			c := wire.NewConn(y)
			if hear(c) == nil {
				play(c, rows...)
			}
			_ = y.Close()
		}()
		r, err := exchange.Pull(t.Context(), x, b, pair, exchange.PullOptions{})
		if err != nil {
			t.Fatalf("Pull = %v", err)
		}
		return r
	}
	if r := pull(first); r.Waiting == 0 || len(r.Partial) != 1 || asked == 0 {
		t.Errorf("Pull = %+v, want an entry that waits", r)
	}
	asked = 0
	rows := []wire.Row{first, second}
	if string(first.Writer[:]) > string(second.Writer[:]) {
		// play tells them apart by the first.
		rows = []wire.Row{first}
	}
	r := pull(rows...)
	if asked != 0 || len(r.Partial) != 1 {
		t.Errorf("Pull again = %+v after %d times the same entry, want none", r, asked)
	}
	if len(rows) == 2 && r.Accepted != 1 {
		t.Errorf("Pull again = %+v, want the news", r)
	}
	// From who has the past it comes.
	a.take(space, good...)
	a.take(space, news...)
	meet(t, a, b)
	same(t, space, a, b)
}

// Whatever a client sends, a server neither fails nor stores, nor holds much.
func TestHostileClients(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	admit(t, a, b, space)
	a.write(space, 20)
	before := a.summary(space)
	pair := share.NewPair(a, b.Self())
	pair.MarkCompared(space)
	tag := pair.Called(space)
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	heap := mem.HeapAlloc
	r := rand.New(rand.NewPCG(1, 2))
	var rows []wire.Row
	for range wire.PageTips {
		rows = append(rows, wire.Row{Writer: core.WriterID{1}, Tips: []wire.Tip{{Seq: log.MaxCounter}}})
	}
	requests := []wire.Message{
		wire.Hello{Version: 1},
		wire.Rows{Tag: tag, Mark: wire.Mark{Row: 1 << 62}},
		wire.Nodes{Tag: tag, Paths: [][]byte{make([]byte, 64), {15, 15}, {}}},
		wire.Get{Tag: tag, Ranges: []wire.Range{{From: 1, To: log.MaxCounter}, {Writer: a.writer(space), Chain: 1, From: 1, To: log.MaxCounter}}},
		wire.Hashes{Tag: tag, Writer: a.writer(space), Chain: 1, Seqs: []uint64{1, log.MaxCounter}},
		wire.Ack{Tag: tag, Digest: wire.Digest16{1}, Rows: rows},
		wire.Last{Tag: tag},
		wire.Remind{Tag: tag, Entries: wire.FromCore(a.entries(space)[:3])},
		wire.Remind{Tag: share.TagOf(must(a.create().Hash()), b.Self(), a.Self()), Entries: []wire.Entry{{Header: []byte{1}}}},
		wire.Tell{},
		wire.Same{},
		wire.End{},
		wire.None{},
	}
	for n := range 200 {
		x, y := wire.Pipe()
		served := make(chan error, 1)
		go func() { served <- exchange.Serve(t.Context(), y, a, pair, exchange.ServeOptions{}) }()
		c := wire.NewConn(x)
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, x)
		}()
		if n%4 > 0 {
			_ = c.Send(wire.Hello{Version: 1, Root: core.Hash{byte(n)}, Only: []wire.Tag{tag}})
		}
		for range r.IntN(20) {
			if n%4 == 3 {
				b := make([]byte, r.IntN(300))
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				_, _ = x.Write(b)
				continue
			}
			if c.Send(requests[r.IntN(len(requests))]) != nil {
				break
			}
		}
		if n%3 == 0 {
			_ = x.Reset(wire.CodeNone)
		} else {
			_ = x.CloseWrite()
		}
		select {
		case err := <-served:
			t.Logf("client %d: Serve = %v", n, err)
		case <-time.After(20 * time.Second):
			t.Fatalf("client %d: Serve goes on", n)
		}
		_ = x.Reset(wire.CodeNone)
		<-read
	}
	if got := a.summary(space); got.Digest != before.Digest {
		t.Error("the log has changed")
	}
	runtime.GC()
	runtime.ReadMemStats(&mem)
	if grown := int64(mem.HeapAlloc) - int64(heap); grown > 16<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}
