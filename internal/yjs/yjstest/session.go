package yjstest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Session is a recorded session: what clients sent, and what yjs makes of it.
// The format is described in node/sessions.mjs.
type Session struct {
	Seed    uint32
	Family  string
	Clients []uint64
	Roots   []Root // sorted by name
	Undo    bool   // the clients have undo managers
	Late    bool   // the clients start without any declared root
	Watched bool   // it was recorded what observers of every root saw

	// Disagrees says how yjs contradicts itself about what the updates lead to. Then,
	// and in long sessions, only Script and Ends are there of what follows.
	Disagrees string

	Updates [][]byte // in causal order
	Runs    []DocRun
	Merges  []Merge
	Diffs   []Diff
	Encodes []Encoding
	Compact Compaction
	V2      Conversion
	Content map[string]any // of the declared roots, in the types of this package
	JSON    map[string]any // toJSON of them
	Script  []Step
	Ends    []End // of each client that yjs played
}

// End is what a client holds after the script.
type End struct {
	State   State // N does not count
	Content map[string]any
	JSON    map[string]any
}

// DocRun is a fresh document that was given updates in some order.
type DocRun struct {
	Name     string
	Declared bool // roots were declared before the first update
	Apply    [][]byte
	At       []State
}

// State is what a document encodes after its first N updates.
type State struct {
	N           int
	Update      []byte
	StateVector []byte
	Pending     bool
}

// Merge is a result of Y.mergeUpdates, with the state vector of the result.
type Merge struct {
	Name        string
	In          [][]byte
	Out         []byte
	StateVector []byte
}

// Diff is a result of Y.diffUpdate.
type Diff struct{ Update, StateVector, Out []byte }

// Encoding is what the document of the first run answers to a state vector.
type Encoding struct{ StateVector, Out []byte }

// Compaction is a document that was given everything in one merged update.
type Compaction struct{ In, Update, StateVector []byte }

// Conversion is an update (V1) in the format v2, what yjs makes of that in v1,
// and the v2 encoding of the first run's document.
type Conversion struct{ V1, V2, Back, State []byte }

// Step is one act of a client.
type Step struct {
	Client        int // an index into Session.Clients
	Do            []Op
	Apply         []byte
	Sync          []byte // the state vector that was answered; Out[0] is the answer
	Undo          bool
	Redo          bool
	StopCapturing bool
	Declare       *Root
	Out           [][]byte // emitted updates
	Announced     [][]byte // those that say what received updates brought

	// Observed is what observeDeep of each root was called with, in the order of the
	// calls, in sessions that are Watched.
	Observed []Observation
}

// Observation is one call of an observer of a root. Its events are a list of objects, as
// node/events.mjs describes them.
type Observation struct {
	Root   string
	Events any
}

// Op is an operation on a shared type; see node/ops.mjs. Operations by name:
//
//	insert   a string at Index, with Attributes (nil: those at the place)
//	embed    Value at Index, a plain value or a shared type, with Attributes
//	delete   Length units at Index, of a text
//	format   Length units at Index with Attributes
//	delta    Delta
//	attr     set the attribute Key to Value
//	unattr   remove the attribute Key
//	ins      Values at Index, in an array or XML
//	push     Values at the end of an array or XML
//	unshift  Values at the beginning
//	after    Values right behind the first Index children of XML (insertAfter)
//	del      Length values at Index
//	set      Key to Value, in a map
//	unset    Key
//	clear    the map
type Op struct {
	Name       string
	Path       []PathStep // the first is the name of the root
	Index      int
	Length     int
	Key        string
	Value      any
	Values     []any
	Attributes []Pair
	Delta      []DeltaOp

	raw json.RawMessage // as it was recorded
}

// String returns the operation as it was recorded.
func (op Op) String() string { return string(op.raw) }

// PathStep is a step towards a shared type. Exactly one of its parts counts,
// by Kind.
type PathStep struct {
	Kind  StepKind
	Key   string
	Index int
}

