package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/soma-sdk/soma"
)

// settings are what the program remembers of itself, in a collection: on this machine alone.
// So tabs that were open find it again when it was restarted.
type settings struct {
	Token string `json:"token"` // that lets a browser in
	Addr  string `json:"addr"`  // where the page is served, and was last
}

const settingsKey = "server"

func collectionOf(db *soma.DB) *soma.Collection[settings] {
	return soma.NewCollection[settings](db, "editor")
}

func loadSettings(ctx context.Context, db *soma.DB) (settings, error) {
	record, err := collectionOf(db).Get(ctx, settingsKey)
	if errors.Is(err, soma.ErrNotFound) {
		return settings{Token: rand.Text(), Addr: "127.0.0.1:0"}, nil
	}
	return record.Value, err
}

func (s settings) save(ctx context.Context, db *soma.DB) error {
	return collectionOf(db).Put(ctx, settingsKey, s, time.Now().UnixMilli())
}

// listen listens at addr or, without one, where it was last, if that is free, and remembers
// where. Only this machine can connect.
func (s *settings) listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", cmp.Or(addr, s.Addr))
	if err != nil && addr == "" {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, err
	}
	if at := listener.Addr().(*net.TCPAddr); !at.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("%s can be reached from other machines", at), listener.Close())
	}
	s.Addr = listener.Addr().String()
	return listener, nil
}
