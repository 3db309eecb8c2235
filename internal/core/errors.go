package core

import "errors"

// The sentinels of the public API. The root package documents and re-exports
// each one, so that a host only needs errors.Is.
var (
	ErrClosed         = errors.New("soma: store is closed")
	ErrLocked         = errors.New("soma: directory is in use")
	ErrNotFound       = errors.New("soma: not found")
	ErrForbidden      = errors.New("soma: not permitted")
	ErrCorrupt        = errors.New("soma: stored data is damaged")
	ErrNotDatabase    = errors.New("soma: file is not a Soma database")
	ErrSchemaTooNew   = errors.New("soma: database was written by a newer version")
	ErrNoCgo          = errors.New("soma: SQLite needs cgo: build with CGO_ENABLED=1 and a C compiler")
	ErrInvalidID      = errors.New("soma: invalid identifier")
	ErrInvalidName    = errors.New("soma: invalid name")
	ErrInvalidOption  = errors.New("soma: invalid option")
	ErrInvalidUpdate  = errors.New("soma: invalid Yjs update")
	ErrInvalidVector  = errors.New("soma: invalid Yjs state vector")
	ErrInvalidEntry   = errors.New("soma: invalid entry")
	ErrInvalidEvent   = errors.New("soma: invalid event")
	ErrInvalidArchive = errors.New("soma: invalid space archive")
	ErrInvalidTicket  = errors.New("soma: invalid ticket")
	ErrInvalidTime    = errors.New("soma: invalid time")
	ErrClockSkew      = errors.New("soma: time is too far ahead")
	ErrInvalidDraft   = errors.New("soma: invalid draft")
	ErrTooLarge       = errors.New("soma: value exceeds its limit")
	ErrExists         = errors.New("soma: exists already")
	ErrClientIDTaken  = errors.New("soma: the Yjs clientID is taken")
	ErrLastOwner      = errors.New("soma: a space needs an owner")
	ErrTooNew         = errors.New("soma: space holds acts of a newer version")
	ErrTicketExpired  = errors.New("soma: ticket has expired")
	ErrStaleDocument  = errors.New("soma: document was rebuilt since")
	ErrTxClosed       = errors.New("soma: transaction has ended")
	ErrOutOfRange     = errors.New("soma: index out of range")
	ErrInvalidValue   = errors.New("soma: value that no document can hold")
	ErrTypeIntegrated = errors.New("soma: content is part of a document already")
	ErrTypeDeleted    = errors.New("soma: content was deleted")
	ErrPageCycle      = errors.New("soma: a page cannot be under itself")
	ErrInvalidPlace   = errors.New("soma: no such place in the page tree")
	ErrWrongKind      = errors.New("soma: content of another kind")

	// Of collections.
	ErrInvalidJSON        = errors.New("soma: invalid JSON")
	ErrInvalidRecord      = errors.New("soma: invalid record")
	ErrCollectionFull     = errors.New("soma: collection is full")
	ErrReservedCollection = errors.New("soma: name is reserved")

	// Of blobs.
	ErrInvalidCID   = errors.New("soma: invalid CID")
	ErrCIDMismatch  = errors.New("soma: bytes have another CID")
	ErrSizeMismatch = errors.New("soma: bytes are more or fewer than announced")
	ErrInvalidMIME  = errors.New("soma: invalid media type")
	ErrInvalidURL   = errors.New("soma: invalid blob URL")
	ErrQuota        = errors.New("soma: quota is exceeded")
	ErrDiskFull     = errors.New("soma: disk is full")
	ErrNotHere      = errors.New("soma: bytes are not on this machine")
	ErrPinNone      = errors.New("soma: no bytes are fetched for the space")

	// Of uploads.
	ErrInvalidSource  = errors.New("soma: invalid source of an upload")
	ErrUploadState    = errors.New("soma: upload is in another state")
	ErrInvalidUpload  = errors.New("soma: invalid upload job")
	ErrTooManyUploads = errors.New("soma: too many uploads have not finished")

	// Of sync.
	ErrSyncOff        = errors.New("soma: sync is off")
	ErrInvalidAddress = errors.New("soma: invalid address of a peer")
	ErrUnreachable    = errors.New("soma: peer cannot be reached")
	ErrBlocked        = errors.New("soma: peer is blocked")

	// Of the storage bridge.
	ErrInvalidSnapshot = errors.New("soma: invalid storage snapshot")
	ErrInvalidSeq      = errors.New("soma: invalid sequence number")
)
