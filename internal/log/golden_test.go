package log_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

var update = flag.Bool("update", false, "write the golden files anew: this changes the format")

// golden returns the files: frames of the entries of newWorld and their archive.
func golden(t *testing.T) map[string][]byte {
	t.Helper()
	w := newWorld(t)
	archive, _ := w.archive(t)
	files := map[string][]byte{"space.archive": archive}
	for name, e := range map[string]*log.Entry{
		"genesis":       w.genesis,
		"first-content": w.retire, // writer.retire
		"space-meta":    w.meta,
		"doc-update":    w.update,
		"doc-delete":    w.remove,
		"merge":         w.merge,
		"membership":    w.acts,
		"unknown-op":    w.unknown,
	} {
		files[name+".frame"] = log.AppendFrame(nil, e.Raw)
	}
	r := newRealm(t, "owner")
	cut := []log.CutHead{{Incarnation: incarnationOf(3), Seq: 300, Hash: w.meta.Hash}}
	invite := r.invite("golden", log.RoleEditor, 3)
	invite.ExpiresMs = testTime
	r.act("owner", nil, r.add("bob", log.RoleEditor), invite, r.add("cid", log.RoleOwner))
	for _, e := range []struct {
		name, by string
		body     log.Body
	}{
		{"member-add", "owner", log.MemberAdd{Peer: r.peer("eve"), Role: log.RoleCache, Kind: log.KindCache}},
		{"member-role", "owner", log.MemberRole{Peer: r.peer("bob"), Role: log.RoleViewer, Cut: cut}},
		{"member-remove", "owner", log.MemberRemove{Peer: r.peer("bob"), Purge: true, Cut: cut}},
		{"member-ack", "owner", log.MemberAck{Peer: r.peer("cid")}},
		{"member-leave", "cid", log.MemberLeave{Cut: cut}},
		{"invite-redeem", "dan", r.redeem("golden", "dan")},
		{"invite-create", "owner", invite},
		{"invite-revoke", "owner", log.InviteRevoke{Invite: invite.Invite}},
	} {
		files[e.name+".frame"] = log.AppendFrame(nil, r.act(e.by, nil, e.body).Raw)
	}
	for name, body := range map[string]log.Body{
		"page-title":    log.PutTitle("page-1", "Notes ✎"),
		"page-archived": log.PutArchived("page-1", true),
		"page-move":     log.PageMove{Page: "page-1", Parent: "page-2", Position: "\x80\x01\x02\x03a", Reorder: true},
		"page-top":      log.PageMove{Page: "page-1", Position: "a"},
		"page-delete":   log.PageDelete{Page: "page-1"},
		"blob-put":      log.BlobPut{Blob: w.meta.Hash, Size: log.MaxCounter, MIME: "text/plain; charset=utf-8", Name: "Größe ✎.txt"},
		"blob-put-bare": log.BlobPut{Blob: w.meta.Hash},
		"blob-remove":   log.BlobRemove{Blob: w.meta.Hash},
	} {
		h := log.Header{Space: w.genesis.Hash, Incarnation: incarnationOf(1), Chain: core.ChainContent, Seq: 4, Prev: w.update.Hash, Lamport: 5, WallMs: testTime}
		files[name+".frame"] = log.AppendFrame(nil, seal(t, w.owner, h, log.Op{ID: opID(8), Body: body}).Raw)
	}
	return files
}

func goldenPath(name string) string { return filepath.Join("testdata", "golden", name+".hex") }

// readGolden returns the bytes of a file of hex digits in lines.
func readGolden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(goldenPath(name))
	if err != nil {
		t.Fatalf("golden file is missing: %v", err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// The format is frozen: what these files hold must be written and read for ever.
func TestGolden(t *testing.T) {
	files := golden(t)
	if *update {
		for name, b := range files {
			var text strings.Builder
			for len(b) > 0 {
				n := min(len(b), 40)
				text.WriteString(hex.EncodeToString(b[:n]) + "\n")
				b = b[n:]
			}
			if err := os.WriteFile(goldenPath(name), []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, want := range files {
		if got := readGolden(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s: sealed anew it has other bytes:\n%x\nwant\n%x", name, want, got)
		}
	}
	on, err := filepath.Glob(goldenPath("*"))
	if err != nil || len(on) != len(files) {
		t.Errorf("%d golden files, %v, want %d", len(on), err, len(files))
	}
}

// Reading starts from the files alone, as a later version would.
func TestGoldenIsRead(t *testing.T) {
	w := newWorld(t)
	past := newMemory()
	space, entries, err := readArchive(bytes.NewReader(readGolden(t, "space.archive")))
	if err != nil {
		t.Fatal(err)
	}
	if want := core.SpaceID("bafyreia5kgfpldmb7bzlojyacgunwyynibf6tvomymi2ffguzi37iiq6ci"); space != want {
		t.Errorf("space is %s, want %s", space, want)
	}
	var got []*log.Entry
	for _, raw := range entries {
		e, err := log.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, past.take(t, e))
	}
	if !reflect.DeepEqual(got, w.entries()) {
		t.Errorf("the archive holds %+v, want %+v", got, w.entries())
	}
}
