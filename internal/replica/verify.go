package replica

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// rowsPage is how many rows of entries and writers one read of a check takes.
const rowsPage = 1024

// readOnly lets a work run on a view. It must not write: there is nothing to write to.
type readOnly struct {
	core.View
	core.Writes
}

// Verify looks for damage: first in the database itself, then in what the rows of
// entries say of their signed part, and then, space by space, in the log and in all
// that follows from it. What builds on something damaged is not looked at until that
// is mended. It returns at most MaxProblems problems; an error says that it could not
// look. It reads one state of a space at a time, and nobody waits for it.
func (r *Replica) Verify(ctx context.Context) ([]Problem, error) {
	var found problems
	err := r.verify(ctx, &found)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

func (r *Replica) verify(ctx context.Context, found *problems) error {
	var sound []core.SpaceID
	err := r.store.Read(ctx, func(v core.View) error {
		err := v.Check(func(d core.Damage) error {
			return found.add(Problem{Table: d.Table, Detail: d.Detail, Lost: d.Lost})
		})
		if err != nil {
			return found.unreadable(err, "", true)
		}
		rows := rowCheck{problems: found, v: v, writers: map[int64]core.WriterID{}, unsound: map[core.SpaceID]bool{}}
		if err := rows.run(ctx, r.self.peer); err != nil {
			return found.unreadable(err, "", true)
		}
		for _, space := range rows.spaces {
			if !rows.unsound[space.ID] {
				sound = append(sound, space.ID)
			}
		}
		return nil
	})
	for _, id := range sound {
		if err != nil {
			return err
		}
		err = r.store.Read(ctx, func(v core.View) error {
			return found.unreadable(r.verifySpace(ctx, v, id, found), id, false)
		})
	}
	return err
}

// rowCheck compares the columns of spaces, writers and entries with what is signed.
type rowCheck struct {
	*problems
	v       core.View
	spaces  map[int64]core.SpaceRecord
	ids     map[core.SpaceID]bool
	writers map[int64]core.WriterID // the sound ones
	unsound map[core.SpaceID]bool   // spaces with entries in the wrong rows
	damaged bool                    // there are entries that do not show whose they are
}

func (c *rowCheck) run(ctx context.Context, self core.PeerID) error {
	var err error
	if c.spaces, err = spacesByKey(c.v); err != nil {
		return err
	}
	c.ids = make(map[core.SpaceID]bool, len(c.spaces))
	for _, space := range c.spaces {
		c.ids[space.ID] = true
	}
	if err := c.checkWriters(); err != nil {
		return err
	}
	incarnation, err := c.v.Meta(metaIncarnation)
	if err != nil {
		return err
	}
	var own core.WriterID
	if len(incarnation) == len(core.Incarnation{}) {
		own = log.WriterIDOf(self, core.Incarnation(incarnation))
	}
	var sealed uint64
	err = eachHeader(ctx, c.v, func(rec *core.EntryRecord) error {
		row, ok, err := rowOf(c.v, rec)
		if err != nil || !ok { // the walk through the log says what is wrong with the entry
			c.damaged = true
			return err
		}
		if row.writer.ID == own {
			sealed++
		}
		return c.checkEntry(rec, row)
	})
	if err != nil {
		return err
	}
	stored, err := c.v.Meta(metaSealed)
	if err == nil && !c.damaged && number(stored) < sealed { // more may have been sealed under another key
		err = c.add(Problem{Table: "meta", Detail: fmt.Sprintf("%s is %d, should be %d at least", metaSealed, number(stored), sealed)})
	}
	return err
}

func (c *rowCheck) checkWriters() error {
	return eachWriter(c.v, func(rec core.WriterRecord) error {
		if log.WriterIDOf(rec.Peer, rec.Incarnation) == rec.ID {
			c.writers[rec.Key] = rec.ID
			return nil
		}
		return c.add(Problem{Table: "writer", Detail: fmt.Sprintf("writer %d is not that of its peer and incarnation", rec.Key)})
	})
}

// checkEntry compares an entry's row with its header.
func (c *rowCheck) checkEntry(rec *core.EntryRecord, row entryRow) error {
	in := c.spaces[rec.Space].ID
	writer, sound := c.writers[rec.Writer]
	var wrong string
	switch {
	case !sound: // told already
	case rec.Hash != row.hash:
		wrong = "hash"
	case in != row.space && !c.ids[row.space]:
		c.unsound[in], c.unsound[row.space] = true, true
		c.ids[row.space] = true // once is enough
		return c.add(Problem{Space: in, Table: "space", Detail: "its entries are of space " + string(row.space)})
	case in != row.space:
		wrong = "space"
	case writer != row.writer.ID:
		wrong = "writer"
	case rec.Chain != row.chain:
		wrong = "chain"
	case rec.Seq != row.seq:
		wrong = "seq"
	default:
		return nil
	}
	c.unsound[in], c.unsound[row.space] = true, true
	if wrong == "" {
		return nil
	}
	return c.add(Problem{
		Space: row.space, Entry: row.hash, Table: "entry",
		Detail: fmt.Sprintf("the %s of row %d is not that of the entry", wrong, rec.Key),
	})
}

// entryRow is what an entry's header says of its row.
type entryRow struct {
	space  core.SpaceID
	writer core.WriterRecord
	chain  core.Chain
	seq    uint64
	hash   core.Hash
}

// rowOf returns what the row of an entry should be, and false if its header is damaged.
// Where hash and header differ, the signature tells which of them is.
func rowOf(v core.View, rec *core.EntryRecord) (row entryRow, ok bool, err error) {
	h, err := log.DecodeHeader(rec.Entry.Header)
	if err != nil {
		return entryRow{}, false, nil //nolint:nilerr // it is the answer
	}
	row = entryRow{
		writer: core.WriterRecord{ID: log.WriterIDOf(h.Peer, h.Incarnation), Peer: h.Peer, Incarnation: h.Incarnation},
		chain:  h.Chain, seq: h.Seq, hash: rec.Entry.Hash(),
	}
	row.space = core.SpaceIDFromHash(h.Space)
	if h.IsGenesis() {
		row.space = core.SpaceIDFromHash(row.hash)
	}
	if row.hash == rec.Hash {
		return row, true, nil
	}
	whole, err := v.Entry(rec.Space, rec.Hash)
	return row, err == nil && inspect(whole.Entry).err == nil, err
}

// eachHeader calls fn with every entry, of whatever space, in order of key.
func eachHeader(ctx context.Context, v core.View, fn func(*core.EntryRecord) error) error {
	for after := int64(math.MinInt64); ; {
		page, err := v.Headers(after, rowsPage)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range page {
			after = page[i].Key
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
	}
}

func eachWriter(v core.View, fn func(core.WriterRecord) error) error {
	for after := int64(math.MinInt64); ; {
		page, err := v.Writers(after, rowsPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			after = rec.Key
			if err := fn(rec); err != nil {
				return err
			}
		}
	}
}

func spacesByKey(v core.View) (map[int64]core.SpaceRecord, error) {
	spaces := map[int64]core.SpaceRecord{}
	for after := core.SpaceID(""); ; {
		page, err := v.Spaces(after, spacesPage)
		if err != nil || len(page) == 0 {
			return spaces, err
		}
		for _, space := range page {
			spaces[space.Key] = space
			after = space.ID
		}
	}
}
