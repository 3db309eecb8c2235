//go:build cgo

package store

import "strings"

// statements returns the text of the prepared statements that can be explained,
// with the number of their arguments.
func (c *conn) statements() map[string]int {
	all := make(map[string]int)
	for sql, st := range c.stmts {
		if verb, _, _ := strings.Cut(sql, " "); strings.Contains("SELECT INSERT UPDATE DELETE WITH", verb) {
			all[sql] = len(st.args)
		}
	}
	return all
}
