// Package log is the entry log of a space: the format of an entry, its
// signature, and the rules by which an entry is admitted. It knows nothing of
// storage and nothing of Yjs.
//
// # Format
//
// An entry is three byte strings: a header, which is hashed and signed; the ops
// it carries; and the signature. Header and ops are deterministic CBOR (RFC
// 8949, 4.2.1) of a narrow kind: unsigned and negative integers, byte strings,
// text, arrays, true, false and null. There are no maps, tags or floats, and
// nothing has two spellings.
//
//	header = [version, space, peer, incarnation, chain, seq, prev, auth, deps,
//	          lamport, wallMs, keyID, opsHash, opsSize, nonce]
//	ops    = [[number, id, body], ...]         body is an array
//	frame  = [header, ops, sig]                each as a byte string
//
// The hash of an entry is the sha2-256 of its header, and the signature is
// Ed25519 over "soma-entry-v1\x00" and the header. The first entry of a space,
// its genesis, has an empty space field and a nonce; its hash is the space.
//
// # Forward compatibility
//
// The body of an op is closed: it has exactly the elements its number stands
// for, and a change of any kind takes a new number. So all versions agree on
// what an entry holds, or know that they do not know it. The range of a number
// states its chain and the capability it needs (see RangeOf), so an old version
// judges ops it cannot read. Content ops it does not know are kept, forwarded
// and decoded as UnknownOp. A membership op that it cannot evaluate makes the
// entry wait (WaitingError), and with it all entries that build upon it.
//
// # Taking in an entry
//
// Decode checks what an entry's own bytes can show, VerifySignature its
// signature, and Admit its place among the entries that a replica has accepted.
// What breaks a rule is a RejectedError with the name of the rule.
package log
