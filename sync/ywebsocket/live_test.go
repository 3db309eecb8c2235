package ywebsocket_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// script is a scenario of node/live.mjs that runs.
type script struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.Writer
	out    *bufio.Scanner
	stderr bytes.Buffer
}

// play starts a scenario, or skips the test where it cannot be.
func (s *site) play(t *testing.T, scenario, document string) *script {
	t.Helper()
	p := &script{t: t, cmd: exec.CommandContext(t.Context(), "node", "live.mjs", scenario, s.url, string(s.space), document)}
	p.cmd.Dir = "node"
	p.cmd.Stderr = &p.stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Wait() })
	return p
}

// hear reads what the scenario says next into v.
func (p *script) hear(v any) {
	p.t.Helper()
	if !p.out.Scan() {
		_ = p.cmd.Wait()
		p.t.Fatalf("the scenario ended: %s", p.stderr.Bytes())
	}
	if err := json.Unmarshal(p.out.Bytes(), v); err != nil {
		p.t.Fatalf("%q: %v", p.out.Bytes(), err)
	}
}

func (p *script) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, text+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// needNode skips a test where the real clients cannot be had.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("real clients need node: %v", err)
	}
	if _, err := os.Stat(filepath.Join("node", "node_modules", "yjs")); err != nil {
		t.Skipf("real clients are not installed (npm ci): %v", err)
	}
}

// TestLiveClients has the real clients of y-websocket and Hocuspocus.
func TestLiveClients(t *testing.T) {
	needNode(t)
	s := serve(t)
	t.Run("clients", func(t *testing.T) { // which are gone before the site is
		for name, run := range map[string]func(*testing.T, *site){
			"together": liveTogether, "viewer": liveViewer, "denied": liveDenied, "large": liveLarge, "alone": liveAlone,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, s)
			})
		}
	})
}

func liveTogether(t *testing.T, s *site) {
	p := s.play(t, "together", "together")
	var ready, text string
	p.hear(&ready)
	for range 50 {
		s.edit(t, "together", "G")
	}
	p.say("written")
	p.hear(&text)
	if got := s.text(t, "together"); got != text || strings.Count(text, "G") != 50 {
		t.Errorf("Go reads %q, the clients have %q", got, text)
	}
}

func liveViewer(t *testing.T, s *site) {
	var got struct {
		Scope    string
		Warned   bool
		Closed   int
		Unsynced int
		Writer   string
	}
	s.play(t, "viewer", "viewer").hear(&got)
	if got.Scope != "readonly" || !got.Warned || got.Closed != 0 || got.Unsynced == 0 || got.Writer != "more written" {
		t.Errorf("viewers: %+v, want that they know, and change nothing", got)
	}
	if text := s.text(t, "viewer"); text != "more written" {
		t.Errorf("Go reads %q, want %q", text, "more written")
	}
}

func liveDenied(t *testing.T, s *site) {
	var got struct {
		Reason string
		Code   int
	}
	s.play(t, "denied", "denied").hear(&got)
	if got.Reason != "permission-denied" || got.Code != 4401 {
		t.Errorf("denied: %+v, want permission-denied and 4401", got)
	}
}

func liveLarge(t *testing.T, s *site) {
	var got int
	s.play(t, "large", "large").hear(&got)
	if text := s.text(t, "large"); len(text) != 6<<20 || got != len(text) {
		t.Errorf("Go reads %d bytes, a client %d, want %d", len(text), got, 6<<20)
	}
}

// liveAlone lasts for longer than the clients wait for a message.
func liveAlone(t *testing.T, s *site) {
	var got map[string]int
	s.play(t, "alone", "alone").hear(&got)
	if len(got) != 6 {
		t.Errorf("%d clients, want 6", len(got))
	}
	for client, connections := range got {
		if connections != 1 {
			t.Errorf("%s had %d connections in 70 s, want one", client, connections)
		}
	}
}

// TestLiveRebuilt has clients that show what was taken out of the document.
func TestLiveRebuilt(t *testing.T) {
	needNode(t)
	s := serve(t)
	other := somatest.Open(t)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s = %v", what, err)
		}
	}
	carry := func(from, to *soma.DB) {
		t.Helper()
		var archive bytes.Buffer
		must("Export", from.Spaces().Export(t.Context(), s.space, &archive))
		must("Import", to.Spaces().Import(t.Context(), &archive))
	}
	write := func(db *soma.DB, text string) {
		t.Helper()
		_, err := db.Documents().Edit(t.Context(), s.space, "page", func(tx *soma.EditTx) error {
			return tx.Text(somatest.Root).Insert(0, text, nil)
		})
		must("Edit", err)
	}
	third := somatest.Open(t)
	for db, role := range map[*soma.DB]soma.Role{other: soma.RoleEditor, third: soma.RoleOwner} {
		must("AddMember", s.db.Spaces().AddMember(t.Context(), s.space, soma.NewMember{Peer: db.PeerID(), Role: role}))
	}
	write(s.db, "kept")
	carry(s.db, other)
	carry(s.db, third)
	write(other, "void ")
	carry(other, s.db) // before anybody knows that the other is removed
	p := s.play(t, "rebuilt", "page")
	var ready string
	p.hear(&ready)
	must("RemoveMember", third.Spaces().RemoveMember(t.Context(), s.space, other.PeerID(), soma.RemoveOptions{}))
	carry(third, s.db)
	if got := s.text(t, "page"); got != "kept" {
		t.Fatalf("the document is %q, want it rebuilt without what is void", got)
	}
	p.say("rebuilt")
	var ends []string
	p.hear(&ends)
	if want := []string{"away 4409", "away rebuilt", "here 4409", "here rebuilt"}; !slices.Equal(ends, want) {
		t.Errorf("clients ended with %q, want %q", ends, want)
	}
	if got := s.text(t, "page"); got != "we kept on" {
		t.Errorf("Go reads %q, want %q", got, "we kept on")
	}
}
