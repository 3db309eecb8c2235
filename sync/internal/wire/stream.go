package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Stream is a stream of bytes in both directions between two peers who know each other's
// keys. Read and Write may be called at the same time, each by one goroutine; the others at
// any time. What the other side did ends Read and Write with an *Error if it was a Reset,
// and Read with io.EOF after its CloseWrite or Close.
type Stream interface {
	io.ReadWriteCloser
	// CloseWrite tells the other side that nothing more comes. Reading goes on.
	CloseWrite() error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// Reset ends both directions at once. What was written may not arrive.
	Reset(code Code) error
}

// IsTimeout reports whether err is that of a deadline, of whatever kind of stream.
func IsTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
