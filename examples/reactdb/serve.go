package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/soma-sdk/soma"
)

const (
	requestTimeout  = 30 * time.Second // to read a request, and to answer it
	maxHeaderBytes  = 16 << 10         // of a request
	shutdownTimeout = 5 * time.Second  // for requests that run when the host ends
)

// ready is the line of JSON that tells the host where the windows find their storage.
type ready struct {
	URL   string       `json:"url"`
	Token string       `json:"token"`
	Space soma.SpaceID `json:"space"`
}

// serve serves a directory on 127.0.0.1 until the host closes stdin, as the end of the host
// does, whatever it dies of.
func serve(ctx context.Context, dir string, stdin io.Reader, stdout io.Writer) (err error) {
	db, err := soma.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	space, err := firstSpace(ctx, db)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	requests, stop := context.WithCancel(ctx)
	defer stop()
	token := rand.Text()
	server := &http.Server{
		Handler:        newBridge(db).handler(token),
		BaseContext:    func(net.Listener) context.Context { return requests }, // so that /changes ends
		ReadTimeout:    requestTimeout,
		WriteTimeout:   requestTimeout,
		MaxHeaderBytes: maxHeaderBytes,
	}
	served, hostGone := make(chan error, 1), make(chan struct{})
	go func() { served <- server.Serve(listener) }()
	go func() {
		defer close(hostGone)
		_, _ = io.Copy(io.Discard, stdin)
	}()
	err = json.NewEncoder(stdout).Encode(ready{"http://" + listener.Addr().String(), token, space})
	if err == nil {
		select {
		case <-hostGone:
		case err = <-served:
			return err
		}
	}
	stop()
	return errors.Join(err, shutdown(server, served))
}

func shutdown(server *http.Server, served <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if err != nil {
		err = server.Close()
	}
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// firstSpace returns the space that drafts and uploads are for.
func firstSpace(ctx context.Context, db *soma.DB) (soma.SpaceID, error) {
	spaces, err := db.Spaces().List(ctx)
	if err != nil {
		return "", err
	}
	if len(spaces) > 0 {
		return spaces[0].ID, nil
	}
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	return space.ID, err
}
