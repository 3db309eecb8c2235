package soma_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/soma-sdk/soma"
)

// A blob is named by its bytes: the same ones put twice are one blob.
func ExampleBlobs() {
	dir, err := os.MkdirTemp("", "soma")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := soma.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	if err := putTwice(context.Background(), db); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Hello, World
	// hello.txt, 12 bytes of text/plain; charset=utf-8
	// true
}

func putTwice(ctx context.Context, db *soma.DB) error {
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		return err
	}
	info, err := db.Blobs().Put(ctx, space.ID, strings.NewReader("Hello, World"), soma.PutOptions{Name: "hello.txt"})
	if err != nil {
		return err
	}
	blob, err := db.Blobs().Open(ctx, space.ID, info.CID)
	if err != nil {
		return err
	}
	defer blob.Close()
	content, err := io.ReadAll(blob) // checked while it is read
	if err != nil {
		return err
	}
	again, err := db.Blobs().Put(ctx, space.ID, bytes.NewReader(content), soma.PutOptions{})
	if err != nil {
		return err
	}
	fmt.Println(string(content))
	fmt.Printf("%s, %d bytes of %s\n", info.Name, info.Size, info.MIME)
	fmt.Println(again.CID == info.CID)
	return nil
}

// A server that serves blobs to who knows a token. The browser asks for parts of them.
func ExampleBlobHandler() {
	dir, err := os.MkdirTemp("", "soma")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := soma.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	ctx := context.Background()
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := db.Blobs().Put(ctx, space.ID, strings.NewReader("Hello, World"), soma.PutOptions{Name: "hello.txt"})
	if err != nil {
		fmt.Println(err)
		return
	}

	handler := soma.BlobHandler(db, soma.WithAuthorize(func(r *http.Request, _ soma.SpaceID) error {
		if r.Header.Get("Authorization") != "Bearer secret" {
			return errors.New("no token")
		}
		return nil
	}))
	mux := http.NewServeMux()
	mux.Handle("/blobs/", http.StripPrefix("/blobs", handler))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, token := range []string{"guess", "secret"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/blobs/"+string(space.ID)+"/"+string(info.CID), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Range", "bytes=7-")
		resp, err := server.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode, resp.Header.Get("Content-Type"), strings.TrimSpace(string(body)))
	}
	// Output:
	// 403 text/plain; charset=utf-8 Forbidden
	// 206 text/plain; charset=utf-8 World
}
