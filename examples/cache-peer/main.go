// Cache-peer runs three processes on this machine: a writer, a cache that is always on, and
// a reader that comes when the writer has gone. The cache stores and serves what others
// write, and can write nothing itself.
//
//	go run ./examples/cache-peer
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

const page = "page"

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if len(os.Args) > 2 {
		role(ctx, os.Args[1], os.Args[2], os.Args[3:])
		return
	}
	dir := must(os.MkdirTemp("", "soma-cache-peer-"))
	defer os.RemoveAll(dir)
	writer := launch(ctx, "writer", filepath.Join(dir, "writer"))
	cacheTicket, readerTicket := writer.line(), writer.line()
	cache := launch(ctx, "cache", filepath.Join(dir, "cache"), cacheTicket)
	cacheAddress := cache.line()
	fmt.Println("the cache says:", cache.line())
	fmt.Println("the writer says:", writer.line())
	writer.end() // its laptop is closed
	reader := launch(ctx, "reader", filepath.Join(dir, "reader"), readerTicket, cacheAddress)
	fmt.Println("the reader says:", reader.line())
	reader.end()
	cache.end()
}

// role is one of the three processes. Each ends when its input does.
func role(ctx context.Context, name, dir string, args []string) {
	node := must(somasync.New(somasync.WithListen("/ip4/127.0.0.1/tcp/0")))
	db := must(soma.Open(dir, soma.WithSync(node)))
	switch name {
	case "writer":
		space := must(db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})).ID
		must(db.Documents().Edit(ctx, space, page, func(tx *soma.EditTx) error {
			return tx.Text("body").Insert(0, "written by somebody who is asleep by now", nil)
		}))
		fmt.Println(must(db.Spaces().Invite(ctx, space, soma.RoleCache, soma.InviteOptions{})))
		fmt.Println(must(db.Spaces().Invite(ctx, space, soma.RoleViewer, soma.InviteOptions{})))
		wait(ctx, db, func() bool {
			st := must(db.Sync().Status(ctx)).Spaces[0]
			return st.OnlyHere == 0 && st.LastExchangeMs > 0
		})
		fmt.Println("nothing is only on this device")
	case "cache":
		space := must(db.Spaces().Join(ctx, args[0], soma.AsKind(soma.KindCache))).ID
		wait(ctx, db, func() bool {
			joined, err := db.Spaces().Get(ctx, space)
			return err == nil && joined.Role == soma.RoleCache
		})
		fmt.Println(db.Sync().Addrs()[0])
		_, err := db.Documents().Edit(ctx, space, page, func(tx *soma.EditTx) error {
			return tx.Text("body").Insert(0, "forged", nil)
		})
		if !errors.Is(err, soma.ErrForbidden) {
			log.Fatalf("a cache's write = %v, want ErrForbidden", err)
		}
		fmt.Println("I store and serve, and may write nothing")
	case "reader":
		// The ticket says where the writer was. That the cache has the space is known from elsewhere.
		space := must(db.Spaces().Join(ctx, args[0])).ID
		check(db.Sync().Connect(ctx, args[1]))
		var text string
		wait(ctx, db, func() bool {
			text, _ = db.Documents().Text(ctx, space, page) // an error: not there yet
			return text != ""
		})
		fmt.Println("I read:", text)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	check(db.Close())
}

// wait waits until something is so.
func wait(ctx context.Context, db *soma.DB, is func() bool) {
	changes := db.Sync().Watch(ctx)
	for !is() {
		if _, open := <-changes; !open {
			log.Fatal(ctx.Err())
		}
	}
}

// process is a role that runs.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Scanner
}

func launch(ctx context.Context, args ...string) process {
	cmd := exec.CommandContext(ctx, must(os.Executable()), args...)
	cmd.Stderr = os.Stderr
	p := process{cmd: cmd, in: must(cmd.StdinPipe()), out: bufio.NewScanner(must(cmd.StdoutPipe()))}
	check(cmd.Start())
	return p
}

func (p process) line() string {
	if !p.out.Scan() {
		log.Fatalf("%s ended early", p.cmd.Args[1])
	}
	return strings.TrimSpace(p.out.Text())
}

func (p process) end() {
	check(p.in.Close())
	check(p.cmd.Wait())
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
