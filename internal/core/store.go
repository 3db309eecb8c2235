package core

import "context"

// Store keeps a replica's data: one database with one writer. It is the seam
// between the rules (internal/replica) and the place that holds rows (package
// store); store/storetest is the conformance suite for any implementation.
//
// Errors are sentinels of this package, wrapped: ErrClosed after Close,
// ErrNotFound where a method says so, ErrCorrupt for damaged data.
type Store interface {
	// Write runs fn in the writer's next transaction and returns when that
	// transaction is durable. Concurrent calls share one transaction (group
	// commit); each runs in a savepoint of its own, so an error or a panic of fn
	// undoes only fn's writes. fn runs on the writer's goroutine: it must not
	// call Write or wait for anything. ctx counts until the writer has claimed
	// the job; after that Write waits for the result, so a ctx error means that
	// nothing was stored.
	Write(ctx context.Context, fn func(Tx) error) error
	// WriteSynced is Write that reaches the disk before it returns even when the
	// store was opened with relaxed durability.
	WriteSynced(ctx context.Context, fn func(Tx) error) error
	// Read runs fn on one consistent state. Reads run beside the writer and
	// beside each other. fn must not call Write.
	Read(ctx context.Context, fn func(View) error) error
	// Close lets claimed and running calls finish, then closes the database. It is idempotent.
	Close() error
}

