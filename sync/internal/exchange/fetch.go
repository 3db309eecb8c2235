package exchange

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// RetryTime is after how long entries that wait are fetched again, from a peer that did
// not give their past. They are parked in the meantime, if there is room.
const RetryTime = 10 * time.Minute

// bringer fetches what is missing of one space.
type bringer struct {
	*client
	d        *differing
	accepted int
	sinceAck int
	known    int                                   // bytes that came in this answer and were here
	reached  map[core.ChainID]uint64               // how far each chain came in this answer
	lost     bool                                  // the space is not here: deleted, or never founded
	held     map[core.ChainID]held                 // the lowest entry of each chain that waits
	tips     map[core.ChainID]map[core.Hash]uint64 // ends of what was taken and not acknowledged yet
}

// held is an entry that waits, or was refused.
type held struct {
	seq   uint64
	hash  core.Hash
	prev  core.Hash
	final bool
}

// run asks for what is missing until nothing is, or it does not come. It reports whether
// everything in the server's rows is here, or was refused for good.
func (b *bringer) run(ctx context.Context) (complete bool, err error) {
	var branches []core.Range
	tried := map[core.Range]bool{}
	for range MaxRounds {
		ranges, open, err := b.missing(ctx)
		if err != nil {
			return false, gone(err)
		}
		if len(branches) > 0 { // what waits for them is here already, or is asked for again
			ranges = branches
		}
		if len(ranges) == 0 {
			return !open, nil
		}
		before := b.accepted
		if err := b.release(ctx); err != nil {
			return false, gone(err)
		}
		for part := range slices.Chunk(ranges, wire.MaxRanges) {
			if err := b.fetch(ctx, part); errors.Is(err, errNone) {
				return false, nil
			} else if err != nil {
				return false, err
			}
		}
		if err := b.refuse(ctx, true); err != nil {
			return false, gone(err)
		}
		if branches, err = b.branches(ctx, tried); errors.Is(err, errNone) {
			return false, nil
		} else if err != nil {
			return false, gone(err)
		}
		if b.accepted == before && len(branches) == 0 {
			break
		}
	}
	if err := b.refuse(ctx, false); err != nil {
		return false, gone(err)
	}
	_, open, err := b.missing(ctx)
	return err == nil && !open, gone(err)
}

// missing returns what to ask for, and whether something that is not here is left out that
// may come another time, or is asked for.
func (b *bringer) missing(ctx context.Context) (ranges []core.Range, open bool, err error) {
	all, err := b.r.Missing(ctx, b.d.space, b.d.rows)
	if err != nil {
		return nil, false, err
	}
	for _, r := range all {
		bar, barred, err := b.bar(ctx, r.ChainID())
		if err != nil {
			return nil, false, err
		}
		open = open || !barred || r.From < bar.Seq || !bar.Final
		if barred && r.To >= bar.Seq {
			if r.From >= bar.Seq {
				continue
			}
			r.To = bar.Seq - 1
		}
		ranges = append(ranges, r)
	}
	return ranges, open, nil
}

// bar returns from which entry on a chain must not be asked for, because that one was
// refused.
func (b *bringer) bar(ctx context.Context, key core.ChainID) (share.Refusal, bool, error) {
	f, is := b.p.Refused(b.d.space, key)
	if !is {
		return f, false, nil
	}
	row := b.row(key)
	again := !f.Final && !time.Now().Before(f.Until)
	// On another branch there may be what does not build upon it.
	again = again || len(row.Tips) > 1 && f.Row != sumOf(row)
	if !again && !f.Final {
		has, err := b.r.Has(ctx, b.d.space, []core.Hash{f.Hash})
		if err != nil {
			return f, false, err
		}
		again = has[0]
	}
	if again {
		b.p.Unrefuse(b.d.space, key)
	}
	return f, !again, nil
}

// row returns the server's row of a chain.
func (b *bringer) row(key core.ChainID) core.LogRow {
	i, found := slices.BinarySearchFunc(b.d.rows, key, func(r core.LogRow, k core.ChainID) int { return r.ChainID().Compare(k) })
	if !found {
		return core.LogRow{}
	}
	return b.d.rows[i]
}

func sumOf(r core.LogRow) core.Hash {
	h := sha256.New()
	for _, t := range r.Tips {
		h.Write(binary.BigEndian.AppendUint64(nil, t.Seq))
		h.Write(t.Hash[:])
	}
	return core.Hash(h.Sum(nil))
}

// release forgets entries that waited and are here now.
func (b *bringer) release(ctx context.Context) error {
	for key, h := range b.held {
		has, err := b.r.Has(ctx, b.d.space, []core.Hash{h.hash})
		if err != nil {
			return err
		}
		if has[0] {
			delete(b.held, key)
		}
	}
	return nil
}

