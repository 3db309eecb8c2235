package ywebsocket_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
	"github.com/soma-sdk/soma/sync/ywebsocket"
)

// presence is an awareness update of one client, at clock 1.
func presence(client uint64, state string) yprotocol.AwarenessUpdate {
	b := binary.AppendUvarint([]byte{1}, client)
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(state)))
	return append(b, state...)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestTwoClientsAndGo(t *testing.T) {
	s := serve(t)
	a, b := s.dial(t, "page", writer), s.dial(t, "page", writer)
	for _, c := range []*client{a, b} {
		if string(c.asked) != "\x00" {
			t.Errorf("the server has %x, want nothing", c.asked)
		}
		c.send(yprotocol.SyncStep1{0})
		if got := want[yprotocol.SyncStep2](c); string(got) != "\x00\x00" {
			t.Errorf("SyncStep2 of a document that is not there = %x, want nothing", got)
		}
		c.send(yprotocol.SyncStep2{0, 0})
	}
	a.send(yprotocol.Update(somatest.Typed(1, 0, "Hello")))
	if got := textOf(t, want[yprotocol.Update](b)); got != "Hello" {
		t.Errorf("the other client got %q, want Hello", got)
	}
	if got := s.text(t, "page"); got != "Hello" { // stored before anybody saw it
		t.Errorf("Go reads %q, want Hello", got)
	}
	s.edit(t, "page", "Go: ")
	for _, c := range []*client{a, b} {
		got := want[yprotocol.Update](c)
		if text := textOf(t, somatest.Typed(1, 0, "Hello"), got); text != "Go: Hello" {
			t.Errorf("after the edit in Go a client has %q, want %q", text, "Go: Hello")
		}
	}
	late := s.dial(t, "page", writer)
	late.send(yprotocol.SyncStep1{0})
	if got := textOf(t, want[yprotocol.SyncStep2](late)); got != "Go: Hello" {
		t.Errorf("a late client got %q, want %q", got, "Go: Hello")
	}
}

