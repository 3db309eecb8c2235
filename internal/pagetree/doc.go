// Package pagetree says what moves make of a tree of pages, and where a page stands
// among its siblings. It knows neither logs nor rows.
//
// The tree is that of Kleppmann, Mulligan, Gomes and Beresford, "A highly-available move
// operation for replicated trees" (IEEE TPDS, 2021): moves have a total order, and each is
// done unless it would put a page under itself. So every replica that has the same moves
// has the same tree. A move that comes late is fitted in by taking back those after it
// (Was says how) and doing them again.
package pagetree
