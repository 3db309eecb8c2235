package somasync_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
	somasync "github.com/soma-sdk/soma/sync"
)

func TestMain(m *testing.M) { somatest.Main(m) }

// patience is how long a test waits for what takes milliseconds on an idle machine.
const patience = 60 * time.Second

// device is a directory and the DB on it.
type device struct {
	*soma.DB
	dir  string
	opts []somasync.Option
	also []soma.Option
}

// loopback is where the nodes of tests listen.
func loopback() somasync.Option {
	return somasync.WithListen("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1")
}

// newDevice opens a new directory with a node.
func newDevice(t *testing.T, opts ...somasync.Option) *device {
	t.Helper()
	d := &device{dir: t.TempDir(), opts: append([]somasync.Option{loopback()}, opts...)}
	d.open(t)
	return d
}

// open opens the directory, again after a Close.
func (d *device) open(t *testing.T) {
	t.Helper()
	opts := append([]soma.Option{soma.WithRelaxedDurability(), soma.WithoutSearch(), soma.WithSync(newNode(t, d.opts...))}, d.also...)
	d.DB = somatest.OpenDir(t, d.dir, opts...)
}

func newNode(t *testing.T, opts ...somasync.Option) *somasync.Node {
	t.Helper()
	node, err := somasync.New(opts...)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return node
}

func (d *device) close(t *testing.T) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
}

// create makes a space.
func (d *device) create(t *testing.T) soma.SpaceID {
	t.Helper()
	space, err := d.Spaces().Create(t.Context(), soma.NewSpace{Name: "shared"})
	if err != nil {
		t.Fatalf("Create = %v", err)
	}
	return space.ID
}

// invite returns the ticket of an invite for so many editors.
func (d *device) invite(t *testing.T, space soma.SpaceID, uses int) string {
	t.Helper()
	ticket, err := d.Spaces().Invite(t.Context(), space, soma.RoleEditor, soma.InviteOptions{Uses: uses})
	if err != nil {
		t.Fatalf("Invite = %v", err)
	}
	return ticket
}

// join joins by a ticket, and waits until that has come about.
func (d *device) join(t *testing.T, ticket string) soma.SpaceID {
	t.Helper()
	space, err := d.Spaces().Join(t.Context(), ticket)
	if err != nil {
		t.Fatalf("Join = %v", err)
	}
	d.wantRole(t, space.ID)
	return space.ID
}

// wantRole waits until the device is a member.
func (d *device) wantRole(t *testing.T, space soma.SpaceID) {
	t.Helper()
	eventually(t, "the device is a member", func() bool {
		s, err := d.Spaces().Get(t.Context(), space)
		return err == nil && s.Role != soma.RoleNone
	})
}

// write appends text to a document.
func (d *device) write(t *testing.T, space soma.SpaceID, doc, text string) {
	t.Helper()
	_, err := d.Documents().Edit(t.Context(), space, doc, func(tx *soma.EditTx) error {
		body := tx.Text(somatest.Root)
		return body.Insert(body.Len(), text, nil)
	})
	if err != nil {
		t.Fatalf("Edit(%q) = %v", doc, err)
	}
}

func (d *device) text(t *testing.T, space soma.SpaceID, doc string) string {
	t.Helper()
	s, err := d.Documents().Text(t.Context(), space, doc)
	if err != nil && !errors.Is(err, soma.ErrNotFound) {
		t.Fatalf("Text(%q) = %v", doc, err)
	}
	return s
}

// wantText waits until a document has a text.
func (d *device) wantText(t *testing.T, space soma.SpaceID, doc, want string) {
	t.Helper()
	eventually(t, "the text of "+doc+" is "+want, func() bool { return d.text(t, space, doc) == want })
}

// status returns how sync of a space stands.
func (d *device) status(t *testing.T, space soma.SpaceID) soma.SpaceSyncStatus {
	t.Helper()
	st, err := d.Sync().Status(t.Context())
	if err != nil {
		t.Fatalf("Status = %v", err)
	}
	i := slices.IndexFunc(st.Spaces, func(s soma.SpaceSyncStatus) bool { return s.Space == space })
	if i < 0 {
		return soma.SpaceSyncStatus{}
	}
	return st.Spaces[i]
}

func (d *device) isConnected(to *device) bool {
	return slices.ContainsFunc(d.Sync().Peers(), func(p soma.PeerStatus) bool { return p.Peer == to.PeerID() })
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("after %v it is still not so that %s", patience, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// never fails if a condition holds within some time.
func never(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			t.Fatalf("it is so that %s", what)
		}
	}
}
