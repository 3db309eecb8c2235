// Reactdb keeps the @tanstack/db collections of several windows in Soma: tabs, routing,
// preferences, views, drafts and uploads.
//
//	go run ./examples/reactdb            plays a host with two windows, and kills them
//	go run ./examples/reactdb serve DIR  is the program that such a host starts
//
// The first wants node, and "npm ci" in examples/reactdb/node once. README.md says which file
// does what.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/soma-sdk/soma"
)

func main() {
	log.SetFlags(0)
	ctx := context.Background()
	var err error
	switch {
	case len(os.Args) == 1:
		err = play(ctx, os.Stdout)
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serve(ctx, os.Args[2], os.Stdin, os.Stdout)
	default:
		err = fmt.Errorf("usage: %s [serve DIR]", os.Args[0])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// playTimeout is far more than a game takes on a slow machine.
const playTimeout = 10 * time.Minute

// play lets a host with windows do its worst in a new directory, and looks at what is left.
func play(ctx context.Context, out io.Writer) (err error) {
	scripts, missing := nodeScripts()
	if missing != nil {
		fmt.Fprintf(out, "The windows are real ones: they need node, and npm ci in examples/reactdb/node (%v).\n", missing)
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "soma-reactdb-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ctx, cancel := context.WithTimeout(ctx, playTimeout)
	defer cancel()
	host := exec.CommandContext(ctx, "node", filepath.Join(scripts, "main.mjs"), self, dir)
	host.Stdout, host.Stderr = out, os.Stderr
	host.Env = append(os.Environ(), "NODE_ENV=production")
	if err := host.Run(); err != nil {
		return fmt.Errorf("the host: %w", err)
	}
	return judge(ctx, dir, out)
}

// nodeScripts returns the folder of the scripts, or says what they lack.
func nodeScripts() (dir string, missing error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", err
	}
	for _, dir := range []string{"node", filepath.Join("examples", "reactdb", "node")} {
		if _, missing = os.Stat(filepath.Join(dir, "node_modules", "@tanstack", "react-db")); missing == nil {
			return dir, nil
		}
	}
	return "", missing
}

// judge opens the directory as if nothing had happened.
func judge(ctx context.Context, dir string, out io.Writer) (err error) {
	db, err := soma.Open(filepath.Join(dir, "db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	checked, err := checkAcknowledged(ctx, db, filepath.Join(dir, "acknowledged.json"))
	if err != nil {
		return err
	}
	found, err := db.Verify(ctx)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("verify found %v", found)
	}
	fmt.Fprintf(out, "Go opens the directory: all of %d acknowledged rows are there, and Verify finds nothing.\n", checked)
	return nil
}