// View reads one consistent state. It is valid only inside the function it was
// passed to. Returned slices belong to the caller.
type View interface {
	// Meta returns the value stored under key, or nil.
	Meta(key string) ([]byte, error)

	// Space returns ErrNotFound for an unknown space.
	Space(id SpaceID) (SpaceRecord, error)
	// Spaces returns up to limit spaces with IDs greater than after, in order of ID.
	Spaces(after SpaceID, limit int) ([]SpaceRecord, error)
	// FieldWrites returns the remembered writes of one field, in any order.
	FieldWrites(space int64, object, field string) ([]FieldWrite, error)

	// Writer returns ErrNotFound for an unknown key.
	Writer(key int64) (WriterRecord, error)
	// WriterByID returns ErrNotFound for an unknown writer.
	WriterByID(id WriterID) (WriterRecord, error)

	// Entry returns the entry with its ops, or ErrNotFound.
	Entry(space int64, hash Hash) (EntryRecord, error)
	// EntryHeader is Entry without reading Ops and Sig.
	EntryHeader(space int64, hash Hash) (EntryRecord, error)
	// EntryByKey is EntryHeader by row key.
	EntryByKey(key int64) (EntryRecord, error)
	// EntriesAfter returns entries of a space in the order they were accepted,
	// which is causal, with keys greater than after. It stops after the entry with
	// which their sizes exceed maxBytes, so it returns at least one if there is one.
	EntriesAfter(space, after int64, maxBytes int) ([]EntryRecord, error)
	// MembershipAfter is EntriesAfter for the membership chain alone.
	MembershipAfter(space, after int64, maxBytes int) ([]EntryRecord, error)
	// ContentAfter returns up to limit entries of the content chain with keys
	// greater than after, without Ops and Sig.
	ContentAfter(space, after int64, limit int) ([]EntryRecord, error)
	// ContentOf returns up to limit content entries of one writer with keys greater
	// than after and seq of at least from, without Ops and Sig, in order of key.
	ContentOf(space, writer int64, from uint64, after int64, limit int) ([]EntryRecord, error)
	// EntriesAt returns up to limit entries of one writer at one seq, in order of key:
	// several after a fork.
	EntriesAt(space, writer int64, chain Chain, seq uint64, limit int) ([]EntryRecord, error)
	// ContentCount returns how many entries of the content chain a space holds.
	ContentCount(space int64) (int64, error)
	// FirstFork returns the lowest seq at which a writer's chain has several
	// entries, 0 for none.
	FirstFork(space, writer int64, chain Chain) (uint64, error)
	// WriterHead returns the newest entry of a writer's chain, or ErrNotFound.
	WriterHead(space, writer int64, chain Chain) (HeadRecord, error)
	// Heads returns every writer's heads, ordered by writer key and chain.
	Heads(space int64) ([]HeadRecord, error)
	// Frontier returns the entries of a chain kind that no other accepted entry
	// cites, in order of hash.
	Frontier(space int64, chain Chain) ([]FrontierRecord, error)
	// AuthSet returns the sorted membership heads interned under key, or ErrNotFound.
	AuthSet(key int64) ([]Hash, error)

	// WritersOf returns the writers of a peer, in any order.
	WritersOf(peer PeerID) ([]WriterRecord, error)

	// Member returns ErrNotFound for somebody who is no member.
	Member(space int64, peer PeerID) (MemberRecord, error)
	// Members returns the members of a space, in any order.
	Members(space int64) ([]MemberRecord, error)
	// Invites returns the open invites of a space, in order of ID.
	Invites(space int64) ([]InviteRecord, error)
	// Verdicts returns the entries of a space that are over, in order of entry.
	Verdicts(space int64) ([]VerdictRecord, error)
	// Joining returns what SetJoining keeps of a ticket for a space, or nil.
	Joining(space SpaceID) ([]byte, error)

	// Parked returns the entries that wait for missing, in order of arrival.
	Parked(space int64, missing Hash) ([]ParkedRecord, error)
	// IsParked reports whether an entry with that hash waits.
	IsParked(space int64, hash Hash) (bool, error)
	// ParkedBytes returns what waits: of the author, of all who are members, and in the
	// whole space.
	ParkedBytes(space int64, author PeerID) (ofAuthor, ofMembers, ofSpace int64, err error)

	PageView

	// Doc returns ErrNotFound for a document that was never written.
	Doc(space int64, id DocumentID) (DocRecord, error)
	// DocByKey returns ErrNotFound for an unknown key.
	DocByKey(key int64) (DocRecord, error)
	// Docs returns up to limit documents, hidden ones too, with IDs greater than
	// after, in order of ID (bytewise).
	Docs(space int64, after DocumentID, limit int) ([]DocRecord, error)
	// DocClient returns ErrNotFound for a client that the document does not know.
	DocClient(doc int64, client uint64) (DocClient, error)
	// DocClients returns all clients of a document, highest first.
	DocClients(doc int64) ([]DocClient, error)
	// DeletedRanges returns the stored deleted ranges of a client that overlap or
	// touch [from, to], in order of clock.
	DeletedRanges(doc int64, client, from, to uint64) ([]ClockRange, error)
	// DocPending returns what waits for missing structs, in order of N.
	DocPending(doc int64) ([]PendingRecord, error)
	// DocIsPending reports whether something waits, or a deletion is early.
	DocIsPending(doc int64) (bool, error)
	// DocSnapshot returns the compacted state, or nil. DocRecord.ThroughN says
	// which ops it covers.
	DocSnapshot(doc int64) ([]byte, error)
	// DocOps calls fn with each sealed update of a kept entry with N greater than
	// after, in order of N. The slice is fn's to keep.
	DocOps(doc, after int64, fn func(DocOp) error) error
	// DocVoidOps is DocOps for the ops of void entries.
	DocVoidOps(doc, after int64, fn func(DocOp) error) error
	// DocOpsSince returns the sealed updates of kept entries at positions of at least
	// pos, the newest first.
	DocOpsSince(doc, pos int64) ([]DocOp, error)
	// DocHasOthers reports whether entries of other writers hold ops of a document.
	DocHasOthers(doc, writer int64) (bool, error)
	// DocDeletes returns the keys of the kept entries that delete a document, each
	// once, in order: those for which AddDocOp was called with length 0.
	DocDeletes(doc int64) ([]int64, error)
	// DocEarly returns deletions that were made here of content which is not, as a
	// Yjs v1 update, or nil.
	DocEarly(doc int64) ([]byte, error)
	// Lost returns the content of kept entries that lost its clocks to other content,
	// by document, entry, client and clock.
	Lost(space int64) ([]LostRecord, error)
	// Tail returns the unsealed updates of a document in order.
	Tail(doc int64) ([]TailRecord, error)
	// TailDocs returns the keys of up to limit documents that have a tail, in
	// order, greater than after. space 0 means any space.
	TailDocs(space, after int64, limit int) ([]int64, error)

	// Check calls fn with all damage that shows without knowing what rows mean: in
	// pages and indexes, in checksums, and of rows that refer to what is not there. An
	// error of fn ends it and is returned.
	Check(fn func(Damage) error) error
	// Writers returns up to limit writers with keys greater than after, in order of key.
	Writers(after int64, limit int) ([]WriterRecord, error)
	// Headers returns up to limit entries of all spaces with keys greater than after,
	// in order of key, without Ops and Sig.
	Headers(after int64, limit int) ([]EntryRecord, error)
	// ParkedAfter returns entries of a space that wait, with hashes greater than after,
	// in order of hash. It stops as EntriesAfter does.
	ParkedAfter(space int64, after Hash, maxBytes int) ([]ParkedRecord, error)
	// OpRecords returns up to limit ops of a document, of void entries too, with n
	// greater than after, in order of n.
	OpRecords(doc, after int64, limit int) ([]OpRecord, error)
	// DocDeleted returns all deleted ranges of a document by client, each in order.
	DocDeleted(doc int64) (map[uint64][]ClockRange, error)

	CollectionView
	DraftView
	BlobView
	UploadView
	FetchView
	SharedView
}

