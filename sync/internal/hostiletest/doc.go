// Package hostiletest has peers that do not keep to the protocols, written by hand upon a
// bare libp2p host: what they send must not be stored, take memory, or hinder those who are
// honest, and what they receive must tell nothing to who is no member.
package hostiletest