// refuse notes what was refused for good, or all that still waits, so that it is not
// asked for again.
func (b *bringer) refuse(ctx context.Context, final bool) error {
	if err := b.release(ctx); err != nil {
		return err
	}
	for key, h := range b.held {
		if h.final != final {
			continue
		}
		b.p.Refuse(b.d.space, key, share.Refusal{
			Seq: h.seq, Hash: h.hash, Final: final, Until: time.Now().Add(RetryTime), Row: sumOf(b.row(key)),
		})
		delete(b.held, key)
	}
	return nil
}

// arrived is a frame of entries, checked as far as what was asked for goes.
type arrived struct {
	entries []core.Entry
	headers []log.Header
	size    int
}

// fetch asks for ranges and takes in what comes.
func (b *bringer) fetch(ctx context.Context, ranges []core.Range) error {
	m := wire.Get{Tag: b.d.tag}
	want := map[core.ChainID][]core.Range{}
	for _, r := range ranges {
		m.Ranges = append(m.Ranges, wire.Range{Writer: r.Writer, Chain: r.Chain, From: r.From, To: r.To})
		key := r.ChainID()
		want[key] = append(want[key], r)
	}
	if err := b.c.Send(m); err != nil {
		return err
	}
	genesis, err := b.d.space.Hash()
	if err != nil {
		return err
	}
	return b.stream(ctx, func(h *log.Header, hash core.Hash) error {
		if h.Space != genesis && (!h.IsGenesis() || hash != genesis) {
			return wire.Breach("an entry of another space came")
		}
		key := h.ChainID()
		if !slices.ContainsFunc(want[key], func(r core.Range) bool { return r.From <= h.Seq && h.Seq <= r.To }) {
			return wire.Breach("an entry came that nobody asked for")
		}
		return nil
	})
}

