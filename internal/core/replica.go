package core

import (
	"context"
	"crypto/ed25519"
)

// Replica is a directory as a sync node sees it (package sync), and internal/replica keeps
// it. It is safe for concurrent use. Nothing that a peer says is believed: what comes in is
// checked as if it came from anybody, and what goes out goes to members only, which is for
// the node to ask (Shared) each time.
//
// Errors are sentinels of this package, wrapped: ErrClosed after Close, ErrNotFound for an
// unknown space, ErrCorrupt. ctx counts as in Store.
type Replica interface {
	SharedSpaces
	SharedLog
	Acknowledgements
	AddressBook
	SharedBlobs

	// Self returns the local member, and Key their key, which is the key of the host too.
	Self() PeerID
	Key() ed25519.PrivateKey

	// Follow calls fn with what was committed, in the order of commits, from its return
	// on until stop is called, which waits for a running fn. fn must not wait for
	// anything. What it is told of is on disk, whatever the durability option is.
	Follow(fn func(News)) (stop func())
}

// News says what a commit changed that peers, or a node, have to learn of.
type News struct {
	Space   SpaceID
	Entries []Entry // that were stored, in causal order. They must not be changed.
	Own     bool    // Entries were made here, and not taken from others
	Members bool    // who is a member changed, or a ticket waits, or no more
	Tail    bool    // unsealed ops came, or went
	Blobs   bool    // which blobs are held, wanted or here changed
}

// SharedSpaces says who shares what. It reads memory only once it is warm.
type SharedSpaces interface {
	// Shared returns the spaces in which a peer and the local member are members now, in
	// order of ID.
	Shared(ctx context.Context, peer PeerID) ([]SpaceID, error)
	// IsShared reports whether a space is one of these.
	IsShared(ctx context.Context, space SpaceID, peer PeerID) (bool, error)
	// Partners returns the members of a space without the local one; of all spaces, each
	// once, for "". It is empty where the local member is none. By and Since are left out.
	Partners(ctx context.Context, space SpaceID) ([]MemberRecord, error)
	// Left returns the spaces in which a peer is a member, as far as is known here, and the
	// local member was one that acted, and is none any more. It reads the database.
	Left(ctx context.Context, peer PeerID) ([]SpaceID, error)
	// SharedIDs returns the spaces in which the local member is one, in order of ID.
	SharedIDs(ctx context.Context) ([]SpaceID, error)

	// Awaited returns the tickets that wait for their space, for their invite, or for another
	// member to have the entry that redeems them, as Acknowledge says: until then no peer
	// knows that the local member is one, and only the invite's key opens the space.
	Awaited(ctx context.Context) ([]Awaited, error)
	// Invited reports whether an invite of a space is open, as far as is known here, so
	// that who has its key may see the space. One that has expired by this machine's clock
	// is not.
	Invited(ctx context.Context, space SpaceID, invite InviteID) (bool, error)
}

// Awaited is a ticket that waits.
type Awaited struct {
	Space     SpaceID
	Key       ed25519.PrivateKey // of the invite
	Addresses []string           // where the space can be had
}

// LogRow says which entries of one chain of a writer somebody has: the ends of its
// branches, of which there is one without a fork, and everything before them.
type LogRow struct {
	Writer WriterID
	Chain  Chain
	Tips   []Tip // in order of Hash
}

// ChainID returns the row's chain.
func (r LogRow) ChainID() ChainID { return ChainID{r.Writer, r.Chain} }

// CompareRows orders rows by their chains.
func CompareRows(a, b LogRow) int { return a.ChainID().Compare(b.ChainID()) }

// Tip is an entry that no other entry of its chain names as the one before it.
type Tip struct {
	Seq  uint64
	Hash Hash
}

// Summary is a log in short. Digest is the root of the tree of its rows: two logs with the
// same digest hold the same entries.
type Summary struct {
	Digest Hash
	Rows   int
	Mark   Mark
}

// Mark says how far a log had come: all its entries in rows up to Row.
type Mark struct {
	Epoch Incarnation // of the directory, which numbers its rows
	Row   int64
}

// TreePath leads from the root of the tree of rows to a node: bytes from 0 to 15, the hex
// digits with which the writers below it begin. The root is "".
type TreePath string

// Covers reports whether a writer is below a node.
func (p TreePath) Covers(w WriterID) bool {
	if len(p) > WriterDigits {
		return false
	}
	for depth := range len(p) {
		if p[depth] != w.Digit(depth) {
			return false
		}
	}
	return true
}

// MaxLeafRows is how many rows a node may have without being divided.
const MaxLeafRows = 16

// TreeNode is a node of the tree of rows. One with at most MaxLeafRows rows below it has
// Rows, in order of (writer, chain); one with more has the digests of its 16 children, zero
// for those that have none.
type TreeNode struct {
	Rows     []LogRow
	Children *[16]Hash
}

// Range is entries of a chain with From <= seq <= To, on all branches.
type Range struct {
	Writer   WriterID
	Chain    Chain
	From, To uint64
}

// ChainID returns the chain that the range is of.
func (r Range) ChainID() ChainID { return ChainID{r.Writer, r.Chain} }

// Cursor says how far Entries has come. The zero Cursor is the beginning.
type Cursor struct {
	Chain Chain
	Row   int64
}

// EntryStatus says what became of an entry that was handed in.
type EntryStatus uint8

// What becomes of entries.
const (
	EntryAccepted EntryStatus = iota // stored, and its ops applied
	EntryKnown                       // stored before
	EntryWaiting                     // parked until its past arrives
	EntryDropped                     // would have to wait, but too much waits already
	EntryRejected                    // breaks a rule
)

