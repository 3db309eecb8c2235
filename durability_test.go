package soma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/somatest"
)

// writer writes as fast as it can, in several ways at once, and prints each write
// once it is acknowledged:
//
//	space <id>           a space was created, or was there
//	typed <client> <n>   piece n of a client is in its document, see piece
//	made <id>            a document was made
//	kept <key> <n>       a record has the value n, or a later one
func writer(dir string, args ...string) int {
	var opts []soma.Option
	if args[0] == "relaxed" {
		opts = append(opts, soma.WithRelaxedDurability())
	}
	db, err := soma.Open(dir, opts...)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	ctx := context.Background()
	spaces, err := db.Spaces().List(ctx)
	if err == nil && len(spaces) == 0 {
		spaces = make([]soma.Space, 1)
		spaces[0], err = db.Spaces().Create(ctx, soma.NewSpace{Name: "written"})
	}
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	space := spaces[0].ID
	fmt.Println("space", space)

	var out sync.Mutex
	say := func(err error, what ...any) {
		out.Lock()
		defer out.Unlock()
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(what...)
	}
	for g := range 3 {
		client := uint64(rand.Uint32())&^3 | uint64(g)
		go func() {
			for n, clock := 0, uint64(0); ; n++ {
				p := piece(client, n)
				_, err := db.Documents().Upsert(ctx, space, documentOf(client), somatest.Typed(client, clock, p))
				say(err, "typed", client, n)
				clock += uint64(len(p))
			}
		}()
	}
	go func() {
		prefix := rand.Uint64()
		for n := 0; ; n++ {
			id := fmt.Sprintf("%x %d", prefix, n)
			_, err := db.Documents().Upsert(ctx, space, id, somatest.Typed(1, 0, id))
			say(err, "made", id)
		}
	}()
	go func() {
		prefix := rand.Uint64()
		for n := 0; ; n++ {
			key := fmt.Sprintf("%x-%d", prefix, n%20)
			say(db.Collections().Put(ctx, "kept", key, json.RawMessage(fmt.Sprint(n)), int64(n)), "kept", key, n)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// documentOf returns where a client types: two of a process share a document, the
// third has one for itself.
func documentOf(client uint64) soma.DocumentID {
	if client&3 == 2 {
		return "large pieces"
	}
	return "shared"
}

// piece returns what a client types as its nth piece. Some clients type so much
// that their documents are sealed while the process runs.
func piece(client uint64, n int) string {
	if documentOf(client) == "shared" {
		return fmt.Sprintf("<%d:%d>", client, n)
	}
	return fmt.Sprintf("<%d:%d %s>", client, n, strings.Repeat("x", 3000))
}

// acked is what writers have been promised.
type acked struct {
	space string
	typed map[uint64]int // client -> its last piece
	made  []string
	kept  map[string]int // key -> its last value
}

func (a *acked) add(t *testing.T, line string) {
	t.Helper()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "space":
		if a.space != "" && a.space != rest {
			t.Errorf("the writer finds space %s, want %s, which was acknowledged", rest, a.space)
		}
		a.space = rest
	case "typed":
		var client uint64
		var n int
		if _, err := fmt.Sscan(rest, &client, &n); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		a.typed[client] = max(a.typed[client], n)
	case "made":
		a.made = append(a.made, rest)
	case "kept":
		var key string
		var n int
		if _, err := fmt.Sscan(rest, &key, &n); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		a.kept[key] = n
	default:
		t.Fatalf("writer: %s", line)
	}
}

// round lets a writer run in dir and kills it at a moment that rng chooses: after
// some acknowledged writes, or somewhere while it opens.
func (a *acked) round(t *testing.T, rng *rand.Rand, dir, mode string) {
	t.Helper()
	p := launch(t, "writer", dir, mode)
	var lines []string
	if rng.IntN(5) == 0 {
		time.Sleep(time.Duration(rng.IntN(80)) * time.Millisecond)
	} else {
		for range 1 + rng.IntN(300) {
			if !p.out.Scan() {
				break
			}
			lines = append(lines, p.out.Text())
		}
	}
	for _, line := range append(lines, p.kill(t)...) {
		a.add(t, line)
	}
}

// check opens dir and looks for everything that was promised.
func (a *acked) check(t *testing.T, dir string) {
	t.Helper()
	var warnings logged
	db := somatest.OpenDir(t, dir, soma.WithLogger(slog.New(slog.NewTextHandler(&warnings, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	defer mustClose(t, db)
	if len(warnings.records) > 0 {
		t.Errorf("Open after a kill logs %q, want that nothing needs repair", warnings.records)
	}
	if found, err := db.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("Verify after a kill = %v, %v", found, err)
	}
	for key, last := range a.kept {
		rec, err := db.Collections().Get(t.Context(), "kept", key)
		var n int
		if err == nil {
			err = json.Unmarshal(rec.Value, &n)
		}
		if err != nil || n < last || rec.UpdatedAtMs != int64(n) {
			t.Errorf("record %q is %s, %v, want %d, which was acknowledged", key, rec.Value, err, last)
		}
	}
	if a.space == "" {
		return
	}
	space := soma.SpaceID(a.space)
	texts := map[string]string{}
	for client, last := range a.typed {
		id := documentOf(client)
		if _, ok := texts[id]; !ok {
			texts[id] = text(t, db, space, id)
			if get(t, db, space, id).Pending {
				t.Errorf("document %q waits for something, want that acknowledged writes have no gaps", id)
			}
		}
		var want strings.Builder
		for n := range last + 1 {
			want.WriteString(piece(client, n))
		}
		if !strings.Contains(texts[id], want.String()) {
			t.Errorf("document %q lacks some of the %d acknowledged pieces of client %d", id, last+1, client)
		}
	}
	for _, id := range a.made {
		if got, err := db.Documents().Text(t.Context(), space, id); err != nil || got != id {
			t.Errorf("Text of the acknowledged document %q = %q, %v", id, got, err)
		}
	}
}

// TestKill kills writing processes, 54 in all. What was acknowledged must be there,
// and the directory must go on as it is: nothing repaired, nothing forked.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mode   string
		dirs, rounds int
	}{
		{"one directory", "full", 1, 28},
		{"new directories", "full", 12, 1},
		{"relaxed", "relaxed", 2, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const seed = 20251123
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, uint64(len(tt.name))))
			writes := 0
			for range tt.dirs {
				dir := t.TempDir()
				all := acked{typed: map[uint64]int{}, kept: map[string]int{}}
				for range tt.rounds {
					this := acked{space: all.space, typed: map[uint64]int{}, kept: map[string]int{}}
					this.round(t, rng, dir, tt.mode)
					this.check(t, dir)
					if all.space = this.space; all.space == "" && len(this.made) > 0 {
						t.Fatal("documents without a space")
					}
					for client, n := range this.typed {
						all.typed[client] = n
						writes += n + 1
					}
					all.made = append(all.made, this.made...)
					maps.Copy(all.kept, this.kept)
					writes += len(this.made) + len(this.kept)
				}
				all.check(t, dir)
				if all.space != "" {
					wantOneWriter(t, dir, soma.SpaceID(all.space))
				}
			}
			if writes < tt.dirs*tt.rounds {
				t.Errorf("%d writes were acknowledged: the test tests nothing", writes)
			}
			t.Logf("%d acknowledged writes", writes)
		})
	}
}

