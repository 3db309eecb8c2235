package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// unshown returns the spaces that the server does not show although it is a member, tickets
// aside.
func (c *client) unshown(same []state, differ []differing, gone []state) []core.SpaceID {
	shown := slices.Clone(c.asked)
	for _, s := range slices.Concat(same, gone) {
		shown = append(shown, s.space)
	}
	for _, d := range differ {
		shown = append(shown, d.space)
	}
	slices.Sort(shown)
	var unshown []core.SpaceID
	for _, s := range c.states {
		if _, is := slices.BinarySearch(shown, s.space); !is {
			unshown = append(unshown, s.space)
		}
	}
	return unshown
}

// remind reminds the server of spaces. If its directory was put back to before it let the
// local member in, nobody else may know of that.
func (c *client) remind(ctx context.Context, unshown []core.SpaceID) error {
	for _, space := range c.p.Remind(unshown) {
		if err := gone(c.remindOf(ctx, space)); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) remindOf(ctx context.Context, space core.SpaceID) error {
	all, err := membership(ctx, c.r, space)
	if err != nil {
		return err
	}
	evidence, err := evidence(all, c.p.Peer(), c.r.Self())
	if err != nil || len(evidence) == 0 {
		return err
	}
	if err := c.c.Send(wire.Remind{Tag: c.p.Out(space), Entries: wire.FromCore(evidence)}); err != nil {
		return err
	}
	if yes, err := agrees[wire.Tell](c); err != nil || !yes {
		return err
	}
	for _, run := range wire.Split(all, wire.EntriesBytes) {
		if may, err := c.p.May(ctx, space); err != nil {
			return err
		} else if !may {
			return &wire.Error{Code: wire.CodeParted}
		}
		if err := c.c.Send(wire.Entries{Entries: wire.FromCore(run)}); err != nil {
			return err
		}
	}
	if err := c.c.Send(wire.End{}); err != nil {
		return err
	}
	if yes, err := agrees[wire.End](c); err != nil || !yes {
		return err
	}
	c.result.Partial = append(c.result.Partial, space)
	return nil
}

// agrees reads an answer that is either a message of that kind, or None.
func agrees[M wire.Message](c *client) (bool, error) {
	var yes M
	f, err := c.read(wire.Limits{yes.Kind(): wire.MaxTagFrame, wire.KindNone: wire.MaxTagFrame})
	if err != nil {
		return false, err
	}
	if f.Kind == wire.KindNone {
		_, err = wire.Decode[wire.None](f)
		return false, err
	}
	_, err = wire.Decode[M](f)
	return err == nil, err
}

// evidence returns what the server would lack of the membership chain if it lost anything
// that shows it: the latest entries of its own, and the one by which the client joined.
func evidence(all []core.Entry, server, client core.PeerID) ([]core.Entry, error) {
	var found []core.Entry
	own, ownBytes, joined := 0, 0, false
	for _, raw := range slices.Backward(all) {
		e, err := log.Decode(raw)
		if err != nil {
			return nil, err
		}
		_, redeems := e.Redemption()
		switch {
		case redeems && e.Peer == client && !joined:
			joined = true
		case e.Peer == server && own < wire.MaxRemind-1 && ownBytes+raw.Size() <= wire.RemindBytes/2:
			own, ownBytes = own+1, ownBytes+raw.Size()
		default:
			continue
		}
		found = append(found, raw)
	}
	return found, nil
}

// remind listens to a client who says that it is a member of a space in which it is not known.
// Whatever is wrong with that, the client gets the same answer.
func (v *server) remind(ctx context.Context, f wire.Frame) error {
	m, err := wire.Decode[wire.Remind](f)
	if err != nil {
		return err
	}
	space, err := v.p.Reminded(ctx, m.Tag)
	if err == nil {
		err = v.remember(ctx, space, wire.ToCore(m.Entries))
	}
	if errors.Is(err, core.ErrNotFound) {
		return v.c.Send(wire.None{})
	}
	return err
}

// remember takes in what makes the client a member, if evidence is that this was lost here.
func (v *server) remember(ctx context.Context, space core.SpaceID, evidence []core.Entry) error {
	lost, err := v.lost(ctx, space, evidence)
	if err != nil {
		return err
	}
	if !lost {
		return errNotLost
	}
	if err := v.c.Send(wire.Tell{}); err != nil {
		return err
	}
	entries, err := v.told(ctx, space)
	if err != nil {
		return err
	}
	is, err := v.r.Remember(ctx, space, v.p.Peer(), entries)
	if err != nil && !errors.Is(err, core.ErrForbidden) {
		return err
	}
	if !is {
		v.p.Doubt(space)
		return errNotLost
	}
	return v.c.Send(wire.End{})
}

var errNotLost = fmt.Errorf("what a client reminds of is here, or is no evidence: %w", core.ErrNotFound)

// lost reports whether one of the entries is not here, and was signed by the local member, or
// redeems for the client an invite that is open: then it had been let in.
func (v *server) lost(ctx context.Context, space core.SpaceID, evidence []core.Entry) (bool, error) {
	for _, raw := range evidence {
		e, err := log.Decode(raw)
		if err != nil || e.Chain != core.ChainMembership || e.SpaceID() != space || e.VerifySignature() != nil {
			continue
		}
		has, err := v.r.Has(ctx, space, []core.Hash{e.Hash})
		if err != nil {
			return false, err
		}
		lost := !has[0] && e.Peer == v.r.Self()
		if redeem, is := e.Redemption(); is && !has[0] && e.Peer == v.p.Peer() {
			if lost, err = v.r.Invited(ctx, space, redeem.Invite); err != nil {
				return false, err
			}
		}
		if lost {
			return true, nil
		}
	}
	return false, nil
}

// told reads the membership entries that a client tells, and returns those that are not here;
// none if they are more than MaxTold.
func (v *server) told(ctx context.Context, space core.SpaceID) (fresh []core.Entry, err error) {
	genesis, err := space.Hash()
	if err != nil {
		return nil, err
	}
	defer v.c.SetPatience(wire.Patience, wire.Patience)
	until := time.Now().Add(TellTime)
	n, size := 0, 0
	for {
		v.c.SetPatience(min(time.Until(until), wire.Patience), wire.Patience)
		f, err := v.c.Read(wire.Limits{wire.KindEntries: wire.MaxEntriesFrame, wire.KindEnd: wire.MaxTagFrame})
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case f.Kind == wire.KindEnd:
			if size > MaxTold {
				fresh = nil
			}
			_, err := wire.Decode[wire.End](f)
			return fresh, err
		}
		m, err := wire.Decode[wire.Entries](f)
		if err != nil {
			return nil, err
		}
		if n += len(m.Entries); n > MaxLast {
			return nil, wire.Excess("%d entries to be reminded of", n)
		}
		entries := wire.ToCore(m.Entries)
		hashes := make([]core.Hash, len(entries))
		for i, raw := range entries {
			h, err := log.DecodeHeader(raw.Header)
			if hashes[i] = raw.Hash(); err != nil && log.ReasonOf(err) != log.ReasonVersion {
				return nil, wire.Breach("an entry: %v", err)
			} else if err == nil && (h.Chain != core.ChainMembership || h.Space != genesis && hashes[i] != genesis) {
				return nil, wire.Breach("an entry came that is of no use in reminding")
			}
		}
		has, err := v.r.Has(ctx, space, hashes)
		if err != nil {
			return nil, err
		}
		for i, raw := range entries {
			if has[i] {
				continue
			}
			if size += raw.Size(); size <= MaxTold {
				fresh = append(fresh, raw)
			}
		}
	}
}
