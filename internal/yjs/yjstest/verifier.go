package yjstest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// Verifier is a node process that reads updates with real yjs. It is safe for
// concurrent use.
type Verifier struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	peers  int
}

// Reading is what real yjs makes of updates.
type Reading struct {
	Content     map[string]any
	JSON        map[string]any
	StateVector []byte
	Update      []byte
	Pending     bool
}

// NewVerifier starts the process. The caller closes it.
func NewVerifier(dir string) (*Verifier, error) {
	v := &Verifier{cmd: exec.Command("node", "verify.mjs")}
	v.cmd.Dir = dir
	v.cmd.Stderr = &v.stderr
	var err error
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start verifier: %w", err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start verifier: %w", err)
	}
	v.out = bufio.NewReaderSize(out, 1<<20)
	if err := v.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start verifier: %w", err)
	}
	return v, nil
}

// Close ends the process and waits for it.
func (v *Verifier) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.in.Close(); err != nil {
		return fmt.Errorf("close verifier: %w", err)
	}
	if err := v.cmd.Wait(); err != nil {
		return fmt.Errorf("close verifier: %w\n%s", err, v.stderr.Bytes())
	}
	return nil
}

type request struct {
	Roots    map[string]Kind `json:"roots,omitempty"`
	Declared bool            `json:"declared,omitempty"`
	Updates  []string        `json:"updates,omitempty"`
	Merge    []string        `json:"merge,omitempty"`
}

type answer struct {
	Content, JSON     map[string]Tagged
	SV, State, Update string
	Pending           int
	Out, Re           []string
	Error             string
}

func hexes(list [][]byte) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = hex.EncodeToString(b)
	}
	return out
}

func unhexes(list []string) ([][]byte, error) {
	out := make([][]byte, len(list))
	for i, text := range list {
		var err error
		if out[i], err = hex.DecodeString(text); err != nil {
			return nil, fmt.Errorf("ask yjs: %w", err)
		}
	}
	return out, nil
}

func kindsOf(roots []Root) map[string]Kind {
	kinds := make(map[string]Kind, len(roots))
	for _, root := range roots {
		kinds[root.Name] = root.Kind
	}
	return kinds
}

func (v *Verifier) ask(r any) (*answer, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("ask yjs: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.in.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("ask yjs: %w\n%s", err, v.stderr.Bytes())
	}
	reply, err := v.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("ask yjs: %w\n%s", err, v.stderr.Bytes())
	}
	var a answer
	if err := json.Unmarshal(reply, &a); err != nil {
		return nil, fmt.Errorf("ask yjs: %w", err)
	}
	if a.Error != "" {
		return nil, fmt.Errorf("yjs threw: %s", a.Error)
	}
	return &a, nil
}

// Read applies updates to a fresh Y.Doc, with its roots declared before that or
// only before the content is read.
func (v *Verifier) Read(roots []Root, declared bool, updates ...[]byte) (*Reading, error) {
	a, err := v.ask(request{Roots: kindsOf(roots), Declared: declared, Updates: hexes(updates)})
	if err != nil {
		return nil, err
	}
	return a.reading()
}

func (a *answer) reading() (*Reading, error) {
	var err error
	reading := &Reading{Content: untagged(a.Content), JSON: untagged(a.JSON), Pending: a.Pending != 0}
	if reading.StateVector, err = hex.DecodeString(a.SV); err != nil {
		return nil, fmt.Errorf("ask yjs: %w", err)
	}
	if reading.Update, err = hex.DecodeString(a.State); err != nil {
		return nil, fmt.Errorf("ask yjs: %w", err)
	}
	return reading, nil
}

// Merge is Y.mergeUpdates.
func (v *Verifier) Merge(updates ...[]byte) ([]byte, error) {
	a, err := v.ask(request{Merge: hexes(updates)})
	if err != nil {
		return nil, err
	}
	out, err := hex.DecodeString(a.Update)
	if err != nil {
		return nil, fmt.Errorf("ask yjs: %w", err)
	}
	return out, nil
}

// Verify has real yjs read what an engine makes of a session: the compacted
// update, the merged one and the encoded document must all hold the content and
// the state vector that yjs recorded. Bytes that yjs itself wrote are not read
// again.
func (v *Verifier) Verify(e Engine, s *Session) (err error) {
	c := check{"verify", v.verify, true}
	if err := c.guarded(e, s); err != nil && !errors.Is(err, errNotRecorded) {
		return fmt.Errorf("session %s/%d: %w", s.Family, s.Seed, err)
	}
	return nil
}

func (v *Verifier) verify(e Engine, s *Session) error {
	d, err := loaded(e, s, DocRun{Name: s.Runs[0].Name, Apply: s.Runs[0].Apply})
	if err != nil {
		return err
	}
	for _, writer := range []struct {
		name  string
		write func() ([]byte, error)
		yjs   []byte
	}{
		{"compacted update", func() ([]byte, error) { return e.Compact(s.Updates...) }, nil},
		{"merged update", func() ([]byte, error) { return e.Merge(s.Updates...) }, s.Merges[0].Out},
		{"encoded document", func() ([]byte, error) { return d.Encode(nil) }, s.Runs[0].At[len(s.Runs[0].At)-1].Update},
	} {
		update, err := writer.write()
		if err != nil {
			return fmt.Errorf("%s: %w", writer.name, err)
		}
		if bytes.Equal(update, writer.yjs) {
			continue
		}
		reading, err := v.Read(s.Roots, true, update)
		if err != nil {
			return fmt.Errorf("%s: %w", writer.name, err)
		}
		if err := reading.compare(s); err != nil {
			return fmt.Errorf("%s, read by yjs: %w", writer.name, err)
		}
	}
	return nil
}

func (r *Reading) compare(s *Session) error {
	if r.Pending {
		return errors.New("something is pending")
	}
	if err := same("state vector", r.StateVector, s.Compact.StateVector); err != nil {
		return err
	}
	got, err := CanonicalRoots(r.Content)
	if err != nil {
		return err
	}
	want, err := CanonicalRoots(s.Content)
	if err != nil {
		return err
	}
	return sameText("content", got, want)
}
