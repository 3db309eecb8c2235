package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/sync/internal/live"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

// What is edited arrives, in order, and is acknowledged when it is there.
func TestEditsArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		one, two := newSpace(t, a, b), newSpace(t, b, a)
		s := connect(t, a, b)
		s.start(t)
		for range 300 {
			a.edit(t, one, 10)
			a.edit(t, two, 10)
		}
		began := time.Now()
		synctest.Wait()
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the edits waited for %v", waited)
		}
		for _, space := range []core.SpaceID{one, two} {
			if !slices.EqualFunc(a.entries[space], b.entries[space], func(x, y core.Entry) bool { return x.Hash() == y.Hash() }) {
				t.Errorf("b has %d entries of %s, want the %d of a in their order", b.count(space), space, a.count(space))
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := a.ackedBy(b.self, one); got != 300 {
			t.Errorf("b acknowledged %d, want 300", got)
		}
		if b.waiting != 0 || len(s.pulled()) != 0 {
			t.Errorf("%d entries waited, pulls of %v, want none", b.waiting, s.pulled())
		}
		s.end()
		if !errors.Is(s.pushErr, context.Canceled) || !errors.Is(s.inErr, context.Canceled) {
			t.Errorf("Push = %v, Receive = %v, want context.Canceled", s.pushErr, s.inErr)
		}
	})
}

// While a transaction lasts, what arrives gathers for the next one, and so do the
// acknowledgements that are to be written down.
func TestBatchesGrowWithLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space := newSpace(t, a, b)
		b.takeDelay = 10 * time.Millisecond
		s := connect(t, a, b)
		s.start(t)
		const edits = 5000
		for range edits / 50 {
			for range 50 {
				a.edit(t, space, 10)
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := b.count(space); got != edits+1 || len(s.pulled()) > 0 {
			t.Fatalf("b has %d entries, and pulled %v, want %d, and no pull", got, s.pulled(), edits+1)
		}
		if len(b.takes) > edits/50+2 {
			t.Errorf("%d transactions for %d edits, want at most %d", len(b.takes), edits, edits/50+2)
		}
		if most := slices.Max(b.takes); most > 256+128 {
			t.Errorf("a transaction of %d entries", most)
		}
		if got := a.ackedBy(b.self, space); got != edits || a.ackWrites > 12 {
			t.Errorf("%d acknowledged in %d transactions, want %d in at most 12", got, a.ackWrites, edits)
		}
	})
}

// What is too much for the queue is not held, and not lost: the peer is told to ask.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space, quiet := newSpace(t, a, b), newSpace(t, a, b)
		s := connect(t, a, b)
		a.edit(t, quiet, 10)
		for range 3 * live.MaxQueueEntries {
			a.edit(t, space, 10)
		}
		if n, size := s.queue.Waiting(); n > live.MaxQueueEntries || size > live.MaxQueueBytes {
			t.Errorf("%d entries of %d bytes wait", n, size)
		}
		s.start(t)
		synctest.Wait()
		if got := s.pulled(); !slices.Contains(got, space) || !slices.Contains(got, quiet) {
			t.Fatalf("pulls of %v, want %s and %s", got, space, quiet)
		}
		b.pull(a, space)
		b.pull(a, quiet)
		a.edit(t, space, 10)
		synctest.Wait()
		if got, want := b.count(space), a.count(space); got != want {
			t.Errorf("b has %d entries, want %d", got, want)
		}
	})
}

// What waited while no stream took it is asked for by the peer, and does not come twice.
func TestShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space, other := newSpace(t, a, b), newSpace(t, a, b)
		s := connect(t, a, b)
		for range 10 {
			a.edit(t, space, 10)
		}
		s.queue.Shed()
		if n, size := s.queue.Waiting(); n != 0 || size != 0 {
			t.Errorf("%d entries of %d bytes wait, want none", n, size)
		}
		a.edit(t, other, 10)
		s.start(t)
		synctest.Wait()
		if got := s.pulled(); !slices.Equal(got, []core.SpaceID{space}) {
			t.Errorf("pulls of %v, want one of %s", got, space)
		}
		if got, want := b.count(other), a.count(other); got != want {
			t.Errorf("b has %d entries of the other space, want %d", got, want)
		}
	})
}

