// Package peerproc runs a peer as a process of its own, so that a test can kill it, or have
// it on another network: the test binary runs itself.
//
// The process takes commands, one a line, and answers each with a line that starts with
// "=", or with "!" if it failed. In between it writes a line "+ word" for each word that it
// has typed and that was acknowledged.
package peerproc
