package wire

import (
	"bytes"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// The messages of /soma/sync/1. The numbers from 32 on are those of /soma/live/1, from 64
// on those of /soma/blob/1.
const (
	KindHello    Kind = 1
	KindSame     Kind = 2
	KindSpaces   Kind = 3
	KindRows     Kind = 4
	KindNodes    Kind = 5
	KindRowList  Kind = 6
	KindTree     Kind = 7
	KindGet      Kind = 8
	KindEntries  Kind = 9
	KindEnd      Kind = 10
	KindHashes   Kind = 11
	KindHashList Kind = 12
	KindAck      Kind = 13
	KindLast     Kind = 14
	KindNone     Kind = 15
	KindRemind   Kind = 16
	KindTell     Kind = 17
)

// Limits of these messages.
const (
	Version   = 1
	MaxJoins  = 8    // of a Hello
	MaxOnly   = 64   // of a Hello
	PageItems = 1024 // of a Spaces
	PageGone  = 256  // of a Spaces
	// PageTips bounds the tips of all rows of a frame together. A row that has more is
	// sent as several.
	PageTips  = 1024
	MaxPaths  = 64   // of a Nodes
	MaxRanges = 8192 // of a Get
	MaxSeqs   = 64   // of a Hashes
	// MaxSame bounds the hashes of one seq. Of more the zero hash is sent instead, which
	// nobody has.
	MaxSame = 64
	// MaxRemind and RemindBytes bound the entries of a Remind.
	MaxRemind   = 8
	RemindBytes = 32 << 10

	MaxHelloFrame    = 64 + MaxJoins*(2+17+2+BoxBytes+1) + MaxOnly*17
	MaxSpacesFrame   = 64 + PageItems*(1+17+17) + PageGone*17
	MaxRowsFrame     = 64
	MaxNodesFrame    = 32 + MaxPaths*(2+MaxPathDigits)
	MaxRowListFrame  = 64 + PageTips*rowBytes
	MaxTreeFrame     = 64 + MaxPaths*(16*35+2) + PageTips*rowBytes
	MaxGetFrame      = 32 + MaxRanges*(1+34+1+9+9)
	MaxHashesFrame   = 128 + MaxSeqs*9
	MaxHashListFrame = 16 + MaxSeqs*(3+MaxSame*34)
	MaxAckFrame      = 64 + PageTips*rowBytes
	MaxRemindFrame   = 32 + RemindBytes + MaxRemind*entryOverhead
	MaxTagFrame      = 32

	// MaxPathDigits is how long the path of a node can be: a writer has no more digits.
	MaxPathDigits = core.WriterDigits
	// rowBytes is what a row with one tip takes at most.
	rowBytes = 1 + 34 + 1 + 3 + (1 + 9 + 34)
	// BoxBytes is the size of the box of a Join.
	BoxBytes = 12 + 32 + 64 + 16
)

// Requests are the messages that a client sends, after its Hello.
var Requests = Limits{
	KindRows: MaxRowsFrame, KindNodes: MaxNodesFrame, KindGet: MaxGetFrame, KindHashes: MaxHashesFrame,
	KindAck: MaxAckFrame, KindLast: MaxTagFrame, KindRemind: MaxRemindFrame,
}

// Hello begins a stream. Root is the hash over all spaces that the client shares with the
// server (share.Root), or over those of Only if there are some: then it is about these.
type Hello struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Root    core.Hash
	Only    []Tag
	Joins   []Join
}

// Join asks to be let into a space, which Tag names. What is in the box only who has the
// space can read: the invite, and its proof. Empty says that the client has nothing of the
// space yet, so that there is nothing to compare.
type Join struct {
	_     struct{} `cbor:",toarray"`
	Tag   Tag
	Box   []byte
	Empty bool
}

// Kind implements Message.
func (Hello) Kind() Kind { return KindHello }

// Check implements the check of Decode.
func (m Hello) Check() error {
	if m.Version != Version {
		return Breach("version %d, want %d", m.Version, Version)
	}
	if len(m.Joins) > MaxJoins || len(m.Only) > MaxOnly {
		return Excess("%d joins and %d spaces", len(m.Joins), len(m.Only))
	}
	for _, j := range m.Joins {
		if len(j.Box) != BoxBytes {
			return Breach("a box of %d bytes", len(j.Box))
		}
	}
	return nil
}

