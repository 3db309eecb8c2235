package collection

import (
	"context"

	"github.com/soma-sdk/soma/internal/core"
)

// Prune removes the values that have expired, and the tombstones that were kept long
// enough, in all collections, a few hundred in a transaction.
func (c *Collections) Prune(ctx context.Context) error {
	return c.eachCollection(ctx, func(row core.CollectionRow) error {
		for more := true; more; {
			err := c.transact(ctx, row.Name, c.rules(row.Name), func(b *Batch) error {
				expired, err := b.expire(readPage, "")
				if err != nil {
					return err
				}
				forgotten, err := b.bereave(readPage)
				more = expired+forgotten > 0
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
