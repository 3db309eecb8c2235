// Package sim plays spaces at random, and the same way for the same seed: replicas
// over real stores work, crash, are copied and restored, and exchange single entries
// over a network that loses, repeats and reorders them, while hostile members forge
// what they can. In the end all of them get everything, and must agree with each
// other and with the plain definition of package plain.
//
//   - plan.go: the steps of a seed; play.go: what honest members do; world.go: all there is
//   - site.go, fault.go: a replica that can be killed at any write
//   - pages.go, tree.go: what happens to pages, and what they must be then
//   - mail.go: the delivery of entries
//   - villain.go: hostile members; ledger.go: all that was ever written
//   - paper.go: a Yjs text, plainly
//   - heal.go: the end of a run; oracle.go, claims.go: what must hold then
//   - shrink.go: shrinking seeds that fail
package sim
