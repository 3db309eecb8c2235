package somasync_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

// Two machines, here two directories: Bob joins Ann's space by a ticket, and reads what she
// wrote; Ann sees that it is not only on her machine.
func Example() {
	if err := joinAnn(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Bob reads: Hello
	// only on Ann's machine: 0
}

func joinAnn(ctx context.Context) error {
	root, err := os.MkdirTemp("", "soma")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	ann, err := openSynced(filepath.Join(root, "ann"))
	if err != nil {
		return err
	}
	defer ann.Close()
	bob, err := openSynced(filepath.Join(root, "bob"))
	if err != nil {
		return err
	}
	defer bob.Close()

	space, err := ann.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		return err
	}
	_, err = ann.Documents().Edit(ctx, space.ID, "page-1", func(tx *soma.EditTx) error {
		return tx.Text("content").Insert(0, "Hello", nil)
	})
	if err != nil {
		return err
	}
	ticket, err := ann.Spaces().Invite(ctx, space.ID, soma.RoleEditor, soma.InviteOptions{})
	if err != nil {
		return err
	}
	events := bob.Subscribe(ctx)
	if _, err := bob.Spaces().Join(ctx, ticket); err != nil {
		return err
	}
	for event := range events {
		if event.Kind == soma.DocumentChanged {
			break
		}
	}
	text, err := bob.Documents().Text(ctx, space.ID, "page-1")
	if err != nil {
		return err
	}
	fmt.Println("Bob reads:", text)

	for changed := ann.Sync().Watch(ctx); ; <-changed {
		status, err := ann.Sync().Status(ctx)
		if err != nil {
			return err
		}
		if s := status.Spaces[0]; s.Peers == 1 && s.OnlyHere == 0 {
			fmt.Println("only on Ann's machine:", s.OnlyHere)
			return nil
		}
	}
}

func openSynced(dir string) (*soma.DB, error) {
	node, err := somasync.New(somasync.WithListen("/ip4/127.0.0.1/tcp/0")) // without options it listens everywhere
	if err != nil {
		return nil, err
	}
	return soma.Open(dir, soma.WithSync(node))
}
