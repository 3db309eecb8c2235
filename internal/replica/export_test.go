package replica

import (
	"context"
	"maps"

	"github.com/soma-sdk/soma/internal/core"
)

// What the tests of package replica_test look at from inside.
const (
	MetaSealed   = metaSealed
	MetaBackup   = metaBackup
	CompactOps   = compactOps
	CompactBytes = compactBytes
)

// Abandon stops the background work without sealing the tail and without closing
// the store, as the end of the process would.
func (r *Replica) Abandon() error {
	r.stop()
	r.done.Wait()
	return r.self.state.Close()
}

// Writer returns the writer and the incarnation that own entries carry.
func (r *Replica) Writer() (core.WriterID, core.Incarnation) {
	return r.self.writer, r.self.incarnation
}

// Retired returns the incarnations before this one.
func (r *Replica) Retired() []core.Incarnation { return r.self.retired }

// Compact compacts one document if that is due.
func (r *Replica) Compact(ctx context.Context, doc int64) error { return r.compact(ctx, doc) }

// CompactionsQueued returns how many documents are to be compacted.
func (r *Replica) CompactionsQueued() int {
	r.compactor.mu.Lock()
	defer r.compactor.mu.Unlock()
	return len(r.compactor.queue)
}

// CachedHead is a head as it is kept in memory.
type CachedHead struct {
	Record  core.DocRecord
	Clients map[uint64]core.DocClient
	Pending []core.PendingRecord
	Vector  []byte
}

// CachedHeads calls fn on the writer's goroutine, to which the cache belongs.
func (r *Replica) CachedHeads(ctx context.Context, fn func(v core.View, heads []CachedHead, clients int) error) error {
	return r.store.Write(ctx, func(tx core.Tx) error {
		var heads []CachedHead
		for _, h := range r.heads.heads {
			heads = append(heads, CachedHead{h.DocRecord, maps.Clone(h.clients), h.waiting.parts, h.stateVector()})
		}
		return fn(tx, heads, r.heads.clients)
	})
}

// BoundLive sets the bounds of the documents in memory.
func (r *Replica) BoundLive(maxBytes int64, maxDocs int) {
	r.live.mu.Lock()
	defer r.live.mu.Unlock()
	r.live.maxBytes, r.live.maxDocs = maxBytes, maxDocs
}

// LiveDocs returns how many documents are in memory, in how many instances that hold
// content, and what they take as estimated.
func (r *Replica) LiveDocs() (docs, instances int, size int64) {
	r.live.mu.Lock()
	defer r.live.mu.Unlock()
	for _, d := range r.live.docs {
		for _, in := range d.instances {
			if in.kept > 0 {
				instances++
			}
		}
	}
	if r.live.used.Len() != len(r.live.docs) {
		panic("documents that are known and those in order differ")
	}
	return len(r.live.docs), instances, r.live.bytes
}

// LivePatience is how long others wait for a host's function.
const LivePatience = livePatience

// ForgetLogs drops the logs from memory.
func (r *Replica) ForgetLogs() { r.logs.reset() }