// Same answers a Hello: the server's root is the same, and not that of no space.
type Same struct {
	_ struct{} `cbor:",toarray"`
}

// Kind implements Message.
func (Same) Kind() Kind { return KindSame }

// Spaces answers a Hello: what the client may see here. Gone are spaces in which the
// client was a member when the two peers met, and is none any more. With More another
// Spaces follows.
type Spaces struct {
	_     struct{} `cbor:",toarray"`
	Items []SpaceItem
	Gone  []Tag
	More  bool
}

// SpaceItem is a space and the state of its log.
type SpaceItem struct {
	_      struct{} `cbor:",toarray"`
	Tag    Tag
	Digest Digest16
}

// Kind implements Message.
func (Spaces) Kind() Kind { return KindSpaces }

// Check implements the check of Decode.
func (m Spaces) Check() error {
	switch {
	case len(m.Items) > PageItems || len(m.Gone) > PageGone:
		return Excess("%d spaces and %d gone in a frame", len(m.Items), len(m.Gone))
	case m.More && len(m.Items)+len(m.Gone) == 0:
		return Breach("an empty frame, and more to come")
	}
	return nil
}

// Rows asks for the rows of a space since a mark of the server's. The answer is RowLists
// or, if the mark is of no use, a Tree of the root.
type Rows struct {
	_    struct{} `cbor:",toarray"`
	Tag  Tag
	Mark Mark
}

// Mark is a core.Mark as it is sent.
type Mark struct {
	_     struct{} `cbor:",toarray"`
	Epoch core.Incarnation
	Row   int64
}

// MarkOf returns a mark as it is sent.
func MarkOf(m core.Mark) Mark { return Mark{Epoch: m.Epoch, Row: m.Row} }

// Core returns the mark.
func (m Mark) Core() core.Mark { return core.Mark{Epoch: m.Epoch, Row: m.Row} }

// Kind implements Message.
func (Rows) Kind() Kind { return KindRows }

// Check implements the check of Decode.
func (m Rows) Check() error { return m.Mark.check() }

func (m Mark) check() error {
	if m.Row < 0 {
		return Breach("row %d", m.Row)
	}
	return nil
}

// Nodes asks for nodes of the tree of rows. The answer is Trees, with the nodes in the order
// of the paths.
type Nodes struct {
	_     struct{} `cbor:",toarray"`
	Tag   Tag
	Paths [][]byte // a byte from 0 to 15 for each digit
}

// Kind implements Message.
func (Nodes) Kind() Kind { return KindNodes }

// Check implements the check of Decode.
func (m Nodes) Check() error {
	if len(m.Paths) == 0 || len(m.Paths) > MaxPaths {
		return Excess("%d nodes", len(m.Paths))
	}
	for _, p := range m.Paths {
		if len(p) > MaxPathDigits {
			return Excess("a path of %d digits", len(p))
		}
		for _, digit := range p {
			if digit > 15 {
				return Breach("a path with digit %d", digit)
			}
		}
	}
	return nil
}

// RowList is rows, and the mark up to which there are no others since that of the request.
type RowList struct {
	_    struct{} `cbor:",toarray"`
	Rows []Row
	Mark Mark
	More bool
}

// Row is a core.LogRow as it is sent, or some of its tips: those of rows that follow each
// other with the same writer and chain are together.
type Row struct {
	_      struct{} `cbor:",toarray"`
	Writer core.WriterID
	Chain  core.Chain
	Tips   []Tip
}

// ChainID returns the row's chain.
func (r Row) ChainID() core.ChainID { return core.ChainID{Writer: r.Writer, Chain: r.Chain} }

// Tip is a core.Tip as it is sent.
type Tip struct {
	_    struct{} `cbor:",toarray"`
	Seq  uint64
	Hash core.Hash
}

// Kind implements Message.
func (RowList) Kind() Kind { return KindRowList }

// Check implements the check of Decode.
func (m RowList) Check() error {
	if m.More && len(m.Rows) == 0 {
		return Breach("an empty frame, and more to come")
	}
	if err := m.Mark.check(); err != nil {
		return err
	}
	return checkRows(m.Rows)
}

