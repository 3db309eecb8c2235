package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "serve" { // by the host that TestLiveReactDB plays
		main()
		return
	}
	somatest.Main(m)
}

// TestLiveReactDB plays real windows, and kills them and the program.
func TestLiveReactDB(t *testing.T) {
	if _, missing := nodeScripts(); missing != nil {
		t.Skipf("real windows need node, and npm ci in node: %v", missing)
	}
	var out strings.Builder
	if err := play(t.Context(), &out); err != nil {
		t.Fatalf("play = %v\n%s", err, out.String())
	}
	t.Log(out.String())
	for text, want := range map[string]int{
		"kill -9 of the Go program": 3, "kill -9 of window B": 3, "refused: record": 3, "ms per write": 3, "Verify finds nothing": 1,
	} {
		if got := strings.Count(out.String(), text); got != want {
			t.Errorf("play says %q %d times, want %d", text, got, want)
		}
	}
}

// TestLiveBridge has node run the tests of the windows' side of the bridge.
func TestLiveBridge(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), node, "--test", "node/bridge.test.mjs").CombinedOutput(); err != nil {
		t.Errorf("node --test = %v\n%s", err, out)
	}
}

// TestJudge has the judge see rows that were lost.
func TestJudge(t *testing.T) {
	db := somatest.Open(t)
	put := func(name, key, value string) {
		t.Helper()
		if err := db.Collections().Put(t.Context(), name, key, json.RawMessage(value), 1); err != nil {
			t.Fatal(err)
		}
	}
	put("tabs", "a", `{"id":"a","title":"A","order":2}`)
	space, err := firstSpace(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	job, err := db.Uploads().Enqueue(t.Context(), space, soma.UploadSource{Reader: strings.NewReader("bytes")})
	if err != nil {
		t.Fatal(err)
	}
	put("uploadJobs", job.ID, `{"id":"`+job.ID+`","renderer":{"seen":7}}`)
	for _, c := range []struct {
		acknowledged string
		checked      int
		ok           bool
	}{
		{`{}`, 0, true},
		{`{"tabs":{"a":[{"order":2,"title":"A","id":"a"}]}}`, 1, true},
		{`{"tabs":{"a":[null,{"order":2,"title":"A","id":"a"}]}}`, 1, true},
		{`{"tabs":{"a":[{"order":3,"title":"A","id":"a"}]}}`, 0, false},
		{`{"tabs":{"a":[null]}}`, 0, false},
		{`{"tabs":{"b":[null]}}`, 1, true},
		{`{"tabs":{"b":[{"id":"b"}]}}`, 0, false},
		{`{"tabs":{"a":[]}}`, 0, false},
		{`{"uploadJobs":{"` + job.ID + `":[{"seen":7}]}}`, 1, true},
		{`{"uploadJobs":{"` + job.ID + `":[{"seen":6}]}}`, 0, false},
		{`{"uploadJobs"`, 0, false},
	} {
		file := filepath.Join(t.TempDir(), "acknowledged.json")
		if err := os.WriteFile(file, []byte(c.acknowledged), 0o600); err != nil {
			t.Fatal(err)
		}
		if checked, err := checkAcknowledged(t.Context(), db, file); checked != c.checked || (err == nil) != c.ok {
			t.Errorf("checkAcknowledged(%s) = %d, %v, want %d, error %v", c.acknowledged, checked, err, c.checked, !c.ok)
		}
	}
}

// TestServe starts the program as a host does, and ends with it.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	var first soma.SpaceID
	for range 2 {
		stdin, host := io.Pipe()
		stdout, program := io.Pipe()
		served := make(chan error, 1)
		go func() { served <- serve(t.Context(), dir, stdin, program) }()
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var told ready
		if err := json.Unmarshal([]byte(line), &told); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if first == "" {
			first = told.Space
		}
		if told.Space != first || told.Token == "" || !strings.HasPrefix(told.URL, "http://127.0.0.1:") {
			t.Errorf("ready = %+v, want a token, a URL on loopback, and the space %s", told, first)
		}
		// Of a window that listens when the host ends, nothing is left.
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, told.URL+"/changes", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+told.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := host.Close(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("changes = %q, %v, want none", rest, err)
		}
		resp.Body.Close()
		if err := <-served; err != nil {
			t.Errorf("serve = %v", err)
		}
	}
}

// TestServeLocked says who has the directory.
func TestServeLocked(t *testing.T) {
	dir := t.TempDir()
	somatest.OpenDir(t, dir)
	if err := serve(t.Context(), dir, strings.NewReader(""), io.Discard); !errors.Is(err, soma.ErrLocked) {
		t.Errorf("serve = %v, want ErrLocked", err)
	}
}
