// Package wire is how peers talk: streams, frames and messages, with a limit on each. It
// knows nothing of any network.
//
// A frame is its length as a shortest uvarint, and an array in deterministic CBOR whose
// first element is the number of the message (Kind). Whoever reads says which messages may
// come now, and how long each may be; that is checked before anything is allocated. What is
// not encoded exactly as Encode would is refused, so there is one spelling of each message.
//
//   - stream.go: what a connection has to offer; code.go: why one is reset; pipe.go: one in memory
//   - frame.go: frames over a stream; codec.go: messages in frames
//   - sync.go, entries.go: the messages of /soma/sync/1
package wire
