package soma_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/soma-sdk/soma"
)

// hello is what Y.encodeStateAsUpdate returns for a document whose client, number
// 1, has written doc.getText("text").insert(0, "Hello").
var hello = []byte("\x01\x01\x01\x00\x04\x01\x04text\x05Hello\x00")

func Example() {
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

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	space, err := db.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		fmt.Println(err)
		return
	}
	events := db.Subscribe(ctx)
	if _, err := db.Documents().Upsert(ctx, space.ID, "page-1", hello); err != nil {
		fmt.Println(err)
		return
	}
	event := <-events
	text, err := db.Documents().Text(ctx, event.SpaceID, event.DocumentID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Kind, event.DocumentID)
	fmt.Println(text)
	// Output:
	// document-changed page-1
	// Hello
}

// An exported space is the same space in another directory, which belongs to
// another member here: it may read but not write.
func ExampleSpaces_Export() {
	root, err := os.MkdirTemp("", "soma")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(root)
	if err := copySpace(context.Background(), root+"/mine", root+"/theirs"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Notes, role owner: Hello
	// Notes, role none: Hello
}

func copySpace(ctx context.Context, from, to string) error {
	mine, err := soma.Open(from)
	if err != nil {
		return err
	}
	defer mine.Close()
	theirs, err := soma.Open(to)
	if err != nil {
		return err
	}
	defer theirs.Close()

	space, err := mine.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		return err
	}
	if _, err := mine.Documents().Upsert(ctx, space.ID, "page-1", hello); err != nil {
		return err
	}
	var archive bytes.Buffer // or a file, or a connection
	if err := mine.Spaces().Export(ctx, space.ID, &archive); err != nil {
		return err
	}
	if err := theirs.Spaces().Import(ctx, &archive); err != nil {
		return err
	}
	for _, db := range []*soma.DB{mine, theirs} {
		space, err := db.Spaces().Get(ctx, space.ID)
		if err != nil {
			return err
		}
		text, err := db.Documents().Text(ctx, space.ID, "page-1")
		if err != nil {
			return err
		}
		fmt.Printf("%s, role %v: %s\n", space.Name, space.Role, text)
	}
	return nil
}

