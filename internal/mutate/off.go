//go:build !somamutate

package mutate

// On reports whether a rule is switched off.
func On(Rule) bool { return false }
