package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits of all frames.
const (
	// MaxFrameBytes bounds what any limit of a message may be.
	MaxFrameBytes = 4 << 20
	// Patience is how long a whole frame may take to be read, or written, from when it is
	// waited for, unless SetPatience says otherwise.
	Patience = 30 * time.Second
	// bufferBytes is what a Conn reads, and gathers to write, at a time.
	bufferBytes = 16 << 10
)

// Kind is the number of a message.
type Kind uint8

// Limits says which messages may come, and how long a frame with each may be.
type Limits map[Kind]int

// Frame is a message as it came.
type Frame struct {
	Kind Kind
	body []byte // the array, without the number
}

// Len returns how long the frame was, without its length.
func (f Frame) Len() int { return len(f.body) + f.Kind.len() }

// Conn reads and writes frames. One goroutine may read while another writes.
type Conn struct {
	s           Stream
	r           *bufio.Reader
	w           *bufio.Writer
	read, write time.Duration
}

// NewConn returns a Conn over a stream, which nobody else must use from then on but to
// reset it.
func NewConn(s Stream) *Conn {
	return &Conn{s: s, r: bufio.NewReaderSize(s, bufferBytes), w: bufio.NewWriterSize(s, bufferBytes), read: Patience, write: Patience}
}

// SetPatience says how long frames may take to be read, and to be written.
func (c *Conn) SetPatience(read, write time.Duration) { c.read, c.write = read, write }

// Read returns the next frame. At the end of the stream it returns io.EOF, and
// io.ErrUnexpectedEOF within a frame; an *Error for what must not come.
func (c *Conn) Read(limits Limits) (Frame, error) {
	if err := c.s.SetReadDeadline(time.Now().Add(c.read)); err != nil {
		return Frame{}, err
	}
	return ReadFrame(c.r, limits)
}

// Buffered reports whether bytes of a next frame are here already.
func (c *Conn) Buffered() bool { return c.r.Buffered() > 0 }

// Send writes a message at once.
func (c *Conn) Send(m Message) error {
	if err := c.Queue(m); err != nil {
		return err
	}
	return c.Flush()
}

// Queue writes a message, which may stay in a buffer until Flush.
func (c *Conn) Queue(m Message) error {
	b, err := Encode(m)
	if err != nil {
		return err
	}
	return c.QueueEncoded(b)
}

// QueueEncoded is Queue for what Encode returned.
func (c *Conn) QueueEncoded(frame []byte) error {
	if err := c.s.SetWriteDeadline(time.Now().Add(c.write)); err != nil {
		return err
	}
	_, err := c.w.Write(frame)
	return err
}

// Flush sends what Queue left in the buffer.
func (c *Conn) Flush() error {
	if err := c.s.SetWriteDeadline(time.Now().Add(c.write)); err != nil {
		return err
	}
	return c.w.Flush()
}

// Raw returns a reader of the bytes that follow the last frame. Each read of it may take
// as long as a frame.
func (c *Conn) Raw() io.Reader { return rawReader{c} }

type rawReader struct{ c *Conn }

func (r rawReader) Read(b []byte) (int, error) {
	if err := r.c.s.SetReadDeadline(time.Now().Add(r.c.read)); err != nil {
		return 0, err
	}
	return r.c.r.Read(b)
}

// CloseWrite says that no more frames come.
func (c *Conn) CloseWrite() error { return errors.Join(c.Flush(), c.s.CloseWrite()) }

// Finish ends a stream after err: it is closed if there is none, and reset if there is
// one. It returns err.
func (c *Conn) Finish(err error) error {
	if err == nil {
		return c.s.Close()
	}
	_ = c.s.Reset(CodeFor(err)) // it may be gone
	return err
}

// ReadFrame reads a frame.
func ReadFrame(r *bufio.Reader, limits Limits) (Frame, error) {
	size, err := readLength(r)
	if err != nil {
		return Frame{}, err
	}
	head, err := r.Peek(min(size, maxHead))
	if err != nil {
		return Frame{}, unexpected(err)
	}
	fields, kind, at, err := readHead(head)
	if err != nil {
		return Frame{}, err
	}
	limit, known := limits[kind]
	switch {
	case !known:
		return Frame{}, Breach("message %d must not come here", kind)
	case size > limit:
		return Frame{}, Excess("message %d has %d bytes, at most %d are allowed", kind, size, limit)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return Frame{}, unexpected(err)
	}
	body = body[at-1:]
	body[0] = arrayHead | byte(fields-1)
	return Frame{Kind: kind, body: body}, nil
}

// readLength reads a shortest uvarint of at most MaxFrameBytes.
func readLength(r *bufio.Reader) (int, error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	n := uint64(first & 0x7f)
	for shift, b := 7, first; b&0x80 != 0; shift += 7 {
		if shift > 21 {
			return 0, Excess("a frame's length has more than four bytes")
		}
		if b, err = r.ReadByte(); err != nil {
			return 0, unexpected(err)
		}
		if b == 0 {
			return 0, Breach("a frame's length is not the shortest")
		}
		n |= uint64(b&0x7f) << shift
	}
	if n < 2 || n > MaxFrameBytes {
		return 0, Excess("a frame of %d bytes", n)
	}
	return int(n), nil
}

const (
	arrayHead = 0x80 // of CBOR, with fewer than 24 elements
	maxHead   = 3
)

// len returns how many bytes of a frame name the kind.
func (k Kind) len() int {
	if k < 24 {
		return 1
	}
	return 2
}

// readHead reads the head of the array and the number of the message, and returns where
// the rest begins.
func readHead(b []byte) (fields int, kind Kind, at int, err error) {
	if b[0]&0xe0 != arrayHead || b[0]&0x1f == 0 || b[0]&0x1f > 23 {
		return 0, 0, 0, Breach("a frame is no short array")
	}
	fields = int(b[0] & 0x1f)
	switch {
	case b[1] < 24:
		return fields, Kind(b[1]), 2, nil
	case b[1] == 24 && len(b) > 2 && b[2] >= 24:
		return fields, Kind(b[2]), 3, nil
	}
	return 0, 0, 0, Breach("a frame has no number")
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendFrame appends a frame with a body, which is an encoded array.
func appendFrame(b []byte, kind Kind, body []byte) ([]byte, error) {
	size := len(body) + kind.len()
	if body[0]&0xe0 != arrayHead || body[0]&0x1f > 22 || size > MaxFrameBytes {
		return nil, fmt.Errorf("message %d cannot be sent: %d bytes", kind, size)
	}
	b = binary.AppendUvarint(b, uint64(size))
	b = append(b, body[0]+1)
	if kind >= 24 {
		b = append(b, 24)
	}
	b = append(b, byte(kind))
	return append(b, body[1:]...), nil
}
