package soma

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// PruneViews deletes the records of CollectionSpacesView whose space is not there, and of
// CollectionPagesView whose space is not, or neither a page, in the trash too, nor a document
// with their PageID, and returns how many. A deletion has the time of its record, so that one that
// is written later stays; that may be ahead of a clock that was set back. Records that are
// quarantined stay too. Call it after spaces were left or pages deleted, or at any time.
func (c Collections) PruneViews(ctx context.Context) (int, error) {
	spaces, err := c.prune(ctx, CollectionSpacesView, func(key string) (bool, error) {
		return c.hasSpace(ctx, SpaceID(key))
	})
	if err != nil {
		return spaces, err
	}
	pages, err := c.prune(ctx, CollectionPagesView, func(key string) (bool, error) {
		space, page, ok := strings.Cut(key, "/")
		if !ok {
			return false, nil
		}
		if there, err := c.hasSpace(ctx, SpaceID(space)); err != nil || !there {
			return false, err
		}
		return c.hasPage(ctx, SpaceID(space), page)
	})
	return spaces + pages, err
}

// prune deletes the records of a collection whose keys stand for nothing.
func (c Collections) prune(ctx context.Context, name string, exists func(key string) (bool, error)) (n int, err error) {
	for rec, err := range c.list(ctx, name) {
		if err != nil {
			return n, err
		}
		there, err := exists(rec.Key)
		if err != nil {
			return n, fmt.Errorf("prune collection %q: %w", name, err)
		}
		if there {
			continue
		}
		if err := c.Delete(ctx, name, rec.Key, rec.UpdatedAtMs); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (c Collections) hasSpace(ctx context.Context, id SpaceID) (bool, error) {
	return exists(c.db.Spaces().Get(ctx, id))
}

// hasPage says whether a page is in the tree, or in the trash, or there is its document.
func (c Collections) hasPage(ctx context.Context, space SpaceID, page DocumentID) (bool, error) {
	there, err := exists(c.db.Pages().Get(ctx, space, page))
	if err != nil || there {
		return there, err
	}
	if err := c.db.begin(); err != nil {
		return false, err
	}
	defer c.db.end()
	found, err := c.db.replica.DocRecords(ctx, space, []DocumentID{page})
	there, err = exists(found, err)
	return there && len(found) > 0, err
}

// exists makes an answer of what a Get returned. What no ID can be is not there either.
func exists[T any](_ T, err error) (bool, error) {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalidID) {
		return false, nil
	}
	return err == nil, err
}
