// Package collection has the rules of collections: local records of which the newer wins.
// It decides what a write does, what may be stored, when records and tombstones go, how
// values of an older version become new ones, and who is told. Rows are kept behind Store.
//
// A Collections works on names and raw JSON; types are the business of its callers, which
// hand in what they ask of a value as functions (Rules).
package collection
