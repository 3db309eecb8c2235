package replica_test

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// grove returns the entries of one author that make so many pages and then move them at
// random, so many moves in all, one to an entry.
func grove(b *testing.B, key ed25519.PrivateKey, space core.SpaceID, pages, moves int) []core.Entry {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	w := newAuthor(b, key, space, 1)
	var entries []core.Entry
	id := func(n int) string { return fmt.Sprintf("page %d", n) }
	for i := range moves {
		m := log.PageMove{Page: id(i), Position: fmt.Sprintf("%08x1", r.Uint32())}
		if i >= pages {
			m.Page = id(r.IntN(pages))
		}
		if i > 0 && r.IntN(4) > 0 {
			m.Parent = id(r.IntN(min(i, pages)))
		}
		entries = append(entries, w.write(nil, m).Raw)
	}
	return entries
}

// BenchmarkLateMove takes in a move that comes before so many others in the order of
// moves.
func BenchmarkLateMove(b *testing.B) {
	for _, later := range []int{0, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("later=%d", later), func(b *testing.B) {
			s := openSite(b, siteOptions{})
			space := s.create("pages")
			const moves = 11_000
			entries := grove(b, s.id.Key(), space, 1_000, moves)
			s.accept(space, entries...)
			all := s.decoded(space)
			// Each is by a writer of its own, who knows what comes before its place.
			var late []core.Entry
			for i := range b.N {
				w := newAuthor(b, s.id.Key(), space, 2)
				w.incarnation[1], w.incarnation[2], w.incarnation[3] = byte(i), byte(i>>8), byte(i>>16)
				last := all[len(all)-1-later]
				m := log.PageMove{Page: fmt.Sprintf("page %d", i%1000), Position: "z", Parent: fmt.Sprintf("page %d", (i+7)%1000)}
				late = append(late, w.write([]*log.Entry{last}, m).Raw)
			}
			b.ResetTimer()
			for _, e := range late {
				s.accept(space, e)
			}
		})
	}
}

// BenchmarkMoves takes in all moves of another device at once.
func BenchmarkMoves(b *testing.B) {
	const moves = 10_000
	for b.Loop() {
		b.StopTimer()
		s := openSite(b, siteOptions{})
		space := s.create("pages")
		entries := grove(b, s.id.Key(), space, 1_000, moves)
		b.StartTimer()
		s.accept(space, entries...)
	}
	b.ReportMetric(float64(moves)*float64(b.N)/b.Elapsed().Seconds(), "moves/s")
}
