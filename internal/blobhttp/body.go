package blobhttp

import (
	"errors"
	"io"
	"sync"

	"github.com/soma-sdk/soma/internal/core"
)

// body is a blob that http.ServeContent reads, which does not say how reading ended. It may
// be read by one goroutine while another one closes it: the one that ServeContent starts for
// several ranges can outlive it.
type body struct {
	size int64

	mu      sync.Mutex
	content core.BlobContent
	at      int64 // where the next Read is
	sought  int64 // where content is
	err     error // the first one of content
	closed  bool
}

func newBody(content core.BlobContent) *body {
	return &body{size: content.Size(), content: content}
}

// Seek moves content with the next Read only, so that its errors are not for ServeContent,
// which shows them to the client.
func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	b.at = offset
	return offset, nil
}

func (b *body) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return 0, core.ErrClosed
	case b.err != nil:
		return 0, b.err
	case b.at >= b.size:
		return 0, io.EOF
	}
	if b.at != b.sought {
		b.sought, b.err = b.content.Seek(b.at, io.SeekStart)
		if b.err != nil {
			return 0, b.err
		}
	}
	n, err = b.content.Read(p)
	b.at += int64(n)
	b.sought = b.at
	switch {
	case err == io.EOF && b.at < b.size: //nolint:errorlint // io.Reader returns it as it is
		err = io.ErrUnexpectedEOF
		b.err = err
	case err != nil && err != io.EOF: //nolint:errorlint // as above
		b.err = err
	}
	return n, err
}

// close closes content, once, and returns the first error of reading it.
func (b *body) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		b.content.Close()
	}
	return b.err
}
