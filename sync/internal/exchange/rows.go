package exchange

import (
	"context"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// rows asks for the rows of a space that may have what is not here, and up to which mark
// of the server they hold. d.known stays false if the server does not show the space.
func (c *client) rows(ctx context.Context, d *differing) error {
	last, _, err := c.r.LastExchange(ctx, d.space, c.p.Peer())
	if err != nil {
		return gone(err)
	}
	if err := c.c.Send(wire.Rows{Tag: d.tag, Mark: wire.MarkOf(last)}); err != nil {
		return err
	}
	d.rows = nil
	tips := 0
	for {
		f, err := c.read(wire.Limits{
			wire.KindRowList: wire.MaxRowListFrame, wire.KindTree: wire.MaxTreeFrame, wire.KindNone: wire.MaxTagFrame,
		})
		if err != nil {
			return err
		}
		switch {
		case f.Kind == wire.KindNone:
			_, err := wire.Decode[wire.None](f)
			return err
		case f.Kind == wire.KindTree && tips == 0:
			return c.walk(ctx, d, f)
		}
		page, err := wire.Decode[wire.RowList](f)
		if err != nil {
			return err
		}
		if d.rows, err = wire.AppendRows(d.rows, page.Rows); err != nil {
			return err
		}
		for _, r := range page.Rows {
			tips += len(r.Tips)
		}
		if tips > MaxRows {
			return wire.Excess("%d tips of one space", tips)
		}
		if !page.More {
			d.known, d.mark = true, page.Mark.Core()
			return nil
		}
	}
}

// walk goes down the server's tree of rows, from its root, which begins with f, to the rows
// below all nodes that differ from those here.
func (c *client) walk(ctx context.Context, d *differing, f wire.Frame) error {
	w := &walk{client: c, d: d}
	paths := []core.TreePath{""}
	for asked := 1; len(paths) > 0; {
		now := paths[:min(len(paths), wire.MaxPaths)]
		paths = paths[len(now):]
		if f.Kind == 0 {
			m := wire.Nodes{Tag: d.tag}
			for _, path := range now {
				m.Paths = append(m.Paths, []byte(path))
			}
			if err := c.c.Send(m); err != nil {
				return err
			}
			var err error
			if f, err = c.readTree(); err != nil {
				return err
			}
		}
		nodes, err := w.nodes(f, len(now))
		if err != nil || nodes == nil {
			return err
		}
		f = wire.Frame{}
		for i, node := range nodes {
			below, err := w.below(ctx, now[i], node)
			if err != nil {
				return err
			}
			if asked += len(below); asked > MaxNodes {
				return wire.Excess("%d nodes of a tree", asked)
			}
			paths = append(paths, below...)
		}
	}
	slices.SortFunc(d.rows, core.CompareRows)
	for i := 1; i < len(d.rows); i++ {
		if d.rows[i-1].ChainID() == d.rows[i].ChainID() {
			return wire.Breach("a row came twice")
		}
	}
	d.known = true
	return nil
}

func (c *client) readTree() (wire.Frame, error) {
	return c.read(wire.Limits{wire.KindTree: wire.MaxTreeFrame, wire.KindNone: wire.MaxTagFrame})
}

type walk struct {
	*client
	d      *differing
	tips   int
	marked bool
}

// treeNode is a node of the server's.
type treeNode struct {
	rows     []core.LogRow
	children []core.Hash
}

// nodes reads as many nodes, which begin with f; nil if the server does not show the space
// any more.
func (w *walk) nodes(f wire.Frame, want int) ([]treeNode, error) {
	var nodes []treeNode
	for {
		if f.Kind == wire.KindNone {
			_, err := wire.Decode[wire.None](f)
			w.d.rows = nil
			return nil, err
		}
		page, err := wire.Decode[wire.Tree](f)
		if err != nil {
			return nil, err
		}
		if !w.marked { // later ones hold for what was read later
			w.d.mark, w.marked = page.Mark.Core(), true
		}
		for _, n := range page.Nodes {
			if !n.Cont {
				nodes = append(nodes, treeNode{children: n.Children})
			}
			if len(nodes) == 0 || len(nodes) > want || n.Cont && len(nodes[len(nodes)-1].children) > 0 {
				return nil, wire.Breach("%d nodes, want %d", len(nodes), want)
			}
			last := &nodes[len(nodes)-1]
			if last.rows, err = wire.AppendRows(last.rows, n.Rows); err != nil {
				return nil, err
			}
			for _, r := range n.Rows {
				w.tips += len(r.Tips)
			}
		}
		if w.tips > MaxRows {
			return nil, wire.Excess("%d tips of one space", w.tips)
		}
		if !page.More {
			if len(nodes) != want {
				return nil, wire.Breach("%d nodes, want %d", len(nodes), want)
			}
			return nodes, nil
		}
		if f, err = w.read(wire.Limits{wire.KindTree: wire.MaxTreeFrame}); err != nil {
			return nil, err
		}
	}
}

// below returns where to go on below a node, and keeps its rows.
func (w *walk) below(ctx context.Context, path core.TreePath, node treeNode) ([]core.TreePath, error) {
	if len(node.children) == 0 {
		for _, r := range node.rows {
			if !path.Covers(r.Writer) {
				return nil, wire.Breach("a row is at the wrong place of the tree")
			}
		}
		w.d.rows = append(w.d.rows, node.rows...)
		return nil, nil
	}
	if len(path) >= wire.MaxPathDigits {
		return nil, wire.Breach("a tree is too deep")
	}
	own, err := w.r.Node(ctx, w.d.space, path)
	if gone(err) != nil {
		return nil, err
	}
	var below []core.TreePath
	for digit, sum := range node.children {
		if !sum.IsZero() && (own.Children == nil || own.Children[digit] != sum) {
			below = append(below, path+core.TreePath([]byte{byte(digit)}))
		}
	}
	return below, nil
}
