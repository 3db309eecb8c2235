// Package netnstest has peers in network namespaces, between which the kernel's TCP and UDP
// run over a line that loses packets, delays them, and is cut. The line is a pair of TUN
// devices and a goroutine between them, not tc: few kernels of test machines have netem.
// It needs Linux, and the right to make namespaces and devices.
package netnstest