// TestLooking opens documents without writing: none comes into being, or back.
func TestLooking(t *testing.T) {
	s := serve(t)
	c := s.dial(t, "page", writer)
	c.send(yprotocol.SyncStep1{0}, yprotocol.SyncStep2{0, 0}, yprotocol.QueryAwareness{})
	want[yprotocol.SyncStep2](c)
	want[yprotocol.AwarenessUpdate](c)
	if _, err := s.db.Documents().Get(t.Context(), s.space, "page"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}

func TestDeletedDocumentComesBack(t *testing.T) {
	s := serve(t)
	s.edit(t, "page", "old")
	c := s.dial(t, "page", writer)
	if err := s.db.Documents().Delete(t.Context(), s.space, "page"); err != nil {
		t.Fatal(err)
	}
	other := s.dial(t, "page", writer)
	other.send(yprotocol.SyncStep1{0})
	if got := want[yprotocol.SyncStep2](other); string(got) != "\x00\x00" {
		t.Errorf("SyncStep2 of a deleted document = %x, want nothing", got)
	}
	c.send(yprotocol.Update(somatest.Typed(1, 0, "new")))
	got := textOf(t, want[yprotocol.Update](other))
	if !strings.Contains(got, "old") || !strings.Contains(got, "new") {
		t.Errorf("the document came back as %q, want old and new", got)
	}
}

func TestViewer(t *testing.T) {
	s := serve(t)
	s.edit(t, "page", "read me")
	w := s.dial(t, "page", writer)
	c := s.dial(t, "page", viewer)
	if got := want[yprotocol.PermissionDenied](c); got != "read-only" {
		t.Errorf("a viewer is told %q, want read-only", got)
	}
	c.send(yprotocol.SyncStep1{0})
	if got := textOf(t, want[yprotocol.SyncStep2](c)); got != "read me" {
		t.Errorf("a viewer gets %q, want %q", got, "read me")
	}
	c.send(yprotocol.Update(somatest.Typed(1, 0, "forged")))
	want[yprotocol.PermissionDenied](c)
	c.send(yprotocol.SyncStep2(somatest.Typed(1, 0, "forged")))
	want[yprotocol.PermissionDenied](c)
	w.send(yprotocol.Update(somatest.Typed(2, 0, "kept ")))
	want[yprotocol.Update](c) // the connection is there
	if got := s.text(t, "page"); strings.Contains(got, "forged") {
		t.Errorf("the document is %q, want nothing of the viewer", got)
	}
}

func TestAwareness(t *testing.T) {
	s := serve(t)
	a, b := s.dial(t, "page", writer), s.dial(t, "page", writer)
	a.send(presence(7, `{"name":"A"}`))
	for _, c := range []*client{a, b} { // the sender too
		if got := want[yprotocol.AwarenessUpdate](c); string(got) != string(presence(7, `{"name":"A"}`)) {
			t.Errorf("awareness %q, want that of A", got)
		}
	}
	c := s.dial(t, "page", viewer)
	want[yprotocol.AwarenessUpdate](c) // who is there
	c.send(yprotocol.QueryAwareness{})
	if got := want[yprotocol.AwarenessUpdate](c); string(got) != string(presence(7, `{"name":"A"}`)) {
		t.Errorf("the answer to a query is %q, want A", got)
	}
	_ = a.conn.CloseNow()
	if got := want[yprotocol.AwarenessUpdate](b); string(got) != string(presence(7, "null")) {
		t.Errorf("after A left: %q, want that it is gone", got)
	}
}

func TestPresencesAreBounded(t *testing.T) {
	s := serve(t)
	a, b := s.dial(t, "page", writer), s.dial(t, "page", writer)
	for i := range uint64(ywebsocket.MaxPresences + 1) {
		a.send(presence(100+i, "{}"))
	}
	a.send(yprotocol.QueryAwareness{})
	for {
		states, err := yprotocol.DecodeStates(want[yprotocol.AwarenessUpdate](a))
		if err != nil {
			t.Fatal(err)
		}
		if len(states) > 1 {
			break
		}
	}
	b.send(presence(1, "{}"))
	for n := 0; ; n++ {
		states, err := yprotocol.DecodeStates(want[yprotocol.AwarenessUpdate](b))
		if err != nil || len(states) != 1 {
			t.Fatalf("states %v, %v", states, err)
		}
		if states[0].Client == 1 {
			if n != ywebsocket.MaxPresences {
				t.Errorf("told of %d clients, want %d", n, ywebsocket.MaxPresences)
			}
			return
		}
	}
}

// TestPresencesThatLeft has one client tell of more than MaxPresences, one after the other.
func TestPresencesThatLeft(t *testing.T) {
	s := serve(t)
	a := s.dial(t, "page", writer)
	for i := range uint64(ywebsocket.MaxPresences + 1) {
		for _, state := range []string{"{}", "null"} {
			a.send(presence(100+i, state))
			if got := want[yprotocol.AwarenessUpdate](a); string(got) != string(presence(100+i, state)) {
				t.Fatalf("awareness %q, want %q", got, presence(100+i, state))
			}
		}
	}
}

func TestPresencesAreBoundedInBytes(t *testing.T) {
	s := serve(t)
	a := s.dial(t, "page", writer)
	state := `"` + strings.Repeat("x", ywebsocket.MaxPresenceBytes/2-2) + `"`
	a.send(presence(1, state), presence(2, state), presence(3, "0"), yprotocol.QueryAwareness{})
	for range 2 {
		want[yprotocol.AwarenessUpdate](a)
	}
	states, err := yprotocol.DecodeStates(want[yprotocol.AwarenessUpdate](a))
	if err != nil || len(states) != 2 {
		t.Errorf("%d states, %v, want the two that fit", len(states), err)
	}
}

func TestHocuspocus(t *testing.T) {
	s := serve(t)
	y := s.dial(t, "page", writer)
	c := s.dialHocuspocus(t, "page")
	c.send(yprotocol.Token(writer), yprotocol.SyncStep1{0}, presence(3, "{}"))
	if got := want[yprotocol.Authenticated](c); got.ReadOnly {
		t.Error("a writer is told read-only")
	}
	want[yprotocol.SyncStep2](c)
	want[yprotocol.SyncStep1](c)
	want[yprotocol.AwarenessUpdate](c)
	c.send(yprotocol.Stateless("ignored"), yprotocol.SyncStep2{0, 0})
	if got := want[yprotocol.SyncStatus](c); !got {
		t.Error("nothing new is not acknowledged")
	}
	c.send(yprotocol.Update(somatest.Typed(1, 0, "Hello")))
	if got := want[yprotocol.SyncStatus](c); !got {
		t.Error("an update is not acknowledged")
	}
	if got := s.text(t, "page"); got != "Hello" {
		t.Errorf("acknowledged, and Go reads %q, want Hello", got)
	}
	if got := textOf(t, want[yprotocol.Update](y)); got != "Hello" {
		t.Errorf("a client of y-websocket got %q, want Hello", got)
	}
	y.send(yprotocol.Update(somatest.Typed(2, 0, "x")))
	want[yprotocol.Update](c)
}

func TestHocuspocusViewer(t *testing.T) {
	s := serve(t)
	s.edit(t, "page", "read me")
	state, err := s.db.Documents().Diff(t.Context(), s.space, "page", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := s.dialHocuspocus(t, "page")
	c.send(yprotocol.Token(viewer))
	if got := want[yprotocol.Authenticated](c); !got.ReadOnly {
		t.Error("a viewer is not told read-only")
	}
	for _, try := range []struct {
		m    yprotocol.Message
		want yprotocol.SyncStatus
	}{
		{yprotocol.SyncStep2(state), true}, // nothing that is not stored
		{yprotocol.SyncStep2(somatest.Typed(1, 0, "forged")), false},
		{yprotocol.SyncStep2(somatest.Deletion(1, 0, 1)), false},
		{yprotocol.Update(somatest.Typed(1, 0, "forged")), false},
	} {
		c.send(try.m)
		if got := want[yprotocol.SyncStatus](c); got != try.want {
			t.Errorf("the status of %x is %v, want %v", try.m, got, try.want)
		}
	}
	if got := s.text(t, "page"); got != "read me" {
		t.Errorf("the document is %q, want %q", got, "read me")
	}
}

// TestSeveralDocuments has them on one connection; what happens to one is nothing to others.
func TestSeveralDocuments(t *testing.T) {
	s := serve(t)
	a := s.dialHocuspocus(t, "a")
	b := a.also(string(s.space) + "/b\x00session")
	other := a.also("elsewhere/c")
	a.send(yprotocol.Token(writer))
	want[yprotocol.Authenticated](a)
	b.send(yprotocol.Token("wrong"), yprotocol.SyncStep1{0}) // the rest is passed over
	if got := want[yprotocol.Denied](b); got != "permission-denied" {
		t.Errorf("denied with %q, want permission-denied", got)
	}
	other.send(yprotocol.Token(writer))
	if got := want[yprotocol.Denied](other); got != "not-found" {
		t.Errorf("denied with %q, want not-found", got)
	}
	b.send(yprotocol.Token(writer))
	want[yprotocol.Authenticated](b)
	b.send(yprotocol.Update(somatest.Typed(1, 0, "in b")))
	if got := want[yprotocol.SyncStatus](b); !got {
		t.Error("not acknowledged")
	}
	b.send(yprotocol.Closed("done"), yprotocol.Update(somatest.Typed(1, 4, "lost")))
	want[yprotocol.Closed](b)
	a.send(yprotocol.Update(somatest.Typed(1, 0, "in a")))
	if got := want[yprotocol.SyncStatus](a); !got {
		t.Error("not acknowledged")
	}
	if gotA, gotB := s.text(t, "a"), s.text(t, "b"); gotA != "in a" || gotB != "in b" {
		t.Errorf("documents %q and %q, want %q and %q", gotA, gotB, "in a", "in b")
	}
}

// TestClosedDocumentsDoNotCount has documents closed by the Handler, and opens others.
func TestClosedDocumentsDoNotCount(t *testing.T) {
	s := serve(t)
	first := s.dialHocuspocus(t, "page")
	for i := range ywebsocket.MaxDocuments + 1 {
		c := first.also(fmt.Sprintf("%s/%d", s.space, i))
		c.send(yprotocol.Token(writer))
		m, err := c.next()
		if _, ok := m.(yprotocol.Authenticated); !ok {
			t.Fatalf("document %d: %#v, %v, want it opened", i, m, err)
		}
		c.send(yprotocol.Update{1, 9})
		want[yprotocol.Closed](c)
	}
}

func TestTooManyDocuments(t *testing.T) {
	s := serve(t)
	first := s.dialHocuspocus(t, "page")
	for i := range ywebsocket.MaxDocuments + 1 {
		c := first.also(fmt.Sprintf("%s/%d", s.space, i))
		c.send(yprotocol.Token(writer))
		if i < ywebsocket.MaxDocuments {
			want[yprotocol.Authenticated](c)
		} else if got := want[yprotocol.Denied](c); got != "too-many-documents" {
			t.Errorf("one document more: %q, want too-many-documents", got)
		}
	}
}

// TestRoleChanges has the role of the DB's member change under a client.
func TestRoleChanges(t *testing.T) {
	owner := somatest.Open(t)
	s := serve(t)
	space, err := owner.Spaces().Create(t.Context(), soma.NewSpace{Name: "Shared"})
	if err != nil {
		t.Fatal(err)
	}
	s.space = space.ID
	carry := func(from, to *soma.DB) {
		t.Helper()
		var archive bytes.Buffer
		if err := errors.Join(from.Spaces().Export(t.Context(), s.space, &archive), to.Spaces().Import(t.Context(), &archive)); err != nil {
			t.Fatal(err)
		}
	}
	member := soma.NewMember{Peer: s.db.PeerID(), Role: soma.RoleEditor}
	if err := owner.Spaces().AddMember(t.Context(), s.space, member); err != nil {
		t.Fatal(err)
	}
	carry(owner, s.db)
	become := func(role soma.Role) {
		t.Helper()
		carry(s.db, owner) // what was written in another role counts
		if err := owner.Spaces().SetRole(t.Context(), s.space, member.Peer, role); err != nil {
			t.Fatal(err)
		}
		carry(owner, s.db)
	}
	c := s.dialHocuspocus(t, "page")
	c.send(yprotocol.Token(writer))
	want[yprotocol.Authenticated](c)
	for i, status := range []yprotocol.SyncStatus{true, false, true} {
		switch i {
		case 1:
			become(soma.RoleViewer)
		case 2:
			become(soma.RoleEditor)
		}
		c.send(yprotocol.Update(somatest.Typed(uint64(i+1), 0, "x")))
		if got := want[yprotocol.SyncStatus](c); got != status {
			t.Errorf("the status of update %d is %v, want %v", i, got, status)
		}
	}
	if got := s.text(t, "page"); got != "xx" {
		t.Errorf("the document is %q, want what an editor wrote", got)
	}
}

// TestRevoked has the host end a connection, by the context of its request.
func TestRevoked(t *testing.T) {
	s := serve(t)
	ctx, revoke := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.h.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(server.Close)
	c := dial(t, "ws"+strings.TrimPrefix(server.URL, "http")+"/"+string(s.space)+"/page?token="+writer, nil)
	want[yprotocol.SyncStep1](c)
	revoke()
	for {
		if _, err := c.next(); errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("the connection goes on")
		} else if err != nil {
			return
		}
	}
}

// TestDBClosed has clients of both protocols connect again.
func TestDBClosed(t *testing.T) {
	s := serve(t)
	y, h := s.dial(t, "page", writer), s.dialHocuspocus(t, "page")
	h.send(yprotocol.Token(writer))
	want[yprotocol.Authenticated](h)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	y.wantClosed(websocket.StatusGoingAway)
	h.wantClosed(websocket.StatusGoingAway)
	h = s.dialHocuspocus(t, "page")
	h.send(yprotocol.Token(writer))
	h.wantClosed(websocket.StatusGoingAway)
}

func TestRefused(t *testing.T) {
	s := serve(t, ywebsocket.WithOrigins("friend.example"))
	t.Run("token", func(t *testing.T) {
		for _, token := range []string{"wrong", "", "no access", "odd access"} {
			c := s.dial(t, "page", url.QueryEscape(token))
			if got := want[yprotocol.PermissionDenied](c); got != "unauthorized" {
				t.Errorf("with token %q told %q, want unauthorized", token, got)
			}
			c.wantClosed(ywebsocket.CloseUnauthorized)
		}
	})
	t.Run("space", func(t *testing.T) {
		dial(t, s.url+"/y/elsewhere/page?token=writer", nil).wantClosed(ywebsocket.CloseNotFound)
		dial(t, s.url+"/y/elsewhere?token=writer", nil).wantClosed(ywebsocket.CloseNotFound)
		dial(t, s.url+"/y/"+string(s.space)+"/%01?token=writer", nil).wantClosed(ywebsocket.CloseNotFound)
	})
	t.Run("origin", func(t *testing.T) {
		dial(t, s.url+"/y/x?token=", http.Header{"Origin": {"https://friend.example"}}).wantClosed(ywebsocket.CloseNotFound)
		for _, path := range []string{"/hocuspocus", "/y/" + string(s.space) + "/page?token=" + writer} {
			for _, origin := range []string{"https://evil.example", "https://friend.example.evil", "null", "%"} {
				_, res, err := websocket.Dial(t.Context(), s.url+path, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
				if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
					t.Errorf("%s from Origin %q: %v, %v, want status 403", path, origin, res, err)
				}
			}
		}
	})
}

func TestGarbage(t *testing.T) {
	s := serve(t)
	large := make([]byte, ywebsocket.UnauthorizedReadLimit+1)
	for name, test := range map[string]struct {
		y, hocuspocus []byte
		code          websocket.StatusCode
		other         websocket.StatusCode
	}{
		"empty":               {[]byte{}, []byte{}, websocket.StatusInvalidFramePayloadData, 4205},
		"cut off":             {[]byte{0}, []byte{0, 0}, websocket.StatusInvalidFramePayloadData, 4205},
		"length":              {[]byte{0, 2, 9, 1}, []byte{1, 'x', 0, 2, 9, 1}, websocket.StatusInvalidFramePayloadData, 4205},
		"no update":           {[]byte{0, 2, 1, 9}, nil, websocket.StatusInvalidFramePayloadData, 0},
		"no state vector":     {[]byte{0, 0, 1, 9}, nil, websocket.StatusInvalidFramePayloadData, 0},
		"awareness":           {[]byte{1, 1, 9}, nil, websocket.StatusInvalidFramePayloadData, 0},
		"large, unauthorized": {nil, large, 0, websocket.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			if test.y != nil {
				c := s.dial(t, "page", writer)
				c.sendBytes(test.y)
				c.wantClosed(test.code)
			}
			if test.hocuspocus != nil {
				c := dial(t, s.url+"/hocuspocus", nil)
				c.sendBytes(test.hocuspocus)
				c.wantClosed(test.other)
			}
		})
	}
	t.Run("unknown kinds", func(t *testing.T) {
		c := s.dial(t, "page", writer)
		c.sendBytes([]byte{99, 1, 2, 3})
		c.send(yprotocol.QueryAwareness{})
		want[yprotocol.AwarenessUpdate](c)
		h := s.dialHocuspocus(t, "page")
		h.send(yprotocol.Token(writer))
		h.sendBytes([]byte{10}) // a pong
		h.sendBytes(append(yprotocol.AppendNamed(nil, h.name, yprotocol.QueryAwareness{})[:len(h.name)+1], 99))
		h.send(yprotocol.QueryAwareness{})
		want[yprotocol.AwarenessUpdate](h)
	})
	t.Run("text", func(t *testing.T) {
		c := s.dial(t, "page", writer)
		if err := c.conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		c.wantClosed(websocket.StatusUnsupportedData)
	})
	t.Run("an update in the document of Hocuspocus", func(t *testing.T) {
		h := s.dialHocuspocus(t, "page")
		h.send(yprotocol.Token(writer), yprotocol.Update{1, 9})
		if got := want[yprotocol.Closed](h); got != "invalid message" {
			t.Errorf("closed with %q, want invalid message", got)
		}
	})
}

