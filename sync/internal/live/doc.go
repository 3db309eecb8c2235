// Package live is /soma/live/1: what is committed here is with the peers that are
// connected a moment later. Each side opens one long-lived stream on which it pushes
// (Push); the other takes in what comes (Receive), and answers on the same stream with
// acknowledgements of what is on disk. Both send heartbeats.
//
// A stream carries own entries. What was taken from others, and what is too large, is told
// as news: the digest of the log, and the newest entries. Who lacks something pulls it
// (package exchange). So does who lacks the past of what was pushed.
//
// Nothing here decides whether a peer ends up with everything: what does not fit into its
// queue, or may have been lost with a stream, becomes the word to catch up.
//
//   - feed.go: from commits to queues; queue.go: what one peer is to be told
//   - push.go, receive.go: the two ends of a stream; link.go: what they have in common
//   - message.go: the messages
package live