// StepKind says what a path step means.
type StepKind int

// The kinds of path steps.
const (
	StepKey   StepKind = iota // the name of a root, or a key or attribute
	StepIndex                 // an index of an array or XML
	StepType                  // the nth shared type within a text
)

// DeltaOp is one step of a delta.
type DeltaOp struct {
	Insert     any // nil if the step inserts nothing
	Retain     int
	Delete     int
	Attributes []Pair
}

type rawSession struct {
	Seed    uint32
	Family  string
	Clients []uint64
	Roots   map[string]Kind
	Undo    bool
	Late    bool
	Watched bool

	Disagrees string

	Blobs   []string
	Updates []int
	Runs    []struct {
		Name     string
		Declared bool
		Apply    []int
		At       []struct{ N, State, SV, Pending int }
	}
	Merges []struct {
		Name string
		In   []int
		Out  int
		SV   int
	}
	Diffs   []struct{ Update, SV, Out int }
	Encodes []struct{ SV, Out int }
	Compact *struct{ In, State, SV int }
	V2      *struct{ From, To, Back, State int }
	Content map[string]Tagged
	JSON    map[string]Tagged
	Script  []rawStep
	Ends    []struct {
		State, SV, Pending int
		Content, JSON      map[string]Tagged
	}
}

type rawStep struct {
	C                int
	Do               []json.RawMessage
	Apply, Sync      *int
	Undo, Redo, Stop int
	Declare          *string
	Out, Re          []int
	Ev               [][2]json.RawMessage
}

type rawOp struct {
	Op   string
	P    []json.RawMessage
	I, N int
	K    *Tagged
	S    *Tagged
	V    json.RawMessage
	A    json.RawMessage
	D    []struct {
		Insert         *Tagged
		Retain, Delete int
		Attributes     json.RawMessage
	}
}

func (r rawOp) op() (Op, error) {
	op := Op{Name: r.Op, Index: r.I, Length: r.N}
	for i, raw := range r.P {
		step, err := pathStep(raw, i == 0)
		if err != nil {
			return op, err
		}
		op.Path = append(op.Path, step)
	}
	if r.K != nil {
		op.Key, _ = r.K.Value.(string)
	}
	if r.S != nil {
		op.Value = r.S.Value
	}
	if r.V != nil {
		var v Tagged
		if err := json.Unmarshal(r.V, &v); err != nil {
			return op, err
		}
		op.Value = v.Value
		switch r.Op {
		case "ins", "push", "unshift", "after":
			op.Value = nil
			op.Values, _ = v.Value.([]any)
		}
	}
	var err error
	if op.Attributes, err = attributes(r.A); err != nil {
		return op, err
	}
	for _, d := range r.D {
		step := DeltaOp{Retain: d.Retain, Delete: d.Delete}
		if d.Insert != nil {
			step.Insert = d.Insert.Value
		}
		if step.Attributes, err = attributes(d.Attributes); err != nil {
			return op, err
		}
		op.Delta = append(op.Delta, step)
	}
	return op, nil
}

// attributes reads pairs; absent ones are nil, none are an empty list.
func attributes(data json.RawMessage) ([]Pair, error) {
	if data == nil {
		return nil, nil
	}
	var raw any
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	return untagPairs(raw)
}

func pathStep(raw json.RawMessage, root bool) (PathStep, error) {
	if root {
		var name string
		err := json.Unmarshal(raw, &name)
		return PathStep{Kind: StepKey, Key: name}, err
	}
	var index int
	if json.Unmarshal(raw, &index) == nil {
		return PathStep{Kind: StepIndex, Index: index}, nil
	}
	var step struct {
		K *string
		T *int
	}
	switch err := json.Unmarshal(raw, &step); {
	case err != nil:
		return PathStep{}, err
	case step.K != nil:
		return PathStep{Kind: StepKey, Key: *step.K}, nil
	case step.T != nil:
		return PathStep{Kind: StepType, Index: *step.T}, nil
	}
	return PathStep{}, fmt.Errorf("yjstest: %s is no path step", raw)
}

