package soma

import (
	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/store"
)

// Errors of Open.
var (
	// ErrLocked says that another process, or another handle of this one, has the
	// directory open. The error is a *LockedError, which names the holder.
	ErrLocked = core.ErrLocked
	// ErrNotDatabase says that the database file in the directory is no Soma
	// database. Nothing is written to it.
	ErrNotDatabase = core.ErrNotDatabase
	// ErrSchemaTooNew says that a newer version of this library wrote the database.
	// Nothing is written to it.
	ErrSchemaTooNew = core.ErrSchemaTooNew
	// ErrNoCgo says that the program was built without cgo, which SQLite needs.
	ErrNoCgo = core.ErrNoCgo
	// ErrInvalidOption says that an option has a value that makes no sense.
	ErrInvalidOption = core.ErrInvalidOption
)

// Errors of all calls.
var (
	// ErrClosed is returned by every call after Close.
	ErrClosed = core.ErrClosed
	// ErrCorrupt says that stored data is damaged. It is never served as good.
	ErrCorrupt = core.ErrCorrupt
	// ErrNotFound says that there is no such space, document or page.
	ErrNotFound = core.ErrNotFound
	// ErrForbidden says that the local member may not do this in the space. Nothing
	// was stored.
	ErrForbidden = core.ErrForbidden
	// ErrClientIDTaken says that a write holds other content than there is, under a Yjs
	// clientID that somebody else owns in that document. Load the document again, under
	// a new clientID.
	ErrClientIDTaken = core.ErrClientIDTaken
	// ErrStaleDocument says that a document was rebuilt since the writer has seen it:
	// content was taken out. Load it afresh, under a new Yjs clientID.
	ErrStaleDocument = core.ErrStaleDocument
	// ErrTooNew says that a space holds acts on its members that only a newer version
	// of this library can judge. Until it is updated, it makes none beside them.
	ErrTooNew = core.ErrTooNew
	// ErrTooLarge says that a value exceeds its limit, which the error names.
	ErrTooLarge = core.ErrTooLarge
)

// Errors about arguments. Nothing was stored.
var (
	// ErrInvalidID says that an ID is not printable UTF-8 of 1 to MaxIDBytes bytes. A
	// space ID that no library made is ErrNotFound.
	ErrInvalidID = core.ErrInvalidID
	// ErrInvalidName says that a space's name is empty or longer than MaxSpaceNameBytes,
	// or a page's title longer than MaxPageTitleBytes, or that either is no UTF-8 or has a
	// control character or line separator; or that a blob cannot have that name.
	ErrInvalidName = core.ErrInvalidName
	// ErrInvalidUpdate says that bytes are no Yjs v1 update.
	ErrInvalidUpdate = core.ErrInvalidUpdate
	// ErrInvalidStateVector says that bytes are no encoded Yjs state vector.
	ErrInvalidStateVector = core.ErrInvalidVector
	// ErrExists says that who is to be added is a member already, or that there is a page
	// with the ID of the one to be created.
	ErrExists = core.ErrExists
	// ErrPageCycle says that a page was to be put under itself.
	ErrPageCycle = core.ErrPageCycle
	// ErrInvalidPlace says that the target of a page makes no sense.
	ErrInvalidPlace = core.ErrInvalidPlace
	// ErrLastOwner says that the only owner cannot go, or be less.
	ErrLastOwner = core.ErrLastOwner
	// ErrInvalidTicket says that text is no ticket, or not all of one.
	ErrInvalidTicket = core.ErrInvalidTicket
	// ErrTicketExpired says that the time is past until which a ticket was good.
	ErrTicketExpired = core.ErrTicketExpired
	// ErrInvalidEvent says that an event is none of the four shapes of DomainEvent, or the
	// three of AgentRuntimeEvent.
	ErrInvalidEvent = core.ErrInvalidEvent
	// ErrInvalidTime says that a time is not from 0 to 2^53-1 milliseconds, or one at which
	// what it is about would be over.
	ErrInvalidTime = core.ErrInvalidTime
	// ErrClockSkew says that a time is further ahead of this machine's clock than a day, or
	// than WithMaxClockSkew allows in a collection: nothing else would be newer for long.
	ErrClockSkew = core.ErrClockSkew
	// ErrInvalidDraft says that a draft, or its JSON, is none. The error names the field.
	ErrInvalidDraft = core.ErrInvalidDraft
	// ErrInvalidArchive says that bytes are no exported space, or not all of one.
	ErrInvalidArchive = core.ErrInvalidArchive
	// ErrInvalidEntry says that an entry of an import breaks a rule. The error is a
	// *RejectedError, which names the rule.
	ErrInvalidEntry = core.ErrInvalidEntry
)

