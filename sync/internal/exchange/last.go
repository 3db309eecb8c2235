package exchange

import (
	"context"
	"errors"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// last tells a client that was a member when the two met, and is none any more, what led
// to that, once: the entry that took it out of the space and its past, all of the
// membership chain. What came beside it or after it stays unsaid.
func (v *server) last(ctx context.Context, f wire.Frame) error {
	m, err := wire.Decode[wire.Last](f)
	if err != nil {
		return err
	}
	space, err := v.p.TellGone(ctx, m.Tag)
	if errors.Is(err, core.ErrNotFound) {
		return v.c.Send(wire.None{})
	}
	if err != nil {
		return err
	}
	entries, err := farewell(ctx, v.r, space, v.p.Peer())
	if gone(err) != nil {
		return err
	}
	for len(entries) > 0 {
		n := min(len(entries), BatchEntries)
		if _, err := v.send(entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return v.c.Send(wire.End{})
}

// farewell returns the membership entries that ended the time of a peer in a space together
// with the local member, and their past, in causal order.
func farewell(ctx context.Context, r Replica, space core.SpaceID, peer core.PeerID) ([]core.Entry, error) {
	all, err := membership(ctx, r, space)
	if err != nil {
		return nil, err
	}
	var exact, cuts []core.Hash
	decoded := make([]*log.Entry, len(all))
	for i, raw := range all {
		e, err := log.Decode(raw)
		if err != nil {
			return nil, err
		}
		decoded[i] = e
		for _, op := range e.Ops {
			switch body := op.Body.(type) {
			case log.MemberRemove:
				cuts = append(cuts, e.Hash)
				if body.Peer == peer || body.Peer == r.Self() {
					exact = append(exact, e.Hash)
				}
			case log.MemberLeave:
				if e.Peer == peer || e.Peer == r.Self() {
					exact = append(exact, e.Hash)
				}
			case log.InviteRevoke:
				cuts = append(cuts, e.Hash)
			}
		}
	}
	if len(exact) == 0 { // they came by an invite that has ended, or by somebody who has
		exact = cuts
	}
	needed := map[core.Hash]bool{}
	for _, hash := range exact {
		needed[hash] = true
	}
	var entries []core.Entry
	for i, e := range slices.Backward(decoded) {
		if !needed[e.Hash] {
			continue
		}
		entries = append(entries, all[i])
		needed[e.Prev] = true
		for _, hash := range e.Auth {
			needed[hash] = true
		}
	}
	slices.Reverse(entries)
	return entries, nil
}

// membership returns all entries of the membership chain, in causal order, unless they are
// more than MaxLast: then none.
func membership(ctx context.Context, r Replica, space core.SpaceID) ([]core.Entry, error) {
	var ranges []core.Range
	paths := []core.TreePath{""}
	for len(paths) > 0 {
		path := paths[0]
		paths = paths[1:]
		node, err := r.Node(ctx, space, path)
		if err != nil {
			return nil, err
		}
		for _, row := range node.Rows {
			if row.Chain == core.ChainMembership {
				ranges = append(ranges, core.Range{Writer: row.Writer, Chain: row.Chain, From: 1, To: log.MaxCounter})
			}
		}
		if node.Children != nil && len(path) < wire.MaxPathDigits {
			for digit, sum := range node.Children {
				if !sum.IsZero() {
					paths = append(paths, path+core.TreePath([]byte{byte(digit)}))
				}
			}
		}
	}
	var all []core.Entry
	for at := (core.Cursor{}); ; {
		page, next, err := r.Entries(ctx, space, ranges, at, BatchBytes)
		if err != nil || len(page) == 0 {
			return all, err
		}
		if all, at = append(all, page...), next; len(all) > MaxLast {
			return nil, nil
		}
	}
}

// takeLast takes in what led to the end of the local member's time in a space. The server
// owes it nothing more, and it believes the server nothing: it judges these entries as any.
func (c *client) takeLast(ctx context.Context, s state) error {
	if err := c.c.Send(wire.Last{Tag: s.tag}); err != nil {
		return err
	}
	genesis, err := s.space.Hash()
	if err != nil {
		return err
	}
	n := 0
	b := &bringer{client: c, d: &differing{state: s}, held: map[core.ChainID]held{}, tips: map[core.ChainID]map[core.Hash]uint64{}}
	err = b.stream(ctx, func(h *log.Header, hash core.Hash) error {
		if n++; n > MaxLast {
			return wire.Excess("%d entries to say farewell", n)
		}
		if h.Chain != core.ChainMembership || h.Space != genesis && hash != genesis {
			return wire.Breach("an entry came that does not belong to a farewell")
		}
		return nil
	})
	if errors.Is(err, errNone) {
		return nil
	}
	return err
}
