package exchange

import (
	"context"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// branches looks for where the chains fork whose entries wait for one before them on the
// same chain: another branch than the server's is here. It returns what to fetch of these.
func (b *bringer) branches(ctx context.Context, tried map[core.Range]bool) ([]core.Range, error) {
	var found []core.Range
	for key, h := range b.held {
		if len(found) == MaxForks {
			break
		}
		if h.seq < 2 {
			continue
		}
		has, err := b.r.Has(ctx, b.d.space, []core.Hash{h.hash, h.prev})
		if err != nil {
			return nil, err
		}
		if has[0] || has[1] {
			continue
		}
		from, err := b.fork(ctx, key, h.seq-1)
		if err != nil {
			return nil, err
		}
		r := core.Range{Writer: key.Writer, Chain: key.Chain, From: from, To: h.seq - 1}
		if !tried[r] {
			tried[r] = true
			found = append(found, r)
		}
	}
	return found, nil
}

// fork returns the first seq from which on entries of the server's are not here, up to
// one of which that is known. Before it all that the server has at one seq is here, so
// is the past of what is asked for. It asks for up to wire.MaxSeqs seqs at a time.
func (b *bringer) fork(ctx context.Context, key core.ChainID, missing uint64) (uint64, error) {
	for have := uint64(0); missing-have > 1; {
		n := min(missing-have-1, wire.MaxSeqs)
		seqs := make([]uint64, n)
		for i := range seqs {
			seqs[i] = have + 1 + uint64(i)*((missing-have-1)/n)
		}
		same, err := b.hashes(ctx, key, seqs)
		if err != nil {
			return 0, err
		}
		low, high := have, missing
		for i, seq := range seqs {
			has, err := b.r.Has(ctx, b.d.space, same[i])
			if err != nil {
				return 0, err
			}
			if slices.Contains(has, false) {
				high = seq
				break
			}
			low = seq
		}
		have, missing = low, high
	}
	return missing, nil
}

// hashes asks for the hashes of a chain's entries.
func (b *bringer) hashes(ctx context.Context, key core.ChainID, seqs []uint64) ([][]core.Hash, error) {
	if err := b.c.Send(wire.Hashes{Tag: b.d.tag, Writer: key.Writer, Chain: key.Chain, Seqs: seqs}); err != nil {
		return nil, err
	}
	f, err := b.read(wire.Limits{wire.KindHashList: wire.MaxHashListFrame, wire.KindNone: wire.MaxTagFrame})
	if err != nil {
		return nil, err
	}
	if f.Kind == wire.KindNone {
		if _, err := wire.Decode[wire.None](f); err != nil {
			return nil, err
		}
		return nil, errNone
	}
	m, err := wire.Decode[wire.HashList](f)
	if err != nil {
		return nil, err
	}
	if len(m.Hashes) != len(seqs) {
		return nil, wire.Breach("hashes of %d seqs, want %d", len(m.Hashes), len(seqs))
	}
	for _, same := range m.Hashes {
		if len(same) == 0 {
			return nil, wire.Breach("the server lacks entries before those that it gave")
		}
	}
	return m.Hashes, ctx.Err()
}
