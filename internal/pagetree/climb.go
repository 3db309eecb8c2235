package pagetree

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Climb watches a way up the tree, from page to page. No moves make a circle, but damage
// may, and nothing must go round in it for ever. The zero value is a way that begins.
type Climb struct {
	mark       core.DocumentID // a page that was passed
	left, next int             // pages until another one is marked, and from there on
}

// Pass notes the next page. On a way that has come back to a page it is core.ErrCorrupt,
// soon after that (Brent, "An improved Monte Carlo factorization algorithm", 1980).
func (c *Climb) Pass(page core.DocumentID) error {
	switch {
	case c.next == 0:
		c.mark, c.left, c.next = page, 1, 2
	case page == c.mark:
		return fmt.Errorf("page %q is under itself: %w", page, core.ErrCorrupt)
	case c.left == 0:
		c.mark, c.left, c.next = page, c.next, 2*c.next
	default:
		c.left--
	}
	return nil
}