// ParseSession reads one record.
func ParseSession(line []byte) (*Session, error) {
	var raw rawSession
	if err := json.Unmarshal(line, &raw); err != nil {
		return nil, fmt.Errorf("parse session: %w", err)
	}
	s := &Session{
		Seed: raw.Seed, Family: raw.Family, Clients: raw.Clients,
		Undo: raw.Undo, Late: raw.Late, Watched: raw.Watched, Disagrees: raw.Disagrees,
		Content: untagged(raw.Content), JSON: untagged(raw.JSON),
	}
	for name, kind := range raw.Roots {
		s.Roots = append(s.Roots, Root{name, kind})
	}
	slices.SortFunc(s.Roots, func(a, b Root) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	blobs := make(blobs, len(raw.Blobs))
	for i, text := range raw.Blobs {
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("parse session %d: blob %d: %w", s.Seed, i, err)
		}
		blobs[i] = slices.Clip(b)
	}
	s.addReadings(&raw, blobs)
	for _, r := range raw.Script {
		step, err := r.step(s, blobs)
		if err != nil {
			return nil, fmt.Errorf("parse session %d: step: %w", s.Seed, err)
		}
		s.Script = append(s.Script, step)
	}
	for _, e := range raw.Ends {
		end := End{State{0, blobs[e.State], blobs[e.SV], e.Pending != 0}, s.Content, s.JSON}
		if e.Content != nil {
			end.Content = untagged(e.Content)
		}
		if e.JSON != nil {
			end.JSON = untagged(e.JSON)
		}
		s.Ends = append(s.Ends, end)
	}
	return s, nil
}

// blobs are the byte strings of a record. The generator writes indices of its own list
// only; a fixture that was cut short fails here, in a test's set-up.
type blobs [][]byte

func (b blobs) list(refs []int) [][]byte {
	out := make([][]byte, len(refs))
	for i, ref := range refs {
		out[i] = b[ref]
	}
	return out
}

// addReadings adds what readers made of the updates, if that was recorded.
func (s *Session) addReadings(raw *rawSession, blobs blobs) {
	if raw.Compact == nil || raw.V2 == nil {
		return
	}
	s.Updates = blobs.list(raw.Updates)
	for _, r := range raw.Runs {
		run := DocRun{Name: r.Name, Declared: r.Declared, Apply: blobs.list(r.Apply)}
		for _, at := range r.At {
			run.At = append(run.At, State{at.N, blobs[at.State], blobs[at.SV], at.Pending != 0})
		}
		s.Runs = append(s.Runs, run)
	}
	for _, m := range raw.Merges {
		s.Merges = append(s.Merges, Merge{m.Name, blobs.list(m.In), blobs[m.Out], blobs[m.SV]})
	}
	for _, d := range raw.Diffs {
		s.Diffs = append(s.Diffs, Diff{blobs[d.Update], blobs[d.SV], blobs[d.Out]})
	}
	for _, e := range raw.Encodes {
		s.Encodes = append(s.Encodes, Encoding{blobs[e.SV], blobs[e.Out]})
	}
	s.Compact = Compaction{blobs[raw.Compact.In], blobs[raw.Compact.State], blobs[raw.Compact.SV]}
	s.V2 = Conversion{blobs[raw.V2.From], blobs[raw.V2.To], blobs[raw.V2.Back], blobs[raw.V2.State]}
}

// HasReadings reports whether it was recorded what readers make of the updates.
func (s *Session) HasReadings() bool { return len(s.Runs) > 0 }

