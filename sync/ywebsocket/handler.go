package ywebsocket

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/soma-sdk/soma"
)

// Handler serves documents. It is an http.Handler for clients of y-websocket; Hocuspocus
// returns one for those of Hocuspocus. It is safe for concurrent use.
type Handler struct {
	db         *soma.DB
	authorize  Authorizer
	resolve    Resolver
	origins    []string
	readLimit  int64
	maxSockets int
	logger     *slog.Logger

	ctx  context.Context //nolint:containedctx // the life of the Handler, which owns goroutines
	stop context.CancelFunc
	work sync.WaitGroup // sockets, and what rooms do

	mu      sync.Mutex
	closed  bool
	sockets map[*socket]struct{}
	rooms   map[roomKey]*room
}

// New returns a Handler for the documents of a DB, to which the Authorizer lets clients.
// Close it before the DB. Errors: ErrInvalidOption.
func New(db *soma.DB, authorize Authorizer, opts ...Option) (*Handler, error) {
	if db == nil || authorize == nil {
		return nil, fmt.Errorf("ywebsocket: a DB and an authorizer are needed: %w", soma.ErrInvalidOption)
	}
	h := &Handler{
		db: db, authorize: authorize, resolve: SpaceSlashDocument,
		readLimit: DefaultReadLimit, maxSockets: DefaultMaxConnections, logger: slog.New(slog.DiscardHandler),
		sockets: map[*socket]struct{}{}, rooms: map[roomKey]*room{},
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("ywebsocket: nil option: %w", soma.ErrInvalidOption)
		}
		if err := opt(h); err != nil {
			return nil, fmt.Errorf("ywebsocket: %w", err)
		}
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h, nil
}

// ServeHTTP serves a client of y-websocket, whose URL has the name of the document as its
// path: http.StripPrefix takes off what is before it. It returns when the connection ends,
// which is cut once the context of the request ends: so a host takes back what it allowed.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, func(s *socket) protocol {
		name := strings.TrimPrefix(r.URL.Path, "/")
		return &single{socket: s, request: r, name: name, token: r.URL.Query().Get("token")}
	})
}

// Hocuspocus returns the http.Handler for clients of Hocuspocus. It takes any path: they
// name documents in their messages.
func (h *Handler) Hocuspocus() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.serve(w, r, func(s *socket) protocol {
			return &several{socket: s, request: r, sessions: map[string]*session{}}
		})
	})
}

// protocol is how a client speaks.
type protocol interface {
	// open is called first, and handle with each message. What they return closes the
	// connection, unless it is zero.
	open(ctx context.Context) closing
	handle(ctx context.Context, message []byte) closing
	// close is called last.
	close()
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, speak func(*socket) protocol) {
	s := newSocket(h)
	if !h.admit(s) {
		http.Error(w, "no more connections", http.StatusServiceUnavailable)
		return
	}
	defer h.dismiss(s)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: h.origins})
	if err != nil { // which was answered
		h.logger.Info("connection not accepted", "remote", r.RemoteAddr, "err", err)
		return
	}
	s.run(r.Context(), conn, speak(s))
}

func (h *Handler) admit(s *socket) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.sockets) >= h.maxSockets {
		return false
	}
	h.sockets[s] = struct{}{}
	h.work.Add(1)
	return true
}

func (h *Handler) dismiss(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sockets, s)
	h.work.Done()
}

// Close closes all connections, waits until what their clients sent is stored, and for
// everything else that the Handler began. Requests after it are answered with status 503.
func (h *Handler) Close() {
	h.mu.Lock()
	h.closed = true
	for s := range h.sockets {
		s.end(closeDown)
	}
	h.mu.Unlock()
	h.work.Wait()
	h.stop()
}
