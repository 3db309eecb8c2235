package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

const token = "secret"

// client is a window, in Go.
type client struct {
	t      *testing.T
	db     *soma.DB
	bridge *bridge
	url    string
}

func newClient(t *testing.T) *client {
	db := somatest.Open(t)
	b := newBridge(db)
	server := httptest.NewServer(b.handler(token))
	t.Cleanup(server.Close)
	return &client{t, db, b, server.URL}
}

func (c *client) do(method, path string, body io.Reader) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// call returns the status and the body of an answer.
func (c *client) call(method, path, body string) (int, string) {
	c.t.Helper()
	resp := c.do(method, path, strings.NewReader(body))
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func (c *client) want(method, path, body string, status int, answer string) {
	c.t.Helper()
	if gotStatus, got := c.call(method, path, body); gotStatus != status || !strings.Contains(got, answer) {
		c.t.Errorf("%s %s %s = %d %s, want %d %s", method, path, body, gotStatus, got, status, answer)
	}
}

func row(id, version string) string {
	return fmt.Sprintf(`"s:%s":{"versionKey":%q,"data":{"id":%q,"title":"","path":"/"}}`, id, version, id)
}

func TestBridge(t *testing.T) {
	c := newClient(t)
	c.want("GET", "/collections/tabs", "", 200, `{}`)
	c.want("PUT", "/collections/tabs?base=0&window=A", "{"+row("a", "1")+"}", 200, `{"seq":1,"same":true}`)
	// Another window has not seen it, and what it has is added.
	c.want("PUT", "/collections/tabs?base=0&window=B", "{"+row("b", "2")+"}", 200, `{"seq":2,"same":false}`)
	// The answer was lost, and it asks again.
	c.want("PUT", "/collections/tabs?base=0&window=B", "{"+row("b", "2")+"}", 200, `{"seq":2,"same":false}`)
	c.want("GET", "/collections/tabs", "", 200, "{"+row("a", "1")+","+row("b", "2")+"}")
	if resp := c.do("GET", "/collections/tabs", nil); resp.Header.Get(seqHeader) != "2" {
		t.Errorf("%s = %q, want 2", seqHeader, resp.Header.Get(seqHeader))
	}
	c.want("DELETE", "/collections/tabs?base=1&window=A", "", 200, `{"seq":3,"same":false}`)
	c.want("GET", "/collections/tabs", "", 200, "{"+row("b", "2")+"}")

	tabs := []string{}
	for tab, err := range soma.Tabs(c.db).List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		tabs = append(tabs, tab.Value.ID)
	}
	if len(tabs) != 1 || tabs[0] != "b" {
		t.Errorf("Go sees the tabs %q, want b", tabs)
	}
}

func TestBridgeRefuses(t *testing.T) {
	c := newClient(t)
	put := func(name, value, reason string) {
		t.Helper()
		c.want("PUT", "/collections/"+name+"?base=0&window=A", value, 422, reason)
	}
	put("tabs", "{"+row("a", "1"), "invalid JSON")
	put("tabs", "[]", "snapshot")
	put("tabs", `{"s:a":{"versionKey":"1","data":{"id":"b","title":"","path":"/"}}}`, "invalid record")
	put("tabs", `{"s:a":{"versionKey":"1","data":{"id":"a","title":1}}}`, `field "title"`)
	put("uploadJobs", `{"s:a":{"versionKey":"1","data":{"id":"a"}}}`, "Enqueue")
	put("draftMailbox", `{"s:a/b":{"versionKey":"1","data":{"spaceId":"a","documentId":"c","snippet":"","updatedAtMs":1}}}`, `"a/c"`)
	put("spaces", `{}`, "no such collection")
	c.want("GET", "/collections/documents", "", 422, "no such collection")
	c.want("PUT", "/collections/tabs?base=1&window=A", "{}", 422, "baseSeq")
	c.want("PUT", "/collections/tabs?base=x&window=A", "{}", 422, "base")
	c.want("PUT", "/collections/tabs?window=A", "{}", 422, "base")
	c.want("PUT", "/collections/tabs?base=0", "{}", 422, "window")
	c.want("DELETE", "/collections/tabs?base=-1&window=A", "", 422, "baseSeq")
	c.want("POST", "/collections/tabs", "{}", 405, "")
	c.want("POST", "/uploads?space=a&name=b", "bytes", 422, "not found")
	c.want("GET", "/", "", 404, "")
	c.want("GET", "/collections/tabs", "", 200, `{}`)
}

func TestBridgeTooLarge(t *testing.T) {
	c := newClient(t)
	resp := c.do("PUT", "/collections/tabs?base=0&window=A", strings.NewReader(strings.Repeat(" ", soma.MaxSnapshotBytes+1)))
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 422 || !strings.Contains(string(text), soma.ErrTooLarge.Error()) {
		t.Errorf("PUT of too much = %d %s, %v, want 422", resp.StatusCode, text, err)
	}
}

func TestBridgeToken(t *testing.T) {
	c := newClient(t)
	for _, authorization := range []string{"", token, "Bearer ", "Bearer secre", "Bearer secrets", "bearer secret"} {
		for _, path := range []string{"/", "/changes", "/collections/tabs", "/uploads"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", authorization)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("GET %s with %q = %d, want 401", path, authorization, resp.StatusCode)
			}
		}
	}
}

