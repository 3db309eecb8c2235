package exchange

import (
	"context"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// Limits of an exchange.
const (
	// MaxSpaces bounds the spaces that a server may list.
	MaxSpaces = 1 << 17
	// MaxRequests bounds the requests of a client on one stream.
	MaxRequests = 1 << 20
	// SinceRows is up to how many rows are sent since a mark. With more the tree is
	// walked, which finds what differs.
	SinceRows = 2048
	// MaxRows bounds the tips of one space that a client takes from a server in one go.
	MaxRows = 1 << 18
	// KeptRows bounds the tips of several spaces that a client keeps between comparing
	// and fetching. Of more spaces it asks for them again.
	KeptRows = 1 << 16
	// MaxNodes bounds the nodes of one tree that a client asks for.
	MaxNodes = 1 << 16
	// BatchEntries and BatchBytes are when what came is taken in one transaction.
	BatchEntries = 1024
	BatchBytes   = 1 << 20
	// MaxUseless bounds what may come in one answer that is not taken.
	MaxUseless = 256 << 20
	// MaxKnown bounds what may come in one answer although it is here by now. More of it
	// says that it comes from somebody else at the same time, and what is missing is to be
	// asked for anew.
	MaxKnown = 4 << 20
	// entryCost is added to the size of an entry that is of no use.
	entryCost = 512
	// MaxRounds bounds how often a client asks for what is missing of one space: a fork
	// needs one round more.
	MaxRounds = 16
	// MaxForks bounds the chains in which a client looks for forks in one round.
	MaxForks = 256
	// AckBytes is after how much that was taken the server is told, in a long answer.
	AckBytes = 8 << 20
	// MaxLast bounds the membership entries that a server looks at, and sends, to tell a peer
	// of its removal.
	MaxLast = 1 << 16
	// MaxTold bounds the bytes of entries that are not here of what a client tells that reminds
	// of a space, and TellTime how long it may take. They are kept in memory until all is there.
	MaxTold  = 1 << 20
	TellTime = time.Minute
	// notes is how many notes on exchanges are written at a time.
	notes = 64
	// parting is how long a client waits for the server to have read its last messages.
	parting = 10 * time.Second
)

// Replica is what an exchange needs of a core.Replica.
type Replica interface {
	Self() core.PeerID
	core.SharedSpaces
	core.SharedLog
	core.Acknowledgements
}

// guard resets a stream when ctx ends, until the function that it returns is called.
func guard(ctx context.Context, s wire.Stream) (release func() bool) {
	return context.AfterFunc(ctx, func() { _ = s.Reset(wire.CodeClosing) })
}

// cause returns ctx's error, if it has ended, instead of what followed from that.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// end ends a stream after err, whose code the peer learns. What is no fault of the peer
// and no word to it is CodeInternal.
func end(s wire.Stream, err error) {
	if err == nil {
		_ = s.Close()
		return
	}
	_ = s.Reset(wire.CodeFor(err)) // it may be gone
}