// Errors of typed content, inside of Edit and View. What returned one changed nothing.
var (
	// ErrTxClosed says that the function has ended in which a handle was got.
	ErrTxClosed = core.ErrTxClosed
	// ErrOutOfRange says that an index, an offset or a length is not in the content.
	ErrOutOfRange = core.ErrOutOfRange
	// ErrInvalidValue says that a value has no form in Yjs, or none at that place.
	ErrInvalidValue = core.ErrInvalidValue
	// ErrTypeIntegrated says that content is inserted that was inserted before.
	ErrTypeIntegrated = core.ErrTypeIntegrated
	// ErrTypeDeleted says that content was deleted, or something that it was in.
	ErrTypeDeleted = core.ErrTypeDeleted
	// ErrWrongKind says that a root holds what is of another kind.
	ErrWrongKind = core.ErrWrongKind
)

// Errors of blobs and uploads. Nothing was stored.
var (
	// ErrInvalidCID says that text is not the canonical form of a CIDv1 (raw, sha2-256).
	ErrInvalidCID = core.ErrInvalidCID
	// ErrCIDMismatch says that bytes have another CID than they should.
	ErrCIDMismatch = core.ErrCIDMismatch
	// ErrSizeMismatch says that a reader gave more or fewer bytes than were announced.
	ErrSizeMismatch = core.ErrSizeMismatch
	// ErrInvalidMIME says that text is no media type, or has more than MaxMIMEBytes bytes.
	ErrInvalidMIME = core.ErrInvalidMIME
	// ErrInvalidBlobURL says that text is no URL of a blob in its canonical form.
	ErrInvalidBlobURL = core.ErrInvalidURL
	// ErrQuota says that blobs would take more bytes than WithBlobQuota or
	// WithSpaceBlobQuota allow.
	ErrQuota = core.ErrQuota
	// ErrDiskFull says that there is no room left on the disk, or in the user's share of it.
	ErrDiskFull = core.ErrDiskFull
	// ErrNotHere says that a space holds a blob whose bytes are not on this machine.
	ErrNotHere = core.ErrNotHere
	// ErrPinNone says that no bytes are fetched for a space (Blobs.SetPin).
	ErrPinNone = core.ErrPinNone
	// ErrInvalidSource says that the path of an upload or a blob is not that of a regular
	// file.
	ErrInvalidSource = core.ErrInvalidSource
	// ErrUploadState says that an upload is in a state in which that cannot be done to it.
	ErrUploadState = core.ErrUploadState
	// ErrInvalidUpload says that JSON is no UploadJob. The error names the field.
	ErrInvalidUpload = core.ErrInvalidUpload
	// ErrTooManyUploads says that MaxUploadJobs uploads have not finished yet.
	ErrTooManyUploads = core.ErrTooManyUploads
)

// Errors of collections. Nothing was stored.
var (
	// ErrInvalidJSON says that a value is not one JSON text in UTF-8.
	ErrInvalidJSON = core.ErrInvalidJSON
	// ErrInvalidRecord says that a value does not fit the type of a collection, that a
	// validator refuses it, or that it has another key in it than it is stored under. The
	// error is a *RecordError.
	ErrInvalidRecord = core.ErrInvalidRecord
	// ErrCollectionFull says that a collection has as many records, or bytes, as it may.
	ErrCollectionFull = core.ErrCollectionFull
	// ErrReservedCollection says that a name stands for data with rules of its own, which
	// cannot be kept in a collection.
	ErrReservedCollection = core.ErrReservedCollection
	// ErrInvalidSnapshot says that a value is JSON but no snapshot of a collection, or that
	// a row in it is none. The latter is a *RecordError too.
	ErrInvalidSnapshot = core.ErrInvalidSnapshot
	// ErrInvalidSeq says that a baseSeq is negative, or greater than the number of the
	// newest change of the collection. Fetch a Snapshot.
	ErrInvalidSeq = core.ErrInvalidSeq
)

// Errors of sync.
var (
	// ErrSyncOff says that there is no sync node, or that it is stopped.
	ErrSyncOff = core.ErrSyncOff
	// ErrInvalidAddress says that text is no multiaddr that says where a peer is and who.
	ErrInvalidAddress = core.ErrInvalidAddress
	// ErrUnreachable says that a peer cannot be reached now.
	ErrUnreachable = core.ErrUnreachable
	// ErrBlocked says that Sync.Block blocks a peer, or that it is banned for a time for
	// having broken the protocol.
	ErrBlocked = core.ErrBlocked
)

// RecordError says what is wrong with a record of a collection. errors.Is finds
// ErrInvalidRecord in it for one that was to be stored, ErrCorrupt for one that is stored,
// and what a validator returned.
type RecordError = collection.RecordError

// LockedError says who has a directory open. errors.Is finds ErrLocked in it.
type LockedError = store.LockedError

// RejectedError says which rule an entry of an import broke. errors.Is finds
// ErrInvalidEntry in it.
type RejectedError = log.RejectedError