// Somebody joins a space by a ticket. Here it travels as a file; the ticket may come
// before it or after it.
func ExampleSpaces_Join() {
	root, err := os.MkdirTemp("", "soma")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(root)
	ann, err := soma.Open(filepath.Join(root, "ann"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ann.Close()
	bob, err := soma.Open(filepath.Join(root, "bob"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()

	ctx := context.Background()
	space, err := ann.Spaces().Create(ctx, soma.NewSpace{Name: "Notes"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ticket, err := ann.Spaces().Invite(ctx, space.ID, soma.RoleEditor, soma.InviteOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var archive bytes.Buffer
	if err := ann.Spaces().Export(ctx, space.ID, &archive); err != nil {
		fmt.Println(err)
		return
	}
	if err := bob.Spaces().Import(ctx, &archive); err != nil {
		fmt.Println(err)
		return
	}
	space, err = bob.Spaces().Join(ctx, ticket)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(space.Role, "of", space.Name)
	// Output:
	// editor of Notes
}

// Two windows keep their tabs in one collection. Each writes all that it knows.
func ExampleCollections_SetItem() {
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
	tabs := db.Collections()
	start, err := tabs.Snapshot(ctx, soma.CollectionTabs)
	if err != nil {
		fmt.Println(err)
		return
	}
	first := `{"s:a":{"versionKey":"1f9e","data":{"id":"a","title":"First"}}}`
	result, err := tabs.SetItem(ctx, soma.CollectionTabs, []byte(first), start.Seq, soma.WithWindow("one"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("one has seen everything:", result.Same)

	second := `{"s:b":{"versionKey":"77c0","data":{"id":"b","title":"Second"}}}`
	result, err = tabs.SetItem(ctx, soma.CollectionTabs, []byte(second), start.Seq, soma.WithWindow("two"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("two has seen everything:", result.Same)

	now, err := tabs.Snapshot(ctx, soma.CollectionTabs)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", now.Value)
	// Output:
	// one has seen everything: true
	// two has seen everything: false
	// {"s:a":{"versionKey":"1f9e","data":{"id":"a","title":"First"}},"s:b":{"versionKey":"77c0","data":{"id":"b","title":"Second"}}}
}

// A hit says where the words are, in bytes.
func ExampleDocuments_Search() {
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
	if _, err := db.Documents().Upsert(ctx, space.ID, "page-1", hello); err != nil {
		fmt.Println(err)
		return
	}
	hits, err := db.Documents().Search(ctx, space.ID, "HELL", soma.WithFresh())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, hit := range hits {
		for _, m := range hit.Snippet.Matches {
			fmt.Println(hit.DocumentID, hit.Snippet.Text[m.Start:m.End])
		}
	}
	// Output:
	// page-1 Hello
}

// An Edit is stored as a whole, or not at all.
func ExampleDocuments_Edit() {
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

	_, err = db.Documents().Edit(ctx, space.ID, "page-1", func(tx *soma.EditTx) error {
		text := tx.Text("content")
		if err := text.Insert(0, "Hello world", nil); err != nil {
			return err
		}
		if err := text.Format(6, 5, soma.Attributes{{Key: "bold", Value: true}}); err != nil {
			return err
		}
		list := soma.NewArray("milk", "bread") // filled before or after it goes in, which it does once
		return tx.Map("lists").Set("shopping", list)
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The second step fails, so the first has not happened.
	_, err = db.Documents().Edit(ctx, space.ID, "page-1", func(tx *soma.EditTx) error {
		if err := tx.Text("content").Delete(0, 6); err != nil {
			return err
		}
		return tx.Text("content").Insert(100, "!", nil)
	})
	fmt.Println(errors.Is(err, soma.ErrOutOfRange))

	err = db.Documents().View(ctx, space.ID, "page-1", func(tx *soma.ViewTx) error {
		for _, op := range tx.Text("content").Delta() {
			fmt.Printf("%q %v\n", op.Insert, op.Attributes)
		}
		list, _ := tx.Map("lists").Get("shopping")
		fmt.Println(list.(soma.ArrayReader).Values()...)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// true
	// "Hello " []
	// "world" [{bold true}]
	// milk bread
}

func ExamplePages() {
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
	for _, page := range []soma.NewPage{
		{ID: "projects", Title: "Projects"},
		{ID: "garden", Title: "Garden", Parent: "projects"},
		{ID: "today", Title: "Today", Before: "projects"},
	} {
		if _, err := db.Pages().Create(ctx, space.ID, page); err != nil {
			fmt.Println(err)
			return
		}
	}
	tree, err := db.Pages().Tree(ctx, space.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, page := range tree {
		fmt.Println(page.Title)
		for _, child := range page.Children {
			fmt.Println("  " + child.Title)
		}
	}
	// Output:
	// Today
	// Projects
	//   Garden
}

// What the interface keeps on this machine: of two writes the newer wins, whichever comes
// first.
func ExampleCollection() {
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

	type Tab struct {
		Title string `json:"title"`
	}
	tabs := soma.NewCollection[Tab](db, "tabs", soma.WithMaxRecords(50), soma.WithEviction())
	for _, write := range []struct {
		title       string
		updatedAtMs int64
	}{{"Today", 2000}, {"Yesterday", 1000}} {
		if err := tabs.Put(ctx, "t1", Tab{write.title}, write.updatedAtMs); err != nil {
			fmt.Println(err)
			return
		}
	}
	for rec, err := range tabs.List(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(rec.Key, rec.Value.Title)
	}
	// Output:
	// t1 Today
}

// A file becomes a blob of a space in the background.
func ExampleUploads() {
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

	news := db.Uploads().Watch(ctx)
	job, err := db.Uploads().Enqueue(ctx, space.ID, soma.UploadSource{Reader: strings.NewReader("Hello"), Name: "hello.txt"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for job.State != soma.UploadDone {
		job = <-news
	}
	info, err := db.Blobs().Stat(ctx, space.ID, job.CID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Name, info.Size, info.MIME)
	fmt.Println(info.CID)
	// Output:
	// hello.txt 5 text/plain; charset=utf-8
	// bafkreiayl6g3gitr7ys7kyng7sjywlrgimdoymco3jiyab6rozecmoazne
}
