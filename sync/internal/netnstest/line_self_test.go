//go:build linux

package netnstest

import (
	"net"
	"testing"
	"time"
)

// in runs a function on the thread of a namespace, whose sockets are there then.
func in[T any](ns *namespace, fn func() (T, error)) (value T, err error) {
	done := make(chan struct{})
	ns.jobs <- func() {
		defer close(done)
		value, err = fn()
	}
	<-done
	return value, err
}

// TestLine wants the line to do what the other tests believe that it does.
func TestLine(t *testing.T) {
	a, b, l := connected(t)
	to := &net.UDPAddr{IP: net.ParseIP(b.ip), Port: 4000}
	receiver, err := in(b, func() (*net.UDPConn, error) { return net.ListenUDP("udp4", to) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = receiver.Close() }()
	sender, err := in(a, func() (*net.UDPConn, error) { return net.DialUDP("udp4", nil, to) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sender.Close() }()
	arrive := func() int {
		t.Helper()
		const sent = 500
		for range sent {
			if _, err := sender.Write([]byte("a packet")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sender.Write([]byte("the last")); err != nil {
			t.Fatal(err)
		}
		for n := 0; ; n++ {
			if err := receiver.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := receiver.Read(make([]byte, 100)); err != nil {
				return n
			}
		}
	}
	l.loss.Store(300)
	if n := arrive(); n == 0 || n > 450 {
		t.Errorf("with a loss of 30 percent %d of 501 packets arrive", n)
	}
	l.cut.Store(true)
	if n := arrive(); n != 0 {
		t.Errorf("%d packets arrive over a cut line", n)
	}
	l.cut.Store(false)
	l.loss.Store(0)
	if n := arrive(); n == 0 {
		t.Error("no packet arrives over a mended line")
	}
}

// connected returns two namespaces with a line between them, and skips the test where the
// machine gives none.
func connected(t *testing.T) (a, b *namespace, l *line) {
	t.Helper()
	var err error
	if a, err = newNamespace(t, "10.77.0.1"); err == nil {
		b, err = newNamespace(t, "10.77.0.2")
	}
	if err != nil {
		t.Skipf("this machine gives no network namespaces with TUN devices: %v", err)
	}
	return a, b, newLine(t, a, b)
}
