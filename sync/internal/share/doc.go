// Package share says which spaces two peers may see of each other, and how they call them.
//
// A space has a tag that is good for one pair of peers and one direction: an HMAC under the
// hash of the space's genesis, so that who does not know the space learns nothing from it,
// not even that two others speak of the same. Whether a peer may see a space is asked each
// time (Pair.May): a removal counts from its commit on.
package share
