package yjstest

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// errNotRecorded says that a session has nothing that a check compares.
var errNotRecorded = errors.New("not recorded in this session")

// A check compares one aspect of an engine with what yjs did in a session.
type check struct {
	name    string
	run     func(Engine, *Session) error
	reading bool // it compares what readers make of the updates
}

// Runs by name: the orders in which sessions give updates to a document.
var runNames = []string{"causal", "shuffled", "duplicated", "gapped", "merged", "rest"}

func checks() []check {
	var out []check
	for _, name := range runNames {
		out = append(out,
			check{name, func(e Engine, s *Session) error { return checkRuns(e, s, name, false) }, true},
			check{name + " declared", func(e Engine, s *Session) error { return checkRuns(e, s, name, true) }, true},
			check{name + " content", func(e Engine, s *Session) error { return checkContent(e, s, name) }, true})
	}
	return append(out,
		check{"json", checkJSON, true},
		check{"validate", checkValidate, true},
		check{"merge", checkMerges, true},
		check{"vector", checkVectors, true},
		check{"diff", checkDiffs, true},
		check{"encode", checkEncodes, true},
		check{"compact", checkCompact, true},
		check{"v2", checkV2, true},
		check{"script", checkScript, false},
		check{"events", checkEvents, false},
	)
}

// guarded runs a check and turns a panic into an error.
func (c check) guarded(e Engine, s *Session) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if c.reading && !s.HasReadings() {
		return errNotRecorded
	}
	return c.run(e, s)
}

// Around a difference, messages show this much; whole states would hide it.
const (
	shownBefore = 24
	shownAfter  = 60
)

// same compares bytes and shows where they part.
func same(what string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := parting(got, want)
	return fmt.Errorf("%s differs at byte %d: got %d bytes, want %d\ngot  %x\nwant %x",
		what, at, len(got), len(want), window(got, at), window(want, at))
}

func sameText(what, got, want string) error {
	if got == want {
		return nil
	}
	at := parting(got, want)
	return fmt.Errorf("%s differs at byte %d\ngot  %q\nwant %q", what, at, window(got, at), window(want, at))
}

func parting[S ~string | ~[]byte](a, b S) int {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	return at
}

func window[S ~string | ~[]byte](s S, at int) S {
	return s[max(0, at-shownBefore):min(len(s), at+shownAfter)]
}

func declare(d Doc, s *Session) {
	for _, root := range s.Roots {
		d.Declare(root.Name, root.Kind)
	}
}

// play applies a run to a fresh document and compares it wherever yjs was asked.
func play(e Engine, s *Session, run DocRun) (Doc, error) {
	d := e.NewDoc()
	if run.Declared {
		declare(d, s)
	}
	at := run.At
	for i, update := range run.Apply {
		if err := d.Apply(update); err != nil {
			return nil, fmt.Errorf("%s: apply %d of %d: %w", run.Name, i+1, len(run.Apply), err)
		}
		if len(at) == 0 || at[0].N != i+1 {
			continue
		}
		if err := compareState(d, at[0]); err != nil {
			return nil, fmt.Errorf("%s: after %d of %d updates: %w", run.Name, i+1, len(run.Apply), err)
		}
		at = at[1:]
	}
	return d, nil
}

func compareState(d Doc, want State) error {
	if err := same("state vector", d.StateVector(), want.StateVector); err != nil {
		return err
	}
	if got := d.Pending(); got != want.Pending {
		return fmt.Errorf("pending = %v, want %v", got, want.Pending)
	}
	got, err := d.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return same("state", got, want.Update)
}

func checkRuns(e Engine, s *Session, name string, declared bool) error {
	err := errNotRecorded
	for _, run := range s.Runs {
		if run.Name != name || run.Declared != declared {
			continue
		}
		if _, err = play(e, s, run); err != nil {
			return err
		}
	}
	return err
}

func contentOf(d Doc) (string, error) {
	content, err := d.Content()
	if err != nil {
		return "", fmt.Errorf("content: %w", err)
	}
	return CanonicalRoots(content)
}

