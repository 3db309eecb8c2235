//go:build somamutate

package mutate

import (
	"os"
	"sync/atomic"
)

// current is the rule that is off: at first what SOMA_MUTATE says.
var current atomic.Value

func init() { current.Store(Rule(os.Getenv("SOMA_MUTATE"))) }

// On reports whether a rule is switched off.
func On(r Rule) bool { return current.Load() == r }

// Use switches a rule off, and the one before on. "" switches all on.
func Use(r Rule) { current.Store(r) }
