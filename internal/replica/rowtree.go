package replica

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// rowTree is the rows of a log, in a tree by the hex digits of their writers, so that two
// logs that differ in a few rows find these by a few digests. Its shape and its digests
// follow from the rows alone, and these from the set of entries, whatever their order.
type rowTree struct {
	rows map[core.ChainID]*treeRow
	own  []*treeRow // those of the local member's writers
	root treeNode
	last int64  // the highest row of an entry
	size uint64 // how many entries there are
}

type treeRow struct {
	core.ChainID
	key  int64      // of the writer in the store
	own  bool       // it is one of the local member's
	tips []core.Tip // in order of Hash
	last int64      // the highest row of an entry
}

// log is the row as others see it.
func (r *treeRow) log() core.LogRow {
	return core.LogRow{Writer: r.Writer, Chain: r.Chain, Tips: slices.Clone(r.tips)}
}

// high is the highest seq.
func (r *treeRow) high() uint64 { return highest(r.tips) }

func highest(tips []core.Tip) (seq uint64) {
	for _, t := range tips {
		seq = max(seq, t.Seq)
	}
	return seq
}

// treeNode has rows, or children if there are more than core.MaxLeafRows below it.
type treeNode struct {
	count    int
	rows     []*treeRow // in order of ChainID
	children *[16]treeNode
	sum      core.Hash
	summed   bool // sum is that of what is below
}

func newRowTree() *rowTree { return &rowTree{rows: map[core.ChainID]*treeRow{}} }

// add takes in an entry whose past is there.
func (t *rowTree) add(e *storedEntry) {
	key := core.ChainID{Writer: e.writer, Chain: e.chain}
	row := t.rows[key]
	if row == nil {
		row = &treeRow{ChainID: key, key: e.key, own: e.self}
		t.put(row)
	} else {
		t.root.touch(key, 0)
	}
	if i := slices.IndexFunc(row.tips, func(o core.Tip) bool { return o.Hash == e.prev }); i >= 0 && e.tip.Seq > 1 {
		row.tips = slices.Delete(row.tips, i, i+1)
	}
	i, _ := slices.BinarySearchFunc(row.tips, e.tip, compareTips)
	row.tips = slices.Insert(row.tips, i, e.tip)
	row.last = e.row
	t.size++
	t.last = max(t.last, e.row)
}

func compareTips(a, b core.Tip) int { return bytes.Compare(a.Hash[:], b.Hash[:]) }

// put adds a row.
func (t *rowTree) put(row *treeRow) {
	t.rows[row.ChainID] = row
	t.root.put(row, 0)
	if row.own {
		t.own = append(t.own, row)
	}
	t.last = max(t.last, row.last)
}

func (n *treeNode) put(row *treeRow, depth int) {
	n.count++
	n.summed = false
	if n.children != nil {
		n.children[row.Writer.Digit(depth)].put(row, depth+1)
		return
	}
	i, _ := slices.BinarySearchFunc(n.rows, row.ChainID, func(r *treeRow, k core.ChainID) int { return r.Compare(k) })
	n.rows = slices.Insert(n.rows, i, row)
	if len(n.rows) <= core.MaxLeafRows {
		return
	}
	n.children = &[16]treeNode{}
	for _, r := range n.rows {
		n.children[r.Writer.Digit(depth)].put(r, depth+1)
	}
	n.rows = nil
}

// touch marks the sums above a row as those of the past.
func (n *treeNode) touch(key core.ChainID, depth int) {
	n.summed = false
	if n.children != nil {
		n.children[key.Writer.Digit(depth)].touch(key, depth+1)
	}
}

// Digests of leaves, inner nodes and whole logs have prefixes of their own.
const (
	rowsDomain = "soma-log-rows-v1\x00"
	nodeDomain = "soma-log-node-v1\x00"
)

// digest returns the digest of a node, zero for one that is empty. Only what changed is
// hashed again.
func (n *treeNode) digest() core.Hash {
	if n.count == 0 {
		return core.Hash{}
	}
	if n.summed {
		return n.sum
	}
	h := sha256.New()
	if n.children != nil {
		h.Write([]byte(nodeDomain))
		for i := range n.children {
			sum := n.children[i].digest()
			h.Write(sum[:])
		}
	} else {
		h.Write([]byte(rowsDomain))
		for _, row := range n.rows {
			h.Write(row.Writer[:])
			h.Write(binary.BigEndian.AppendUint64([]byte{byte(row.Chain)}, uint64(len(row.tips))))
			for _, tip := range row.tips {
				h.Write(binary.BigEndian.AppendUint64(nil, tip.Seq))
				h.Write(tip.Hash[:])
			}
		}
	}
	h.Sum(n.sum[:0])
	n.summed = true
	return n.sum
}

// node returns the node at a path. Where the tree is not divided as far as that, its rows
// are those that the path leads to.
func (t *rowTree) node(path core.TreePath) core.TreeNode {
	if len(path) > core.WriterDigits {
		return core.TreeNode{}
	}
	n := &t.root
	for depth := range len(path) {
		if path[depth] > 15 {
			return core.TreeNode{}
		}
		if n.children != nil {
			n = &n.children[path[depth]]
		}
	}
	if n.children != nil {
		var sums [16]core.Hash
		for i := range n.children {
			sums[i] = n.children[i].digest()
		}
		return core.TreeNode{Children: &sums}
	}
	var rows []core.LogRow
	for _, row := range n.rows {
		if path.Covers(row.Writer) {
			rows = append(rows, row.log())
		}
	}
	return core.TreeNode{Rows: rows}
}

// since returns the rows that have entries in rows after one, in order of ChainID, or nil
// and false if they are more than limit.
func (t *rowTree) since(after int64, limit int) ([]core.LogRow, bool) {
	var found []*treeRow
	for _, row := range t.rows {
		if row.last > after {
			if len(found) >= limit {
				return nil, false
			}
			found = append(found, row)
		}
	}
	slices.SortFunc(found, func(a, b *treeRow) int { return a.Compare(b.ChainID) })
	rows := make([]core.LogRow, len(found))
	for i, row := range found {
		rows[i] = row.log()
	}
	return rows, true
}
