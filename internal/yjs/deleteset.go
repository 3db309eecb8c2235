package yjs

import (
	"cmp"
	"slices"
)

// deleteSet is a set of deleted units, by client.
type deleteSet struct {
	clients []clientRanges
	index   map[uint64]int // only once there are many clients
}

type clientRanges struct {
	client uint64
	ranges []Range
}

func (ds *deleteSet) empty() bool { return len(ds.clients) == 0 }

func (ds *deleteSet) reset() {
	clear(ds.clients) // let go of the ranges
	ds.clients = ds.clients[:0]
	ds.index = nil
}

// has reports whether a normalized set holds a unit.
func (ds *deleteSet) has(id ID) bool {
	at := ds.find(id.Client)
	if at < 0 {
		return false
	}
	ranges := ds.clients[at].ranges
	i, ok := slices.BinarySearchFunc(ranges, id.Clock, func(r Range, clock uint64) int { return cmp.Compare(r.Clock, clock) })
	return ok || i > 0 && ranges[i-1].end() > id.Clock
}

func (ds *deleteSet) find(client uint64) int {
	if ds.index != nil {
		if at, ok := ds.index[client]; ok {
			return at
		}
		return -1
	}
	for i, c := range slices.Backward(ds.clients) {
		if c.client == client {
			return i
		}
	}
	return -1
}

func (ds *deleteSet) add(client uint64, r Range) {
	c := ds.client(client)
	c.ranges = append(c.ranges, r)
}

// addRanges adds ranges, which it may keep.
func (ds *deleteSet) addRanges(client uint64, ranges []Range) {
	if c := ds.client(client); c.ranges == nil {
		c.ranges = ranges
	} else {
		c.ranges = append(c.ranges, ranges...)
	}
}

// client returns the ranges of a client for adding to them.
func (ds *deleteSet) client(client uint64) *clientRanges {
	at := ds.find(client)
	if at < 0 {
		at = len(ds.clients)
		ds.clients = append(ds.clients, clientRanges{client: client})
		switch {
		case ds.index != nil:
			ds.index[client] = at
		case at == indexThreshold:
			ds.index = make(map[uint64]int, 2*indexThreshold)
			for i, c := range ds.clients {
				ds.index[c.client] = i
			}
		}
	}
	return &ds.clients[at]
}

func (ds *deleteSet) addAll(other *deleteSet) {
	for _, c := range other.clients {
		ds.addRanges(c.client, c.ranges)
	}
}

// normalize sorts and merges the ranges of each client.
func (ds *deleteSet) normalize() {
	for i := range ds.clients {
		ds.clients[i].ranges = mergeRanges(ds.clients[i].ranges)
	}
}

// sort puts higher clients first, as yjs writes them.
func (ds *deleteSet) sort() {
	slices.SortFunc(ds.clients, compareClients)
	if ds.index != nil {
		for i, c := range ds.clients {
			ds.index[c.client] = i
		}
	}
}

func compareClients(a, b clientRanges) int { return cmp.Compare(b.client, a.client) }

// write encodes the set, higher clients first.
func (ds *deleteSet) write(w *writer) {
	byClient := ds.clients
	if len(byClient) > 1 {
		byClient = slices.Clone(byClient)
	}
	slices.SortFunc(byClient, compareClients)
	w.uint(uint64(len(byClient)))
	for _, c := range byClient {
		w.uint(c.client)
		w.uint(uint64(len(c.ranges)))
		for _, r := range c.ranges {
			w.uint(r.Clock)
			w.uint(r.Len)
		}
	}
}

func (r *reader) deleteSet() *deleteSet {
	ds := &deleteSet{}
	r.deletesInto(ds)
	return ds
}

// deletesInto reads a delete set and adds it to ds.
func (r *reader) deletesInto(ds *deleteSet) {
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		client, k := r.uint(), r.uint()
		ranges := make([]Range, 0, min(k, uint64(r.rest())/2))
		for ; k > 0 && r.err == nil; k-- {
			del := Range{r.uint(), r.uint()}
			if del.Len > maxSafe-del.Clock {
				r.fail("clock out of range")
			}
			if del.Len > 0 {
				ranges = append(ranges, del)
			}
		}
		if len(ranges) > 0 {
			ds.addRanges(client, ranges)
		}
	}
}