// Bytes are bounded as well as entries.
func TestOverflowBytes(t *testing.T) {
	a, b := newMemory(t), newMemory(t)
	space := newSpace(t, a, b)
	s := connect(t, a, b)
	most := 0
	for range 100 {
		a.edit(t, space, 100<<10)
		_, size := s.queue.Waiting()
		most = max(most, size)
	}
	if most > live.MaxQueueBytes || most < live.MaxQueueBytes/2 {
		t.Errorf("up to %d bytes waited, want up to %d", most, live.MaxQueueBytes)
	}
}

// More spaces than a queue has notes for are all told of in one word.
func TestOverflowSpaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		s := connect(t, a, b)
		for range live.MaxQueueNotes + 2 {
			space := newSpace(t, b, a)
			e := b.edit(t, space, 1)
			if _, err := a.Take(t.Context(), space, []core.Entry{e}); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.queue.Notes(); n > live.MaxQueueNotes {
			t.Errorf("%d notes", n)
		}
		s.start(t)
		synctest.Wait()
		if got := s.pulled(); len(got) == 0 || got[0] != "" {
			t.Errorf("pulls of %d spaces, want one of all", len(got))
		}
	})
}

// Two replicas connect while both are edited. Whatever the moment, nothing is lost.
func TestNothingIsLostAtConnect(t *testing.T) {
	for try := range 200 {
		synctest.Test(t, func(t *testing.T) {
			a, b := newMemory(t), newMemory(t)
			space := newSpace(t, a, b)
			var writers sync.WaitGroup
			for _, m := range []*memory{a, b} {
				writers.Go(func() {
					for range 40 {
						m.edit(t, space, 10)
						time.Sleep(time.Duration(try%7) * time.Microsecond)
					}
				})
			}
			time.Sleep(time.Duration(try) * time.Microsecond)
			ab, ba := connect(t, a, b), connect(t, b, a)
			// The first exchange, in both directions, while streams begin.
			ab.receive.Pull = func(space core.SpaceID) { go b.pull(a, space) }
			ba.receive.Pull = func(space core.SpaceID) { go a.pull(b, space) }
			ab.start(t)
			ba.start(t)
			b.pull(a, space)
			a.pull(b, space)
			writers.Wait()
			time.Sleep(time.Second)
			synctest.Wait()
			if a.count(space) != 81 || b.count(space) != 81 {
				t.Errorf("try %d: a has %d entries and b %d, want 81", try, a.count(space), b.count(space))
			}
			if a.ackedBy(b.self, space) > 40 || b.ackedBy(a.self, space) > 40 {
				t.Errorf("try %d: more is acknowledged than there is", try)
			}
		})
	}
}

// What goes another way is not pushed but told of, a while later, and acknowledged by who
// has it. So is what was taken from others, later still.
func TestCarried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newMemory(t), newMemory(t), newMemory(t)
		space := newSpace(t, a, b, c)
		s := connect(t, a, b)
		carried := func(_ core.SpaceID, e core.Entry) bool { return e.Size() < 1000 }
		s.push.Carried, s.receive.Carried = carried, carried
		s.start(t)
		small := a.edit(t, space, 10)
		if _, err := b.Take(t.Context(), space, []core.Entry{small}); err != nil { // by the other way
			t.Fatal(err)
		}
		a.edit(t, space, 2000)
		synctest.Wait()
		if got := b.takes; !slices.Equal(got, []int{1, 1}) {
			t.Errorf("transactions of %v entries, want that of the other way, and the large one", got)
		}
		lost := a.edit(t, space, 10)
		time.Sleep(time.Second)
		if got := a.ackedBy(b.self, space); got != 2 || len(s.pulled()) > 0 {
			t.Errorf("%d are acknowledged, pulls of %v, want 2, none so far", got, s.pulled())
		}
		time.Sleep(2 * time.Second)
		if got := s.pulled(); !slices.Equal(got, []core.SpaceID{space}) {
			t.Errorf("pulls of %v, want one: the other way lost something", got)
		}
		b.pull(a, space)
		last := a.edit(t, space, 10)
		if _, err := b.Take(t.Context(), space, []core.Entry{last}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if got := a.ackedBy(b.self, space); got != 4 || !b.has[lost.Hash()] {
			t.Errorf("%d are acknowledged, want 4", got)
		}
		if _, err := a.Take(t.Context(), space, []core.Entry{c.edit(t, space, 10)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if got := s.pulled(); len(got) != 1 {
			t.Errorf("pulls of %v, want no more so far", got)
		}
		time.Sleep(2 * time.Second)
		if got := s.pulled(); len(got) != 2 {
			t.Errorf("pulls of %v, want one more", got)
		}
	})
}

