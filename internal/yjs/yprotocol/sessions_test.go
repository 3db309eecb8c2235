package yprotocol_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
)

// fixture is what this writes, in yjstest/node:
//
//	node protocols.mjs --count 100 --seed 1 --out ../../yprotocol/testdata/protocols.jsonl.gz
const fixture = "testdata/protocols.jsonl.gz"

// session is a recorded session of y-protocols, see yjstest/node/protocols.mjs.
type session struct {
	Seed      uint32
	Awareness *awarenessSession
	Sync      *syncSession
	Messages  []recordedMessage
}

type awarenessSession struct {
	Clients []uint64
	Steps   []awarenessStep
}

type awarenessStep struct {
	At      int64 // milliseconds
	On      int   // an index of Clients
	Do      string
	State   string
	Update  hexBytes
	Clients []uint64
	Out     hexBytes

	Events [][]json.RawMessage
	All    hexBytes
	Order  []uint64
	Local  string
}

type syncSession struct {
	Documents int
	Steps     []struct {
		On             int
		Message, Reply hexBytes
	}
	Vectors, Updates []hexBytes
}

type recordedMessage struct {
	Kind, Sync   int
	Payload      string
	Inner, Outer hexBytes
}

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.AppendDecode([]byte{}, text)
	return err
}

// readSessions reads one session a line and gives each to f.
func readSessions(r io.Reader, f func(*session)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var s session
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("read a session: %w", err)
		}
		f(&s)
	}
	return lines.Err()
}