// String returns the status in a word.
func (s EntryStatus) String() string {
	return [...]string{"accepted", "known", "waiting", "dropped", "rejected"}[s]
}

// Outcome is what became of one entry.
type Outcome struct {
	Hash   Hash
	Status EntryStatus
	Err    error // of EntryRejected a *log.RejectedError, of EntryWaiting and EntryDropped a *log.WaitingError
}

// SharedLog reads and extends logs.
type SharedLog interface {
	// Summary returns a space's log in short. The digest of a space that is not here, but
	// awaited, is zero.
	Summary(ctx context.Context, space SpaceID) (Summary, error)
	// Node returns a node of the tree of rows: an empty one where there is none.
	Node(ctx context.Context, space SpaceID, path TreePath) (TreeNode, error)
	// RowsSince returns the rows that entries after a mark belong to, as they are now, in
	// order of ChainID, and the mark up to which that holds. ok is false if the mark is not of
	// this log, or there would be more than limit rows.
	RowsSince(ctx context.Context, space SpaceID, mark Mark, limit int) (rows []LogRow, now Mark, ok bool, err error)
	// Missing returns what is not here of what a peer has: for each row with tips that are
	// not here the seqs after those that are, up to the highest tip; for a tip that is not
	// beyond them, which a fork makes, that one seq. Ranges of the membership chain come first.
	Missing(ctx context.Context, space SpaceID, rows []LogRow) ([]Range, error)
	// Hashes returns the hashes of a chain's entries at seqs, several after a fork, none
	// where there is none.
	Hashes(ctx context.Context, space SpaceID, writer WriterID, chain Chain, seqs []uint64) ([][]Hash, error)
	// Has reports for each hash whether such an entry is stored.
	Has(ctx context.Context, space SpaceID, hashes []Hash) ([]bool, error)

	// Entries returns entries of ranges after a cursor, those of the membership chain first
	// and each chain in causal order. It stops after the entry with which their sizes exceed
	// maxBytes, so it returns none only at the end. What it returns is on disk. It returns
	// no void entry less: all that the digest covers.
	Entries(ctx context.Context, space SpaceID, ranges []Range, after Cursor, maxBytes int) ([]Entry, Cursor, error)
	// Take takes in entries of a peer, in one transaction that is on disk when it returns.
	// A space that is awaited is founded by its genesis.
	Take(ctx context.Context, space SpaceID, entries []Entry) ([]Outcome, error)
	// Remember is Take of membership entries that a peer brings who is no member as far as is
	// known here, to a directory that may have lost what made it one. They are taken in only
	// if with them the peer is a member, and one is new here that the local member signed, or
	// by which the peer redeems an invite; else nothing is stored, and it reports false. It
	// returns ErrForbidden if that happened too often within an hour.
	Remember(ctx context.Context, space SpaceID, peer PeerID, entries []Entry) (bool, error)
	// OwnAhead reports whether a row shows entries of the writer that this directory writes
	// as which it does not have: a copy of it made them, or it lost them. If so it goes on
	// as another writer. A node asks before it gives a peer entries of its own. It returns
	// ErrForbidden, and believes nothing more, if that was claimed too often within an hour.
	OwnAhead(ctx context.Context, space SpaceID, rows []LogRow) (bool, error)

	// SealSpace makes entries of what is in the tail of a space.
	SealSpace(ctx context.Context, space SpaceID) error
	// Hasten has a space sealed at once, and then every 250 ms instead of every 5 s while on,
	// for which the node says whether a member is connected.
	Hasten(space SpaceID, on bool)
}

// Acknowledgements keep what others are known to have, through restarts.
type Acknowledgements interface {
	// Acknowledge notes that a peer has what rows say of the local member's writers: less
	// than before too, if it lost some. Other rows are ignored, and so is who is no member.
	// It may reach the disk some seconds later; less than before does so at once.
	Acknowledge(ctx context.Context, space SpaceID, peer PeerID, rows []LogRow) error
	// AcknowledgeTaken is Acknowledge of rows which name entries that the peer has taken in
	// just now: it never notes less than before.
	AcknowledgeTaken(ctx context.Context, space SpaceID, peer PeerID, rows []LogRow) error
	// AcknowledgeAll notes that a peer's log has the digest of a summary that was made here
	// at mark.
	AcknowledgeAll(ctx context.Context, space SpaceID, peer PeerID, at Summary) error
	// Exchanged notes that everything that a peer had up to its mark was asked for and taken
	// in, or refused for good, and when.
	Exchanged(ctx context.Context, space SpaceID, peer PeerID, mark Mark, atMs int64) error
	// LastExchange returns what Exchanged noted of a peer, zeroes for nothing; for the zero
	// PeerID the newest time of all peers.
	LastExchange(ctx context.Context, space SpaceID, peer PeerID) (mark Mark, atMs int64, err error)
	// OnlyHere returns how many entries of the local member's no other device is known to
	// have, all incarnations together, and how many documents have unsealed updates.
	OnlyHere(ctx context.Context, space SpaceID) (entries, tails int64, err error)
}

// PeerAddresses is where a peer was met.
type PeerAddresses struct {
	Peer      PeerID
	Addresses []string // multiaddrs without /p2p
	SeenMs    int64    // when it was connected last, 0 for never
	Blocked   bool     // by the host
}

// MaxPeerAddresses bounds the addresses of one peer.
const MaxPeerAddresses = 16

// AddressBook keeps where peers can be reached, through restarts. What peers are no
// members of any space any more it forgets, unless they are blocked.
type AddressBook interface {
	// KnownPeers returns all.
	KnownPeers(ctx context.Context) ([]PeerAddresses, error)
	// PutPeer replaces what is known of a peer.
	PutPeer(ctx context.Context, p PeerAddresses) error
}
