// Two-peers is one program with two stores, which find each other over libp2p: what is
// typed on one appears on the other, a blob follows, and a viewer cannot write.
//
//	go run ./examples/two-peers
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dir := must(os.MkdirTemp("", "soma-two-peers-"))
	defer os.RemoveAll(dir)
	anna, bert := open(filepath.Join(dir, "anna")), open(filepath.Join(dir, "bert"))

	// Anna has a space with a page, and sends Bert a ticket, which says where she is.
	space := must(anna.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})).ID
	page := must(anna.Pages().Create(ctx, space, soma.NewPage{Title: "Today"}))
	ticket := must(anna.Spaces().Invite(ctx, space, soma.RoleViewer, soma.InviteOptions{}))
	events := bert.Subscribe(ctx)
	must(bert.Spaces().Join(ctx, ticket))
	wait(ctx, bert, "Bert has joined", func() bool {
		joined, err := bert.Spaces().Get(ctx, space)
		return err == nil && joined.Role == soma.RoleViewer
	})

	// What Anna types appears at Bert's, who hears of it.
	for word := range strings.FieldsSeq("hello over the wire") {
		must(anna.Documents().Edit(ctx, space, page.ID, func(tx *soma.EditTx) error {
			text := tx.Text("body")
			return text.Insert(text.Len(), word+" ", nil)
		}))
	}
	for ev := range events {
		if ev.Kind == soma.DocumentChanged && strings.HasSuffix(read(ctx, bert, space, page.ID), "wire") {
			fmt.Printf("Bert heard of %s by %s, and reads: %s\n", ev.Kind, ev.Source, read(ctx, bert, space, page.ID))
			break
		}
	}

	// The record of a blob comes by itself, its bytes when somebody asks for them.
	info := must(anna.Blobs().Put(ctx, space, strings.NewReader(strings.Repeat("picture ", 1<<16)), soma.PutOptions{Name: "picture"}))
	wait(ctx, bert, "Bert knows of the blob", func() bool {
		_, err := bert.Blobs().Stat(ctx, space, info.CID)
		return err == nil
	})
	blob := must(bert.Blobs().Open(ctx, space, info.CID, soma.WithFetch()))
	n := must(io.Copy(io.Discard, blob))
	check(blob.Close())
	fmt.Printf("Bert has all %d bytes of %q\n", n, info.Name)

	// Bert may read, and not write.
	_, err := bert.Documents().Edit(ctx, space, page.ID, func(tx *soma.EditTx) error {
		return tx.Text("body").Insert(0, "Bert was here", nil)
	})
	if !errors.Is(err, soma.ErrForbidden) {
		log.Fatalf("a viewer's write = %v, want ErrForbidden", err)
	}
	fmt.Println("Bert cannot write:", err)

	// Anna knows that nothing of hers is only on her machine.
	wait(ctx, anna, "Bert has acknowledged everything", func() bool {
		st := must(anna.Sync().Status(ctx))
		return len(st.Spaces) == 1 && st.Spaces[0].OnlyHere == 0
	})
	check(anna.Close())
	check(bert.Close())
}

// open opens a store that syncs.
func open(dir string) *soma.DB {
	node := must(somasync.New(somasync.WithListen("/ip4/127.0.0.1/tcp/0")))
	return must(soma.Open(dir, soma.WithSync(node)))
}

func read(ctx context.Context, db *soma.DB, space soma.SpaceID, page soma.DocumentID) string {
	text, err := db.Documents().Text(ctx, space, page)
	if err != nil && !errors.Is(err, soma.ErrNotFound) {
		log.Fatal(err)
	}
	return strings.TrimSpace(text)
}

// wait waits until something is so.
func wait(ctx context.Context, db *soma.DB, what string, is func() bool) {
	changes := db.Sync().Watch(ctx)
	for !is() {
		if _, open := <-changes; !open {
			log.Fatalf("%s: %v", what, ctx.Err())
		}
	}
	fmt.Println(what)
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
