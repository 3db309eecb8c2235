// Package soma is the local-first core of a desktop app as one library: spaces,
// their documents and the events that tell of changes, in one directory on disk.
package soma
