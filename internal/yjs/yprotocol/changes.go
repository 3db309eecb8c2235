package yprotocol

import "slices"

// Changes says which clients something happened to. Added, Changed and Removed are what
// the event "change" of y-protocols has, Added, Updated and Removed what "update" has.
type Changes struct {
	// Added are clients that nobody had heard of.
	Added []uint64
	// Updated are clients that were known and have a state now: also an equal one, and
	// also those that come back.
	Updated []uint64
	// Changed are those of Updated whose state is another one.
	Changed []uint64
	// Removed are clients that have no state now. If the own one is among them it may
	// still have its state, with a higher clock: a peer wanted to remove it.
	Removed []uint64
}

// Clients returns all whose state is to be sent on: Added, Updated and Removed.
func (c Changes) Clients() []uint64 { return slices.Concat(c.Added, c.Updated, c.Removed) }

func (c *Changes) update(client uint64, equal bool) {
	c.Updated = append(c.Updated, client)
	if !equal {
		c.Changed = append(c.Changed, client)
	}
}
