package mailbox

import "github.com/soma-sdk/soma/internal/events"

// NewChanges returns what waits for one subscriber, without its goroutine.
func NewChanges(limit int) events.Pending[Change] { return newChanges(limit) }
