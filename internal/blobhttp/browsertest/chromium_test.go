package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// patience is how long the browser may take for one thing.
const patience = time.Minute

// chromium is a browser that is told what to do over two pipes, by the DevTools protocol.
type chromium struct {
	t    *testing.T
	in   io.Writer
	next int

	mu      sync.Mutex
	changed chan struct{} // closed when something has come
	replies map[int]message
	events  []message
	ended   error
}

// message is what the browser says: an answer, or an event of a session, "" for its own.
type message struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func findChromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium")
	return ""
}

// startChromium starts a browser that knows no host but 127.0.0.1. It ends with the test.
func startChromium(t *testing.T) *chromium {
	theirIn, in := pipe(t)
	out, theirOut := pipe(t)
	cmd := exec.Command(findChromium(t), "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-sync",
		"--disable-component-update", "--disable-extensions-except=", "--disable-default-apps", "--disable-domain-reliability", "--no-pings",
		"--mute-audio", "--window-size=800,600", "--autoplay-policy=no-user-gesture-required", "--password-store=basic",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	c := &chromium{t: t, in: in, changed: make(chan struct{}), replies: map[int]message{}}
	var reading sync.WaitGroup
	reading.Go(func() { c.read(out) })
	t.Cleanup(func() {
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_, _ = c.try("", "Browser.close", nil) // it may be gone before it answers
		if err := cmd.Wait(); err != nil {
			t.Logf("the browser ended with %v", err)
		}
		in.Close()
		reading.Wait()
		out.Close()
	})
	return c
}

func pipe(t *testing.T) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// read takes what the browser says, until it ends.
func (c *chromium) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(line[:len(line)-1], &m)
		}
		c.mu.Lock()
		switch {
		case err != nil:
			c.ended = fmt.Errorf("the browser has ended: %w", err)
		case m.ID != 0:
			c.replies[m.ID] = m
		default:
			c.events = append(c.events, m)
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until found, which is called with mu held, finds what it looks for.
func (c *chromium) await(what string, found func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		c.mu.Lock()
		ok, ended, changed := found(), c.ended, c.changed
		c.mu.Unlock()
		switch {
		case ok:
			return nil
		case ended != nil:
			return ended
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no %s in %v", what, patience)
		}
	}
}

func (c *chromium) try(session, method string, params any) (json.RawMessage, error) {
	c.next++
	id := c.next
	data, err := json.Marshal(map[string]any{"id": id, "sessionId": session, "method": method, "params": params})
	if session == "" {
		data, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	}
	if err != nil {
		return nil, err
	}
	if _, err := c.in.Write(append(data, 0)); err != nil {
		return nil, err
	}
	var reply message
	err = c.await("answer to "+method, func() (ok bool) {
		reply, ok = c.replies[id]
		delete(c.replies, id)
		return ok
	})
	if err == nil && reply.Error != nil {
		err = errors.New(reply.Error.Message)
	}
	return reply.Result, err
}

// call has a session do something, and decodes the answer into result, unless it is nil.
func (c *chromium) call(t *testing.T, session, method string, params, result any) {
	t.Helper()
	data, err := c.try(session, method, params)
	if err == nil && result != nil {
		err = json.Unmarshal(data, result)
	}
	if err != nil {
		t.Fatalf("%s(%.300s): %v", method, js(params), err)
	}
}

// event waits for the first of several events of a session, and forgets those before it.
func (c *chromium) event(t *testing.T, session string, methods ...string) (e message) {
	t.Helper()
	err := c.await(fmt.Sprint("event of ", methods), func() bool {
		i := slices.IndexFunc(c.events, func(e message) bool { return e.Session == session && slices.Contains(methods, e.Method) })
		if i >= 0 {
			e, c.events = c.events[i], c.events[i+1:]
		}
		return i >= 0
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// page is a tab.
type page struct {
	t       *testing.T
	c       *chromium
	session string
}

// open opens a new tab, which is closed at the end of a test.
func (c *chromium) open(t *testing.T) page {
	var target struct{ TargetID string }
	c.call(t, "", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	c.call(t, "", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	t.Cleanup(func() { c.call(t, "", "Target.closeTarget", map[string]any{"targetId": target.TargetID}, nil) })
	p := page{t, c, session.SessionID}
	p.call("Page.enable", nil, nil)
	return p
}

func (p page) call(method string, params, result any) {
	p.t.Helper()
	p.c.call(p.t, p.session, method, params, result)
}

// visit goes to a URL, and reports whether it was loaded: downloads are not.
func (p page) visit(url string) (loaded bool) {
	p.t.Helper()
	p.c.mu.Lock()
	p.c.events = nil
	p.c.mu.Unlock()
	var result struct{ ErrorText string }
	p.call("Page.navigate", map[string]any{"url": url}, &result)
	if result.ErrorText != "" {
		return false
	}
	p.c.event(p.t, p.session, "Page.loadEventFired")
	return true
}

// run runs the body of an asynchronous function in the page.
func (p page) run(js string, result any) {
	p.t.Helper()
	var reply struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.call("Runtime.evaluate", map[string]any{"expression": "(async () => {" + js + "\n})()", "awaitPromise": true, "returnByValue": true}, &reply)
	if e := reply.ExceptionDetails; e != nil {
		p.t.Fatalf("%s %s in %.300s", e.Text, e.Exception.Description, js)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(reply.Result.Value, result); err != nil {
		p.t.Fatalf("%v: %s of %.300s", err, reply.Result.Value, js)
	}
}

func js(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
