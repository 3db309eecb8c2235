// Command server serves the documents of a directory to bench/ywebsocket/node: Soma as a
// host would run it, every commit on the disk.
//
//	server <directory>
//
// It prints its port, the space and its process ID, and ends when its input does.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/sync/ywebsocket"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(dir string) error {
	ctx := context.Background()
	db, err := soma.Open(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	spaces, err := db.Spaces().List(ctx)
	if err != nil {
		return err
	}
	if len(spaces) == 0 {
		space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Benchmark"})
		if err != nil {
			return err
		}
		spaces = append(spaces, space)
	}
	h, err := ywebsocket.New(db, func(context.Context, ywebsocket.Request) (ywebsocket.Access, error) {
		return ywebsocket.ReadWrite, nil
	})
	if err != nil {
		return err
	}
	defer h.Close()
	mux := http.NewServeMux()
	mux.Handle("/y/", http.StripPrefix("/y", h))
	mux.Handle("/hocuspocus", h.Hocuspocus())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux} //nolint:gosec // on loopback, for a while
	defer server.Close()
	go server.Serve(listener) //nolint:errcheck // until Close
	fmt.Println(listener.Addr().(*net.TCPAddr).Port, spaces[0].ID, os.Getpid())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
