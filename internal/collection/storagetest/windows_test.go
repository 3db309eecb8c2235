// Package storagetest plays the real localStorageCollectionOptions of @tanstack/db against
// the storage bridge.
package storagetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

const nodeDir = "node"

func TestMain(m *testing.M) { somatest.Main(m) }

// plan is what a run of windows.mjs does.
type plan struct {
	Collection string `json:"collection"`
	Seed       int    `json:"seed"`
	Steps      int    `json:"steps"` // of each of the two windows
	Numbers    bool   `json:"numbers"`
	Reload     bool   `json:"reload"`
	Again      bool   `json:"again"` // answers are lost, and windows ask again

	legacy bool // there are rows with bare keys before
	writes int  // by Go, meanwhile
}

// row is a row as windows.mjs tells of it.
type row struct {
	Key        string          `json:"key"`
	VersionKey string          `json:"versionKey"`
	Data       json.RawMessage `json:"data"`
}

// message is a line from Node, or to it.
type message struct {
	ID    int    `json:"id,omitempty"`
	Error string `json:"error,omitempty"`

	Op         string `json:"op,omitempty"`
	Collection string `json:"collection,omitempty"`
	Window     string `json:"window,omitempty"`
	Value      string `json:"value"`
	BaseSeq    int64  `json:"baseSeq,omitempty"`
	Change     struct {
		Puts    []row `json:"puts"`
		Deletes []row `json:"deletes"`
	} `json:"change,omitzero"`
	Windows []report `json:"windows,omitempty"`

	Changed string `json:"changed,omitempty"`
	Seq     int64  `json:"seq"`
	Same    bool   `json:"same"`
}

// report is what a window has at the end.
type report struct {
	ID      string                     `json:"id"`
	Done    map[string]int             `json:"done"`
	Rows    map[string]json.RawMessage `json:"rows"`
	Value   string                     `json:"value"`
	Refused []string                   `json:"refused"`
}

// TestLiveWindows lets two windows, and Go, insert, update and delete the same rows at the
// same time. No write may be lost, and all have to see the same in the end.
func TestLiveWindows(t *testing.T) {
	needNode(t)
	for _, p := range []plan{
		{Collection: "strings", Steps: 170},
		{Collection: "numbers", Steps: 170, Numbers: true},
		{Collection: "with Go", Steps: 170, writes: 200},
		{Collection: "numbers with Go", Steps: 170, Numbers: true, writes: 200},
		{Collection: "reloaded", Steps: 170, Reload: true, writes: 50},
		{Collection: "asked again", Steps: 170, Again: true, writes: 50},
		{Collection: "legacy", Steps: 170, legacy: true},
	} {
		for seed := 1; seed <= seeds(t); seed++ {
			p.Seed = seed
			t.Run(fmt.Sprintf("%s/%d", p.Collection, seed), func(t *testing.T) {
				t.Parallel()
				newGame(t, p).play()
			})
		}
	}
}

// game is one run: a DB, two windows in Node, and what the collection has to hold.
type game struct {
	t    *testing.T
	plan plan
	db   soma.Collections

	out   io.Writer
	outMu sync.Mutex

	// mu makes one order of all writes, which is that of want.
	mu   sync.Mutex
	want map[string]row
	puts int
	gone int

	beat    chan struct{} // of the writes of windows
	writer  sync.WaitGroup
	reports []report
}

func newGame(t *testing.T, p plan) *game {
	g := &game{t: t, plan: p, db: somatest.Open(t).Collections(), want: map[string]row{}, beat: make(chan struct{}, p.writes)}
	if !p.legacy {
		return g
	}
	value := `{"row 1":{"versionKey":"old-1","data":{"id":"row 1","by":"old"}},"s:row 2":{"versionKey":"old-2","data":{"id":"row 2","by":"old"}},` +
		`"row 30":{"versionKey":"old-30","data":{"id":"row 30","by":"old"}}}`
	result, err := g.db.SetItem(t.Context(), p.Collection, []byte(value), 0)
	if err != nil || !result.Same {
		t.Fatalf("SetItem = %+v, %v", result, err)
	}
	for _, n := range []string{"1", "2", "30"} {
		g.want["s:row "+n] = row{"s:row " + n, "old-" + n, json.RawMessage(`{"id":"row ` + n + `","by":"old"}`)}
	}
	return g
}