func TestReadLimit(t *testing.T) {
	s := serve(t, ywebsocket.WithReadLimit(1<<10))
	c := s.dial(t, "page", writer)
	c.send(yprotocol.Update(somatest.Typed(1, 0, strings.Repeat("x", 500))))
	eventually(t, "the update is stored", func() bool { return len(s.text(t, "page")) == 500 })
	h := s.dialHocuspocus(t, "page")
	h.send(yprotocol.Token(writer))
	want[yprotocol.Authenticated](h)
	for _, c := range []*client{c, h} {
		c.send(yprotocol.Update(somatest.Typed(1, 500, strings.Repeat("x", 2<<10))))
		c.wantClosed(websocket.StatusMessageTooBig)
	}
}

func TestLargeDocuments(t *testing.T) {
	s := serve(t)
	for _, size := range []int{40 << 10, 5 << 20} {
		document := fmt.Sprintf("of %d", size)
		a := s.dial(t, document, writer)
		var updates [][]byte
		for at := 0; at < size; at += 32 << 10 {
			updates = append(updates, somatest.Typed(1, uint64(at), strings.Repeat("a", 32<<10)))
			a.send(yprotocol.Update(updates[len(updates)-1]))
		}
		whole := textOf(t, updates...)
		eventually(t, "all is stored", func() bool { return len(s.text(t, document)) == len(whole) })
		b := s.dial(t, document, writer)
		b.send(yprotocol.SyncStep1{0})
		if got := textOf(t, want[yprotocol.SyncStep2](b)); got != whole {
			t.Errorf("a document of %d bytes came as %d", len(whole), len(got))
		}
	}
}

