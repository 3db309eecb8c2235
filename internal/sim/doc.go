// Package sim plays spaces at random, and the same way for the same seed: replicas
// over real stores work, crash, are copied and restored, and exchange single entries
// over a network that loses, repeats and reorders them, while hostile members forge
// what they can. In the end all of them get everything, and must agree with each
// other and with the plain definition of package plain.
//
//   - plan.go: the steps of a seed; play.go: what each of them does
//   - site.go, fault.go: a replica that can be killed at any write
//   - mail.go: the delivery of entries
//   - villain.go: hostile members; ledger.go: all that was ever written
//   - paper.go: a Yjs text, plainly
//   - heal.go, judge.go: the end of a run, and what must hold then
//   - run.go: running seeds, and shrinking those that fail
package sim