// Tx reads and writes inside the writer's transaction.
type Tx interface {
	View
	Writes
}

// Writes is the half of Tx that writes.
type Writes interface {
	// OnRollback registers fn to run on the writer's goroutine, before its next
	// job, if this job's writes do not become durable.
	OnRollback(fn func())
	// OnCommit registers fn to run on the writer's goroutine, in the order of commits,
	// before Write returns, if this job's writes were committed. It must not wait.
	OnCommit(fn func())

	SetMeta(key string, value []byte) error

	// PutSpace inserts (Key 0, then set) or updates a space.
	PutSpace(*SpaceRecord) error
	PutFieldWrite(space int64, object, field string, w FieldWrite) error
	DeleteFieldWrite(space int64, object, field string, entry int64) error

	// EnsureWriter returns the key of the writer, inserting it if needed.
	EnsureWriter(WriterRecord) (int64, error)
	// InsertEntry stores an entry and sets its Key. Keys rise strictly.
	InsertEntry(*EntryRecord) error
	SetEntryState(entry int64, state EntryState) error
	PutWriterHead(HeadRecord) error
	AddFrontier(space int64, chain Chain, f FrontierRecord) error
	// RemoveFrontier does nothing when the entry is not in the frontier.
	RemoveFrontier(space int64, chain Chain, hash Hash) error
	// EnsureAuthSet interns sorted membership heads.
	EnsureAuthSet(space int64, heads []Hash) (int64, error)

	// SetMembers replaces the members and open invites of a space.
	SetMembers(space int64, members []MemberRecord, invites []InviteRecord) error
	// PutVerdict inserts or updates what is known of an entry that is over.
	PutVerdict(VerdictRecord) error
	DeleteVerdict(space, entry int64) error
	// SetJoining keeps a ticket's body until its space is there; nil removes it.
	SetJoining(space SpaceID, ticket []byte) error

	// Park stores an entry that waits. Parking it again replaces what it waits for.
	Park(ParkedRecord) error
	Unpark(space int64, hash Hash) error

	PageWrites

	// PutDoc inserts (Key 0, then set) or updates a document.
	PutDoc(*DocRecord) error
	PutDocClient(doc int64, c DocClient) error
	// AddDeleted adds [r.Clock, r.Clock+r.Len) to a client's deleted ranges,
	// merging with what overlaps or touches, and returns the parts that were not
	// there before, in order.
	AddDeleted(doc int64, client uint64, r ClockRange) ([]ClockRange, error)
	// PutDocPending adds a part of what waits, as a Yjs v1 update, or replaces it.
	PutDocPending(doc int64, part PendingRecord) error
	// TrimDocPending removes the parts with numbers of at least n.
	TrimDocPending(doc, n int64) error
	SetDocSnapshot(doc int64, update []byte) error
	// SetDocEarly replaces what DocEarly returns; nil removes it.
	SetDocEarly(doc int64, update []byte) error
	// SetDocLost replaces what Lost returns of a document.
	SetDocLost(space, doc int64, lost []LostRecord) error
	// AddDocOp records that op n of the document is the bytes
	// [off, off+length) of the entry's Ops.
	AddDocOp(doc, n, entry int64, off, length int) error
	// ResetDoc removes what is known of a document's clients and deletions, its
	// pending content and its snapshot, so that they can be made anew.
	ResetDoc(doc int64) error
	AddTail(doc int64, t TailRecord) error
	ClearTail(doc int64) error

	// Mend makes the indexes anew, takes out references to peers that are not there, and
	// gives rows with keys that no row may have new ones. What refers to any of these
	// has to be written again afterwards. Early deletions that are damaged are dropped.
	Mend() error
	// Sweep removes rows of spaces and documents that are not there, but for unsealed
	// updates. A document that lost its space goes to that of its entries.
	Sweep() error
	// PutWriter changes a writer. An unknown key is ErrNotFound.
	PutWriter(WriterRecord) error
	// DeleteWriter removes a writer, unless an entry is by it.
	DeleteWriter(key int64) error
	// SetEntry changes all of an entry but what its author signed.
	SetEntry(EntryRecord) error
	// MoveEntry gives an entry a new key, above all others.
	MoveEntry(key int64) error
	// ResetSpace removes what follows from the entries of a space: members, invites,
	// verdicts, heads, auth sets, fields, pages, blobs, and where the ops of documents are.
	ResetSpace(space int64) error
	// ClearParked removes all entries of a space that wait.
	ClearParked(space int64) error
	// DeleteDoc removes a document with all that is known of it.
	DeleteDoc(doc int64) error

	CollectionWrites
	DraftWrites
	BlobWrites
	UploadWrites
	FetchWrites
	SharedWrites
}

