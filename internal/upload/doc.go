// Package upload keeps an outbox: files and streams that are to become blobs of spaces, in
// the background, through restarts and failures. Jobs are rows of the store and stay on this
// machine; where the bytes go is for a Sink to say.
package upload
