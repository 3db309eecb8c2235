package exchange_test

import (
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// An entry of a version to come is no fault of who passes it on.
func TestLaterVersion(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	space := a.create()
	l := admit(t, a, b, space)
	author := newAuthor(t, a.key, space, 3)
	e := author.chain(t, 1)[0]
	later := core.Entry{Header: append([]byte{}, e.Header...), Ops: e.Ops, Sig: e.Sig}
	later.Header[1]++ // the first element of the array
	if _, err := log.DecodeHeader(later.Header); log.ReasonOf(err) != log.ReasonVersion {
		t.Fatalf("DecodeHeader = %v, want a later version", err)
	}
	row := wire.Row{Writer: log.WriterIDOf(a.Self(), author.incarnation), Chain: 1, Tips: []wire.Tip{{Seq: 1, Hash: later.Hash()}}}
	r, err := against(t, b, a.Self(), func(c *wire.Conn, _ wire.Stream) {
		_ = c.Send(wire.Spaces{Items: []wire.SpaceItem{{Tag: l.pair[0].Out(space), Digest: wire.Digest16{1}}}})
		for _, answer := range [][]wire.Message{
			{wire.RowList{Rows: []wire.Row{row}}}, {wire.Entries{Entries: wire.FromCore([]core.Entry{later})}, wire.End{}},
		} {
			if hear(c) != nil {
				return
			}
			for _, m := range answer {
				_ = c.Send(m)
			}
		}
	})
	if err != nil || r.Rejected != 0 || r.Waiting != 1 || len(r.Partial) != 1 {
		t.Errorf("Pull = %+v, %v, want an entry that waits for a newer program", r, err)
	}
}