func TestBridgeChanges(t *testing.T) {
	c := newClient(t)
	resp := c.do("GET", "/changes", nil)
	lines := bufio.NewReader(resp.Body)
	next := func(want change) {
		t.Helper()
		var got change
		line, err := lines.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &got)
		}
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if got != want {
			t.Errorf("changes tells %+v, want %+v", got, want)
		}
	}
	c.want("PUT", "/collections/routing?base=0&window=A", `{"s:a":{"versionKey":"1","data":{"id":"a"}}}`, 200, "")
	next(change{"routing", 1})
	if err := soma.UIPreferences(c.db).Put(t.Context(), "theme", soma.UIPreference{ID: "theme", Value: json.RawMessage(`"dark"`)}, 1); err != nil {
		t.Fatal(err)
	}
	next(change{"uiPreferences", 1}) // of Go
	// When the DB is closed the window hears no more, and asks again.
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("after Close = %q, %v", rest, err)
	}
	c.want("PUT", "/collections/routing?base=0&window=A", `{}`, 503, soma.ErrClosed.Error())
}

// TestBridgeTakesItsTime is about what outlasts the time that other requests have.
func TestBridgeTakesItsTime(t *testing.T) {
	c := newClient(t)
	const timeout = 200 * time.Millisecond
	server := httptest.NewUnstartedServer(c.bridge.handler(token))
	server.Config.ReadTimeout, server.Config.WriteTimeout = timeout, timeout
	server.Start()
	t.Cleanup(server.Close)
	c.url = server.URL
	space, err := firstSpace(t.Context(), c.db)
	if err != nil {
		t.Fatal(err)
	}
	changes := c.do("GET", "/changes", nil)
	body, file := io.Pipe()
	go func() {
		time.Sleep(2 * timeout)
		_, _ = io.WriteString(file, "bytes")
		file.Close()
	}()
	if resp := c.do("POST", fmt.Sprintf("/uploads?space=%s&name=a.txt", space), body); resp.StatusCode != 200 {
		t.Fatalf("POST of a file that takes long = %d, want 200", resp.StatusCode)
	}
	if line, err := bufio.NewReader(changes.Body).ReadString('\n'); err != nil || !strings.Contains(line, "uploadJobs") {
		t.Errorf("changes = %q, %v, want the upload", line, err)
	}
}

func TestBridgeUpload(t *testing.T) {
	c := newClient(t)
	space, err := firstSpace(t.Context(), c.db)
	if err != nil {
		t.Fatal(err)
	}
	status, text := c.call("POST", fmt.Sprintf("/uploads?space=%s&name=a.txt", space), "bytes")
	job, err := soma.ParseUploadJob([]byte(text))
	if status != 200 || err != nil || job.Name != "a.txt" || job.Size != 5 || job.SpaceID != space {
		t.Fatalf("POST /uploads = %d %s, %v", status, text, err)
	}
	// Of a job that a window writes back, with what it made up, Go takes the window's field.
	value := fmt.Sprintf(`{"s:%s":{"versionKey":"1","data":{"id":%q,"state":"failed","renderer":{"seen":1}}}}`, job.ID, job.ID)
	c.want("PUT", "/collections/uploadJobs?base=0&window=A", value, 200, `"same":false`)
	got, err := c.db.Uploads().Get(t.Context(), job.ID)
	if err != nil || string(got.Renderer) != `{"seen":1}` || got.State == soma.UploadFailed {
		t.Errorf("Get = %+v, %v, want the renderer's field only", got, err)
	}
}

func TestBridgeStreams(t *testing.T) {
	c := newClient(t)
	streams := make([]*http.Response, maxStreams)
	for i := range streams {
		streams[i] = c.do("GET", "/changes", nil)
	}
	c.want("GET", "/changes", "", 503, "too many")
	c.want("GET", "/collections/tabs", "", 200, "{}")
	streams[0].Body.Close()
	for len(c.bridge.streams) == maxStreams {
		time.Sleep(time.Millisecond)
	}
	if resp := c.do("GET", "/changes", nil); resp.StatusCode != 200 {
		t.Errorf("GET /changes = %d after a window was closed, want 200", resp.StatusCode)
	}
}

func TestBridgeRequests(t *testing.T) {
	c := newClient(t)
	var writing sync.WaitGroup
	bodies := make([]*io.PipeWriter, maxRequests)
	for i := range bodies {
		body, writer := io.Pipe()
		bodies[i] = writer
		writing.Go(func() {
			if resp := c.do("PUT", "/collections/tabs?base=0&window=A", body); resp.StatusCode != 200 {
				t.Errorf("PUT = %d, want 200", resp.StatusCode)
			}
		})
	}
	for len(c.bridge.running) < maxRequests {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/collections/tabs", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("GET beside %d requests = %d, want none", maxRequests, resp.StatusCode)
	}
	for _, body := range bodies {
		_, _ = io.WriteString(body, "{}")
		body.Close()
	}
	writing.Wait()
	c.want("GET", "/collections/tabs", "", 200, "{}")
}

func TestStatus(t *testing.T) {
	for err, want := range map[error]int{
		fmt.Errorf("set: %w", soma.ErrCollectionFull): 422,
		fmt.Errorf("set: %w", soma.ErrDiskFull):       503,
		soma.ErrClosed:                                503, soma.ErrCorrupt: 503, errors.New("some other"): 503,
	} {
		if got := status(err); got != want {
			t.Errorf("status(%v) = %d, want %d", err, got, want)
		}
	}
}
