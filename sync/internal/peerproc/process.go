package peerproc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Process is a peer that runs. Its methods are for the goroutine of the test.
type Process struct {
	t       testing.TB
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
	done    chan struct{} // when all that it wrote was read

	mu    sync.Mutex
	words []string
}

// Start starts a peer and waits until it is open. start, if it is not nil, starts the command:
// on a thread of its own, for example.
func Start(t testing.TB, c Config, start func(*exec.Cmd) error) *Process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Log = os.Getenv("SOMA_SYNC_LOG") != ""
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, cmd: exec.Command(exe), answers: make(chan string, 1), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), variable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if start == nil {
		start = (*exec.Cmd).Start
	}
	if err := start(p.cmd); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	if got := p.answer("start"); got != "open" {
		t.Fatalf("the process says %q, want open", got)
	}
	return p
}

// read takes in what the process writes until it ends.
func (p *Process) read(out io.Reader) {
	defer close(p.done)
	defer close(p.answers)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if word, ok := strings.CutPrefix(lines.Text(), "+ "); ok {
			p.mu.Lock()
			p.words = append(p.words, word)
			p.mu.Unlock()
			continue
		}
		p.answers <- lines.Text()
	}
}

// Try gives a command and returns the answer.
func (p *Process) Try(format string, args ...any) (string, error) {
	p.t.Helper()
	command := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		return "", err
	}
	line, ok := <-p.answers
	if !ok {
		return "", fmt.Errorf("%s: the process has ended", command)
	}
	answer, ok := strings.CutPrefix(line, "= ")
	if !ok {
		return "", fmt.Errorf("%s", line)
	}
	return answer, nil
}

// Do is Try of what must work.
func (p *Process) Do(format string, args ...any) string {
	p.t.Helper()
	answer, err := p.Try(format, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer
}

func (p *Process) answer(what string) string {
	p.t.Helper()
	line, ok := <-p.answers
	if !ok {
		p.t.Fatalf("%s: the process has ended", what)
	}
	return strings.TrimPrefix(line, "= ")
}

// Words returns the words that the process was told are safe.
func (p *Process) Words() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.words
}

// Kill ends the process as a crash does, and returns the words that were safe.
func (p *Process) Kill() []string {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	for range p.answers {
		// what it said last is of no interest
	}
	<-p.done
	_ = p.cmd.Wait() // "signal: killed"
	return p.Words()
}

// Stop ends the process in order.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.in.Close(); err != nil {
		p.t.Error(err)
	}
	for line := range p.answers {
		p.t.Errorf("the process says %q at its end", line)
	}
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the process ends with %v", err)
	}
}