// loaded applies a run without looking at bytes, so that content is judged by itself.
func loaded(e Engine, s *Session, run DocRun) (Doc, error) {
	d := e.NewDoc()
	if run.Declared {
		declare(d, s)
	}
	for i, update := range run.Apply {
		if err := d.Apply(update); err != nil {
			return nil, fmt.Errorf("%s: apply %d of %d: %w", run.Name, i+1, len(run.Apply), err)
		}
	}
	if !run.Declared {
		declare(d, s)
	}
	return d, nil
}

func checkContent(e Engine, s *Session, name string) error {
	want, err := CanonicalRoots(s.Content)
	if err != nil {
		return err
	}
	for _, run := range s.Runs {
		if run.Name != name {
			continue
		}
		d, err := loaded(e, s, run)
		if err != nil {
			return err
		}
		got, err := contentOf(d)
		if err != nil {
			return err
		}
		if err := sameText(fmt.Sprintf("content after %s (declared %v)", run.Name, run.Declared), got, want); err != nil {
			return err
		}
	}
	return nil
}

func checkJSON(e Engine, s *Session) error {
	if _, ok := e.NewDoc().(JSONDoc); !ok {
		return ErrNotOffered
	}
	want, err := CanonicalJSON(s.JSON)
	if err != nil {
		return err
	}
	d, err := loaded(e, s, s.Runs[0])
	if err != nil {
		return err
	}
	doc := d.(JSONDoc)
	roots, err := doc.JSON()
	if err != nil {
		return fmt.Errorf("toJSON: %w", err)
	}
	got, err := CanonicalJSON(roots)
	if err != nil {
		return err
	}
	return sameText("toJSON", got, want)
}

func checkValidate(e Engine, s *Session) error {
	for i, update := range s.Updates {
		if err := e.Validate(update); err != nil {
			return fmt.Errorf("validate update %d: %w", i, err)
		}
	}
	for _, m := range s.Merges {
		if err := e.Validate(m.Out); err != nil {
			return fmt.Errorf("validate merge %s: %w", m.Name, err)
		}
	}
	return nil
}

// sortedInputs is the number of inputs from which the bytes of Y.mergeUpdates
// depend on the sort of the JavaScript engine, if one input holds a struct as
// content and another one as GC: yjs compares the two as "before" both ways. Below
// it, V8 sorts by plain insertion, and an engine can agree.
const sortedInputs = 64

