package replica_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// BenchmarkPutBlob puts and removes a blob in a space that holds so many others.
func BenchmarkPutBlob(b *testing.B) {
	for _, others := range []int{0, 1_000, 50_000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			s := openSite(b, siteOptions{noVerify: true})
			space := s.create("blobs")
			w := newAuthor(b, s.id.Key(), space, 1)
			var entries []core.Entry
			for n := 0; n < others; n += 100 {
				bodies := make([]log.Body, 100)
				for i := range bodies {
					bodies[i] = log.BlobPut{Blob: sha256.Sum256(fmt.Append(nil, n+i)), Size: 1, MIME: "text/plain", Name: "a.txt"}
				}
				entries = append(entries, w.write(nil, bodies...).Raw)
			}
			s.accept(space, entries...)
			for b.Loop() {
				s.putBlob(space, newBlob("one", "text/plain", "one.txt"))
				if err := s.RemoveBlob(s.ctx(), space, hashOf("one"), events.SourceRenderer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
