// Package plain is DESIGN 5 as plain as can be: sets are maps, little is remembered,
// and everything is computed from the whole set of entries. It is what tests compare
// the real thing with, and is of no use for anything else.
package plain
