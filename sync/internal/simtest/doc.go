// Package simtest plays spaces from one seed on whole peers: real directories, the real
// sync node, QUIC, and between them a network in memory, all in virtual time. What hostile
// members do to the log is for internal/sim; what hostile peers do to the protocols is for
// hostiletest. Here the network is what is bad, and machines are: they lose packets, are
// parted, stop, are killed, and are put back to what they were.
//
// As goroutines run as they like, a seed gives the same steps each time, but not the same
// course between them.
package simtest
