//go:build linux

package netnstest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mtu = 1500
	// queued bounds what is on a line at once; more is lost, as on any line.
	queued = 1024
)

// namespace is a network of its own, with one device, that ends with what runs in it.
type namespace struct {
	ip     string
	device *os.File
	jobs   chan func() // run on the thread that is in it
	done   chan struct{}
}

// newNamespace makes a namespace in which a device has an address. It fails where the right
// for that is missing.
func newNamespace(t *testing.T, ip string) (*namespace, error) {
	t.Helper()
	ns := &namespace{ip: ip, jobs: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		defer close(ns.done)
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		err := ns.enter()
		ready <- err
		if err != nil {
			return
		}
		for job := range ns.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		close(ns.jobs)
		<-ns.done
		_ = ns.device.Close() // the line may have
	})
	return ns, nil
}

// enter puts the thread into a new namespace and makes the device.
func (ns *namespace) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq("line")
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return errors.Join(fmt.Errorf("a TUN device: %w", err), unix.Close(fd))
	}
	ns.device = os.NewFile(uintptr(fd), "tun")
	for _, args := range []string{
		"link set lo up", "address add " + ns.ip + "/24 dev line", fmt.Sprintf("link set line up mtu %d", mtu),
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("ip %s: %w: %s", args, err, out), ns.device.Close())
		}
	}
	return nil
}

// start starts a command inside.
func (ns *namespace) start(cmd *exec.Cmd) error {
	result := make(chan error)
	ns.jobs <- func() { result <- cmd.Start() }
	return <-result
}

// line carries packets between two namespaces.
type line struct {
	cut     atomic.Bool
	loss    atomic.Uint32 // per thousand
	delay   atomic.Int64  // in nanoseconds
	carried atomic.Uint64 // packets
	lost    atomic.Uint64
}

// newLine connects two namespaces until the end of the test.
func newLine(t *testing.T, a, b *namespace) *line {
	t.Helper()
	l := &line{}
	var carriers sync.WaitGroup
	carriers.Go(func() { l.carry(a, b) })
	carriers.Go(func() { l.carry(b, a) })
	t.Cleanup(func() {
		_ = a.device.Close() // which ends the reading
		_ = b.device.Close()
		carriers.Wait()
	})
	return l
}

// packet is one on its way.
type packet struct {
	content []byte
	arrives time.Time
}

// carry takes packets from one namespace to the other until the first is closed.
func (l *line) carry(from, to *namespace) {
	var writer sync.WaitGroup
	defer writer.Wait()
	way := make(chan packet, queued)
	defer close(way)
	writer.Go(func() {
		for p := range way {
			time.Sleep(time.Until(p.arrives))
			_, _ = to.device.Write(p.content) // a line does not say what it loses
		}
	})
	for {
		buf := make([]byte, mtu+64)
		n, err := from.device.Read(buf)
		if err != nil {
			return
		}
		if l.cut.Load() || rand.Uint32N(1000) < l.loss.Load() {
			l.lost.Add(1)
			continue
		}
		select {
		case way <- packet{buf[:n], time.Now().Add(time.Duration(l.delay.Load()))}:
			l.carried.Add(1)
		default:
			l.lost.Add(1)
		}
	}
}
