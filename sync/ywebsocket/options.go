package ywebsocket

import (
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/soma-sdk/soma"
)

// What a connection may make a Handler hold.
const (
	// DefaultReadLimit bounds a message of a client, in bytes, see WithReadLimit.
	DefaultReadLimit = 32 << 20
	// MaxReadLimit is what WithReadLimit takes at most: more is no update.
	MaxReadLimit = soma.MaxUpdateBytes
	// UnauthorizedReadLimit bounds the messages of a client that has not authenticated
	// itself yet, in bytes.
	UnauthorizedReadLimit = 64 << 10
	// MaxUnstoredBytes bounds the updates of a connection that are being stored: no more is
	// read meanwhile, apart from one message.
	MaxUnstoredBytes = 4 << 20
	// MaxQueuedBytes bounds what waits to be sent to a connection, each message counted
	// with queuedBytes more, and as half of it at most. As much may be being sent. While
	// more than half of it waits, nothing more is read.
	MaxQueuedBytes = 16 << 20
	// MaxDocuments bounds the documents that one connection of Hocuspocus has open.
	MaxDocuments = 1024
	// MaxPresences bounds the clients of whose awareness one connection tells in a document.
	// What is told of more, or of MaxPresenceBytes, is ignored.
	MaxPresences = 64
	// MaxPresenceBytes bounds the states of these clients, as JSON.
	MaxPresenceBytes = 64 << 10
	// DefaultMaxConnections bounds the connections, see WithMaxConnections.
	DefaultMaxConnections = 16384
)

// Option configures New.
type Option func(*Handler) error

// WithOrigins lets pages of other hosts connect. A pattern is that of path.Match for the
// host of the Origin, such as "localhost:5173", or for scheme and host if it has a scheme.
func WithOrigins(patterns ...string) Option {
	return func(h *Handler) error {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil || p == "" {
				return fmt.Errorf("pattern of origins %q: %w", p, soma.ErrInvalidOption)
			}
		}
		h.origins = append(h.origins, patterns...)
		return nil
	}
}

// WithReadLimit bounds a message of a client, from 1 to MaxReadLimit bytes. A client that
// sends a larger one is closed with code 1009. All of a document may come in one message.
func WithReadLimit(n int64) Option {
	return func(h *Handler) error {
		if n < 1 || n > MaxReadLimit {
			return fmt.Errorf("read limit of %d bytes, 1 to %d are allowed: %w", n, int64(MaxReadLimit), soma.ErrInvalidOption)
		}
		h.readLimit = n
		return nil
	}
}

// WithMaxConnections bounds the connections. One more is answered with status 503.
func WithMaxConnections(n int) Option {
	return func(h *Handler) error {
		if n < 1 {
			return fmt.Errorf("%d connections: %w", n, soma.ErrInvalidOption)
		}
		h.maxSockets = n
		return nil
	}
}

// Resolver says which document a client means. The name is what y-websocket has in the path
// of its URL, without the slash in front, and Hocuspocus in its messages. It is called
// concurrently and must not keep the request. What it returns need not exist.
type Resolver func(r *http.Request, name string) (soma.SpaceID, soma.DocumentID, error)

// WithResolver sets the Resolver. The default is SpaceSlashDocument.
func WithResolver(resolve Resolver) Option {
	return func(h *Handler) error {
		if resolve == nil {
			return fmt.Errorf("nil resolver: %w", soma.ErrInvalidOption)
		}
		h.resolve = resolve
		return nil
	}
}

// SpaceSlashDocument resolves names of a space ID, a slash, and a document ID, which may
// have slashes in it.
func SpaceSlashDocument(_ *http.Request, name string) (soma.SpaceID, soma.DocumentID, error) {
	space, document, ok := strings.Cut(name, "/")
	if !ok || space == "" || document == "" {
		return "", "", fmt.Errorf("name %q is not a space, a slash and a document: %w", name, soma.ErrInvalidID)
	}
	return soma.SpaceID(space), document, nil
}

// WithLogger sets where is reported why clients are refused and closed. The default
// discards it.
func WithLogger(logger *slog.Logger) Option {
	return func(h *Handler) error {
		if logger == nil {
			return fmt.Errorf("nil logger: %w", soma.ErrInvalidOption)
		}
		h.logger = logger
		return nil
	}
}
