// Package mutate switches single rules of authority, of the page tree and of blobs off, so
// that the simulator can show that it notices. Without the build tag somamutate every rule
// is on, On is a constant, and nothing of it is left in a program.
package mutate

// Rule names a rule of DESIGN 5, as the decisions amended it.
type Rule string

// The rules.
const (
	Capability     Rule = "capability"      // 1: the author may do every op
	UnknownWaits   Rule = "unknown-waits"   // 1: an act that only a later version knows waits
	RankAcks       Rule = "rank-acks"       // 3: who more uninvolved owners stand by comes first
	RankSeniority  Rule = "rank-seniority"  // 3: then whose author was added first
	Cancelled      Rule = "cancelled"       // 4: a taken concurrent removal of its author stops a candidate
	Standing       Rule = "standing"        // 4: a candidate without standing as things are is not taken
	ConcurrentActs Rule = "concurrent-acts" // 5: acts concurrent with a taken removal aimed at them are ignored
	EffectiveActs  Rule = "effective-acts"  // 5: acts without standing from effective acts are ignored
	NoOpAdds       Rule = "no-op-adds"      // 5: adding a member changes nothing
	NeverRaises    Rule = "never-raises"    // 5: what takes away never gives
	LastOwner      Rule = "last-owner"      // 5: the last owner stays
	Dropped        Rule = "dropped"         // 6: without a candidate that lost its standing all starts again
	InviteRevoke   Rule = "invite-revoke"   // 5: a revocation beats joins that are not in its past
	InviteUses     Rule = "invite-uses"     // 5: no more join by an invite than it allows
	SeenByOwners   Rule = "seen-by-owners"  // 5: what an owner knew of first counts, if they were one by effect
	RemovalEnds    Rule = "removal-ends"    // 5: a removal ends the invites that its target made or came by
	CutWithin      Rule = "cut-within"      // 7: what leads up to a named head stays
	CutUnnamed     Rule = "cut-unnamed"     // 7: of a writer who is not named all is cut
	Forks          Rule = "forks"           // 7: branches of a fork are chains of their own
	OwnPast        Rule = "own-past"        // 7: a cut in the past of an entry does not cut it
	MembershipLost Rule = "membership-lost" // 7: so does what made its author a member and has no effect
	Purge          Rule = "purge"           // 7: a purge disables vouching
	Vouching       Rule = "vouching"        // 8: who builds upon an entry in ignorance keeps it
	VouchedByRoot  Rule = "vouched-by-root" // 8: if they are not over themselves
	ClaimOwner     Rule = "claim-owner"     // 9: of one unit the content of the clientID's owner wins
	ClaimVotes     Rule = "claim-votes"     // 9: of concurrent claims the one that more saw first
	DeletionReach  Rule = "deletion-reach"  // 10: a deletion reaches what its past introduced
	VoidPlaces     Rule = "void-places"     // 10: void content leaves its places
	PageOrder      Rule = "page-order"      // 11: a move that comes late is fitted in
	PageCycle      Rule = "page-cycle"      // 11: a move that puts a page under itself is ignored
	PageTop        Rule = "page-top"        // 11: unless the page is nowhere yet: then it is at the top level
	PageReorder    Rule = "page-reorder"    // 11: a reordering counts only where it was made
	PageTrash      Rule = "page-trash"      // 11: a move takes a page out of the trash
	PageOrphans    Rule = "page-orphans"    // 11: what is under a page that is nowhere is at the top level
	PageVoid       Rule = "page-void"       // 11: what becomes void is taken back
	PageAgain      Rule = "page-again"      // 11: a field that counts again does not beat what replaced it
	BlobConcurrent Rule = "blob-concurrent" // 11: a remove leaves what was put at the same time
	BlobMeta       Rule = "blob-meta"       // 11: of concurrent puts the last says what a blob is
	BlobLast       Rule = "blob-last"       // 11: of one entry the last op on a blob counts
	BlobVoid       Rule = "blob-void"       // 11: what becomes void is taken back
	BlobAgain      Rule = "blob-again"      // 11: a put that counts again does not beat what removed it
)

// Rules is all of them, in order.
var Rules = []Rule{
	Capability, UnknownWaits, RankAcks, RankSeniority, Cancelled, Standing, ConcurrentActs, EffectiveActs,
	NoOpAdds, NeverRaises, LastOwner, Dropped, InviteRevoke, InviteUses, SeenByOwners, RemovalEnds, CutWithin, CutUnnamed,
	Forks, OwnPast, MembershipLost, Purge, Vouching, VouchedByRoot, ClaimOwner, ClaimVotes, DeletionReach, VoidPlaces,
	PageOrder, PageCycle, PageTop, PageReorder, PageTrash, PageOrphans, PageVoid, PageAgain,
	BlobConcurrent, BlobMeta, BlobLast, BlobVoid, BlobAgain,
}
