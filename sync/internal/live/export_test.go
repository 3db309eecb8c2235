package live

import (
	"bufio"
	"bytes"
	"maps"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// Beat is the heartbeat.
type Beat = beat

// Waiting returns how much waits in the queue.
func (q *Queue) Waiting() (entries, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items), q.bytes
}

// Notes returns how many notes there are.
func (q *Queue) Notes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.notes)
}

func NewAck(tag wire.Tag, rows ...wire.Row) wire.Message { return ack{Tag: tag, Rows: rows} }

func NewNews(rows ...wire.Row) wire.Message { return news{Rows: rows} }

func NewCatchUp(tags int) wire.Message { return catchUp{Tags: make([]wire.Tag, tags)} }

func NewEntries(tag wire.Tag, all ...core.Entry) wire.Message {
	return entries{Tag: tag, Entries: wire.FromCore(all)}
}

// Check reads a frame with any message.
func Check(b []byte) error {
	limits := maps.Clone(pushes)
	maps.Copy(limits, answers)
	f, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(b)), limits)
	if err != nil {
		return err
	}
	switch f.Kind {
	case kindEntries:
		_, err = wire.Decode[entries](f)
	case kindNews:
		_, err = wire.Decode[news](f)
	case kindCatchUp:
		_, err = wire.Decode[catchUp](f)
	case kindAck:
		_, err = wire.Decode[ack](f)
	case kindBeat:
		_, err = wire.Decode[beat](f)
	default: // the limits let nothing else through
	}
	return err
}