// TestOneBadUpdate is stored together with good ones, of others.
func TestOneBadUpdate(t *testing.T) {
	s := serve(t)
	var good []*client
	for range 8 {
		c := s.dialHocuspocus(t, "page")
		c.send(yprotocol.Token(writer))
		want[yprotocol.Authenticated](c)
		good = append(good, c)
	}
	bad := s.dial(t, "page", writer)
	for i, c := range good {
		if i == 4 {
			bad.sendBytes([]byte{0, 2, 1, 9})
		}
		c.send(yprotocol.Update(somatest.Typed(uint64(i+1), 0, "x")))
	}
	bad.wantClosed(websocket.StatusInvalidFramePayloadData)
	for _, c := range good {
		if got := want[yprotocol.SyncStatus](c); !got {
			t.Error("a good update is not acknowledged")
		}
	}
	if got := s.text(t, "page"); got != "xxxxxxxx" {
		t.Errorf("the document is %q, want all good updates", got)
	}
}

// TestAsksForMuch has a client ask for more than may wait, and read it later.
func TestAsksForMuch(t *testing.T) {
	s := serve(t)
	whole := somatest.Typed(1, 0, strings.Repeat("x", 1<<20))
	w := s.dialHocuspocus(t, "page")
	w.send(yprotocol.Token(writer), yprotocol.Update(whole))
	want[yprotocol.SyncStatus](w)
	c := s.dial(t, "page", writer)
	const times = 3 * ywebsocket.MaxQueuedBytes >> 20
	for range times {
		c.send(yprotocol.SyncStep1{0})
	}
	time.Sleep(time.Second) // the Handler answers what it will before anything is read
	for range times {
		if got := want[yprotocol.SyncStep2](c); len(got) < 1<<20 {
			t.Fatalf("an answer of %d bytes, want all of the document", len(got))
		}
	}
}