func checkMerges(e Engine, s *Session) error {
	for _, m := range s.Merges {
		got, err := e.Merge(m.In...)
		if err != nil {
			return fmt.Errorf("merge %s: %w", m.Name, err)
		}
		err = same("merge "+m.Name, got, m.Out)
		if err != nil && len(m.In) >= sortedInputs {
			err = sameInTheEnd(e, s, m, got)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sameInTheEnd checks that a merge covers the same clocks as yjs's, and leads to the
// same document once all updates are there. Before that, content and GC that wait
// for others are not the same.
func sameInTheEnd(e Engine, s *Session, m Merge, got []byte) error {
	vector, err := e.StateVector(got)
	if err != nil {
		return fmt.Errorf("vector of merge %s: %w", m.Name, err)
	}
	if err := same("vector of merge "+m.Name, vector, m.StateVector); err != nil {
		return err
	}
	state := func(merged []byte) ([]byte, error) {
		state, err := e.Compact(append([][]byte{merged}, s.Updates...)...)
		if err != nil {
			err = fmt.Errorf("merge %s and all updates: %w", m.Name, err)
		}
		return state, err
	}
	gotState, err := state(got)
	if err != nil {
		return err
	}
	wantState, err := state(m.Out)
	if err != nil {
		return err
	}
	return same("merge "+m.Name+", with all updates,", gotState, wantState)
}

func checkVectors(e Engine, s *Session) error {
	for _, m := range s.Merges {
		got, err := e.StateVector(m.Out)
		if err != nil {
			return fmt.Errorf("state vector of merge %s: %w", m.Name, err)
		}
		if err := same("state vector of merge "+m.Name, got, m.StateVector); err != nil {
			return err
		}
	}
	return nil
}

func checkDiffs(e Engine, s *Session) error {
	for i, d := range s.Diffs {
		got, err := e.Diff(d.Update, d.StateVector)
		if err != nil {
			return fmt.Errorf("diff %d: %w", i, err)
		}
		if err := same(fmt.Sprintf("diff %d", i), got, d.Out); err != nil {
			return err
		}
	}
	return nil
}

func checkEncodes(e Engine, s *Session) error {
	d, err := loaded(e, s, DocRun{Name: s.Runs[0].Name, Apply: s.Runs[0].Apply})
	if err != nil {
		return err
	}
	for i, enc := range s.Encodes {
		got, err := d.Encode(enc.StateVector)
		if err != nil {
			return fmt.Errorf("encode %d: %w", i, err)
		}
		if err := same(fmt.Sprintf("encode %d for vector %x", i, enc.StateVector), got, enc.Out); err != nil {
			return err
		}
	}
	return nil
}

// checkCompact asks for the same bytes whatever the order and number of the
// inputs, and for the content and state vector of yjs from them.
func checkCompact(e Engine, s *Session) error {
	first, err := e.Compact(s.Updates...)
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	var inputs [][][]byte
	for _, run := range s.Runs {
		inputs = append(inputs, run.Apply)
	}
	backwards := slices.Clone(s.Updates)
	slices.Reverse(backwards)
	inputs = append(inputs, backwards, [][]byte{first}, append([][]byte{first}, s.Updates...))
	for i, in := range inputs {
		got, err := e.Compact(in...)
		if err != nil {
			return fmt.Errorf("compact, input %d: %w", i, err)
		}
		if err := same(fmt.Sprintf("compact, input %d", i), got, first); err != nil {
			return err
		}
	}
	sv, err := e.StateVector(first)
	if err != nil {
		return fmt.Errorf("state vector of compacted: %w", err)
	}
	d := e.NewDoc()
	declare(d, s)
	if err := d.Apply(first); err != nil {
		return fmt.Errorf("apply compacted: %w", err)
	}
	if d.Pending() {
		return errors.New("compacted update leaves something pending")
	}
	if err := same("state vector of compacted document", d.StateVector(), s.Compact.StateVector); err != nil {
		return err
	}
	if err := same("state vector of compacted bytes", sv, s.Compact.StateVector); err != nil {
		return err
	}
	want, err := CanonicalRoots(s.Content)
	if err != nil {
		return err
	}
	got, err := contentOf(d)
	if err != nil {
		return err
	}
	return sameText("content of compacted", got, want)
}

func checkV2(e Engine, s *Session) error {
	v2, ok := e.(V2Engine)
	if !ok {
		return ErrNotOffered
	}
	got, err := v2.ToV2(s.V2.V1)
	if err != nil {
		return fmt.Errorf("convert to v2: %w", err)
	}
	if err := same("converted to v2", got, s.V2.V2); err != nil {
		return err
	}
	got, err = v2.ToV1(s.V2.V2)
	if err != nil {
		return fmt.Errorf("convert to v1: %w", err)
	}
	if err := same("converted to v1", got, s.V2.Back); err != nil {
		return err
	}
	d, err := loaded(e, s, DocRun{Name: s.Runs[0].Name, Apply: s.Runs[0].Apply})
	if err != nil {
		return err
	}
	doc, ok := d.(V2Doc)
	if !ok {
		return nil
	}
	got, err = doc.EncodeV2(nil)
	if err != nil {
		return fmt.Errorf("encode v2: %w", err)
	}
	return same("state in v2", got, s.V2.State)
}

// checkScript repeats what the clients did, and compares every update that they emit
// and what they hold in the end.
func checkScript(e Engine, s *Session) error {
	clients, err := perform(e, s, func(Client) error { return nil }, compareEmitted)
	if err != nil {
		return err
	}
	for c, end := range s.Ends {
		if clients[c] == nil {
			continue // it neither did nor received anything
		}
		if err := compareEnd(clients[c], s, end); err != nil {
			return fmt.Errorf("client %d in the end: %w", c, err)
		}
	}
	return nil
}

// checkEvents repeats what the clients did, and compares what observers see.
func checkEvents(e Engine, s *Session) error {
	if !s.Watched {
		return errNotRecorded
	}
	_, err := perform(e, s, func(c Client) error {
		watched, ok := c.(WatchedClient)
		if !ok {
			return ErrNotOffered
		}
		watched.Watch()
		return nil
	}, compareObserved)
	return err
}

// perform plays a script with clients of an engine, which prepare sees first, and calls
// compare after every step with what the client emitted.
func perform(e Engine, s *Session, prepare func(Client) error, compare func(c Client, step Step, out [][]byte) error) (map[int]Client, error) {
	editing, ok := e.(EditingEngine)
	if !ok {
		return nil, ErrNotOffered
	}
	clients := make(map[int]Client)
	for i, step := range s.Script {
		c := clients[step.Client]
		if c == nil {
			var err error
			if c, err = editing.NewClient(s.Clients[step.Client], s.Roots, s.Undo); err != nil {
				return nil, fmt.Errorf("new client: %w", err)
			}
			clients[step.Client] = c
			if !s.Late {
				declare(c, s)
			}
			if err := prepare(c); err != nil {
				return nil, err
			}
		}
		out, err := act(c, step)
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
		if err := compare(c, step, out); err != nil {
			return nil, fmt.Errorf("step %d (%s): %w", i, step.what(), err)
		}
	}
	return clients, nil
}

func compareEmitted(c Client, step Step, out [][]byte) error {
	if err := sameList("emitted", out, step.Out); err != nil {
		return err
	}
	return sameList("announced", c.Announced(), step.Announced)
}

func sameList(what string, got, want [][]byte) error {
	for i := range min(len(got), len(want)) {
		if err := same(fmt.Sprintf("%s update %d", what, i), got[i], want[i]); err != nil {
			return err
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d updates %s, want %d", len(got), what, len(want))
	}
	return nil
}

func compareObserved(c Client, step Step, _ [][]byte) error {
	calls, err := c.(WatchedClient).Observed()
	if err != nil {
		return err
	}
	got, err := Canonical(observations(calls))
	if err != nil {
		return err
	}
	want, err := Canonical(observations(step.Observed))
	if err != nil {
		return err
	}
	return sameText("what observers saw", got, want)
}

func observations(calls []Observation) []any {
	list := make([]any, len(calls))
	for i, call := range calls {
		list[i] = []any{call.Root, call.Events}
	}
	return list
}

func compareEnd(c Client, s *Session, end End) error {
	if err := compareState(c, end.State); err != nil {
		return err
	}
	if s.Late {
		declare(c, s)
	}
	want, err := CanonicalRoots(end.Content)
	if err != nil {
		return err
	}
	got, err := contentOf(c)
	if err != nil {
		return err
	}
	if err := sameText("content", got, want); err != nil {
		return err
	}
	if want, err = CanonicalJSON(end.JSON); err != nil {
		return err
	}
	roots, err := c.JSON()
	if err != nil {
		return fmt.Errorf("toJSON: %w", err)
	}
	if got, err = CanonicalJSON(roots); err != nil {
		return err
	}
	return sameText("toJSON", got, want)
}

func act(c Client, step Step) ([][]byte, error) {
	var err error
	switch {
	case step.Do != nil:
		err = c.Do(step.Do)
	case step.Apply != nil:
		err = c.Apply(step.Apply)
	case step.Undo:
		err = c.Undo()
	case step.Redo:
		err = c.Redo()
	case step.StopCapturing:
		c.StopCapturing()
	case step.Declare != nil:
		c.Declare(step.Declare.Name, step.Declare.Kind)
	case step.Sync != nil:
		update, err := c.Encode(step.Sync)
		return [][]byte{update}, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", step.what(), err)
	}
	return c.Emitted(), nil
}

func (s Step) what() string {
	switch {
	case s.Do != nil:
		ops := make([]string, len(s.Do))
		for i, op := range s.Do {
			ops[i] = op.String()
		}
		return fmt.Sprintf("client %d does %s", s.Client, strings.Join(ops, " "))
	case s.Apply != nil:
		return fmt.Sprintf("client %d receives", s.Client)
	case s.Undo:
		return fmt.Sprintf("client %d undoes", s.Client)
	case s.Redo:
		return fmt.Sprintf("client %d redoes", s.Client)
	case s.Sync != nil:
		return fmt.Sprintf("client %d answers", s.Client)
	case s.Declare != nil:
		return fmt.Sprintf("client %d declares %q", s.Client, s.Declare.Name)
	}
	return fmt.Sprintf("client %d ends an undo step", s.Client)
}