// checkRows returns an error unless rows may be in one frame.
func checkRows(rows []Row) error {
	tips := 0
	for _, r := range rows {
		if tips += len(r.Tips); len(r.Tips) == 0 || tips > PageTips {
			return Excess("%d tips in a frame", tips)
		}
		if r.Chain > core.ChainContent {
			return Breach("chain %d", r.Chain)
		}
		for _, t := range r.Tips {
			if t.Seq == 0 || t.Seq > log.MaxCounter {
				return Breach("seq %d", t.Seq)
			}
		}
	}
	return nil
}

// Tree is nodes of the tree of rows. Mark is the server's from before they were read.
type Tree struct {
	_     struct{} `cbor:",toarray"`
	Nodes []Node
	Mark  Mark
	More  bool // the last node has more rows, or more nodes follow
}

// Node is a core.TreeNode as it is sent: one with rows has no children, and the other way
// round. The rows of one may be spread over frames: then it comes again, Cont.
type Node struct {
	_        struct{} `cbor:",toarray"`
	Cont     bool
	Rows     []Row
	Children []core.Hash // none or 16
}

// Kind implements Message.
func (Tree) Kind() Kind { return KindTree }

// Check implements the check of Decode.
func (m Tree) Check() error {
	if len(m.Nodes) == 0 || len(m.Nodes) > MaxPaths {
		return Excess("%d nodes in a frame", len(m.Nodes))
	}
	var rows []Row
	for i, n := range m.Nodes {
		if len(n.Children) != 0 && len(n.Children) != 16 || len(n.Children) > 0 && (len(n.Rows) > 0 || n.Cont) {
			return Breach("a node with %d children and %d rows", len(n.Children), len(n.Rows))
		}
		if n.Cont && (i > 0 || len(n.Rows) == 0) {
			return Breach("a node goes on that does not")
		}
		rows = append(rows, n.Rows...)
	}
	if err := m.Mark.check(); err != nil {
		return err
	}
	return checkRows(rows)
}

// Get asks for entries. The answer is Entries, and an End.
type Get struct {
	_      struct{} `cbor:",toarray"`
	Tag    Tag
	Ranges []Range
}

// Range is a core.Range as it is sent.
type Range struct {
	_        struct{} `cbor:",toarray"`
	Writer   core.WriterID
	Chain    core.Chain
	From, To uint64
}

// Kind implements Message.
func (Get) Kind() Kind { return KindGet }

// Check implements the check of Decode.
func (m Get) Check() error {
	if len(m.Ranges) == 0 || len(m.Ranges) > MaxRanges {
		return Excess("%d ranges", len(m.Ranges))
	}
	for _, r := range m.Ranges {
		if r.Chain > core.ChainContent || r.From == 0 || r.From > r.To || r.To > log.MaxCounter {
			return Breach("range %d to %d of chain %d", r.From, r.To, r.Chain)
		}
	}
	return nil
}

// Entries is some of what a Get or Last asked for.
type Entries struct {
	_       struct{} `cbor:",toarray"`
	Entries []Entry
}

// Kind implements Message.
func (Entries) Kind() Kind { return KindEntries }

// Check implements the check of Decode.
func (m Entries) Check() error { return CheckEntries(m.Entries) }

// End says that nothing more comes of what a Get or Last asked for.
type End struct {
	_ struct{} `cbor:",toarray"`
}

// Kind implements Message.
func (End) Kind() Kind { return KindEnd }

// Hashes asks for the hashes of entries of a chain. The answer is a HashList.
type Hashes struct {
	_      struct{} `cbor:",toarray"`
	Tag    Tag
	Writer core.WriterID
	Chain  core.Chain
	Seqs   []uint64
}

// Kind implements Message.
func (Hashes) Kind() Kind { return KindHashes }

// Check implements the check of Decode.
func (m Hashes) Check() error {
	if len(m.Seqs) == 0 || len(m.Seqs) > MaxSeqs {
		return Excess("%d seqs", len(m.Seqs))
	}
	if m.Chain > core.ChainContent {
		return Breach("chain %d", m.Chain)
	}
	for _, seq := range m.Seqs {
		if seq == 0 || seq > log.MaxCounter {
			return Breach("seq %d", seq)
		}
	}
	return nil
}

// HashList is the hashes at each of the seqs that were asked for.
type HashList struct {
	_      struct{} `cbor:",toarray"`
	Hashes [][]core.Hash
}

