package yprotocol

// MaxSafe is where clocks end.
const MaxSafe = maxSafe

// SetClock sets the own clock.
func (a *Awareness) SetClock(clock uint64) { a.own.clock = clock }

// Known counts the clients that are remembered, with those that are gone.
func (a *Awareness) Known() int { return len(a.all) }

// Count returns what checkRoom relies on.
func (a *Awareness) Count() (shown, size int) { return a.shown, a.size }
