package live

import (
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// The messages of /soma/live/1.
const (
	kindEntries wire.Kind = 32
	kindNews    wire.Kind = 33
	kindCatchUp wire.Kind = 34
	kindAck     wire.Kind = 35
	kindBeat    wire.Kind = 36
)

// The limits of these messages.
const (
	// MaxBatchBytes is what the entries of a frame sum up to at most, unless there is one.
	// Small frames get through relays, and in time.
	MaxBatchBytes = 64 << 10
	// MaxTags is how many spaces one message to catch up names at most.
	MaxTags = 256
	// MaxAckRows is how many rows one acknowledgement has at most.
	MaxAckRows = 256

	rowBytes      = 96 // of a row with one tip, at most
	entryOverhead = 16 // what a message adds to an entry, at most

	maxEntriesFrame = MaxPushedEntry + MaxQueueEntries*entryOverhead + 64
	maxNewsFrame    = MaxNewsRows*rowBytes + 64
	maxCatchUpFrame = MaxTags*17 + 16
	maxAckFrame     = MaxAckRows*rowBytes + 64
	maxBeatFrame    = 16
)

// pushes may come from who pushes, answers from who receives.
var (
	pushes = wire.Limits{
		kindEntries: maxEntriesFrame, kindNews: maxNewsFrame, kindCatchUp: maxCatchUpFrame, kindBeat: maxBeatFrame,
	}
	answers = wire.Limits{kindAck: maxAckFrame, kindBeat: maxBeatFrame}
)

// entries is own entries, in causal order.
type entries struct {
	_       struct{} `cbor:",toarray"`
	Tag     wire.Tag
	Entries []wire.Entry
}

// Kind implements wire.Message.
func (entries) Kind() wire.Kind { return kindEntries }

// Check implements the check of wire.Decode.
func (m entries) Check() error {
	if len(m.Entries) > MaxQueueEntries {
		return wire.Excess("%d entries in a frame", len(m.Entries))
	}
	for _, e := range m.Entries {
		if size := e.Size(); size > MaxPushedEntry {
			return wire.Excess("an entry of %d bytes is pushed", size)
		}
	}
	return wire.CheckEntries(m.Entries)
}

// news says that a log has changed: its digest, and the newest entries of what is new. No
// rows: too many to name.
type news struct {
	_      struct{} `cbor:",toarray"`
	Tag    wire.Tag
	Digest wire.Digest16
	Rows   []wire.Row
}

// Kind implements wire.Message.
func (news) Kind() wire.Kind { return kindNews }

// Check implements the check of wire.Decode.
func (m news) Check() error { return checkRows(m.Rows, MaxNewsRows) }

// catchUp says that not all of what was to be pushed is. No tags: of all spaces.
type catchUp struct {
	_    struct{} `cbor:",toarray"`
	Tags []wire.Tag
}

// Kind implements wire.Message.
func (catchUp) Kind() wire.Kind { return kindCatchUp }

// Check implements the check of wire.Decode.
func (m catchUp) Check() error {
	if len(m.Tags) > MaxTags {
		return wire.Excess("%d spaces to catch up", len(m.Tags))
	}
	return nil
}

// ack says that entries are on disk, and all before them.
type ack struct {
	_    struct{} `cbor:",toarray"`
	Tag  wire.Tag
	Rows []wire.Row
}

// Kind implements wire.Message.
func (ack) Kind() wire.Kind { return kindAck }

// Check implements the check of wire.Decode.
func (m ack) Check() error {
	if len(m.Rows) == 0 {
		return wire.Breach("an acknowledgement of nothing")
	}
	return checkRows(m.Rows, MaxAckRows)
}

// beat says that a peer is there.
type beat struct {
	_ struct{} `cbor:",toarray"`
}

// Kind implements wire.Message.
func (beat) Kind() wire.Kind { return kindBeat }

// checkRows returns an error unless rows are few, in order, and name one entry each.
func checkRows(rows []wire.Row, most int) error {
	if len(rows) > most {
		return wire.Excess("%d rows", len(rows))
	}
	for i, r := range rows {
		if len(r.Tips) != 1 || r.Tips[0].Seq == 0 || r.Chain > core.ChainContent {
			return wire.Breach("a row of chain %d with %d tips", r.Chain, len(r.Tips))
		}
		if i > 0 && rows[i-1].ChainID().Compare(r.ChainID()) >= 0 {
			return wire.Breach("rows are out of order")
		}
	}
	return nil
}

// wireRows returns tips as they are sent.
func wireRows(t tips) []wire.Row {
	rows := make([]wire.Row, 0, len(t))
	for k, tip := range t {
		rows = append(rows, wire.Row{Writer: k.Writer, Chain: k.Chain, Tips: []wire.Tip{{Seq: tip.Seq, Hash: tip.Hash}}})
	}
	slices.SortFunc(rows, func(a, b wire.Row) int { return a.ChainID().Compare(b.ChainID()) })
	return rows
}

// addSent notes rows that were sent.
func (t tips) addSent(rows []wire.Row) {
	for _, r := range rows {
		t[r.ChainID()] = core.Tip{Seq: r.Tips[0].Seq, Hash: r.Tips[0].Hash}
	}
}
