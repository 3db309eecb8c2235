package replica

import (
	"errors"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// head is what a write needs to know of a document: never its content.
type head struct {
	core.DocRecord
	clients map[uint64]core.DocClient
	waiting waiting                // for missing content
	early   map[uint64][]yjs.Range // deletions made here of content that is not
	void    *voidContent           // nil until it is asked for
	unseen  *unseen                // nil until it is asked for
	writers writers
	vector  []byte // encoded state vector, nil when clients changed since
	wroteMs int64  // when the last op came, 0 if that was before the head was read
}

// end is the first clock of a client that the document does not have.
func (h *head) end(client uint64) uint64 { return h.clients[client].End }

// stateVector returns the encoded state vector. The caller must not change it.
func (h *head) stateVector() []byte {
	if h.vector == nil {
		ends := make(map[uint64]uint64, len(h.clients))
		for client, c := range h.clients {
			ends[client] = c.End
		}
		h.vector = yjs.EncodeStateVector(ends)
	}
	return h.vector
}

// MaxCachedHeads and MaxCachedClients bound the heads kept in memory.
const (
	MaxCachedHeads   = 4096
	MaxCachedClients = 1 << 16
)

// headCache keeps the records of spaces, and the heads of documents that were
// written lately. It belongs to the writer's goroutine: what is in it equals what
// the last commit left, and the changes of the running job.
type headCache struct {
	heads   map[headKey]*head
	clients int
	spaces  map[core.SpaceID]*core.SpaceRecord

	authorities map[int64]*cachedAuthority // by space key
}

// cachedAuthority is who may do what in a space, whose entries are void, some of them,
// nil if that is not known, and which clientIDs are contested.
type cachedAuthority struct {
	*log.Authority
	void     map[core.PeerID]bool
	contests []contest // nil if they are not known
}

// MaxCachedAuthorities bounds the spaces whose membership entries are kept in memory.
const MaxCachedAuthorities = 1024

type headKey struct {
	space int64
	doc   core.DocumentID
}

func newHeadCache() *headCache {
	return &headCache{
		heads: map[headKey]*head{}, spaces: map[core.SpaceID]*core.SpaceRecord{}, authorities: map[int64]*cachedAuthority{},
	}
}

func (c *headCache) put(key headKey, h *head) {
	if len(c.heads) >= MaxCachedHeads || c.clients >= MaxCachedClients {
		clear(c.heads) // rare, and cheaper than keeping an order
		c.clients = 0
	}
	c.heads[key] = h
	c.clients += len(h.clients)
}

// clear forgets everything.
func (c *headCache) clear() {
	clear(c.heads)
	clear(c.spaces)
	clear(c.authorities)
	c.clients = 0
}

// drop forgets a head whose changes did not become durable.
func (c *headCache) drop(key headKey) {
	if h := c.heads[key]; h != nil {
		c.clients -= min(c.clients, len(h.clients))
		delete(c.heads, key)
	}
}

// space returns a space for writing, or core.ErrNotFound.
func (w *work) space(id core.SpaceID) (*core.SpaceRecord, error) {
	cache := w.r.heads
	s := cache.spaces[id]
	if s == nil {
		rec, err := w.Space(id)
		if err != nil {
			return nil, err
		}
		s = &rec
	}
	w.keepSpace(s)
	return s, nil
}

// keepSpace caches a space until a rollback.
func (w *work) keepSpace(s *core.SpaceRecord) {
	cache := w.r.heads
	if len(cache.spaces) >= MaxCachedHeads {
		clear(cache.spaces)
	}
	cache.spaces[s.ID] = s
	w.OnRollback(func() { delete(cache.spaces, s.ID) })
}

// head returns the head of a document for writing, core.ErrNotFound for one that
// was never written.
func (w *work) head(space int64, doc core.DocumentID) (*head, error) {
	key := headKey{space, doc}
	cache := w.r.heads
	h := cache.heads[key]
	if h == nil {
		rec, err := w.Doc(space, doc)
		if err != nil {
			return nil, err
		}
		h = &head{DocRecord: rec, clients: map[uint64]core.DocClient{}}
		clients, err := w.DocClients(rec.Key)
		if err != nil {
			return nil, err
		}
		for _, c := range clients {
			h.clients[c.Client] = c
		}
		if h.waiting, err = readWaiting(w.Tx, rec.Key, h.end); err != nil {
			return nil, damaged("pending content", h, err)
		}
		if h.early, err = readEarly(w.Tx, h); err != nil {
			return nil, err
		}
		cache.put(key, h)
	}
	w.OnRollback(func() { cache.drop(key) })
	return h, nil
}

// headOrNew is head that makes an unknown document, in memory until save.
func (w *work) headOrNew(space int64, doc core.DocumentID, by core.PeerID) (*head, error) {
	h, err := w.head(space, doc)
	if !errors.Is(err, core.ErrNotFound) {
		return h, err
	}
	key := headKey{space, doc}
	h = &head{
		DocRecord: core.DocRecord{Space: space, ID: doc, CreatedBy: by, CreatedAtMs: w.nowMs},
		clients:   map[uint64]core.DocClient{},
	}
	if err := w.PutDoc(&h.DocRecord); err != nil {
		return nil, err
	}
	w.r.heads.put(key, h)
	w.OnRollback(func() { w.r.heads.drop(key) })
	return h, nil
}

// touch moves the document's time on. It rises strictly, whatever the clock does.
func (w *work) touch(h *head) {
	h.UpdatedAtMs = max(w.nowMs, h.UpdatedAtMs+1)
	h.wroteMs = w.nowMs
}

// quiet reports whether nobody wrote to the document lately.
func (w *work) quiet(h *head) bool { return w.nowMs-h.wroteMs >= w.r.timing.Quiet.Milliseconds() }

func (w *work) save(h *head) error {
	w.saves++
	return w.PutDoc(&h.DocRecord)
}
