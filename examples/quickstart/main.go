// Quickstart plays a recorded editing session of two people into Soma, reads the
// page back, carries it to a second directory and opens the first one again.
//
//	go run ./examples/quickstart [directory]
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/soma-sdk/soma"
)

// session is what two yjs clients sent, one JSON object per update, as it arrived.
//
//go:embed session.jsonl.gz
var session []byte

func main() {
	log.SetFlags(0)
	ctx, dir := context.Background(), directory()
	db := must(soma.Open(filepath.Join(dir, "first")))
	events := db.Subscribe(ctx)

	space := must(db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"}))
	updates := play(ctx, db, space.ID)

	text := must(db.Documents().Text(ctx, space.ID, "page-1"))
	title, body, _ := strings.Cut(text, "\n")
	fmt.Printf("%d updates from yjs, some out of order, make this page:\n\n%s\n%s\n%s\n\n",
		updates, title, strings.Repeat("=", len(title)), body)
	for range 2 { // a slow reader hears of every change, and of each only once
		ev := <-events
		fmt.Println("heard:", string(must(json.Marshal(ev))))
	}

	before := must(db.Documents().Get(ctx, space.ID, "page-1"))
	var archive bytes.Buffer
	check(db.Spaces().Export(ctx, space.ID, &archive))
	fmt.Printf("\nexported the space: %d bytes, signed\n", archive.Len())

	other := must(soma.Open(filepath.Join(dir, "second")))
	check(other.Spaces().Import(ctx, &archive))
	after := must(other.Documents().Get(ctx, space.ID, "page-1"))
	fmt.Println("imported into a second store, equal:", bytes.Equal(before.Update, after.Update))
	check(other.Close())

	check(db.Close())
	db = must(soma.Open(filepath.Join(dir, "first")))
	after = must(db.Documents().Get(ctx, space.ID, "page-1"))
	fmt.Println("closed and opened again, equal:", bytes.Equal(before.Update, after.Update))
	check(db.Close())
}

// play hands every update of the session to Soma and returns their number.
func play(ctx context.Context, db *soma.DB, space soma.SpaceID) (n int) {
	lines := json.NewDecoder(must(gzip.NewReader(bytes.NewReader(session))))
	for ; ; n++ {
		var line struct{ Update []byte }
		if err := lines.Decode(&line); err == io.EOF {
			return n
		} else {
			check(err)
		}
		must(db.Documents().Upsert(ctx, space, "page-1", line.Update))
	}
}

// directory returns the argument, or a new temporary directory.
func directory() string {
	if len(os.Args) > 1 {
		return os.Args[1]
	}
	return must(os.MkdirTemp("", "soma-quickstart-"))
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
