// Package proctest has peers in processes of their own, on this machine's network, of which
// one is killed at any moment: while it catches up, while a blob comes, while it types.
package proctest
