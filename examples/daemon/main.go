// Daemon is Soma for the other processes of a user, such as an Electron app: gRPC over a
// socket that only this user can open. README.md says how to start it from one.
//
//	go run . -dir DIR
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

func main() {
	c, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // flag has said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it ends with whoever started us
		stop()
	}()
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "daemon:", err)
		os.Exit(1)
	}
}

// config is what the flags say.
type config struct {
	dir    string
	socket string   // path, "" for the one in dir
	tcp    bool     // loopback instead of a socket
	sync   []string // multiaddrs to listen at for other machines, none for no sync
}

func parse(args []string) (config, error) {
	var c config
	home, _ := os.UserConfigDir() // without one, dir has to be given
	flags := flag.NewFlagSet("daemon", flag.ContinueOnError)
	flags.StringVar(&c.dir, "dir", filepath.Join(home, "soma-daemon"), "`directory` of the data")
	flags.StringVar(&c.socket, "socket", "", "`path` of the socket, in a folder of its own (default DIR/run/soma.sock)")
	flags.BoolVar(&c.tcp, "tcp", runtime.GOOS == "windows", "listen on loopback, with a token, instead of on a socket")
	flags.Func("sync", "`addresses` to listen at for other machines, like /ip4/0.0.0.0/tcp/0,/ip4/0.0.0.0/udp/0/quic-v1", func(s string) error {
		c.sync = strings.Split(s, ",")
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(flags.Output(), err)
		return c, err
	}
	if c.socket == "" {
		c.socket = filepath.Join(c.dir, "run", "soma.sock")
	}
	return c, nil
}
