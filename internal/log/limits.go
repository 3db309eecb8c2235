package log

import "github.com/soma-sdk/soma/internal/core"

// The limits of the format. They are rules: an entry beyond one of them is
// refused by everyone, so none may change within a version of the format.
const (
	// Version is the version of the header that this package reads and writes.
	Version = 1
	// MaxHeaderBytes bounds a header. The longest one has 4546 bytes.
	MaxHeaderBytes = 4608
	// MaxOpsBytes bounds the encoded ops of an entry.
	MaxOpsBytes = 1 << 20
	// MaxOps bounds the number of ops in an entry.
	MaxOps = 256
	// MaxHeads bounds auth, and deps, in one entry. Whoever has more to cite
	// seals op-less entries first.
	MaxHeads = 64
	// MaxDepth bounds how deep the arrays of an op's body nest.
	MaxDepth = 16
	// MaxCounter bounds seq, lamport and wallMs, so that every number of a header
	// is exact in a float64, as JavaScript needs, and positive in an int64.
	MaxCounter = 1<<53 - 1
	// MaxSpaceNameBytes bounds the name of a space, in UTF-8 bytes.
	MaxSpaceNameBytes = 256
	// MaxPageTitleBytes bounds the title of a page, in UTF-8 bytes.
	MaxPageTitleBytes = 1024
	// MaxPositionBytes bounds where a page stands among its siblings.
	MaxPositionBytes = 512
	// MaxPageValueBytes bounds a field of a page that this version does not know.
	MaxPageValueBytes = 64 << 10
	// MaxBlobNameBytes bounds the name of a blob, in UTF-8 bytes.
	MaxBlobNameBytes = 255
	// MaxMIMEBytes bounds the media type of a blob.
	MaxMIMEBytes = 255
	// MaxRetired bounds the incarnations that one writer.retire op names.
	MaxRetired = 256
	// MaxCut bounds the heads that one op names of a member's content.
	MaxCut = 4096
	// MaxInviteUses bounds how many may join by one invite.
	MaxInviteUses = 10_000
	// MaxEntryBytes bounds an entry as core.Entry.Size counts it.
	MaxEntryBytes = MaxHeaderBytes + MaxOpsBytes + signatureBytes
	// MaxFrameBytes bounds a frame.
	MaxFrameBytes = MaxEntryBytes + frameOverhead
	// DocUpdateOverhead is the most that a doc.update op adds to its update. Ops
	// whose updates and overheads sum up to MaxOpsBytes - OpsOverhead fit into one entry.
	DocUpdateOverhead = 1 + 2 + 17 + 1 + (2 + core.MaxIDBytes) + 5
	// OpsOverhead is the most that the array of ops adds to its ops.
	OpsOverhead = 3
	// MaxDocUpdateBytes bounds an update that fits into one entry whatever the
	// document is called.
	MaxDocUpdateBytes = MaxOpsBytes - OpsOverhead - DocUpdateOverhead
)

const (
	hashBytes        = 32
	keyBytes         = 32
	incarnationBytes = 16
	nonceBytes       = 16
	opIDBytes        = 16
	signatureBytes   = 64
	// minOpBytes is what an op takes at least: its array, a number, the ID and an empty body.
	minOpBytes = 1 + 1 + 17 + 1
	// frameOverhead is what the heads of an array of three and of its byte
	// strings take at most.
	frameOverhead = 1 + 3 + 5 + 2
)
