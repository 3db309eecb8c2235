package somasync

import (
	"context"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// vanishing is a directory of which one of two spaces is deleted while it is read.
type vanishing struct{ core.Replica }

func (vanishing) SharedIDs(context.Context) ([]core.SpaceID, error) {
	return []core.SpaceID{"a", "b"}, nil
}

func (vanishing) Awaited(context.Context) ([]core.Awaited, error) { return nil, nil }

func (vanishing) LastExchange(context.Context, core.SpaceID, core.PeerID) (core.Mark, int64, error) {
	return core.Mark{}, 0, nil
}

func (vanishing) OnlyHere(_ context.Context, space core.SpaceID) (entries, tails int64, err error) {
	if space == "a" {
		return 0, 0, fmt.Errorf("space: %w", core.ErrNotFound)
	}
	return 1, 2, nil
}

func (vanishing) CountWanted(context.Context, core.SpaceID) (int, error) { return 0, nil }

// A space that is deleted meanwhile does not keep the status of the others from being told.
func TestStatusWhileDeleting(t *testing.T) {
	all, err := spaceStatuses(t.Context(), vanishing{}, nil)
	if err != nil || len(all) != 1 || all[0].Space != "b" || all[0].OnlyHere != 3 {
		t.Errorf("spaceStatuses = %+v, %v, want the space that is there", all, err)
	}
}
