package replica

import (
	"sync"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// storedEntry is an entry that a job stored.
type storedEntry struct {
	space  core.SpaceID
	row    int64
	key    int64 // of the writer
	writer core.WriterID
	chain  core.Chain
	tip    core.Tip
	prev   core.Hash
	own    bool // made here
	self   bool // by the local member
	raw    core.Entry
}

// keepStored notes an entry that is new.
func (w *work) keepStored(space *core.SpaceRecord, rec *core.EntryRecord, e *log.Entry) {
	w.stored = append(w.stored, storedEntry{
		space: space.ID, row: rec.Key, key: rec.Writer, writer: e.Writer, chain: e.Chain, tip: core.Tip{Seq: e.Seq, Hash: e.Hash}, prev: e.Prev, raw: e.Raw,
		self: e.Peer == w.r.self.peer,
	})
}

// made says that the entry stored last was made here.
func (w *work) made() { w.stored[len(w.stored)-1].own = true }

// tell returns what followers will be told of a space besides its entries.
func (w *work) tell(space core.SpaceID) *core.News {
	if w.told == nil {
		w.told = map[core.SpaceID]*core.News{}
	}
	n := w.told[space]
	if n == nil {
		n = &core.News{Space: space}
		w.told[space] = n
	}
	return n
}

// feed passes on what was committed. Entries that a relaxed commit may lose again it
// keeps until a later one has brought them to the disk: a peer that has an entry which
// its author lost, and writes anew, sees a fork.
type feed struct {
	r *Replica

	mu        sync.Mutex
	followers map[int]func(core.News)
	next      int
	waiting   []storedEntry // committed, and not synced
	size      int           // of these, in bytes
	synced    int64         // all entries with rows up to here are on disk
}

// maxUnsynced is how many bytes of entries may wait to reach the disk before the sealer
// is told to hurry.
const maxUnsynced = 4 << 20

func newFeed(r *Replica) *feed { return &feed{r: r, followers: map[int]func(core.News){}} }

// Follow implements core.Replica. fn runs on the writer's goroutine; it must not call stop.
func (r *Replica) Follow(fn func(core.News)) (stop func()) {
	f := r.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.next
	f.next++
	f.followers[n] = fn
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.followers, n)
	}
}

// commit runs on the writer's goroutine after each commit of a job.
func (f *feed) commit(w *work, synced bool) {
	if len(w.stored) == 0 && len(w.told) == 0 && (!synced || !f.r.relax) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	entries := w.stored
	if f.r.relax {
		entries = f.settled(entries, synced)
	}
	f.r.logs.add(entries)
	f.tell(entries, w.told)
}

// settled returns the entries that are on disk by now, and keeps the others.
func (f *feed) settled(entries []storedEntry, synced bool) []storedEntry {
	if synced {
		entries = append(f.waiting, entries...)
		f.waiting, f.size = nil, 0
		for _, e := range entries {
			f.synced = max(f.synced, e.row)
		}
		return entries
	}
	for _, e := range entries {
		f.size += e.raw.Size()
		f.waiting = append(f.waiting, e)
	}
	if f.size > maxUnsynced {
		f.r.sealer.hurry()
	}
	for _, n := range runs(entries) {
		f.r.sealer.wakeFor(n.Space)
	}
	return nil
}

// isSynced reports whether everything up to a row is on disk.
func (f *feed) isSynced(row int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.r.relax || row <= f.synced
}

// syncedTo notes that everything up to a row is on disk.
func (f *feed) syncedTo(row int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = max(f.synced, row)
}

// unsynced reports whether entries wait to reach the disk.
func (f *feed) unsynced() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiting) > 0
}

// tell calls the followers with entries, in runs of the same space and maker, and then
// with what else there is of each space.
func (f *feed) tell(entries []storedEntry, told map[core.SpaceID]*core.News) {
	if len(f.followers) == 0 {
		return
	}
	for _, n := range runs(entries) {
		f.call(n)
	}
	for _, n := range told {
		f.call(*n)
	}
}

// runs puts entries together that are of the same space and maker.
func runs(entries []storedEntry) []core.News {
	var all []core.News
	for _, e := range entries {
		if n := len(all); n == 0 || all[n-1].Space != e.space || all[n-1].Own != e.own {
			all = append(all, core.News{Space: e.space, Own: e.own})
		}
		last := &all[len(all)-1]
		last.Entries = append(last.Entries, e.raw)
	}
	return all
}

func (f *feed) call(n core.News) {
	for _, fn := range f.followers {
		fn(n)
	}
}
