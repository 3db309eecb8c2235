package core

// SharedView reads what a sync node has to know of logs, and of peers.
type SharedView interface {
	// Joinings returns up to limit of what SetJoining keeps, of spaces greater than
	// after, in order of space. Damaged rows are left out.
	Joinings(after SpaceID, limit int) ([]JoiningRecord, error)
	// Chains returns each chain of a space with how many entries it has.
	Chains(space int64) ([]ChainRecord, error)
	// ChainHashes returns up to limit hashes of a writer's entries at a seq, in order of key.
	ChainHashes(space, writer int64, chain Chain, seq uint64, limit int) ([]Hash, error)
	// ChainKeys returns the keys of a writer's entries with from <= seq <= to, in order of
	// (seq, key).
	ChainKeys(space, writer int64, chain Chain, from, to uint64) ([]int64, error)
	// SeqUntil returns the highest seq of a writer's entries with keys up to one, 0 for none.
	SeqUntil(space, writer int64, chain Chain, key int64) (uint64, error)
	// EntriesByKey returns the entries with keys, in their order. It stops as EntriesAfter
	// does. A key that no entry has is ErrNotFound.
	EntriesByKey(keys []int64, maxBytes int) ([]EntryRecord, error)

	// Acks returns what peers have of own writers in a space, in order of (peer, writer,
	// chain). Damaged rows are left out: they claim nothing.
	Acks(space SpaceID) ([]AckRecord, error)
	// Exchanges returns what was last exchanged in a space, in order of peer. Damaged
	// rows are left out.
	Exchanges(space SpaceID) ([]ExchangeRecord, error)
	// PeerAddresses returns the address book in order of peer. Damaged rows are left out.
	PeerAddresses() ([]PeerAddresses, error)
}

// SharedWrites are the writes of SharedView.
type SharedWrites interface {
	// PutAck replaces what a peer has of a chain; no Tips remove it.
	PutAck(space SpaceID, ack AckRecord) error
	PutExchange(space SpaceID, e ExchangeRecord) error
	// ForgetPeer removes the acks and exchanges of a peer in a space.
	ForgetPeer(space SpaceID, peer PeerID) error
	PutPeerAddresses(p PeerAddresses) error
	DeletePeerAddresses(peer PeerID) error
}

// JoiningRecord is a row of table joining.
type JoiningRecord struct {
	Space  SpaceID
	Ticket []byte
}

// ChainRecord counts the entries of a chain.
type ChainRecord struct {
	Writer int64
	Chain  Chain
	Count  uint64
}

// AckRecord is a row of table ack: up to where a peer has a chain of an own writer.
type AckRecord struct {
	Peer   PeerID
	Writer WriterID
	Chain  Chain
	Tips   []Tip
}

// ExchangeRecord is a row of table exchange.
type ExchangeRecord struct {
	Peer PeerID
	Mark Mark
	AtMs int64
}