func fixtureSessions(t testing.TB) []*session {
	t.Helper()
	f, err := os.Open(fixture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var sessions []*session
	if err := readSessions(z, func(s *session) { sessions = append(sessions, s) }); err != nil {
		t.Fatal(err)
	}
	return sessions
}

func TestProtocols(t *testing.T) {
	var played tally
	for _, s := range fixtureSessions(t) {
		played.add(s)
		if err := s.replay(t.Context()); err != nil {
			t.Errorf("session %d: %v", s.Seed, err)
		}
	}
	played.check(t)
}

// tally counts what was replayed.
type tally struct{ awareness, sync, messages, steps, events, replies int }

func (c *tally) add(s *session) {
	switch {
	case s.Awareness != nil:
		c.awareness++
		for _, step := range s.Awareness.Steps {
			c.steps++
			c.events += len(step.Events)
		}
	case s.Sync != nil:
		c.sync++
		for _, step := range s.Sync.Steps {
			c.steps++
			if len(step.Reply) > 0 {
				c.replies++
			}
		}
	default:
		c.messages++
	}
}

// check fails a test that compared next to nothing.
func (c *tally) check(t *testing.T) {
	t.Helper()
	t.Logf("%+v", *c)
	if c.awareness == 0 || c.sync == 0 || c.messages == 0 || c.events == 0 || c.replies == 0 {
		t.Errorf("replayed %+v, want some of each", *c)
	}
}

// replay does what y-protocols did and compares.
func (s *session) replay(ctx context.Context) error {
	switch {
	case s.Awareness != nil:
		return s.Awareness.replay()
	case s.Sync != nil:
		return s.Sync.replay(ctx)
	case s.Messages != nil:
		for _, m := range s.Messages {
			if err := m.replay(); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("nothing to replay")
}

func (s *awarenessSession) replay() error {
	clock := time.UnixMilli(1_700_000_000_000)
	peers := make([]*peer, len(s.Clients))
	for i, client := range s.Clients {
		peers[i] = &peer{yprotocol.NewAwareness(client, func() time.Time { return clock }), []uint64{client}}
	}
	for i, step := range s.Steps {
		clock = time.UnixMilli(step.At)
		if err := peers[step.On].do(step); err != nil {
			return fmt.Errorf("step %d, %s: %w", i, step.Do, err)
		}
	}
	return nil
}

// peer is an Awareness with the clients that it heard of, in order.
type peer struct {
	*yprotocol.Awareness
	heard []uint64
}

func (p *peer) do(step awarenessStep) error {
	var changes []yprotocol.Changes
	var out []byte
	var err error
	switch step.Do {
	case "set":
		changes = make([]yprotocol.Changes, 1)
		changes[0], err = p.SetLocal([]byte(step.State))
	case "apply":
		changes = make([]yprotocol.Changes, 1)
		changes[0], err = p.Apply([]byte(step.Update))
		if err == nil {
			err = p.hear(step.Update)
		}
	case "remove":
		changes = []yprotocol.Changes{p.Remove(step.Clients...)}
	case "check":
		changes = []yprotocol.Changes{p.Renew(), p.RemoveOutdated()}
	case "encode":
		out, err = p.Encode(step.Clients...)
	case "modify":
		out, err = yprotocol.ModifyStates([]byte(step.Update), modified)
	default:
		err = errors.New("unknown step")
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(out, step.Out) {
		return fmt.Errorf("returns %q, want %q", out, step.Out)
	}
	got, err := json.Marshal(events(changes))
	if err != nil {
		return err
	}
	want, err := json.Marshal(step.Events)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("events %s, want %s", got, want)
	}
	return p.compare(step)
}

// hear notes who is in an update that was taken in.
func (p *peer) hear(update []byte) error {
	states, err := yprotocol.DecodeStates(update)
	if err != nil {
		return err
	}
	for _, s := range states {
		if s.Clock > 0 && !slices.Contains(p.heard, s.Client) { // 0 is no news
			p.heard = append(p.heard, s.Client)
		}
	}
	return nil
}

func (p *peer) compare(step awarenessStep) error {
	all, err := p.Encode(p.heard...)
	if err != nil {
		return err
	}
	if !bytes.Equal(all, step.All) {
		return fmt.Errorf("states %q, want %q", all, step.All)
	}
	if got := p.Clients(); !slices.Equal(got, step.Order) {
		return fmt.Errorf("clients %v, want %v", got, step.Order)
	}
	// getLocalState returns null also for a state such as 0.
	switch local := string(p.State(p.Client())); {
	case local == step.Local:
	case step.Local == "null" && slices.Contains([]string{"", "0", "false", `""`}, local):
	default:
		return fmt.Errorf("own state %s, want %s", local, step.Local)
	}
	return nil
}

// modified is the function of that name in protocols.mjs.
func modified(s yprotocol.ClientState) ([]byte, error) {
	if s.State == nil {
		return nil, nil
	}
	return fmt.Appendf(nil, `{"name": "server", "was": %s}`, s.State), nil
}

// events are those that y-protocols emits for changes.
func events(changes []yprotocol.Changes) [][]any {
	events := [][]any{}
	list := func(clients []uint64) []uint64 { return append([]uint64{}, clients...) }
	for _, c := range changes {
		if len(c.Added)+len(c.Changed)+len(c.Removed) > 0 {
			events = append(events, []any{"change", list(c.Added), list(c.Changed), list(c.Removed)})
		}
		if len(c.Clients()) > 0 {
			events = append(events, []any{"update", list(c.Added), list(c.Updated), list(c.Removed)})
		}
	}
	return events
}

// document is a yjs.Doc as a Document.
type document struct{ doc *yjs.Doc }

func (d document) StateVector(context.Context) ([]byte, error) { return d.doc.StateVector(), nil }

func (d document) Diff(_ context.Context, vector []byte) ([]byte, error) { return d.doc.Encode(vector) }

func (d document) Apply(_ context.Context, update []byte) error { return d.doc.Apply(update) }

func (s *syncSession) replay(ctx context.Context) error {
	docs := make([]document, s.Documents)
	for i := range docs {
		docs[i] = document{yjs.NewDoc(yjs.Options{})}
	}
	for i, step := range s.Steps {
		m, err := yprotocol.DecodeSync(step.Message)
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		if again := yprotocol.EncodeSync(m); !bytes.Equal(again, step.Message) {
			return fmt.Errorf("step %d: %x encodes as %x", i, step.Message, again)
		}
		reply, err := yprotocol.Answer(ctx, docs[step.On], m)
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		var got []byte
		if reply != nil {
			got = yprotocol.EncodeSync(reply)
		}
		if !bytes.Equal(got, step.Reply) {
			return fmt.Errorf("step %d: %x is answered by %x, want %x", i, step.Message, got, step.Reply)
		}
	}
	for i, d := range docs {
		ask, err := yprotocol.Ask(ctx, d)
		if err != nil {
			return err
		}
		if !bytes.Equal(ask, s.Vectors[i]) {
			return fmt.Errorf("document %d has the state vector %x, want %x", i, ask, s.Vectors[i])
		}
		update, err := d.doc.Encode(nil)
		if err != nil {
			return err
		}
		if !bytes.Equal(update, s.Updates[i]) {
			return fmt.Errorf("document %d encodes as %x, want %x", i, update, s.Updates[i])
		}
	}
	return nil
}

// message is what was recorded, as a Message.
func (m *recordedMessage) message() (yprotocol.Message, error) {
	payload, err := hex.DecodeString(m.Payload)
	switch m.Kind {
	case 0:
		return []yprotocol.Message{yprotocol.SyncStep1(payload), yprotocol.SyncStep2(payload), yprotocol.Update(payload)}[m.Sync], err
	case 1:
		return yprotocol.AwarenessUpdate(payload), err
	case 2:
		return yprotocol.PermissionDenied(m.Payload), nil
	case 3:
		return yprotocol.QueryAwareness{}, nil
	}
	return nil, fmt.Errorf("unknown kind %d", m.Kind)
}

func (m *recordedMessage) replay() error {
	want, err := m.message()
	if err != nil {
		return err
	}
	if got := yprotocol.Encode(want); !bytes.Equal(got, m.Outer) {
		return fmt.Errorf("%#v encodes as %x, want %x", want, got, m.Outer)
	}
	if got, err := yprotocol.Decode(m.Outer); err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		return fmt.Errorf("%x decodes as %#v, %w, want %#v", m.Outer, got, err, want)
	}
	if m.Kind != 0 {
		return nil
	}
	if got := yprotocol.EncodeSync(want.(yprotocol.SyncMessage)); !bytes.Equal(got, m.Inner) {
		return fmt.Errorf("%#v encodes as %x, want %x", want, got, m.Inner)
	}
	if got, err := yprotocol.DecodeSync(m.Inner); err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		return fmt.Errorf("%x decodes as %#v, %w, want %#v", m.Inner, got, err, want)
	}
	return nil
}

// equalJSON compares all that was recorded.
func equalJSON(t *testing.T, a, b *session) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}
