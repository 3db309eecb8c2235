// Package fetch brings the bytes of blobs here, over /soma/blob/1: a stream on which the
// client asks for one blob from an offset on (get), and the server answers that it has it
// (found) and sends the rest of its bytes as they are, or that it has not (notFound), which
// says no more to a member than to a stranger.
//
//   - serve.go: the server
//   - pull.go: one transfer from one peer
//   - job.go: one blob, from whoever has it, over cuts and restarts
//   - fetcher.go: all that is wanted, a few at a time; wait.go: a caller that waits for one
package fetch