// What was taken from others is told of, a little later, and only who lacks it pulls.
func TestNewsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newMemory(t), newMemory(t), newMemory(t)
		space := newSpace(t, a, b, c)
		bc := connect(t, b, c)
		bc.start(t)
		e := a.edit(t, space, 10)
		if _, err := b.Take(t.Context(), space, []core.Entry{e}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := bc.pulled(); len(got) != 0 {
			t.Errorf("pulls of %v at once, want none", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := bc.pulled(); !slices.Equal(got, []core.SpaceID{space}) {
			t.Fatalf("pulls of %v, want one of %s", got, space)
		}
		c.pull(b, space)

		// c has the next from a itself, and an own one that b has not.
		e = a.edit(t, space, 10)
		c.edit(t, space, 10)
		for _, m := range []*memory{b, c} {
			if _, err := m.Take(t.Context(), space, []core.Entry{e}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := bc.pulled(); len(got) != 1 {
			t.Errorf("pulls of %v, want no more", got[1:])
		}
	})
}

// An entry that is too large to be pushed is told of, and pulled.
func TestLargeEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space := newSpace(t, a, b)
		s := connect(t, a, b)
		s.receive.Pull = func(space core.SpaceID) { b.pull(a, space) }
		s.start(t)
		a.edit(t, space, live.MaxPushedEntry)
		a.edit(t, space, live.MaxPushedEntry-2000)
		synctest.Wait()
		if got := b.count(space); got != 3 {
			t.Errorf("b has %d entries, want 3", got)
		}
	})
}

// Own entries do not go to a peer whose log was not compared: it may know others of the
// same writer.
func TestNothingBeforeComparison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		s := connect(t, a, b)
		space := newSpace(t, a, b) // after the pair was compared
		var asked []core.SpaceID
		s.push.Pull = func(space core.SpaceID) { asked = append(asked, space) }
		s.start(t)
		a.edit(t, space, 10)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.count(space); got != 1 || len(b.takes) > 0 {
			t.Errorf("b has %d entries, want 1", got)
		}
		if len(asked) == 0 || !slices.Equal(s.pulled(), []core.SpaceID{space}) {
			t.Errorf("a pulls %v to compare, b pulls %v, want both to", asked, s.pulled())
		}
		s.out.MarkCompared(space)
		b.pull(a, space)
		a.edit(t, space, 10)
		synctest.Wait()
		if got := b.count(space); got != 3 || len(b.takes) != 1 {
			t.Errorf("b has %d entries, want 3", got)
		}
	})
}

// Whoever is removed gets nothing more, not even what is in the queue, and is told to ask
// once.
func TestRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space, other := newSpace(t, a, b), newSpace(t, a, b)
		s := connect(t, a, b)
		a.edit(t, space, 10) // waits in the queue
		a.part(space, b.self)
		s.start(t)
		a.edit(t, space, 10)
		a.edit(t, other, 10)
		if _, err := a.Take(t.Context(), space, nil); err != nil {
			t.Fatal(err)
		}
		a.part(other, newMemory(t).self)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.count(space); got != 1 {
			t.Errorf("b has %d entries of the space, want 1", got)
		}
		if got := b.count(other); got != 2 {
			t.Errorf("b has %d entries of the other space, want 2", got)
		}
		if got := s.pulled(); !slices.Equal(got, []core.SpaceID{space}) {
			t.Errorf("pulls of %v, want one of %s", got, space)
		}
	})
}

