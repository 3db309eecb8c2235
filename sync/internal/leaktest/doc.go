// Package leaktest opens and closes peers again and again: nothing may be left of them.
package leaktest
