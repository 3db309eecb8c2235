package replica

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// spacesPage is how many spaces one read takes.
const spacesPage = 256

// fieldName is the field of a space that holds its name.
const fieldName = "name"

// Space is a space as its local member sees it.
type Space struct {
	core.SpaceRecord
	Role log.Role // of the local member, 0 for none
}

// spaceOf adds the local member's role to a row.
func (r *Replica) spaceOf(v core.View, rec core.SpaceRecord) (Space, error) {
	m, err := v.Member(rec.Key, r.self.peer)
	if err != nil && !isNotFound(err) {
		return Space{}, err
	}
	return Space{SpaceRecord: rec, Role: log.Role(m.Role)}, nil
}

// CreateSpace creates a space with the local member as its owner. It returns
// core.ErrInvalidName.
func (r *Replica) CreateSpace(ctx context.Context, name string) (Space, error) {
	if err := log.CheckSpaceName(name); err != nil {
		return Space{}, err
	}
	var created Space
	err := r.write(ctx, events.SourceRenderer, func(w *work) error {
		genesis, err := log.SealGenesis(r.self.key, r.self.incarnation, uint64(max(w.nowMs, 0)), r.random)
		if err != nil {
			return err
		}
		space, err := w.addSpace(genesis)
		if err != nil {
			return err
		}
		w.made()
		if err := w.countSealed(); err != nil { // the genesis
			return err
		}
		if err := w.rename(space, name); err != nil {
			return err
		}
		w.changed(events.SpacesChanged, "", "", "")
		created = Space{*space, log.RoleOwner}
		return nil
	})
	return created, err
}

// addSpace adds the space that a genesis founds.
func (w *work) addSpace(genesis *log.Entry) (*core.SpaceRecord, error) {
	created := int64(genesis.WallMs)
	space := &core.SpaceRecord{ID: genesis.SpaceID(), Creator: genesis.Peer, CreatedAtMs: created, UpdatedAtMs: w.nowMs}
	if err := w.PutSpace(space); err != nil {
		return nil, err
	}
	w.keepSpace(space)
	_, err := w.admit(space, genesis)
	return space, err
}

// readSpace runs fn on one state of a space. It returns core.ErrNotFound for an unknown one.
func (r *Replica) readSpace(ctx context.Context, id core.SpaceID, fn func(core.View, *core.SpaceRecord) error) error {
	return r.store.Read(ctx, func(v core.View) error {
		s, err := v.Space(id)
		if err != nil {
			return err
		}
		return fn(v, &s)
	})
}

// Space returns a space, or core.ErrNotFound.
func (r *Replica) Space(ctx context.Context, id core.SpaceID) (space Space, err error) {
	err = r.readSpace(ctx, id, func(v core.View, rec *core.SpaceRecord) error {
		space, err = r.spaceOf(v, *rec)
		return err
	})
	return space, err
}

// Spaces returns all spaces in order of creation.
func (r *Replica) Spaces(ctx context.Context) ([]Space, error) {
	var all []Space
	err := r.store.Read(ctx, func(v core.View) error {
		after := core.SpaceID("")
		for {
			page, err := v.Spaces(after, spacesPage)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, rec := range page {
				space, err := r.spaceOf(v, rec)
				if err != nil {
					return err
				}
				all = append(all, space)
				after = rec.ID
			}
		}
	})
	slices.SortFunc(all, func(a, b Space) int {
		return cmp.Or(cmp.Compare(a.CreatedAtMs, b.CreatedAtMs), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

// RenameSpace gives a space another name. It returns core.ErrInvalidName,
// core.ErrNotFound and core.ErrForbidden. The same name again changes nothing.
func (r *Replica) RenameSpace(ctx context.Context, id core.SpaceID, name string, source events.EventSource) (Space, error) {
	if err := log.CheckSpaceName(name); err != nil {
		return Space{}, err
	}
	var renamed Space
	err := r.write(ctx, source, func(w *work) error {
		space, err := w.permitted(id, log.CapManage)
		if err != nil {
			return err
		}
		if space.Name != name {
			w.renamed(space.ID)
			err = w.rename(space, name)
		}
		renamed = Space{*space, log.RoleOwner}
		return err
	})
	return renamed, err
}

func (w *work) renamed(space core.SpaceID) {
	w.changed(events.SpaceChanged, space, "", "")
	w.changed(events.SpacesChanged, "", "", "")
}

func (w *work) rename(space *core.SpaceRecord, name string) error {
	e, rec, err := w.append(space, log.SpaceMeta{Name: name})
	if err != nil {
		return err
	}
	_, err = w.foldName(space, e, rec, name)
	return err
}

// foldName adds a write of the name and reports whether the name changed.
func (w *work) foldName(space *core.SpaceRecord, e *log.Entry, rec *core.EntryRecord, name string) (changed bool, err error) {
	latest, err := w.foldField(space, "", fieldName, e, rec, []byte(name))
	if err != nil || space.Name == string(latest) {
		return false, err
	}
	space.Name, space.UpdatedAtMs = string(latest), max(w.nowMs, space.UpdatedAtMs+1)
	return true, w.PutSpace(space)
}

// foldField adds a write of a field and returns the value that it has now: the causally
// latest write wins, then the later clock, then the higher hash.
func (w *work) foldField(space *core.SpaceRecord, object, field string, e *log.Entry, rec *core.EntryRecord, value []byte) ([]byte, error) {
	writes, err := w.FieldWrites(space.Key, object, field)
	if err != nil {
		return nil, err
	}
	earlier := make([]core.EntryRecord, len(writes))
	for i, f := range writes {
		if earlier[i], err = w.EntryByKey(f.Entry); err != nil {
			return nil, err
		}
	}
	replaced, err := w.pastOf(space).knows(rec, earlier)
	if err != nil {
		return nil, err
	}
	latest := core.FieldWrite{Entry: rec.Key, Hash: e.Hash, WallMs: e.WallMs, Value: value}
	if err := w.PutFieldWrite(space.Key, object, field, latest); err != nil {
		return nil, err
	}
	for i, f := range writes {
		if replaced[i] {
			if err := w.DeleteFieldWrite(space.Key, object, field, f.Entry); err != nil {
				return nil, err
			}
		} else if compareFields(f, latest) > 0 {
			latest = f
		}
	}
	return latest.Value, nil
}

func compareFields(a, b core.FieldWrite) int {
	return cmp.Or(cmp.Compare(a.WallMs, b.WallMs), bytes.Compare(a.Hash[:], b.Hash[:]))
}
