package somasync

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
)

func (s *session) fetch(ctx context.Context, space core.SpaceID, hash core.Hash, progress func(done, size int64)) error {
	return core.ErrSyncOff
}