// stream takes in entries up to the End. One goroutine reads while another takes. What
// came before a cut, or before ctx ends, is taken: where each connection is cut early, as
// by relays, nothing else gets on.
func (b *bringer) stream(ctx context.Context, check func(*log.Header, core.Hash) error) error {
	b.known, b.reached = 0, map[core.ChainID]uint64{}
	g, gctx := errgroup.WithContext(ctx)
	frames := make(chan arrived, 2)
	g.Go(func() error {
		defer close(frames)
		return b.receive(gctx, frames, check)
	})
	g.Go(func() error {
		err := b.takeAll(context.WithoutCancel(ctx), frames)
		if err != nil {
			_ = b.s.Reset(wire.CodeFor(err)) // the reader must not wait for more
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if b.lost {
		return errNone
	}
	return nil
}

// receive reads frames of entries.
func (b *bringer) receive(ctx context.Context, frames chan<- arrived, check func(*log.Header, core.Hash) error) error {
	limits := wire.Limits{wire.KindEntries: wire.MaxEntriesFrame, wire.KindEnd: wire.MaxTagFrame, wire.KindNone: wire.MaxTagFrame}
	for {
		f, err := b.read(limits)
		if err != nil {
			return err
		}
		switch f.Kind {
		case wire.KindEnd:
			_, err := wire.Decode[wire.End](f)
			return err
		case wire.KindNone:
			_, err := wire.Decode[wire.None](f)
			return errors.Join(err, errNone)
		default: // the limits let nothing else through
		}
		m, err := wire.Decode[wire.Entries](f)
		if err != nil {
			return err
		}
		a := arrived{entries: wire.ToCore(m.Entries), headers: make([]log.Header, len(m.Entries))}
		for i, e := range a.entries {
			if a.headers[i], err = log.DecodeHeader(e.Header); err != nil && log.ReasonOf(err) != log.ReasonVersion {
				return wire.Breach("an entry: %v", err)
			} else if err == nil {
				err = check(&a.headers[i], e.Hash())
			}
			if err != nil && log.ReasonOf(err) != log.ReasonVersion {
				return err
			}
			a.size += e.Size()
		}
		select {
		case frames <- a:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takeAll takes in what arrives, as much at a time as is there.
func (b *bringer) takeAll(ctx context.Context, frames <-chan arrived) error {
	useless := 0
	for first := range frames {
		batch := first
	gather:
		for batch.size < BatchBytes && len(batch.entries) < BatchEntries {
			select {
			case more, ok := <-frames:
				if !ok {
					break gather
				}
				batch.entries = append(batch.entries, more.entries...)
				batch.headers = append(batch.headers, more.headers...)
				batch.size += more.size
			default:
				break gather
			}
		}
		wasted, err := b.take(ctx, batch)
		if err != nil {
			return err
		}
		if useless += wasted; useless > cmp.Or(b.opts.Useless, MaxUseless) {
			return wire.Excess("%d bytes of entries that are of no use", useless)
		}
		if b.sinceAck > AckBytes {
			if err := b.ack(wire.Digest16{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// forged are the reasons for refusing an entry that nobody refuses alone: a peer that
// has checked what it has cannot have it.
var forged = []log.Reason{
	log.ReasonSignature, log.ReasonEncoding, log.ReasonOpsHash, log.ReasonOpsSize, log.ReasonSpace, log.ReasonOpsTooLarge,
}

// take takes in a batch, and returns what of it was of no use.
func (b *bringer) take(ctx context.Context, batch arrived) (useless int, err error) {
	b.result.Bytes += int64(batch.size)
	if b.lost { // the rest of the answer comes nevertheless
		return batch.size + entryCost*len(batch.entries), nil
	}
	outcomes, err := b.r.Take(ctx, b.d.space, batch.entries)
	if errors.Is(err, core.ErrNotFound) {
		b.lost = true
		return batch.size, nil
	}
	if err != nil {
		return 0, err
	}
	for i, o := range outcomes {
		size := batch.entries[i].Size()
		h := &batch.headers[i]
		again := b.again(h)
		switch o.Status {
		case core.EntryAccepted:
			b.result.Accepted++
			b.accepted++
			b.sinceAck += size
			b.took(h, o.Hash)
			continue
		case core.EntryKnown:
			b.result.Known++
			b.took(h, o.Hash)
			if !again { // no fault of the server's
				if b.known += size; b.known > MaxKnown {
					return useless, errElsewhere
				}
				continue
			}
		case core.EntryWaiting, core.EntryDropped:
			b.result.Waiting++
			b.hold(h, o.Hash, false)
		case core.EntryRejected:
			if log.ReasonOf(o.Err) == log.ReasonVersion { // waits for a newer version of the program
				b.result.Waiting++
				break
			}
			b.result.Rejected++
			if slices.Contains(forged, log.ReasonOf(o.Err)) {
				return useless, wire.Breach("an entry: %v", o.Err)
			}
			b.hold(h, o.Hash, true)
		}
		useless += size + entryCost
	}
	return useless, nil
}

// again reports whether an entry comes out of order, as when it is sent twice, unless its
// chain has several branches: of these each comes in its own order.
func (b *bringer) again(h *log.Header) bool {
	key := h.ChainID()
	last := b.reached[key]
	b.reached[key] = max(last, h.Seq)
	return h.Seq <= last
}

// errElsewhere ends a pull that brings what comes from somebody else too.
var errElsewhere = errors.New("soma: what a peer sends is here already")

// hold notes an entry that was not taken, if none before it on its chain was not. Those of
// a later version have no header that is known here.
func (b *bringer) hold(h *log.Header, hash core.Hash, final bool) {
	if h.Seq == 0 {
		return
	}
	key := h.ChainID()
	old, is := b.held[key]
	if is && (old.seq < h.Seq || old.seq == h.Seq && !final) || !is && len(b.held) >= share.MaxRefused {
		return
	}
	b.held[key] = held{seq: h.Seq, hash: hash, prev: h.Prev, final: final}
}

// took notes the end of a branch that is here now.
func (b *bringer) took(h *log.Header, hash core.Hash) {
	key := h.ChainID()
	if b.tips[key] == nil {
		b.tips[key] = map[core.Hash]uint64{}
	}
	delete(b.tips[key], h.Prev)
	b.tips[key][hash] = h.Seq
}

// ack tells the server what was taken since the last time, and that the whole log has a
// digest, unless it is zero. Of a chain with several
// branches only all of them together say what is here, so it is left to the end.
func (b *bringer) ack(all wire.Digest16) error {
	b.sinceAck = 0
	var rows []core.LogRow
	for key, tips := range b.tips {
		row := core.LogRow{Writer: key.Writer, Chain: key.Chain}
		if len(b.row(key).Tips) == 1 && len(tips) == 1 {
			for hash, seq := range tips {
				row.Tips = append(row.Tips, core.Tip{Seq: seq, Hash: hash})
			}
			rows = append(rows, row)
		}
	}
	clear(b.tips)
	slices.SortFunc(rows, core.CompareRows)
	ack := wire.Ack{Tag: b.d.tag, Digest: all}
	if pages := wire.FromRows(rows); len(pages) > 0 {
		ack.Rows = pages[0] // the next exchange has the rest
	}
	return b.c.Send(ack)
}
