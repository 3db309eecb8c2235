package ywebsocket

import (
	"context"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"
)

const (
	// closePatience is how long a client has to take its close frame.
	closePatience = 5 * time.Second
	// writePatience is how long a client has to take one message, and slowest at which rate
	// at least, in bytes a second.
	writePatience = 30 * time.Second
	slowest       = 64 << 10
	// queuedBytes is what a message costs that waits to be sent, beside its bytes.
	queuedBytes = 64
	// aliveEvery is for how long a client hears nothing, twice that at most: y-websocket and
	// Hocuspocus connect again after 30 s of silence.
	aliveEvery = 12 * time.Second
)

// socket is one connection: messages wait to be sent by one goroutine, and are read by
// another.
type socket struct {
	h        *Handler
	conn     *websocket.Conn
	stop     context.CancelFunc
	unstored *semaphore.Weighted // bytes of updates, MaxUnstoredBytes
	wake     chan struct{}       // has a value when there is something to do
	taken    chan struct{}       // has a value when what waited was taken

	mu     sync.Mutex
	queue  [][]byte
	size   int      // of the queue
	why    *closing // nil until it is to end
	alive  []byte   // a message that says nothing, nil for none
	cancel *time.Timer
}

func newSocket(h *Handler) *socket {
	return &socket{h: h, unstored: semaphore.NewWeighted(MaxUnstoredBytes), wake: make(chan struct{}, 1), taken: make(chan struct{}, 1)}
}

// run serves the connection until it ends, or ctx does.
func (s *socket) run(ctx context.Context, conn *websocket.Conn, p protocol) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.mu.Lock()
	s.conn, s.stop = conn, stop
	if s.why != nil {
		s.hurry()
	}
	s.mu.Unlock()
	conn.SetReadLimit(UnauthorizedReadLimit)
	var writing sync.WaitGroup
	writing.Go(func() { s.write(ctx) })
	s.end(s.read(ctx, p))
	p.close()
	writing.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel.Stop()
}

// authorize lets the client send large messages.
func (s *socket) authorize() { s.conn.SetReadLimit(s.h.readLimit) }

func (s *socket) read(ctx context.Context, p protocol) closing {
	if why := p.open(ctx); why != (closing{}) {
		return why
	}
	for {
		kind, message, err := s.conn.Read(ctx)
		if err != nil { // which closed the connection
			return closeDone
		}
		if kind != websocket.MessageBinary {
			return closeText
		}
		if s.ready(ctx) != nil {
			return closeDone
		}
		if why := p.handle(ctx, message); why != (closing{}) {
			return why
		}
	}
}

// ready waits until little waits to be sent: a client that asks for more than it takes
// holds up itself.
func (s *socket) ready(ctx context.Context) error {
	for s.waiting() > MaxQueuedBytes/2 {
		select {
		case <-s.taken:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *socket) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// queued is what a message counts while it waits. A large one, as all of a document may be,
// leaves room for those after it.
func queued(message []byte) int { return queuedBytes + min(len(message), MaxQueuedBytes/2) }

// send has a message sent, which is not changed any more. It never blocks: a client for
// which too much waits already is closed.
func (s *socket) send(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil {
		return
	}
	if s.size+queued(message) > MaxQueuedBytes {
		s.endLocked(closeSlow)
		s.h.logger.Info("client is slow", "bytes", s.size)
		return
	}
	s.queue = append(s.queue, message)
	s.size += queued(message)
	signal(s.wake)
}

// keepAlive sets what is sent when nothing else was for a while.
func (s *socket) keepAlive(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive = message
}

// end closes the connection, for the first reason that is given, once what waits was sent.
func (s *socket) end(why closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.endLocked(why)
	}
}

func (s *socket) endLocked(why closing) {
	s.why = &why
	if why == closeSlow {
		s.queue = nil
	}
	if s.conn != nil {
		s.hurry()
	}
	signal(s.wake)
}

// hurry ends the connection the hard way if its client does not take part.
func (s *socket) hurry() {
	if s.cancel == nil {
		s.cancel = time.AfterFunc(closePatience, s.stop)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has a value
	}
}

// write sends what waits, and the close frame in the end.
func (s *socket) write(ctx context.Context) {
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for heard := true; ; {
		select {
		case <-s.wake:
		case <-alive.C:
			if !heard {
				s.sendAlive()
			}
			heard = false
			continue
		case <-ctx.Done():
			_ = s.conn.CloseNow()
			return
		}
		messages, why := s.take()
		for _, message := range messages {
			if s.writeOne(ctx, message) != nil { // which closed the connection
				s.end(closeDone)
				return
			}
			heard = true
		}
		if why != nil {
			_ = s.conn.Close(why.code, why.reason) // the client may be gone already
			return
		}
	}
}

func (s *socket) sendAlive() {
	s.mu.Lock()
	alive := s.alive
	s.mu.Unlock()
	if alive != nil {
		s.send(alive)
	}
}

func (s *socket) writeOne(ctx context.Context, message []byte) error {
	patience := writePatience + time.Duration(len(message)/slowest)*time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageBinary, message)
}

func (s *socket) take() (messages [][]byte, why *closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages, why = s.queue, s.why
	s.queue, s.size = nil, 0
	signal(s.taken)
	return messages, why
}