// What comes of a space that the two do not share is not looked at.
func TestForeignSpaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		shared, own := newSpace(t, a, b), newSpace(t, b)
		b.edit(t, own, 10)
		s := connect(t, a, b)
		// a knows of b's own space, and says so, and sends entries of it under a wrong name.
		a.members[own] = []core.PeerID{a.self, b.self}
		a.entries[own] = b.entries[own][:1]
		s.out.MarkCompared(own)
		s.start(t)
		a.edit(t, own, 10)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := b.count(own); got != 2 || len(b.takes) > 0 || len(s.pulled()) > 0 {
			t.Errorf("b has %d entries of its own space, took %v, pulls %v, want 2, nothing", got, b.takes, s.pulled())
		}
		a.mu.Lock()
		foreign := a.heads[own]
		a.tell(core.News{Space: shared, Entries: []core.Entry{foreign}, Own: true})
		a.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := b.count(shared); got != 1 || len(s.offences()) != 1 {
			t.Errorf("b has %d entries and was told of %v, want 1 and one offence", got, s.offences())
		}
		if got := a.ackedBy(b.self, shared); got != 0 {
			t.Errorf("b acknowledged %d, want 0", got)
		}
	})
}

// A stream that ended may have lost what was on it. The next one begins with that.
func TestNextStreamCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space := newSpace(t, a, b)
		s := connect(t, a, b)
		s.start(t)
		a.edit(t, space, 10)
		synctest.Wait()
		s.cancel()
		s.ran.Wait()
		a.edit(t, space, 10)
		s.near, s.far = wire.Pipe()
		s.start(t)
		synctest.Wait()
		if got := s.pulled(); !slices.Equal(got, []core.SpaceID{""}) {
			t.Errorf("pulls of %v, want one of all", got)
		}
		a.edit(t, space, 10)
		synctest.Wait()
		if got := s.pulled(); b.waiting != 1 || !slices.Equal(got, []core.SpaceID{"", space}) {
			t.Errorf("%d entries wait, pulls of %v, want the newest, and one of its space", b.waiting, got)
		}
	})
}

// A peer that is gone without a word is noticed by both ends.
func TestDeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		newSpace(t, a, b)
		s := connect(t, a, b)
		began := time.Now()
		if err := live.Push(t.Context(), s.near, s.queue, s.push); !wire.IsTimeout(err) {
			t.Errorf("Push = %v, want a timeout", err)
		}
		if took := time.Since(began); took > live.Silence {
			t.Errorf("Push took %v, want %v", took, live.Silence)
		}
		near, far := wire.Pipe()
		defer near.Close()
		began = time.Now()
		if err := live.Receive(t.Context(), far, s.receive); !wire.IsTimeout(err) {
			t.Errorf("Receive = %v, want a timeout", err)
		}
		if took := time.Since(began); took > live.Silence {
			t.Errorf("Receive took %v, want %v", took, live.Silence)
		}
	})
}

// A peer that is there but has nothing to say keeps the stream.
func TestQuietPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space := newSpace(t, a, b)
		s := connect(t, a, b)
		s.start(t)
		time.Sleep(24 * time.Hour)
		a.edit(t, space, 10)
		synctest.Wait()
		if got := b.count(space); got != 2 || s.pushErr != nil || s.inErr != nil {
			t.Errorf("b has %d entries, Push = %v, Receive = %v, want 2 after a day", got, s.pushErr, s.inErr)
		}
	})
}

// A peer that answers but does not read stalls a write, and not the one who edits. What
// waits for it stays within the bounds.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space := newSpace(t, a, b)
		s := connect(t, a, b)
		done := make(chan error, 1)
		go func() { done <- live.Push(t.Context(), s.near, s.queue, s.push) }()
		alive := wire.NewConn(s.far)
		began := time.Now()
		for {
			a.edit(t, space, 60<<10)
			if n, size := s.queue.Waiting(); n > live.MaxQueueEntries || size > live.MaxQueueBytes {
				t.Fatalf("%d entries of %d bytes wait", n, size)
			}
			time.Sleep(100 * time.Millisecond)
			if time.Since(began)%time.Second == 0 {
				_ = alive.Send(live.Beat{})
			}
			select {
			case err := <-done:
				if !wire.IsTimeout(err) {
					t.Errorf("Push = %v, want a timeout", err)
				}
				if took := time.Since(began); took > live.Stall+2*time.Second {
					t.Errorf("Push took %v, want about %v", took, live.Stall)
				}
				return
			default:
			}
		}
	})
}

