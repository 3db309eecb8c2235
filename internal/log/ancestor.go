package log

import "github.com/soma-sdk/soma/internal/core"

// DecodeHeader reads the header of an entry that was accepted before, to look up
// what later entries cite. Decode is for entries that were not.
func DecodeHeader(b []byte) (Header, error) { return decodeHeader(b) }

// AsAncestor returns what later entries need to know about the entry with this
// header, which has the given hash and whose AuthSet Admit returned.
func (h *Header) AsAncestor(hash core.Hash, authSet []core.Hash) Ancestor {
	return Ancestor{
		Hash: hash, Peer: h.Peer, Writer: h.writer(), Chain: h.Chain,
		Seq: h.Seq, Lamport: h.Lamport, AuthSet: authSet,
	}
}