func (g *game) play() {
	ctx, cancel := context.WithCancel(g.t.Context())
	defer cancel()
	arg, err := json.Marshal(g.plan)
	if err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "node", "windows.mjs", string(arg))
	cmd.Dir = nodeDir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	changes := g.db.Watch(ctx, g.plan.Collection)
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.out = in
	var watching sync.WaitGroup
	watching.Go(func() {
		for change := range changes {
			g.print(message{Changed: g.plan.Collection, Seq: change.Seq})
		}
	})
	g.writer.Go(g.write)
	g.serve(ctx, out)
	cancel()
	watching.Wait()
	if err := cmd.Wait(); err != nil && g.reports == nil {
		g.t.Fatalf("node: %v\n%.4000s", err, stderr.Bytes())
	}
	if stderr.Len() > 0 {
		g.t.Errorf("node complains:\n%.4000s", stderr.Bytes())
	}
	g.judge()
}

// serve answers calls until Node has reported. Each has its own goroutine, as in a host.
func (g *game) serve(ctx context.Context, out io.Reader) {
	var calls sync.WaitGroup
	defer calls.Wait()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			g.t.Errorf("%v in %.200s", err, lines.Bytes())
			return
		}
		calls.Go(func() {
			answer, err := g.answer(ctx, m)
			if err != nil {
				answer.Error = err.Error()
			}
			answer.ID = m.ID
			g.print(answer)
		})
		if m.Op == "report" {
			g.reports = m.Windows
			return
		}
	}
}

func (g *game) print(m message) {
	line, err := json.Marshal(m)
	if err != nil {
		g.t.Error(err)
		return
	}
	g.outMu.Lock()
	defer g.outMu.Unlock()
	_, _ = g.out.Write(append(line, '\n')) // Node may have ended
}

func (g *game) answer(ctx context.Context, m message) (message, error) {
	switch m.Op {
	case "snapshot":
		s, err := g.db.Snapshot(ctx, m.Collection)
		return message{Value: string(s.Value), Seq: s.Seq}, err
	case "setItem", "removeItem":
		g.mu.Lock()
		defer g.mu.Unlock()
		result, err := g.set(ctx, m)
		if err == nil {
			g.note(m)
		}
		select {
		case g.beat <- struct{}{}:
		default: // Go has enough to do
		}
		return message{Seq: result.Seq, Same: result.Same}, err
	case "settled":
		close(g.beat)
		g.writer.Wait()
		return message{}, g.told(ctx)
	case "report":
		return message{}, nil
	}
	return message{}, fmt.Errorf("unknown op %q", m.Op)
}

func (g *game) set(ctx context.Context, m message) (soma.StorageResult, error) {
	if m.Op == "removeItem" {
		return g.db.RemoveItem(ctx, m.Collection, m.BaseSeq, soma.WithWindow(m.Window))
	}
	return g.db.SetItem(ctx, m.Collection, []byte(m.Value), m.BaseSeq, soma.WithWindow(m.Window))
}

// note does to want what a window has done: a write counts always, a deletion if the row is
// as the window knew it.
func (g *game) note(m message) {
	for _, deleted := range m.Change.Deletes {
		if g.want[deleted.Key].VersionKey == deleted.VersionKey {
			delete(g.want, deleted.Key)
			g.gone++
		}
	}
	for _, put := range m.Change.Puts {
		g.want[put.Key] = put
		g.puts++
	}
}

// write is what Go does meanwhile, in time with the windows.
func (g *game) write() {
	ctx := g.t.Context()
	for i := range g.plan.writes {
		<-g.beat
		key, id := fmt.Sprintf("row %d", 1+i*7%24), fmt.Sprintf("%q", fmt.Sprintf("row %d", 1+i*7%24))
		if g.plan.Numbers {
			half := float64(1+i*7%24) / 2
			key, id = soma.NumberKey(half), fmt.Sprint(half)
		}
		g.mu.Lock()
		err := g.writeRow(ctx, key, fmt.Sprintf(`{"id":%s,"by":"Go","step":%d.0,"text":"<9007199254740993>"}`, id, i), i%4 == 0)
		g.mu.Unlock()
		if err != nil {
			g.t.Error(err)
		}
	}
}

