// Bot follows a document and works in it beside a person's editor: it ticks off tasks and
// counts them, each time all or nothing.
//
//	go run ./examples/bot [directory]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/soma-sdk/soma"
)

const page = "page-1"

func main() {
	log.SetFlags(0)
	ctx, stop := context.WithCancel(context.Background())
	db := must(soma.Open(directory()))
	space := must(db.Spaces().Create(ctx, soma.NewSpace{Name: "Tasks"})).ID
	events := db.Subscribe(ctx)

	// The person: what an editor does in JavaScript is an edit in Go here.
	for _, title := range []string{"buy bread", "done: call Ann", "done: water the plants"} {
		must(db.Documents().Edit(ctx, space, page, func(tx *soma.EditTx) error {
			return tx.Array("tasks").Push(soma.NewMap(soma.Object{{Key: "title", Value: title}}))
		}))
	}

	for ev := range events {
		if ev.Kind != soma.DocumentChanged {
			continue
		}
		if ev.Source == soma.SourceDaemon { // its own work, or that of other machines
			break
		}
		must(db.Documents().Edit(ctx, ev.SpaceID, ev.DocumentID, work, soma.WithSource(soma.SourceDaemon)))
	}
	stop()

	check(db.Documents().View(context.Background(), space, page, func(tx *soma.ViewTx) error {
		for _, task := range tx.Array("tasks").Values() {
			title, _ := task.(soma.MapReader).Get("title")
			done, _ := task.(soma.MapReader).Get("done")
			fmt.Printf("done %-5v  %s\n", done, title)
		}
		fmt.Println(tx.Text("summary"))
		return nil
	}))
	check(db.Close())
}

// work is what the bot does whenever the document changes. A change that makes no
// difference stores nothing.
func work(tx *soma.EditTx) error {
	done, tasks := 0, tx.Array("tasks").Values()
	for _, v := range tasks {
		task, ok := v.(soma.Map)
		if !ok {
			continue // somebody put in something else
		}
		title, isText := "", false
		if value, ok := task.Get("title"); ok {
			title, isText = value.(string)
		}
		if short, found := strings.CutPrefix(title, "done: "); isText && found {
			if err := task.Set("title", short); err != nil {
				return err
			}
			if err := task.Set("done", true); err != nil {
				return err
			}
		}
		if value, _ := task.Get("done"); value == true {
			done++
		}
	}
	summary, text := tx.Text("summary"), fmt.Sprintf("%d of %d done", done, len(tasks))
	if summary.String() == text {
		return nil
	}
	if err := summary.Delete(0, summary.Len()); err != nil {
		return err
	}
	return summary.Insert(0, text, nil)
}

// directory returns the argument, or a new temporary directory.
func directory() string {
	if len(os.Args) > 1 {
		return os.Args[1]
	}
	return must(os.MkdirTemp("", "soma-bot-"))
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
