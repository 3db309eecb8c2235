package benchsync

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/soma-sdk/soma"
)

func notFound(err error) bool { return errors.Is(err, soma.ErrNotFound) }

// BenchmarkSoma measures what bench/sync/node measures of others, under the same names.
func BenchmarkSoma(b *testing.B) {
	b.Run("pull", benchPull)
	b.Run("reconnect", benchReconnect)
	b.Run("few-changed", benchFewChanged)
	b.Run("edit", benchEdit)
	b.Run("burst", benchBurst)
	b.Run("catch-up", benchCatchUp)
}

// benchPull joins a space of documents: from the ticket until all are here.
func benchPull(b *testing.B) {
	for range b.N {
		docs := scaled(1_000)
		a := openDevice(b)
		space, ticket := a.share(b, docs)
		c := openDevice(b)
		timed(b, []device{a, c}, func() time.Duration { c.join(b, space, ticket); return 0 })
		if n := c.length(b, space, docs-1); n != docBytes {
			b.Fatalf("the last document has %d characters, want %d", n, docBytes)
		}
	}
}

// benchReconnect connects two devices that have the same: until both know it.
func benchReconnect(b *testing.B) {
	a, c, _ := pair(b, scaled(1_000))
	for range b.N {
		c.part(b, a)
		asked := a.meter.asked.Load() + c.meter.asked.Load()
		timed(b, []device{a, c}, func() time.Duration { return c.greet(b, a) })
		b.ReportMetric(float64(a.meter.asked.Load()+c.meter.asked.Load()-asked), "sync-messages")
	}
}

// benchFewChanged connects a device to another one, which has changed a few of many documents.
func benchFewChanged(b *testing.B) {
	docs := scaled(10_000)
	changed := min(docs, scaled(100))
	a, c, space := pair(b, docs)
	want := docBytes
	for range b.N {
		c.part(b, a)
		a.write(b, space, changed, docs, text)
		want += docBytes
		timed(b, []device{a, c}, func() time.Duration { c.meet(b, a, space); return 0 })
		for i := range changed {
			if n := c.length(b, space, i*docs/changed); n != want {
				b.Fatalf("document %d has %d characters, want %d", i*docs/changed, n, want)
			}
		}
	}
}

// pair returns two devices that share a space, in which the first one wrote documents.
func pair(b *testing.B, docs int) (a, c device, space soma.SpaceID) {
	b.Helper()
	a, c = openDevice(b), openDevice(b)
	space, ticket := a.share(b, docs)
	c.join(b, space, ticket)
	a.acknowledged(b, space)
	return a, c, space
}

// benchEdit takes the time from the call of Edit on one device to the event on the other,
// with the change on both disks: of documents that rested for a second, and of one in
// which somebody types. Beside it, the way of a message over a stream that is there, and an
// Edit alone.
func benchEdit(b *testing.B) {
	const docs = 200
	a, c, space := pair(b, docs)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	events := c.db.Subscribe(ctx)
	time.Sleep(1100 * time.Millisecond)
	edit := func(doc int) (here, there time.Duration) {
		drain(events)
		start := time.Now()
		must(b, a.insert(ctx, space, doc, "x"))
		here = time.Since(start)
		for ev := range events {
			if ev.Kind == soma.DocumentChanged && ev.DocumentID == docID(doc) {
				return here, time.Since(start)
			}
		}
		b.Fatal("the events ended")
		return 0, 0
	}
	var local, remote, typed, pings []time.Duration
	for i := range b.N * scaled(1_000) {
		here, there := edit(i % docs)
		local, remote = append(local, here), append(remote, there)
		time.Sleep(6 * time.Millisecond) // so that each document rests
	}
	for range b.N * scaled(80) {
		start := time.Now()
		_, there := edit(0)
		typed = append(typed, there)
		time.Sleep(time.Until(start.Add(125 * time.Millisecond)))
	}
	ping := echo(b, a, c)
	for range b.N * scaled(1_000) {
		pings = append(pings, ping())
		time.Sleep(time.Millisecond)
	}
	for _, m := range []struct {
		of    string
		times []time.Duration
	}{{"", remote}, {"typing-", typed}, {"local-", local}, {"stream-", pings}} {
		b.ReportMetric(ms(percentile(m.times, 0.5)), m.of+"p50-ms")
		b.ReportMetric(ms(percentile(m.times, 0.99)), m.of+"p99-ms")
	}
}

func drain(events <-chan soma.DomainEvent) {
	for {
		select {
		case <-events:
		default:
			return
		}
	}
}

func percentile(times []time.Duration, p float64) time.Duration {
	slices.Sort(times)
	return times[min(len(times)-1, int(float64(len(times))*p))]
}

// echo returns a function that sends 200 bytes from a to c over a bare stream, and returns
// how long they took there, one way.
func echo(b *testing.B, a, c device) func() time.Duration {
	b.Helper()
	const id = "/bench/ping"
	arrived := make(chan time.Time)
	c.host.SetStreamHandler(id, func(s network.Stream) {
		defer s.Close()
		buf := make([]byte, 200)
		for {
			if _, err := io.ReadFull(s, buf); err != nil {
				return
			}
			arrived <- time.Now()
		}
	})
	must(b, a.host.Connect(b.Context(), peer.AddrInfo{ID: c.host.ID(), Addrs: c.host.Addrs()}))
	s, err := a.host.NewStream(b.Context(), c.host.ID(), id)
	must(b, err)
	b.Cleanup(func() { _ = s.Reset() }) // an error says that it has ended
	buf := make([]byte, 200)
	return func() time.Duration {
		start := time.Now()
		_, err := s.Write(buf)
		must(b, err)
		return (<-arrived).Sub(start)
	}
}

// benchBurst types into 100 documents as fast as it goes, and waits until all is there.
func benchBurst(b *testing.B) {
	const docs = 100
	a, c, space := pair(b, docs)
	edits := b.N * scaled(20_000) / docs * docs
	var next atomic.Int64
	start := time.Now()
	parallel(b, func() error {
		for i := next.Add(1) - 1; i < int64(edits); i = next.Add(1) - 1 {
			if err := a.insert(b.Context(), space, int(i)%docs, "x"); err != nil {
				return err
			}
		}
		return nil
	})
	written := time.Since(start)
	doc := 0
	c.await(b, "burst", func() bool {
		for doc < docs && c.length(b, space, doc) == docBytes+edits/docs {
			doc++
		}
		return doc == docs
	})
	took := time.Since(start)
	b.ReportMetric(float64(edits)/took.Seconds(), "edits/s")
	b.ReportMetric(ms(took), "ms")
	b.ReportMetric(ms(took-written), "after-ms")
}

// benchCatchUp joins a space of many documents, each an entry.
func benchCatchUp(b *testing.B) {
	for range b.N {
		docs := scaled(20_000)
		a := openDevice(b)
		space, ticket := a.share(b, docs)
		entries := a.status(b, space).OnlyHere
		if entries < int64(docs) {
			b.Fatalf("%d documents are %d entries", docs, entries)
		}
		c := openDevice(b)
		start := time.Now()
		c.join(b, space, ticket)
		took := time.Since(start)
		if n := c.length(b, space, docs-1); n != docBytes {
			b.Fatalf("the last document has %d characters, want %d", n, docBytes)
		}
		b.ReportMetric(float64(entries)/took.Seconds(), "entries/s")
		b.ReportMetric(ms(took), "ms")
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
