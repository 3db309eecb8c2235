package somasync

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/retry"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// Members tell each other where the other members of the spaces that they share can be
// reached, so that those who joined through the same one find each other. What is told is
// what a peer says of itself, and has signed.
const (
	kindAddresses wire.Kind = 96

	maxRecords      = 4096 // that are kept
	maxRecordBytes  = 8 << 10
	recordsPerFrame = 16
	framesPerStream = 64
	maxRecordsFrame = 64 + recordsPerFrame*(4+maxRecordBytes)

	tellPause = time.Second // between what one peer tells
)

// addresses is the message of /soma/peers/1: signed peer records. There is no answer.
type addresses struct {
	_       struct{} `cbor:",toarray"`
	Records [][]byte
}

// Kind implements wire.Message.
func (addresses) Kind() wire.Kind { return kindAddresses }

// Check implements the check of wire.Decode.
func (m addresses) Check() error {
	if len(m.Records) > recordsPerFrame {
		return wire.Excess("%d records", len(m.Records))
	}
	for _, r := range m.Records {
		if len(r) > maxRecordBytes {
			return wire.Excess("a record of %d bytes", len(r))
		}
	}
	return nil
}

// signedRecord is where a peer says that it can be reached.
type signedRecord struct {
	raw []byte
	seq uint64
}

// keepRecord keeps what a peer signed, unless something newer is here.
func (s *session) keepRecord(p core.PeerID, r signedRecord) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, is := s.records[p]
	if is && old.seq >= r.seq || !is && len(s.records) >= maxRecords || len(r.raw) > maxRecordBytes {
		return false
	}
	s.records[p] = r
	return true
}

// tellAll has every partner told what is new to it.
func (s *session) tellAll() {
	for _, rem := range s.allRemotes() {
		if ln := rem.link(); ln != nil {
			ln.tell.ring()
		}
	}
}

// tells tells the peer where others are, until ctx ends.
func (ln *link) tells(ctx context.Context) {
	told := map[core.PeerID]uint64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ln.tell:
		}
		fresh, err := ln.s.recordsFor(ctx, ln.rem.peer, told)
		if err == nil && len(fresh) > 0 {
			err = ln.tellOnce(ctx, fresh)
		}
		if err != nil && !interrupted(err) {
			ln.s.logger.Debug("soma: a peer was not told of others", "peer", ln.rem.peer.String(), "error", err)
			clear(told)
			time.AfterFunc(longestRetry, ln.tell.ring)
		}
		wait(ctx, retry.Jitter(tellPause))
	}
}

// recordsFor returns what a peer may be told and was not: of who shares a space with it and with the
// local member.
func (s *session) recordsFor(ctx context.Context, p core.PeerID, told map[core.PeerID]uint64) ([][]byte, error) {
	spaces, err := s.replica.Shared(ctx, p)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	fresh := map[core.PeerID]signedRecord{}
	for other, r := range s.records {
		if other != p && told[other] < r.seq {
			fresh[other] = r
		}
	}
	s.mu.Unlock()
	var raw [][]byte
	for other, r := range fresh {
		both, err := s.sharesOneOf(ctx, spaces, other)
		if err != nil {
			return nil, err
		}
		if both && len(raw) < recordsPerFrame*framesPerStream {
			raw = append(raw, r.raw)
			told[other] = r.seq
		}
	}
	return raw, nil
}

func (s *session) sharesOneOf(ctx context.Context, spaces []core.SpaceID, p core.PeerID) (bool, error) {
	shared, err := s.replica.Shared(ctx, p)
	return slices.ContainsFunc(spaces, func(id core.SpaceID) bool {
		_, is := slices.BinarySearch(shared, id)
		return is
	}), err
}

func (ln *link) tellOnce(ctx context.Context, records [][]byte) error {
	_, st, leave, err := ln.s.open(ctx, ln.rem, protocolPeers)
	if err != nil {
		return err
	}
	defer leave()
	conn := wire.NewConn(st)
	for page := range slices.Chunk(records, recordsPerFrame) {
		if err := conn.Queue(addresses{Records: page}); err != nil {
			return conn.Finish(err)
		}
	}
	if err := conn.CloseWrite(); err != nil {
		return conn.Finish(err)
	}
	// The other side closes when it has read it all: before that a close might discard it.
	n, err := conn.Raw().Read(make([]byte, 1))
	switch {
	case n > 0:
		err = wire.Breach("an answer where none belongs")
	case errors.Is(err, io.EOF):
		err = nil
	}
	ln.s.judge(ln.rem, err)
	return conn.Finish(err)
}

// serveTold takes in what a partner tells of others.
func (s *session) serveTold(ctx context.Context, rem *remote, st wire.Stream) error {
	conn := wire.NewConn(st)
	spaces, err := s.replica.Shared(ctx, rem.peer)
	if err != nil {
		return err
	}
	news := false
	for range framesPerStream {
		f, err := conn.Read(wire.Limits{kindAddresses: maxRecordsFrame})
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		m, err := wire.Decode[addresses](f)
		if err != nil {
			return err
		}
		for _, raw := range m.Records {
			is, err := s.takeTold(ctx, spaces, raw)
			if err != nil {
				return err
			}
			news = news || is
		}
	}
	if news {
		s.tellAll()
		s.dialer.refresh()
	}
	wait(ctx, tellPause/2) // whoever tells a lot waits for it
	return nil
}

// takeTold takes in a signed record, and reports whether it is new. One of somebody who is
// not known to be a member is no offence: each learns of members in their own time.
func (s *session) takeTold(ctx context.Context, spaces []core.SpaceID, raw []byte) (bool, error) {
	p, rec, err := openRecord(raw)
	if err != nil {
		return false, err
	}
	if p == s.self {
		return false, nil
	}
	both, err := s.sharesOneOf(ctx, spaces, p)
	if err != nil || !both {
		return false, err
	}
	if !s.keepRecord(p, signedRecord{raw, rec.Seq}) {
		return false, nil
	}
	return true, s.node.book.update(ctx, s.replica, p, func(known *core.PeerAddresses) bool {
		before := known.Addresses
		known.Addresses = addressTexts(mergeAddrs(rec.Addrs, knownAddrs(*known)))
		return !slices.Equal(before, known.Addresses)
	})
}

// openRecord checks that a record is signed by whom it is about.
func openRecord(raw []byte) (core.PeerID, *peer.PeerRecord, error) {
	envelope, inner, err := record.ConsumeEnvelope(raw, peer.PeerRecordEnvelopeDomain)
	if err != nil {
		return core.PeerID{}, nil, wire.Breach("a peer record: %v", err)
	}
	rec, ok := inner.(*peer.PeerRecord)
	if !ok {
		return core.PeerID{}, nil, wire.Breach("a record of something else")
	}
	p, ok := memberID(rec.PeerID)
	if !ok || !rec.PeerID.MatchesPublicKey(envelope.PublicKey) {
		return core.PeerID{}, nil, wire.Breach("a peer record that another peer signed")
	}
	return p, rec, nil
}
