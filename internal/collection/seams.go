package collection

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
)

// Store keeps the rows. Write and Read are as in core.Store: a write is durable when it
// returns, and its function runs on the one goroutine that writes.
type Store interface {
	Write(ctx context.Context, fn func(core.CollectionTx) error) error
	Read(ctx context.Context, fn func(core.CollectionView) error) error
}