// Damage is a fault that a store finds by itself.
type Damage struct {
	Table  string // "" where it is in none
	Detail string
	Lost   bool // what is damaged is kept nowhere else
}

// SpaceRecord is a row of table space.
type SpaceRecord struct {
	Key         int64
	ID          SpaceID
	Name        string // folded from the entries
	Creator     PeerID // author of the genesis entry
	CreatedAtMs int64
	UpdatedAtMs int64
}

// FieldWrite is one causally maximal write of a field.
type FieldWrite struct {
	Entry  int64
	Hash   Hash
	WallMs uint64
	Value  []byte
}

// Incarnation tells the copies of a directory apart.
type Incarnation [16]byte

// WriterRecord is a row of table writer.
type WriterRecord struct {
	Key         int64
	ID          WriterID
	Peer        PeerID
	Incarnation Incarnation
}

// EntryState says what became of a stored entry.
type EntryState uint8

// The states of entries.
const (
	EntryKept EntryState = 0 // its ops count
	EntryVoid EntryState = 1 // its author had lost the right to make them
)

// EntryRecord is a row of table entry.
type EntryRecord struct {
	Key    int64
	Space  int64
	Writer int64
	Chain  Chain
	Seq    uint64
	Hash   Hash
	State  EntryState
	Auth   int64  // key of the cumulative auth set; 0 for none
	Pos    int64  // of content entries: how many came before it
	Gaps   []byte // of content entries: which of these are not in its past, see internal/log
	Entry  Entry
}

// MemberRecord is a row of table member.
type MemberRecord struct {
	Peer  PeerID
	Role  uint8
	Kind  uint8
	By    PeerID // who added them, or made the invite that they came by
	Since Hash   // the entry that made them a member
}

// InviteRecord is a row of table invite.
type InviteRecord struct {
	ID        InviteID
	Role      uint8
	By        PeerID
	Uses      int64 // left
	ExpiresMs int64 // 0 for never
}

// VerdictRecord is a row of table verdict: a content entry that its author made
// without knowing that they had lost the right to.
type VerdictRecord struct {
	Space   int64
	Entry   int64
	Cut     Hash  // the entry that took the right away; zero where none did by itself
	Voucher int64 // an entry that builds upon it and so keeps it, 0 for none: it is void
}

// HeadRecord is a row of table writer_head.
type HeadRecord struct {
	Space  int64
	Writer int64
	Chain  Chain
	Seq    uint64
	Entry  int64
	Hash   Hash
}

// FrontierRecord is a row of table frontier.
type FrontierRecord struct {
	Entry int64
	Hash  Hash
}

// ParkedRecord is a row of table parked.
type ParkedRecord struct {
	Space   int64
	Hash    Hash
	Author  PeerID
	Missing Hash
	Entry   Entry
}

// DocRecord is a row of table doc: everything about a document but its content.
type DocRecord struct {
	Key         int64
	Space       int64
	ID          DocumentID
	CreatedBy   PeerID
	CreatedAtMs int64
	UpdatedAtMs int64 // this machine's clock, strictly rising
	Hidden      bool  // deleted, and nothing written since
	Epoch       []byte
	LastN       int64 // highest op number given out
	ThroughN    int64 // the snapshot covers ops up to here
	OpBytes     int64 // size of the sealed ops after ThroughN
	SnapBytes   int64 // size of the snapshot
	TailCount   int64
	TailBytes   int64
	LoggedAtMs  int64 // when an op last came into the log, own or of others
}

// OpRecord is a row of table doc_op: where in an entry an op of a document is.
type OpRecord struct {
	N      int64
	Entry  int64
	Offset int64
	Length int64 // 0 for a delete
}

// DocClient is a row of table doc_client: what a document holds of one Yjs client.
type DocClient struct {
	Client uint64
	End    uint64 // all clocks below are had
}

// PendingRecord is a row of table doc_pending: a part of what waits for missing structs.
type PendingRecord struct {
	N      int64
	Update []byte
}

// DocOp is a row of table doc_op with what it points to.
type DocOp struct {
	N      int64
	Entry  int64
	Pos    int64 // of the entry
	Update []byte
}

// LostRecord is a row of table doc_lost.
type LostRecord struct {
	Doc    int64
	Entry  int64
	Client uint64
	Range  ClockRange
}

// ClockRange is a run of Yjs clocks of one client.
type ClockRange struct {
	Clock uint64
	Len   uint64
}

// TailRecord is a row of table tail: a durable op that no entry holds yet.
type TailRecord struct {
	N      int64
	OpID   []byte
	Update []byte
}