// TestNeverReads has a client that takes nothing of what another one writes.
func TestNeverReads(t *testing.T) {
	told := &logged{text: make(chan string, 100)}
	s := serve(t, ywebsocket.WithLogger(slog.New(slog.NewTextHandler(told, nil))))
	c := s.dialHocuspocus(t, "page")
	c.send(yprotocol.Token(writer))
	deaf := s.dial(t, "page", writer)
	const size = 3 << 20
	for i := range uint64(10 * ywebsocket.MaxQueuedBytes / size) { // the kernel holds some, too
		c.send(yprotocol.Update(somatest.Typed(1, i*size, strings.Repeat("x", size))))
		if got := want[yprotocol.SyncStatus](c); !got {
			t.Fatal("not acknowledged") // nobody is held up
		}
		select {
		case text := <-told.text:
			if !strings.Contains(text, "slow") {
				t.Errorf("the log says %q, want slow", text)
			}
			deaf.wantClosed(ywebsocket.CloseSlow)
			return
		default:
		}
	}
	t.Error("the client is not closed")
}

// logged is what a logger writes.
type logged struct{ text chan string }

func (l *logged) Write(b []byte) (int, error) {
	l.text <- string(b)
	return len(b), nil
}

func TestMaxConnections(t *testing.T) {
	s := serve(t, ywebsocket.WithMaxConnections(1))
	c := s.dial(t, "page", writer)
	_, res, err := websocket.Dial(t.Context(), s.url+"/hocuspocus", nil)
	if err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one connection more: %v, %v, want status 503", res, err)
	}
	_ = c.conn.CloseNow()
	eventually(t, "there is room again", func() bool {
		conn, _, err := websocket.Dial(t.Context(), s.url+"/hocuspocus", nil)
		if err == nil {
			_ = conn.CloseNow()
		}
		return err == nil
	})
}

