package benchsync

import (
	"runtime"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	somasync "github.com/soma-sdk/soma/sync"
)

// BenchmarkIdle measures what sync takes while nothing happens.
func BenchmarkIdle(b *testing.B) {
	b.Run("node", func(b *testing.B) {
		before := measure()
		open(b, soma.WithSync(newNode(b)), soma.WithManualSync())
		stopped := measure()
		open(b, soma.WithSync(newNode(b)))
		measure().minus(stopped).minus(stopped.minus(before)).report(b, 1)
	})
	b.Run("connection-with-a-space-both-ends", func(b *testing.B) {
		const connections = 8
		d := device{db: open(b, soma.WithSync(newNode(b)))}
		var others []device
		var spaces []soma.SpaceID
		var tickets []string
		for range connections { // each shares a space of its own, else all would connect to all
			space, ticket := d.share(b, 1)
			spaces, tickets = append(spaces, space), append(tickets, ticket)
			others = append(others, device{db: open(b, soma.WithSync(newNode(b)))})
		}
		before := measure()
		for i, other := range others {
			other.join(b, spaces[i], tickets[i])
		}
		d.await(b, "connections", func() bool { return len(d.db.Sync().Peers()) == connections })
		measure().minus(before).report(b, connections)
	})
	b.Run("space-both-ends", func(b *testing.B) {
		const spaces = 8 // so many tickets go into one question
		a, c, _ := pair(b, 4)
		before := measure()
		c.part(b, a)
		for range spaces {
			_, ticket := a.share(b, 1)
			_, err := c.db.Spaces().Join(b.Context(), ticket)
			must(b, err)
		}
		c.connect(b, a)
		c.await(b, "joins", func() bool {
			s, err := c.db.Sync().Status(b.Context())
			must(b, err)
			for _, space := range s.Spaces {
				if space.Joining {
					return false
				}
			}
			return len(s.Spaces) == spaces+1
		})
		measure().minus(before).report(b, spaces)
	})
}

// newNode returns a node that listens where nodes do by default.
func newNode(b *testing.B) *somasync.Node {
	b.Helper()
	node, err := somasync.New()
	must(b, err)
	return node
}

func open(b *testing.B, opts ...soma.Option) *soma.DB {
	b.Helper()
	db, err := soma.Open(b.TempDir(), opts...)
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	return db
}

// cost is what a process takes.
type cost struct {
	goroutines int
	heap       int64
}

func measure() cost {
	time.Sleep(time.Second) // what was begun ends
	runtime.GC()
	runtime.GC() // sync.Pool keeps things for one cycle
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{runtime.NumGoroutine(), int64(m.HeapAlloc)}
}

func (c cost) minus(d cost) cost { return cost{c.goroutines - d.goroutines, c.heap - d.heap} }

func (c cost) report(b *testing.B, n int) {
	b.Helper()
	b.ReportMetric(float64(c.goroutines)/float64(n), "goroutines")
	b.ReportMetric(float64(c.heap)/float64(n)/1e3, "heap-kB")
}
