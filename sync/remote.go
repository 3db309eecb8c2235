package somasync

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// remote is a peer while it is connected.
type remote struct {
	id    peer.ID
	peer  core.PeerID
	pair  *share.Pair
	since time.Time

	mu      sync.Mutex
	strange time.Time    // since when it is a stranger, or was before it was linked
	asked   bool         // this node dialed it on purpose
	ln      *link        // nil while it is a stranger
	record  signedRecord // where it says that it can be reached
	ended   bool
	streams map[*openStream]bool
}

// openStream is a stream that is in use.
type openStream struct {
	network.Stream
	inbound bool
	cancel  context.CancelFunc
}

func newRemote(r share.Spaces, id peer.ID, p core.PeerID) *remote {
	now := time.Now()
	return &remote{id: id, peer: p, pair: share.NewPair(r, p), since: now, strange: now, streams: map[*openStream]bool{}}
}

// oldestFirst returns strangers in the order in which they became that.
func oldestFirst(remotes []*remote) []*remote {
	slices.SortFunc(remotes, func(a, b *remote) int { return a.strangeSince().Compare(b.strangeSince()) })
	return remotes
}

func (r *remote) strangeSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.strange
}

// use admits a stream, unless the remote has gone, or has as many inbound ones of that protocol
// as there may be. The returned context ends with the remote's streams, and leave ends the use.
func (r *remote) use(ctx context.Context, st network.Stream, inbound bool, most int) (_ context.Context, leave func(), _ bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for o := range r.streams {
		if inbound && o.inbound && o.Protocol() == st.Protocol() {
			n++
		}
	}
	if r.ended || inbound && n >= most {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &openStream{st, inbound, cancel}
	r.streams[o] = true
	return ctx, func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.streams, o)
	}, true
}

// ask notes that this node dialed the remote on purpose, and reports whether that is new.
func (r *remote) ask() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.asked
	r.asked = true
	return !before
}

func (r *remote) wasAsked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// sign keeps a record that the remote has signed.
func (r *remote) sign(rec signedRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec.seq > r.record.seq {
		r.record = rec
	}
}

func (r *remote) signed() (signedRecord, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record, r.record.raw != nil
}

// link returns what is done with the remote as a partner, nil for a stranger.
func (r *remote) link() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ln
}

// setLink makes a stranger more than that. It reports false if it is, or has gone.
func (r *remote) setLink(ln *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.ln != nil {
		return false
	}
	r.ln = ln
	return true
}

// part ends what goes on with the remote as a partner. It waits for nothing. What it asks
// goes on: it is told that it is no member any more, and each answer depends on that.
func (r *remote) part() {
	r.cut(wire.CodeParted, func(o *openStream) bool { return !o.inbound || o.Protocol() != protocolSync })
}

// cut resets streams, and ends the link.
func (r *remote) cut(code wire.Code, which func(*openStream) bool) {
	r.mu.Lock()
	ln := r.ln
	var cut []*openStream
	for o := range r.streams {
		if which(o) {
			cut = append(cut, o)
			delete(r.streams, o)
		}
	}
	r.ln, r.strange = nil, time.Now()
	r.mu.Unlock()
	if ln != nil {
		ln.cancel()
	}
	for _, o := range cut {
		o.cancel()
		refuse(o.Stream, code)
	}
}

// end ends all that goes on with a remote that is connected no more.
func (r *remote) end(code wire.Code) {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.cut(code, func(*openStream) bool { return true })
}