// TestClose stores what was sent, and tells the clients.
func TestClose(t *testing.T) {
	s := serve(t)
	c := s.dial(t, "page", writer)
	c.send(yprotocol.Update(somatest.Typed(1, 0, "Hello")), yprotocol.QueryAwareness{})
	want[yprotocol.AwarenessUpdate](c) // the update was read
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.h.Close()
	}()
	c.wantClosed(websocket.StatusGoingAway)
	<-done
	if got := s.text(t, "page"); got != "Hello" {
		t.Errorf("after Close the document is %q, want Hello", got)
	}
	_, res, err := websocket.Dial(t.Context(), s.url+"/hocuspocus", nil)
	if err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after Close: %v, %v, want status 503", res, err)
	}
}

func TestNewRefuses(t *testing.T) {
	db := somatest.Open(t)
	nobody := func(context.Context, ywebsocket.Request) (ywebsocket.Access, error) { return 0, nil }
	for name, try := range map[string]func() (*ywebsocket.Handler, error){
		"no DB":         func() (*ywebsocket.Handler, error) { return ywebsocket.New(nil, nobody) },
		"no authorizer": func() (*ywebsocket.Handler, error) { return ywebsocket.New(db, nil) },
		"nil option":    func() (*ywebsocket.Handler, error) { return ywebsocket.New(db, nobody, nil) },
		"no limit":      func() (*ywebsocket.Handler, error) { return ywebsocket.New(db, nobody, ywebsocket.WithReadLimit(0)) },
		"limit too large": func() (*ywebsocket.Handler, error) {
			return ywebsocket.New(db, nobody, ywebsocket.WithReadLimit(ywebsocket.MaxReadLimit+1))
		},
		"a bad pattern": func() (*ywebsocket.Handler, error) { return ywebsocket.New(db, nobody, ywebsocket.WithOrigins("[")) },
		"no connections": func() (*ywebsocket.Handler, error) {
			return ywebsocket.New(db, nobody, ywebsocket.WithMaxConnections(0))
		},
		"no resolver":      func() (*ywebsocket.Handler, error) { return ywebsocket.New(db, nobody, ywebsocket.WithResolver(nil)) },
		"no logger at all": func() (*ywebsocket.Handler, error) { return ywebsocket.New(db, nobody, ywebsocket.WithLogger(nil)) },
	} {
		if h, err := try(); h != nil || !errors.Is(err, soma.ErrInvalidOption) {
			t.Errorf("%s: New = %v, %v, want ErrInvalidOption", name, h, err)
		}
	}
}

// TestNoNetworkOfPeers is about what a host links that has no sync node.
func TestNoNetworkOfPeers(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps = %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/soma-sdk/soma") {
		t.Error("the root is not imported, so that nothing was looked at")
	}
	for _, dep := range deps {
		if strings.HasPrefix(dep, "github.com/libp2p/") || dep == "github.com/soma-sdk/soma/sync" {
			t.Errorf("%s is imported", dep)
		}
	}
}
