package fetch

import (
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// Found is the answer of who has a blob.
func Found(size int64) wire.Message { return found{Size: uint64(size)} }

// NotFound is the answer of who has not.
func NotFound() wire.Message { return notFound{} }

// Get is a request.
func Get(tag wire.Tag, hash core.Hash, offset uint64) wire.Message {
	return get{Tag: tag, Hash: hash, Offset: offset}
}
