package plain

import (
	"bytes"
	"cmp"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Blob is what a space says of a blob that it holds.
type Blob struct {
	log.BlobPut
	CreatedBy   core.PeerID
	CreatedAtMs uint64
}

// blobs is line 11 for blobs: a space holds what was put, unless somebody who knew of
// it removed it.
func (s *Space) blobs(out *Outcome) map[core.Hash]Blob {
	puts, removes := map[core.Hash]map[*log.Entry]log.BlobPut{}, map[core.Hash]map[*log.Entry]bool{}
	for _, e := range s.Order {
		if e.Chain != core.ChainContent || out.Void[e.Hash] {
			continue
		}
		for _, op := range e.Ops { // of one entry the last on a blob counts
			switch b := op.Body.(type) {
			case log.BlobPut:
				if puts[b.Blob] == nil {
					puts[b.Blob] = map[*log.Entry]log.BlobPut{}
				}
				puts[b.Blob][e] = b
				delete(removes[b.Blob], e)
			case log.BlobRemove:
				if removes[b.Blob] == nil {
					removes[b.Blob] = map[*log.Entry]bool{}
				}
				removes[b.Blob][e] = true
				delete(puts[b.Blob], e)
			}
		}
	}
	held := map[core.Hash]Blob{}
	for hash, puts := range puts {
		var says *log.Entry
		for put := range puts {
			if known(s, put, removes[hash]) || known(s, put, puts) { // removed, or said anew
				continue
			}
			if says == nil || cmp.Or(cmp.Compare(put.WallMs, says.WallMs), bytes.Compare(put.Hash[:], says.Hash[:])) > 0 {
				says = put
			}
		}
		if says != nil {
			held[hash] = Blob{puts[says], says.Peer, says.WallMs}
		}
	}
	return held
}

// known reports whether an entry is in the past of one of others.
func known[T any](s *Space, e *log.Entry, others map[*log.Entry]T) bool {
	for o := range others {
		if s.content[o.Hash][e.Hash] {
			return true
		}
	}
	return false
}