// Kind implements Message.
func (HashList) Kind() Kind { return KindHashList }

// Check implements the check of Decode.
func (m HashList) Check() error {
	if len(m.Hashes) > MaxSeqs {
		return Excess("hashes of %d seqs", len(m.Hashes))
	}
	for _, same := range m.Hashes {
		if len(same) > MaxSame {
			return Excess("%d hashes of one seq", len(same))
		}
	}
	return nil
}

// Ack tells what the client has by now: what rows say, and, unless Digest is zero, exactly
// what the log of that digest has. There is no answer.
type Ack struct {
	_      struct{} `cbor:",toarray"`
	Tag    Tag
	Digest Digest16
	Rows   []Row
}

// Kind implements Message.
func (Ack) Kind() Kind { return KindAck }

// Check implements the check of Decode.
func (m Ack) Check() error { return checkRows(m.Rows) }

// Last asks for what led to the end of the client's membership, of a space that is Gone.
// The answer is that of a Get.
type Last struct {
	_   struct{} `cbor:",toarray"`
	Tag Tag
}

// Kind implements Message.
func (Last) Kind() Kind { return KindLast }

// Remind names a space in which the server is a member, as the client knows it, but which it
// does not show: it may have lost who the client is. Entries are what it would have lost:
// some that it signed itself, or by which the client redeemed an invite. The answer is None,
// or Tell. To that the client sends what it has of the membership chain, as Entries, and an
// End, and is answered once more: None, or End if it is a member from now on.
type Remind struct {
	_       struct{} `cbor:",toarray"`
	Tag     Tag
	Entries []Entry
}

// Kind implements Message.
func (Remind) Kind() Kind { return KindRemind }

// Check implements the check of Decode.
func (m Remind) Check() error {
	size := 0
	for _, e := range m.Entries {
		size += e.Size()
	}
	if len(m.Entries) == 0 || len(m.Entries) > MaxRemind || size > RemindBytes {
		return Excess("%d entries to remind of, of %d bytes", len(m.Entries), size)
	}
	return nil
}

// Tell answers a Remind of what the server has lost indeed.
type Tell struct {
	_ struct{} `cbor:",toarray"`
}

// Kind implements Message.
func (Tell) Kind() Kind { return KindTell }

// None answers whatever names a space that the client may not see, whether there is such a
// space or not.
type None struct {
	_ struct{} `cbor:",toarray"`
}

// Kind implements Message.
func (None) Kind() Kind { return KindNone }

// FromRows returns rows as they are sent, in pages that each fit into one frame.
func FromRows(rows []core.LogRow) [][]Row {
	var pages [][]Row
	var page []Row
	room := PageTips
	for _, r := range rows {
		tips := r.Tips
		for len(tips) > 0 {
			if room == 0 {
				pages, page, room = append(pages, page), nil, PageTips
			}
			n := min(room, len(tips))
			row := Row{Writer: r.Writer, Chain: r.Chain, Tips: make([]Tip, n)}
			for i, t := range tips[:n] {
				row.Tips[i] = Tip{Seq: t.Seq, Hash: t.Hash}
			}
			page, tips, room = append(page, row), tips[n:], room-n
		}
	}
	if len(page) > 0 {
		pages = append(pages, page)
	}
	return pages
}

// AppendRows appends rows that were sent to rows, in order of (writer, chain), and returns
// an *Error if they are out of order.
func AppendRows(rows []core.LogRow, sent []Row) ([]core.LogRow, error) {
	for _, s := range sent {
		tips := make([]core.Tip, len(s.Tips))
		for i, t := range s.Tips {
			tips[i] = core.Tip{Seq: t.Seq, Hash: t.Hash}
		}
		order := -1
		if len(rows) > 0 {
			last := rows[len(rows)-1]
			if order = bytes.Compare(last.Writer[:], s.Writer[:]); order == 0 {
				order = int(last.Chain) - int(s.Chain)
			}
		}
		switch {
		case order > 0:
			return rows, Breach("rows are out of order")
		case order < 0:
			rows = append(rows, core.LogRow{Writer: s.Writer, Chain: s.Chain, Tips: tips})
		default:
			last := &rows[len(rows)-1]
			last.Tips = append(last.Tips, tips...)
		}
	}
	return rows, nil
}
