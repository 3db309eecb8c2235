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

// CreateSpace creates a space with the local member as its owner. It returns
// core.ErrInvalidName.
func (r *Replica) CreateSpace(ctx context.Context, name string) (core.SpaceRecord, error) {
	if err := log.CheckSpaceName(name); err != nil {
		return core.SpaceRecord{}, err
	}
	var created core.SpaceRecord
	err := r.write(ctx, events.SourceRenderer, func(w *work) error {
		genesis, err := log.SealGenesis(r.self.key, r.self.incarnation, uint64(max(w.nowMs, 0)))
		if err != nil {
			return err
		}
		space, err := w.addSpace(genesis)
		if err != nil {
			return err
		}
		if err := w.countSealed(); err != nil { // the genesis
			return err
		}
		if err := w.rename(space, name); err != nil {
			return err
		}
		w.changed(events.SpacesChanged, "", "", "")
		created = *space
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

// writable returns a space that the local member may write to: core.ErrNotFound,
// core.ErrForbidden. For now that is the owner, who created it.
func (w *work) writable(id core.SpaceID) (*core.SpaceRecord, error) {
	space, err := w.space(id)
	if err != nil {
		return nil, err
	}
	if space.Creator != w.r.self.peer {
		return nil, core.ErrForbidden
	}
	return space, nil
}

// RoleIn returns the local member's role in a space, 0 for none.
func (r *Replica) RoleIn(space core.SpaceRecord) log.Role {
	if space.Creator == r.self.peer {
		return log.RoleOwner
	}
	return 0
}

// Space returns a space, or core.ErrNotFound.
func (r *Replica) Space(ctx context.Context, id core.SpaceID) (space core.SpaceRecord, err error) {
	err = r.store.Read(ctx, func(v core.View) error {
		space, err = v.Space(id)
		return err
	})
	return space, err
}

// Spaces returns all spaces in order of creation.
func (r *Replica) Spaces(ctx context.Context) ([]core.SpaceRecord, error) {
	var all []core.SpaceRecord
	err := r.store.Read(ctx, func(v core.View) error {
		after := core.SpaceID("")
		for {
			page, err := v.Spaces(after, spacesPage)
			if err != nil || len(page) == 0 {
				return err
			}
			all = append(all, page...)
			after = page[len(page)-1].ID
		}
	})
	slices.SortFunc(all, func(a, b core.SpaceRecord) int {
		return cmp.Or(cmp.Compare(a.CreatedAtMs, b.CreatedAtMs), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

// RenameSpace gives a space another name. It returns core.ErrInvalidName,
// core.ErrNotFound and core.ErrForbidden. The same name again changes nothing.
func (r *Replica) RenameSpace(ctx context.Context, id core.SpaceID, name string, source events.EventSource) (core.SpaceRecord, error) {
	if err := log.CheckSpaceName(name); err != nil {
		return core.SpaceRecord{}, err
	}
	var renamed core.SpaceRecord
	err := r.write(ctx, source, func(w *work) error {
		space, err := w.writable(id)
		if err != nil {
			return err
		}
		if space.Name != name {
			w.renamed(space.ID)
			err = w.rename(space, name)
		}
		renamed = *space
		return err
	})
	return renamed, err
}

func (w *work) renamed(space core.SpaceID) {
	w.changed(events.SpaceChanged, space, "", "")
	w.changed(events.SpacesChanged, "", "", "")
}

func (w *work) rename(space *core.SpaceRecord, name string) error {
	e, key, err := w.append(space, log.SpaceMeta{Name: name})
	if err != nil {
		return err
	}
	_, err = w.foldName(space, e, key, name)
	return err
}

// foldName adds a write of the name and reports whether the name changed: the
// causally latest write wins, then the later clock, then the higher hash.
func (w *work) foldName(space *core.SpaceRecord, e *log.Entry, key int64, name string) (changed bool, err error) {
	writes, err := w.FieldWrites(space.Key, "", fieldName)
	if err != nil {
		return false, err
	}
	targets := make([]core.Hash, len(writes))
	for i, f := range writes {
		targets[i] = f.Hash
	}
	all, err := w.seesAll(space, e)
	if err != nil {
		return false, err
	}
	var replaced map[core.Hash]bool
	if !all {
		if replaced, err = w.pastOf(space).below(parentsOf(&e.Header), targets); err != nil {
			return false, err
		}
	}
	latest := core.FieldWrite{Entry: key, Hash: e.Hash, WallMs: e.WallMs, Value: []byte(name)}
	if err := w.PutFieldWrite(space.Key, "", fieldName, latest); err != nil {
		return false, err
	}
	for _, f := range writes {
		if f.Hash != e.Hash && (all || replaced[f.Hash]) {
			if err := w.DeleteFieldWrite(space.Key, "", fieldName, f.Entry); err != nil {
				return false, err
			}
		} else if compareFields(f, latest) > 0 {
			latest = f
		}
	}
	if space.Name == string(latest.Value) {
		return false, nil
	}
	space.Name, space.UpdatedAtMs = string(latest.Value), max(w.nowMs, space.UpdatedAtMs+1)
	return true, w.PutSpace(space)
}

func compareFields(a, b core.FieldWrite) int {
	return cmp.Or(cmp.Compare(a.WallMs, b.WallMs), bytes.Compare(a.Hash[:], b.Hash[:]))
}