// A receiver that is busy reads no further than its bounds.
func TestBusyReceiver(t *testing.T) {
	for size, most := range map[int]int{
		100:      256 + live.MaxBatchBytes/300,
		16 << 10: 1<<20/(16<<10) + live.MaxBatchBytes/(16<<10),
	} {
		synctest.Test(t, func(t *testing.T) {
			a, b := newMemory(t), newMemory(t)
			space := newSpace(t, a, b)
			b.takeDelay = 5 * time.Second
			s := connect(t, a, b)
			s.start(t)
			for i := range 1000 {
				a.edit(t, space, size)
				if i%100 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			time.Sleep(16 * time.Second)
			b.mu.Lock()
			takes := slices.Clone(b.takes)
			b.mu.Unlock()
			if len(takes) != 3 || slices.Max(takes) > most || slices.Max(takes) < most/4 {
				t.Errorf("transactions of %v entries of %d bytes, want three of up to %d", takes, size, most)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if s.pushErr != nil || s.inErr != nil {
				t.Errorf("Push = %v, Receive = %v, want both to go on", s.pushErr, s.inErr)
			}
		})
	}
}

// Acknowledgements are read no faster than they are written down.
func TestFloodOfAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newMemory(t), newMemory(t)
		space := newSpace(t, a, b)
		a.ackDelay = time.Second
		s := connect(t, a, b)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- live.Push(ctx, s.near, s.queue, s.push) }()
		go func() {
			c := wire.NewConn(s.far)
			for n := byte(0); ; n++ {
				all := rows(live.MaxAckRows)
				for i := range all {
					all[i].Writer[3] = n
				}
				if c.Send(live.NewAck(s.in.Out(space), all...)) != nil {
					return
				}
			}
		}()
		time.Sleep(10 * time.Second)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Push = %v, want context.Canceled", err)
		}
		if a.ackRows == 0 || a.ackRows > 1024+live.MaxAckRows {
			t.Errorf("%d rows in one transaction", a.ackRows)
		}
	})
}

// hostile sends bytes to one end, and returns how it ends.
func hostile(t *testing.T, push bool, attack func(s wire.Stream)) error {
	t.Helper()
	a, b := newMemory(t), newMemory(t)
	space := newSpace(t, a, b)
	s := connect(t, a, b)
	done := make(chan error, 1)
	near, far := wire.Pipe()
	if push {
		go func() { done <- live.Push(t.Context(), near, s.queue, s.push) }()
	} else {
		go func() { done <- live.Receive(t.Context(), near, s.receive) }()
	}
	go func() { _, _ = io.Copy(io.Discard, far) }()
	attack(far)
	err := <-done
	if got := b.count(space); got != 1 {
		t.Errorf("%d entries are stored, want 1", got)
	}
	return err
}

