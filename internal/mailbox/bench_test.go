package mailbox_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/mailbox"
)

// A mailbox that is full, and a draft that is typed into.
func BenchmarkSave(b *testing.B) {
	box := openBox(b, mailbox.Limits{})
	for i := range mailbox.DefaultDrafts {
		box.save(draft(fmt.Sprint(i), startMs+int64(i), "x"))
	}
	snippet := strings.Repeat("x", 1000)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		box.save(draft("999", startMs+1000+int64(i), snippet))
	}
}

// What a remote change of one document costs, by what is in the mailbox.
func BenchmarkReview(b *testing.B) {
	for _, n := range []int{0, mailbox.DefaultDrafts} {
		b.Run(fmt.Sprint(n, " drafts"), func(b *testing.B) {
			box := openBox(b, mailbox.Limits{})
			for i := range n {
				box.save(draft(fmt.Sprint(i), startMs+int64(i), "x"))
			}
			changed := []core.ChangedDoc{{Space: "s", ID: "without"}}
			b.ReportAllocs()
			err := box.store.Write(b.Context(), func(tx core.Tx) error {
				for b.Loop() {
					if err := box.Review(tx, changed); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
