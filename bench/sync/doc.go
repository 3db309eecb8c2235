// Package benchsync measures the sync of two devices over loopback, through the public
// API: see bench/sync/run. Its folder node measures others.
package benchsync
