package replica

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// notedEntry is an entry whose ops on pages and blobs may count now, or count no more.
type notedEntry struct {
	*log.Entry
	rec   core.EntryRecord
	fresh bool // it has come with this job
	was   bool // they counted before it
}

// noted is the entries of a space that wait for foldNoted, by key.
type noted struct {
	space   *core.SpaceRecord
	entries map[int64]*notedEntry
}

// note notes an entry for foldNoted. If it is not fresh, rec is as before this job.
func (w *work) note(space *core.SpaceRecord, e *log.Entry, rec *core.EntryRecord, fresh bool) {
	if !slices.ContainsFunc(e.Ops, isNotedOp) {
		return
	}
	if w.noted == nil {
		w.noted = map[int64]*noted{}
	}
	in := w.noted[space.Key]
	if in == nil {
		in = &noted{space, map[int64]*notedEntry{}}
		w.noted[space.Key] = in
	}
	if in.entries[rec.Key] == nil {
		in.entries[rec.Key] = &notedEntry{
			Entry: e, rec: core.EntryRecord{Key: rec.Key}, fresh: fresh, was: !fresh && rec.State == core.EntryKept,
		}
	}
}

func isNotedOp(op log.Op) bool {
	switch op.Body.(type) {
	case log.PagePut, log.PageMove, log.PageDelete, log.BlobPut, log.BlobRemove:
		return true
	}
	return false
}

// foldNoted brings the trees of pages, and what spaces hold of blobs, up to date with
// what was noted: all of it at once, so that many moves that come late cost as much as
// those after the earliest, once.
func (w *work) foldNoted() error {
	for _, key := range slices.Sorted(maps.Keys(w.noted)) {
		in := w.noted[key]
		added, removed, err := w.countNow(in.entries)
		if err != nil {
			return err
		}
		if err := w.foldPages(in.space, added, removed); err != nil {
			return err
		}
		if err := w.foldBlobs(in.space, added, removed); err != nil {
			return err
		}
	}
	w.noted = nil
	return nil
}

// countNow returns the entries that did not count and do now, and those that count no
// more, in order.
func (w *work) countNow(entries map[int64]*notedEntry) (added, removed []*notedEntry, err error) {
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		e := entries[key]
		if e.rec, err = w.EntryByKey(key); err != nil {
			return nil, nil, err
		}
		switch kept := e.rec.State == core.EntryKept; {
		case kept && !e.was:
			added = append(added, e)
		case !kept && e.was:
			removed = append(removed, e)
		}
	}
	return added, removed, nil
}

// notedTrace is what a pass over a log keeps of an entry with such ops, or nil.
func notedTrace(e *log.Entry, rec *core.EntryRecord) *notedEntry {
	if !slices.ContainsFunc(e.Ops, isNotedOp) {
		return nil
	}
	trace := &notedEntry{Entry: &log.Entry{Header: e.Header, Hash: e.Hash, Ops: make([]log.Op, len(e.Ops))}, rec: *rec}
	trace.rec.Entry = core.Entry{Header: rec.Entry.Header}
	for i, op := range e.Ops { // their places count
		if !isNotedOp(op) {
			continue
		}
		if b, ok := op.Body.(log.PagePut); ok { // not all of the entry must stay in memory
			b.Value = bytes.Clone(b.Value)
			op.Body = b
		}
		trace.Ops[i] = op
	}
	return trace
}

// findKept finds the noted entries that count.
func (c *spaceCheck) findKept(context.Context) error {
	for _, e := range c.noted {
		rec, err := c.v.EntryByKey(e.rec.Key)
		if err != nil {
			return err
		}
		if rec.State == core.EntryKept {
			c.kept = append(c.kept, e)
		}
	}
	return nil
}

// fold folds pages and blobs. Rows that come out as they were keep their times.
func (d *rederiving) fold() error {
	told := len(d.events)
	for _, e := range d.traces {
		d.note(d.space, e.Entry, &e.rec, true)
	}
	if err := d.foldNoted(); err != nil {
		return err
	}
	d.events, d.toldBlobs = d.events[:told], nil
	if err := d.keepPages(); err != nil {
		return err
	}
	return d.keepBlobs()
}
