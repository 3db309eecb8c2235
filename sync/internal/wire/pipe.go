package wire

import (
	"io"
	"os"
	"sync"
	"time"
)

// PipeBuffer is how much one end of a Pipe can write before the other has to read.
const PipeBuffer = 256 << 10

// Pipe returns the two ends of a stream in memory.
func Pipe() (a, b Stream) {
	x, y := newHalf(), newHalf()
	return &pipe{in: x, out: y}, &pipe{in: y, out: x}
}

// pipe is one end.
type pipe struct{ in, out *half }

// half is one direction.
type half struct {
	mu    sync.Mutex
	moved sync.Cond
	buf   []byte
	ended bool   // by who writes
	shut  bool   // by who reads: what is written is thrown away
	reset *Error // as who did not do it sees it
	own   bool   // reset by who reads
	read  deadline
	write deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newHalf() *half {
	h := &half{}
	h.moved.L = &h.mu
	return h
}

func (p *pipe) Read(b []byte) (int, error) { return p.in.take(b) }

func (p *pipe) Write(b []byte) (int, error) { return p.out.put(b) }

func (p *pipe) CloseWrite() error {
	p.out.do(func() { p.out.ended = true })
	return nil
}

func (p *pipe) Close() error {
	p.in.do(func() { p.in.shut, p.in.buf = true, nil })
	return p.CloseWrite()
}

func (p *pipe) Reset(code Code) error {
	for _, h := range []*half{p.in, p.out} {
		h.do(func() {
			if h.reset == nil {
				h.reset, h.own, h.buf = &Error{Code: code, Remote: true}, h == p.in, nil
			}
		})
	}
	return nil
}

func (p *pipe) SetReadDeadline(t time.Time) error {
	p.in.until(&p.in.read, t)
	return nil
}

func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.out.until(&p.out.write, t)
	return nil
}

func (h *half) do(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
	h.moved.Broadcast()
}

func (h *half) until(d *deadline, t time.Time) {
	h.do(func() {
		if d.timer != nil {
			d.timer.Stop()
		}
		d.at, d.timer = t, nil
		if !t.IsZero() {
			d.timer = time.AfterFunc(time.Until(t), func() { h.do(func() {}) })
		}
	})
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (h *half) take(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.reset != nil && h.own, h.shut:
			return 0, io.ErrClosedPipe
		case h.reset != nil:
			return 0, h.reset
		case h.read.passed():
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.moved.Broadcast()
			return n, nil
		case h.ended:
			h.stop(&h.read)
			return 0, io.EOF
		}
		h.moved.Wait()
	}
}

func (h *half) put(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n < len(b) {
		switch room := PipeBuffer - len(h.buf); {
		case h.reset != nil && !h.own, h.ended:
			return n, io.ErrClosedPipe
		case h.reset != nil:
			return n, h.reset
		case h.write.passed():
			return n, os.ErrDeadlineExceeded
		case h.shut:
			return len(b), nil
		case room > 0:
			took := min(room, len(b)-n)
			h.buf = append(h.buf, b[n:n+took]...)
			n += took
			h.moved.Broadcast()
			continue
		}
		h.moved.Wait()
	}
	return n, nil
}

func (h *half) stop(d *deadline) {
	if d.timer != nil {
		d.timer.Stop()
	}
}