// wantOneWriter fails if kills made the directory start over as another writer, or
// use a place in its log twice, or if its export is not all there is.
func wantOneWriter(t *testing.T, dir string, space soma.SpaceID) {
	t.Helper()
	db := somatest.OpenDir(t, dir)
	defer mustClose(t, db)
	archive := export(t, db, space)
	var writer core.WriterID
	seen := map[string]bool{}
	for i, raw := range entries(t, archive) {
		e, err := log.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			writer = e.Writer
		}
		if e.Writer != writer {
			t.Fatalf("entry %d is by writer %s, want that of the first, %s", i, e.Writer, writer)
		}
		at := fmt.Sprint(e.Chain, e.Seq)
		if seen[at] {
			t.Fatalf("two entries at chain and seq %s", at)
		}
		seen[at] = true
	}
	copied := somatest.Open(t, soma.WithRelaxedDurability())
	importInto(t, copied, archive)
	wantSameDocuments(t, copied, db, space) // a kill may come before the first of them
}

// A document's state does not depend on how it came about: neither on the number
// of updates nor on what became of them in the log meanwhile.
func TestLongHistory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		updates int
		pause   time.Duration // between updates; from a second on, each gets an entry
		opts    []soma.Option
	}{
		{"typed at once", 20_000, time.Millisecond, []soma.Option{soma.WithRelaxedDurability()}},
		{"with pauses", 1600, 2 * time.Second, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := time.UnixMilli(1_700_000_000_000)
			var mu sync.Mutex
			tt.opts = append(tt.opts, soma.WithClock(func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return now
			}))
			dir := t.TempDir()
			db := somatest.OpenDir(t, dir, tt.opts...)
			space := newSpace(t, db, "x")
			var all [][]byte
			for i := range tt.updates {
				u := somatest.Typed(uint64(1+i%2), uint64(i/2), string(rune('a'+i%26)))
				if i%9 == 8 {
					all = append(all, u)
					upsert(t, db, space, "doc", u)
					u = somatest.Deletion(uint64(1+i%2), uint64(i/2), 1)
				}
				all = append(all, u)
				upsert(t, db, space, "doc", u)
				mu.Lock()
				now = now.Add(tt.pause)
				mu.Unlock()
				if i == tt.updates/2 {
					mustClose(t, db)
					db = somatest.OpenDir(t, dir, tt.opts...)
				}
			}
			want := compact(t, all...)
			var wantText string
			for _, when := range []string{"before closing", "after reopening", "after reopening again"} {
				for range 2 { // the first may be what has it compacted
					got := get(t, db, space, "doc")
					if !bytes.Equal(got.Update, want) || got.Pending {
						t.Errorf("%s: Update has %d bytes, pending %v, want the %d of the compacted state", when, len(got.Update), got.Pending, len(want))
					}
				}
				got := text(t, db, space, "doc")
				if wantText == "" {
					wantText = got
				}
				if deleted := tt.updates / 9; len(got) != tt.updates-deleted || got != wantText {
					t.Errorf("%s: Text has %d characters, want %d, always the same", when, len(got), tt.updates-deleted)
				}
				mustClose(t, db)
				db = somatest.OpenDir(t, dir, tt.opts...)
			}
			copied := somatest.Open(t)
			importInto(t, copied, export(t, db, space))
			wantCopy(t, copied, db, space)
		})
	}
}

// What is durable is so without Close, also for a second process: the first one
// is still there, but its lock is gone with it.
func TestUnclosedDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := launch(t, "holder", dir)
	if !p.out.Scan() || p.out.Text() != "open" {
		t.Fatalf("holder says %q, want open", p.out.Text())
	}
	p.kill(t)
	db := somatest.OpenDir(t, dir)
	if list, err := db.Spaces().List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v, want none", list, err)
	}
	if _, err := db.Documents().Get(t.Context(), "none", "doc"); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}
