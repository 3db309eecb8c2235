// Blobs puts a file into a space, serves it on loopback as an app does for its window, and
// fetches a part of it.
//
//	go run ./examples/blobs [file]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/soma-sdk/soma"
)

func main() {
	log.SetFlags(0)
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "soma-blobs-"))
	db := must(soma.Open(filepath.Join(dir, "db")))
	space := must(db.Spaces().Create(ctx, soma.NewSpace{Name: "Files"})).ID

	info := must(db.Blobs().PutFile(ctx, space, file(dir), soma.PutOptions{}))
	fmt.Printf("put %s: %d bytes, %s\n", info.Name, info.Size, info.MIME)
	fmt.Println("the renderer knows it as", soma.FormatBlobURL(space, info.CID))

	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	mux := http.NewServeMux()
	mux.Handle("/blobs/", http.StripPrefix("/blobs", soma.BlobHandler(db)))
	server := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	url := fmt.Sprintf("http://%s/blobs/%s/%s", listener.Addr(), space, info.CID)
	fetch(ctx, url, "Range", "bytes=0-10")
	fetch(ctx, url, "If-None-Match", `"`+string(info.CID)+`"`)

	check(server.Shutdown(ctx))
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		check(err)
	}
	check(db.Close())
	check(os.RemoveAll(dir))
}

// fetch prints the answer to a request with one header field.
func fetch(ctx context.Context, url, field, value string) {
	req := must(http.NewRequestWithContext(ctx, http.MethodGet, url, nil))
	req.Header.Set(field, value)
	resp := must(http.DefaultClient.Do(req))
	body := must(io.ReadAll(resp.Body))
	check(resp.Body.Close())
	fmt.Printf("%s: %s\n%s\n%q\n", field, value, resp.Status, body)
}

// file returns the argument, or a file that it makes.
func file(dir string) string {
	if len(os.Args) > 1 {
		return os.Args[1]
	}
	path := filepath.Join(dir, "hello.txt")
	check(os.WriteFile(path, []byte("Hello World, this is a file.\n"), 0o600))
	return path
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
