package ywebsocket_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yprotocol"
	"github.com/soma-sdk/soma/sync/ywebsocket"
)

const patience = 10 * time.Second

// site is a DB with one space, served.
type site struct {
	db    *soma.DB
	space soma.SpaceID
	h     *ywebsocket.Handler
	url   string
}

// The tokens that authorize takes.
const (
	writer = "writer"
	viewer = "viewer"
)

func authorize(_ context.Context, r ywebsocket.Request) (ywebsocket.Access, error) {
	switch r.Token {
	case writer:
		return ywebsocket.ReadWrite, nil
	case viewer:
		return ywebsocket.ReadOnly, nil
	case "no access":
		return 0, nil
	case "odd access":
		return ywebsocket.ReadWrite + 1, nil
	}
	return 0, errors.New("wrong token")
}

// serve opens a site. When the test ends, nothing of it is left.
func serve(t *testing.T, opts ...ywebsocket.Option) *site {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	return serveDB(t, somatest.Open(t), opts...)
}

func serveDB(t *testing.T, db *soma.DB, opts ...ywebsocket.Option) *site {
	t.Helper()
	space, err := db.Spaces().Create(t.Context(), soma.NewSpace{Name: "Space"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := ywebsocket.New(db, authorize, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	mux := http.NewServeMux()
	mux.Handle("/y/", http.StripPrefix("/y", h))
	mux.Handle("/hocuspocus", h.Hocuspocus())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &site{db: db, space: space.ID, h: h, url: "ws" + strings.TrimPrefix(server.URL, "http")}
}

// client is one connection.
type client struct {
	t     *testing.T
	conn  *websocket.Conn
	name  string              // of the document, for Hocuspocus
	asked yprotocol.SyncStep1 // by the server first, for y-websocket
}

// dial connects as y-websocket does. A writer has the document open when it returns.
func (s *site) dial(t *testing.T, document soma.DocumentID, token string) *client {
	t.Helper()
	c := dial(t, s.url+"/y/"+string(s.space)+"/"+url.PathEscape(document)+"?token="+token, nil)
	if token == writer {
		c.asked = want[yprotocol.SyncStep1](c)
	}
	return c
}

// dialHocuspocus connects as Hocuspocus does, without a token so far.
func (s *site) dialHocuspocus(t *testing.T, document soma.DocumentID) *client {
	t.Helper()
	c := dial(t, s.url+"/hocuspocus", nil)
	c.name = string(s.space) + "/" + document
	return c
}

// also is a client of another document, on the connection of c.
func (c *client) also(name string) *client { return &client{t: c.t, conn: c.conn, name: name} }

func dial(t *testing.T, url string, header http.Header) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatalf("Dial(%q) = %v, %v", url, res, err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: t, conn: conn}
}

func (c *client) encode(m yprotocol.Message) []byte {
	if c.name != "" {
		return yprotocol.AppendNamed(nil, c.name, m)
	}
	return yprotocol.Encode(m)
}

func (c *client) send(messages ...yprotocol.Message) {
	c.t.Helper()
	for _, m := range messages {
		c.sendBytes(c.encode(m))
	}
}

func (c *client) sendBytes(b []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageBinary, b); err != nil {
		c.t.Fatalf("Write = %v", err)
	}
}

// next returns the next message, or the error of the end.
func (c *client) next() (yprotocol.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind, b, err := c.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	if kind != websocket.MessageBinary {
		c.t.Fatalf("message of kind %v, want binary", kind)
	}
	var m yprotocol.Message
	if c.name == "" {
		m, err = yprotocol.Decode(b)
	} else {
		var name string
		if name, m, err = yprotocol.DecodeNamed(b); name != c.name {
			c.t.Fatalf("message for %q, want %q", name, c.name)
		}
	}
	if err != nil {
		c.t.Fatalf("message %x: %v", b, err)
	}
	return m, nil
}

// want returns the next message of a type, passing over others.
func want[M yprotocol.Message](c *client) M {
	c.t.Helper()
	for {
		m, err := c.next()
		if err != nil {
			var none M
			c.t.Fatalf("waiting for a %T: %v", none, err)
		}
		if m, ok := m.(M); ok {
			return m
		}
	}
}

// wantClosed reads to the end, which must have a code.
func (c *client) wantClosed(code websocket.StatusCode) {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				c.t.Fatalf("closed with %d (%v), want %d", got, err, code)
			}
			return
		}
	}
}

// text returns what a document holds, as Go sees it.
func (s *site) text(t *testing.T, document soma.DocumentID) string {
	t.Helper()
	doc, err := s.db.Documents().Get(t.Context(), s.space, document)
	if errors.Is(err, soma.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return textOf(t, doc.Update)
}

func textOf(t *testing.T, updates ...[]byte) string {
	t.Helper()
	doc, err := yjs.Load(yjs.Options{}, updates...)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root(somatest.Root).Text()
}

func (s *site) edit(t *testing.T, document soma.DocumentID, text string) {
	t.Helper()
	_, err := s.db.Documents().Edit(t.Context(), s.space, document, func(tx *soma.EditTx) error {
		return tx.Text(somatest.Root).Insert(0, text, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}
