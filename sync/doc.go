// Package somasync keeps the spaces of a directory the same as those of the other members,
// over libp2p:
//
//	node, err := somasync.New()
//	db, err := soma.Open(dir, soma.WithSync(node))
//
// The node listens and dials from then on, until db.Close; db.Sync() says how it goes. A
// host program that does not import this package links no libp2p.
//
// A peer is authenticated by libp2p: its peer ID is the key of a member. Who is connected
// and is a member of a space too is a partner: the two pull from each other what they lack
// (/soma/sync/1), push what is new (/soma/live/1), and fetch blobs (/soma/blob/1). Whoever
// else connects is a stranger, who learns nothing, not even which spaces there are, and is
// sent away, unless they hold the ticket of an open invite. Partners tell each other where
// the members of the spaces that they share can be reached (/soma/peers/1).
//
// In spaces of which many members are connected (WithMaxDirect) what is new rides gossip
// instead, on a pubsub of its own (/soma/gossip/1) that sees nobody but these members. Nothing
// depends on it: live streams tell of what it carries. Members of one such space see how
// many others the local member is in, though not which.
//
//   - node.go: what the root of the library calls; session.go: what runs between Start and
//     Stop, and who owns its goroutines
//   - host.go: the libp2p host; gater.go and score.go: whom it does not talk to
//   - remote.go: a connected peer; link.go: what is done with a partner
//   - dialer.go: whom to dial, and when; peerbook.go: addresses; discovery.go
//   - gossip.go: which spaces are large, and ride gossip; gossipguard.go: who is to be seen by
//     it; gossiptopic.go: what goes through it
//   - status.go: what is true of the spaces
package somasync