func TestHostilePeers(t *testing.T) {
	write := func(b ...byte) func(wire.Stream) {
		return func(s wire.Stream) { _, _ = s.Write(b) }
	}
	send := func(n int, m wire.Message) func(wire.Stream) {
		return func(s wire.Stream) {
			c := wire.NewConn(s)
			for range n {
				if c.Send(m) != nil {
					return
				}
			}
		}
	}
	tests := map[string]func(wire.Stream){
		"garbage":            write(3, 0xff, 0xff, 0xff),
		"huge frame":         write(0xff, 0xff, 0xff, 0x01, 0x83, 0x18, 32),
		"length of ten":      write(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
		"unknown message":    write(2, 0x81, 9),
		"message of sync":    send(1, wire.Same{}),
		"flood of beats":     send(100, live.Beat{}),
		"beat with a field":  write(3, 0x82, 0x18, 36),
		"unordered rows":     send(1, live.NewAck(wire.Tag{}, row(2), row(1))),
		"news, and an ack":   func(s wire.Stream) { send(1, live.NewNews(row(1)))(s); send(1, live.NewAck(wire.Tag{}, row(1)))(s) },
		"empty ack":          send(1, live.NewAck(wire.Tag{})),
		"ack of seq 0":       send(1, live.NewAck(wire.Tag{}, wire.Row{Tips: []wire.Tip{{}}})),
		"row of two tips":    send(1, live.NewAck(wire.Tag{}, wire.Row{Tips: []wire.Tip{{Seq: 1}, {Seq: 2}}})),
		"too many rows":      send(1, live.NewAck(wire.Tag{}, rows(live.MaxAckRows+1)...)),
		"too many news":      send(1, live.NewNews(rows(live.MaxNewsRows+1)...)),
		"too many catch up":  send(1, live.NewCatchUp(live.MaxTags+1)),
		"no entries":         send(1, live.NewEntries(wire.Tag{})),
		"too large an entry": send(1, live.NewEntries(wire.Tag{}, core.Entry{Ops: make([]byte, live.MaxPushedEntry+1)})),
		"too many entries":   send(1, live.NewEntries(wire.Tag{}, make([]core.Entry, live.MaxQueueEntries+1)...)),
	}
	for name, attack := range tests {
		for _, push := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/push=%v", name, push), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if err := hostile(t, push, attack); !wire.IsOffence(err) {
						t.Errorf("= %v, want an offence", err)
					}
				})
			})
		}
	}
}

// Bytes that come one by one do not keep a stream.
func TestSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := hostile(t, false, func(s wire.Stream) {
			for _, b := range append([]byte{40, 0x83, 0x18, 32}, make([]byte, 36)...) {
				if _, err := s.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(5 * time.Second)
			}
		})
		if took := time.Since(began); !wire.IsTimeout(err) || took > 2*live.Silence {
			t.Errorf("Receive = %v after %v, want a timeout after %v", err, took, live.Silence)
		}
	})
}

// A peer that ends its stream in good order is no offender, and neither is one that cannot
// know yet that it is no member any more.
func TestEndOfStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := hostile(t, false, func(s wire.Stream) {
			_ = wire.NewConn(s).Send(live.NewEntries(wire.Tag{1}, core.Entry{Header: []byte{1}}))
			_ = s.CloseWrite()
		})
		if !errors.Is(err, io.EOF) {
			t.Errorf("Receive = %v, want io.EOF", err)
		}
	})
}

func row(n byte) wire.Row {
	return wire.Row{Writer: core.WriterID{n}, Tips: []wire.Tip{{Seq: 1<<53 - 1, Hash: core.Hash{n}}}}
}

func rows(n int) []wire.Row {
	all := make([]wire.Row, n)
	for i := range all {
		all[i] = row(0)
		all[i].Writer[1], all[i].Writer[2] = byte(i>>8), byte(i)
	}
	return all
}

// The largest messages that can be sent may come.
func TestLargestFrames(t *testing.T) {
	tag := wire.Tag{}
	many := make([]core.Entry, live.MaxQueueEntries)
	for i := range many {
		many[i] = core.Entry{Header: make([]byte, 60), Ops: make([]byte, 60), Sig: make([]byte, 64)}
	}
	largest := core.Entry{Header: make([]byte, 500), Ops: make([]byte, live.MaxPushedEntry-564), Sig: make([]byte, 64)}
	for name, m := range map[string]wire.Message{
		"entries": live.NewEntries(tag, many...), "entry": live.NewEntries(tag, largest), "news": live.NewNews(rows(live.MaxNewsRows)...),
		"catch up": live.NewCatchUp(live.MaxTags), "ack": live.NewAck(tag, rows(live.MaxAckRows)...), "beat": live.Beat{},
	} {
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := live.Check(b); err != nil {
			t.Errorf("%s of %d bytes = %v, want it to be read", name, len(b), err)
		}
	}
}

func FuzzMessages(f *testing.F) {
	for _, m := range []wire.Message{
		live.NewEntries(wire.Tag{1}, core.Entry{Header: []byte{1}}), live.NewNews(row(1)), live.NewCatchUp(2),
		live.NewAck(wire.Tag{2}, row(1)),
		live.Beat{},
	} {
		b, err := wire.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := live.Check(b); err != nil && !wire.IsOffence(err) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("Check(%x) = %v, want an offence", b, err)
		}
	})
}
