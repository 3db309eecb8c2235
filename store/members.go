package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const memberColumns = "SELECT peer, role, kind, added_by, since FROM member "

// Member implements core.View.
func (v *view) Member(space int64, peer core.PeerID) (core.MemberRecord, error) {
	key, err := v.peerKey(peer)
	if err != nil {
		return core.MemberRecord{}, err
	}
	r, err := v.c.one(memberColumns+"WHERE space = ? AND peer = ?", space, key)
	if err == nil && r == nil {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.MemberRecord{}, fmt.Errorf("read member %s: %w", peer, err)
	}
	rec := core.MemberRecord{Peer: peer, Role: uint8(r.int(1)), Kind: uint8(r.int(2)), Since: r.hash(4)}
	by := r.int(3)
	if err := r.bad(); err != nil {
		return core.MemberRecord{}, err
	}
	rec.By, err = v.peerID(by)
	return rec, err
}

// Members implements core.View.
func (v *view) Members(space int64) ([]core.MemberRecord, error) {
	var members []core.MemberRecord
	var peers [][2]int64
	err := v.c.each(memberColumns+"WHERE space = ?+0", []any{space}, func(r *row) bool {
		members = append(members, core.MemberRecord{Role: uint8(r.int(1)), Kind: uint8(r.int(2)), Since: r.hash(4)})
		peers = append(peers, [2]int64{r.int(0), r.int(3)})
		return true
	})
	if err != nil {
		return nil, wrap("list members", err)
	}
	for i, p := range peers { // now that no statement is open
		if members[i].Peer, err = v.peerID(p[0]); err != nil {
			return nil, err
		}
		if members[i].By, err = v.peerID(p[1]); err != nil {
			return nil, err
		}
	}
	return members, nil
}

// Invites implements core.View.
func (v *view) Invites(space int64) ([]core.InviteRecord, error) {
	var invites []core.InviteRecord
	var peers []int64
	err := v.c.each("SELECT ident, role, created_by, uses, expires_ms FROM invite WHERE space = ?+0 ORDER BY ident", []any{space}, func(r *row) bool {
		rec := core.InviteRecord{Role: uint8(r.int(1)), Uses: r.int(3), ExpiresMs: r.int(4)}
		r.fixed(0, rec.ID[:])
		invites = append(invites, rec)
		peers = append(peers, r.int(2))
		return true
	})
	if err != nil {
		return nil, wrap("list invites", err)
	}
	for i, p := range peers {
		if invites[i].By, err = v.peerID(p); err != nil {
			return nil, err
		}
	}
	return invites, nil
}

// SetMembers implements core.Tx. Rows that stay as they are are not written.
func (t *tx) SetMembers(space int64, members []core.MemberRecord, invites []core.InviteRecord) error {
	if err := t.setMembers(space, members); err != nil {
		return err
	}
	return t.setInvites(space, invites)
}

func (t *tx) setMembers(space int64, members []core.MemberRecord) error {
	was, err := t.Members(space)
	if err != nil {
		return err
	}
	gone := make(map[core.PeerID]core.MemberRecord, len(was))
	for _, m := range was {
		gone[m.Peer] = m
	}
	for _, m := range members {
		old, had := gone[m.Peer]
		delete(gone, m.Peer)
		if had && old == m {
			continue
		}
		peer, err := t.ensurePeer(m.Peer)
		if err != nil {
			return err
		}
		by, err := t.ensurePeer(m.By)
		if err != nil {
			return err
		}
		_, err = t.c.exec("INSERT OR REPLACE INTO member (space, peer, role, kind, added_by, since) VALUES (?, ?, ?, ?, ?, ?)",
			space, peer, int64(m.Role), int64(m.Kind), by, m.Since[:])
		if err != nil {
			return fmt.Errorf("write member %s: %w", m.Peer, err)
		}
	}
	for peer := range gone {
		key, err := t.peerKey(peer)
		if err != nil {
			return err
		}
		if _, err := t.c.exec("DELETE FROM member WHERE space = ? AND peer = ?", space, key); err != nil {
			return fmt.Errorf("remove member %s: %w", peer, err)
		}
	}
	return nil
}

func (t *tx) setInvites(space int64, invites []core.InviteRecord) error {
	was, err := t.Invites(space)
	if err != nil {
		return err
	}
	gone := make(map[core.InviteID]core.InviteRecord, len(was))
	for _, v := range was {
		gone[v.ID] = v
	}
	for _, v := range invites {
		old, had := gone[v.ID]
		delete(gone, v.ID)
		if had && old == v {
			continue
		}
		by, err := t.ensurePeer(v.By)
		if err != nil {
			return err
		}
		_, err = t.c.exec("INSERT OR REPLACE INTO invite (space, ident, role, created_by, uses, expires_ms) VALUES (?, ?, ?, ?, ?, ?)",
			space, v.ID[:], int64(v.Role), by, v.Uses, v.ExpiresMs)
		if err != nil {
			return fmt.Errorf("write invite %s: %w", v.ID, err)
		}
	}
	for id := range gone {
		if _, err := t.c.exec("DELETE FROM invite WHERE space = ? AND ident = ?", space, id[:]); err != nil {
			return fmt.Errorf("remove invite %s: %w", id, err)
		}
	}
	return nil
}

// Joining implements core.View.
func (v *view) Joining(space core.SpaceID) ([]byte, error) {
	r, err := v.c.one("SELECT ticket, sum FROM joining WHERE ident = ?", string(space))
	if err != nil || r == nil {
		return nil, wrap("read ticket", err)
	}
	ticket := r.blob(0)
	if sumOfJoining(space, ticket) != r.int(1) {
		return nil, damaged("ticket for space " + string(space))
	}
	return ticket, r.bad()
}

// Joinings implements core.View.
func (v *view) Joinings(after core.SpaceID, limit int) ([]core.JoiningRecord, error) {
	var all []core.JoiningRecord
	err := v.c.each("SELECT ident, ticket, sum FROM joining WHERE ident > ? ORDER BY ident LIMIT ?+0", []any{string(after), int64(limit)}, func(r *row) bool {
		rec := core.JoiningRecord{Space: core.SpaceID(r.text(0)), Ticket: r.blob(1)}
		if sumOfJoining(rec.Space, rec.Ticket) == r.int(2) && r.bad() == nil {
			all = append(all, rec)
		}
		return true
	})
	return all, wrap("list tickets that wait", err)
}

// SetJoining implements core.Tx.
func (t *tx) SetJoining(space core.SpaceID, ticket []byte) error {
	if ticket == nil {
		_, err := t.c.exec("DELETE FROM joining WHERE ident = ?", string(space))
		return wrap("remove ticket", err)
	}
	_, err := t.c.exec("INSERT OR REPLACE INTO joining (ident, ticket, sum) VALUES (?, ?, ?)",
		string(space), ticket, sumOfJoining(space, ticket))
	return wrap("write ticket", err)
}