// ParseOps reads a list of operations, in the form that node/ops.mjs describes.
func ParseOps(list []byte) ([]Op, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(list, &raw); err != nil {
		return nil, fmt.Errorf("parse operations: %w", err)
	}
	return parseOps(raw)
}

func parseOps(list []json.RawMessage) ([]Op, error) {
	var ops []Op
	for _, data := range list {
		var raw rawOp
		if err := json.Unmarshal(data, &raw); err != nil {
			return nil, err
		}
		op, err := raw.op()
		if err != nil {
			return nil, err
		}
		op.raw = data
		ops = append(ops, op)
	}
	return ops, nil
}

// Readable returns the sessions of which it was recorded what readers make of the updates.
func Readable(sessions []*Session) []*Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s *Session) bool { return !s.HasReadings() })
}

func (r rawStep) step(s *Session, blobs blobs) (Step, error) {
	step := Step{Client: r.C, Undo: r.Undo != 0, Redo: r.Redo != 0, StopCapturing: r.Stop != 0, Out: blobs.list(r.Out), Announced: blobs.list(r.Re)}
	if r.Apply != nil {
		step.Apply = blobs[*r.Apply]
	}
	if r.Sync != nil {
		step.Sync = blobs[*r.Sync]
	}
	if r.Declare != nil {
		at := slices.IndexFunc(s.Roots, func(root Root) bool { return root.Name == *r.Declare })
		if at < 0 {
			return step, fmt.Errorf("%q is no root of the session", *r.Declare)
		}
		step.Declare = &s.Roots[at]
	}
	var err error
	if step.Do, err = parseOps(r.Do); err != nil {
		return step, err
	}
	for _, call := range r.Ev {
		var o Observation
		var events Tagged
		if err := json.Unmarshal(call[0], &o.Root); err != nil {
			return step, err
		}
		if err := json.Unmarshal(call[1], &events); err != nil {
			return step, err
		}
		o.Events = events.Value
		step.Observed = append(step.Observed, o)
	}
	return step, nil
}

func untagged(roots map[string]Tagged) map[string]any {
	out := make(map[string]any, len(roots))
	for name, v := range roots {
		out[name] = v.Value
	}
	return out
}

// Summary is what the generator says at the end of a live run.
type Summary struct {
	Played    int
	Dropped   map[string]int // by reason
	Disagreed map[string]int // of those played, by reason: how yjs disagreed with itself
	Families  map[string]struct{ Played, Dropped int }
}

// Read reads sessions, one per line, until f returns false or an error occurs.
// It returns the summary if the stream has one.
func Read(r io.Reader, f func(*Session) bool) (*Summary, error) {
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read sessions: %w", err)
		}
		if bytes.HasPrefix(line, []byte(`{"summary":`)) {
			var last struct{ Summary Summary }
			if err := json.Unmarshal(line, &last); err != nil {
				return nil, fmt.Errorf("read summary: %w", err)
			}
			return &last.Summary, nil
		}
		s, err := ParseSession(line)
		if err != nil {
			return nil, err
		}
		if !f(s) {
			return nil, nil
		}
	}
}

// Fixtures reads the sessions of every file that a glob matches. A glob that
// matches none is an error.
func Fixtures(glob string) ([]*Session, error) {
	files, err := filepath.Glob(glob)
	if err != nil {
		return nil, fmt.Errorf("fixtures %q: %w", glob, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("fixtures %q: no file matches", glob)
	}
	var out []*Session
	for _, name := range files {
		sessions, err := readFixture(name)
		if err != nil {
			return nil, fmt.Errorf("fixtures %s: %w", filepath.Base(name), err)
		}
		if len(sessions) == 0 {
			return nil, fmt.Errorf("fixtures %s: no session", filepath.Base(name))
		}
		out = append(out, sessions...)
	}
	return out, nil
}

func readFixture(name string) ([]*Session, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var out []*Session
	_, err = Read(z, func(s *Session) bool {
		out = append(out, s)
		return true
	})
	return out, err
}
