package replica_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// write makes an author's next content entry, with deps in its past. All of it is about
// one document.
func (c *court) write(a *author, deps []*log.Entry, updates ...[]byte) *log.Entry {
	h := a.header(deps...)
	if h.Seq == 1 {
		h.Auth, h.Lamport = []core.Hash{c.head}, max(h.Lamport, c.lamport+1)
	}
	bodies := make([]log.Body, len(updates))
	for i, u := range updates {
		bodies[i] = update("page", u)
	}
	a.last = a.sign(h, bodies...)
	return a.last
}

// erased is an update with a struct that is gone, and its deletion.
func erased(client, clock, n uint64) []byte {
	b := []byte{1, 1, byte(client), byte(clock), 0, byte(n)}
	return append(b, erase(client, clock, n)[1:]...)
}

// A deletion counts for what its author knew, in whatever order and batches entries
// come: nobody can delete what is not written yet, nor make it so that it counts as
// something else that they deleted.
func TestReachOfDeletions(t *testing.T) {
	none := []*log.Entry(nil)
	for name, c := range map[string]struct {
		write func(c *court) []*log.Entry
		want  string
	}{
		"known": {func(c *court) []*log.Entry {
			a := c.write(c.owner, none, insert(5, 0, "Hello world"))
			return []*log.Entry{a, c.write(c.bob, []*log.Entry{a}, erase(5, 0, 6))}
		}, "world"},
		"known in part": {func(c *court) []*log.Entry {
			a := c.write(c.owner, none, insert(5, 0, "Hello "))
			b := c.write(c.owner, none, insert(5, 6, "world"))
			return []*log.Entry{a, b, c.write(c.bob, []*log.Entry{a}, erase(5, 0, 1<<40))}
		}, "world"},
		"at the same time": {func(c *court) []*log.Entry {
			return []*log.Entry{c.write(c.owner, none, insert(5, 0, "Hello")), c.write(c.bob, none, erase(5, 0, 1<<40))}
		}, "Hello"},
		"before": {func(c *court) []*log.Entry {
			b := c.write(c.bob, none, erase(5, 0, 1<<40))
			return []*log.Entry{b, c.write(c.owner, []*log.Entry{b}, insert(5, 0, "Hello"))}
		}, "Hello"},
		"claimed as gone": {func(c *court) []*log.Entry {
			return []*log.Entry{c.write(c.owner, none, insert(5, 0, "Hello")), c.write(c.bob, none, erased(5, 0, 100))}
		}, "Hello"},
		"claimed as gone before": {func(c *court) []*log.Entry {
			b := c.write(c.bob, none, erased(5, 0, 100))
			return []*log.Entry{b, c.write(c.owner, []*log.Entry{b}, insert(5, 0, "Hello"))}
		}, "Hello"},
		"claimed as other text": {func(c *court) []*log.Entry {
			return []*log.Entry{
				c.write(c.owner, none, insert(5, 0, "Hello")),
				c.write(c.bob, none, insert(5, 0, "x"), erase(5, 0, 100)),
			}
		}, "Hello"},
		"in the same entry, before the content": {func(c *court) []*log.Entry {
			return []*log.Entry{c.write(c.owner, none, erase(5, 0, 6), insert(5, 0, "Hello world"))}
		}, "world"},
		"of content that came both ways": {func(c *court) []*log.Entry {
			a := c.write(c.owner, none, insert(5, 0, "Hello"))
			b := c.write(c.bob, none, insert(5, 0, "Hello"))
			return []*log.Entry{a, b, c.write(c.bob, none, erase(5, 0, 4))}
		}, "o"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			court := newCourt(t)
			entries := raws(c.write(court)...)
			var want map[string]string
			for order := range uint64(8) {
				r := rand.New(rand.NewPCG(order, 4))
				s := openSite(t, siteOptions{})
				s.found(court.site, court.space)
				s.accept(court.space, court.entries(court.space)...)
				shuffled := slices.Clone(entries)
				if order > 0 {
					r.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })
				}
				for batch := range slices.Chunk(shuffled, 1+r.IntN(len(shuffled))) {
					s.accept(court.space, batch...)
				}
				s.wantText(court.space, "page", c.want)
				dump := s.dump(court.space)
				if want == nil {
					want = dump
				}
				wantEqual(t, fmt.Sprint("order ", order), dump, want)
				s.close()
			}
		})
	}
}