func (g *game) writeRow(ctx context.Context, key, value string, remove bool) error {
	atMs := int64(1) // wins over nothing
	if rec, err := g.db.Get(ctx, g.plan.Collection, key); err == nil {
		atMs = rec.UpdatedAtMs + 1
	} else if !errors.Is(err, soma.ErrNotFound) {
		return err
	}
	if remove {
		if err := g.db.Delete(ctx, g.plan.Collection, key, atMs); err != nil {
			return err
		}
	} else if err := g.db.Put(ctx, g.plan.Collection, key, json.RawMessage(value), atMs); err != nil {
		return err
	}
	now, err := g.stored(ctx)
	if err != nil {
		return err
	}
	g.want = now
	return nil
}

func (g *game) stored(ctx context.Context) (map[string]row, error) {
	s, err := g.db.Snapshot(ctx, g.plan.Collection)
	if err != nil {
		return nil, err
	}
	return rowsOf(string(s.Value))
}

func rowsOf(value string) (map[string]row, error) {
	rows := map[string]row{}
	err := json.Unmarshal([]byte(value), &rows)
	for key, r := range rows {
		r.Key = key
		rows[key] = r
	}
	return rows, err
}

// told makes sure that the windows hear of the newest change.
func (g *game) told(ctx context.Context) error {
	s, err := g.db.Snapshot(ctx, g.plan.Collection)
	if err == nil {
		g.print(message{Changed: g.plan.Collection, Seq: s.Seq})
	}
	return err
}

// judge compares what all have in the end.
func (g *game) judge() {
	t := g.t
	if len(g.reports) != 2 {
		t.Fatalf("%d windows have reported", len(g.reports))
	}
	done := 0
	for _, r := range g.reports {
		for _, n := range r.Done {
			done += n
		}
		if len(r.Refused) > 0 {
			t.Errorf("window %s was refused: %q", r.ID, r.Refused)
		}
	}
	if done != 2*g.plan.Steps {
		t.Errorf("%d inserts, updates and deletes were made, want %d", done, 2*g.plan.Steps)
	}
	got, err := g.stored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, key := range slices.Sorted(maps.Keys(g.want)) {
		if got[key].VersionKey != g.want[key].VersionKey || !sameJSON(t, got[key].Data, g.want[key].Data) {
			lost++
			t.Errorf("row %s is %s %s, want %s %s", key, got[key].VersionKey, got[key].Data, g.want[key].VersionKey, g.want[key].Data)
		}
	}
	if len(got) != len(g.want) {
		t.Errorf("the collection has %d rows, want %d", len(got), len(g.want))
	}
	for _, r := range g.reports {
		g.judgeWindow(r, got)
	}
	t.Logf("seed %d: %d rows written by windows, %d deleted, %d lost, %d in the end", g.plan.Seed, g.puts, g.gone, lost, len(got))
}

func (g *game) judgeWindow(r report, got map[string]row) {
	inStorage, err := rowsOf(r.Value)
	if err != nil {
		g.t.Fatal(err)
	}
	for key, want := range got {
		if inStorage[key].VersionKey != want.VersionKey {
			g.t.Errorf("window %s has version %q of %s in its storage, want %q", r.ID, inStorage[key].VersionKey, key, want.VersionKey)
		}
		if r.Rows[key] == nil || !sameJSON(g.t, r.Rows[key], want.Data) {
			g.t.Errorf("window %s shows %s as %s, want %s", r.ID, key, r.Rows[key], want.Data)
		}
	}
	if len(inStorage) != len(got) || len(r.Rows) != len(got) {
		g.t.Errorf("window %s has %d rows in its storage and shows %d, want %d", r.ID, len(inStorage), len(r.Rows), len(got))
	}
}

// sameJSON compares values as JavaScript sees them.
func sameJSON(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var one, other any
	if json.Unmarshal(a, &one) != nil || json.Unmarshal(b, &other) != nil {
		return false
	}
	return fmt.Sprint(one) == fmt.Sprint(other)
}

// seeds is how many runs each plan has.
func seeds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SOMA_WINDOW_SEEDS")
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SOMA_WINDOW_SEEDS=%s", text)
	}
	return n
}

func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("real windows need node: %v", err)
	}
	if _, err := os.Stat(filepath.Join(nodeDir, "node_modules", "@tanstack", "db")); err != nil {
		t.Skipf("@tanstack/db is not installed (npm ci in %s): %v", nodeDir, err)
	}
}
