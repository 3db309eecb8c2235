// Package identity keeps who a directory writes as: the member's key, and the
// facts that tell a directory from its copies.
//
// A writer is a member under an incarnation. Two directories must never write
// under one incarnation, nor one directory twice from the same point: both would
// seal different entries with the same seq. So a replica mints a new incarnation
// (NewIncarnation) when its database
//
//   - has none yet,
//   - is a copy: MarkOf its file differs from the mark recorded inside,
//   - is older than what was done with it: Record.Ahead of what it holds
//     (a database restored beside a newer identity.state),
//   - is a backup (a flag inside it, set when the backup was made),
//   - or is known by a peer to have written more, or otherwise; and after an own
//     entry was refused or voided.
//
// Each of them can be wrong in the safe direction only: a needless incarnation
// costs a few bytes, a missing one a fork. This package gives the facts of the
// first three; the replica decides.
package identity
