package events

// NewHubWithLimit is NewHub with a bound small enough to reach by chance.
func NewHubWithLimit(limit int) *Hub {
	h := NewHub()
	h.limit = limit
	return h
}

// Subscriptions returns how many subscriptions the hub holds.
func (h *Hub) Subscriptions() int {
	h.topic.mu.Lock()
	defer h.topic.mu.Unlock()
	return len(h.topic.subs)
}

// Queue gives tests the set of one subscriber without its goroutine.
type Queue struct{ q *queue }

// NewQueue returns an empty queue.
func NewQueue(limit int) Queue { return Queue{newQueue(limit)} }

// Push, Peek, Taken and Len are the queue's methods.
func (q Queue) Push(e DomainEvent) bool { return q.q.Push(e) }

// Peek returns the oldest event and marks it as offered.
func (q Queue) Peek() (DomainEvent, bool) { return q.q.Peek() }

// Taken removes what the last Peek returned.
func (q Queue) Taken() { q.q.Taken() }

// Len returns the number of waiting events.
func (q Queue) Len() int { return q.q.Len() }
