// Editor is a whole app in one program: it keeps spaces of pages in a directory, serves
// their editor to a browser on this machine, and syncs with others over libp2p.
//
//	go run ./examples/editor                    # and open the link that it prints
//	go run ./examples/editor -dir second        # somebody else, on the same machine
//
// Invite in one, join with the ticket in the other, and type in both. The page is built
// with npm, once: (cd examples/editor/web && npm ci && npm run build). The program ends
// with Ctrl-C, or when its input does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "soma-editor", "the `directory` in which everything is kept")
	addr := flag.String("addr", "", "where to serve the page, such as 127.0.0.1:8080 (default where it was last)")
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "the `multiaddr` at which other members reach this one")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // until the process ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := run(ctx, *dir, *addr, *listen, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends. It starts in any case, so that what is wrong is told.
func run(ctx context.Context, dir, addr, listen string, out io.Writer) (err error) {
	node, err := somasync.New(somasync.WithListen(listen))
	if err != nil {
		return err
	}
	db, err := soma.Open(dir, soma.WithSync(node), soma.WithMaxDraftSnippet(maxSnippet))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	own, err := loadSettings(context.WithoutCancel(ctx), db)
	if err != nil {
		return err
	}
	listener, err := own.listen(addr)
	if err != nil {
		return err
	}
	if err := own.save(context.WithoutCancel(ctx), db); err != nil {
		return errors.Join(err, listener.Close())
	}
	app, err := newServer(db, own)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer app.sockets.Close()

	if !built() {
		fmt.Fprintln(out, howToBuild)
	}
	fmt.Fprintf(out, "http://%s/?token=%s\n", own.Addr, own.Token)
	server := &http.Server{Handler: app.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		app.end() // of what is open for long: Shutdown waits for the rest
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(patience) != nil {
		_ = server.Close() // somebody reads slowly
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
