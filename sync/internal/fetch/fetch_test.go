package fetch_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/sync/internal/fetch"
	"github.com/soma-sdk/soma/sync/internal/share"
	"github.com/soma-sdk/soma/sync/internal/wire"
)

func keyOf(name string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(sum[:])
}

// A caller waits for blobs of several sizes, and is told how far they are.
func TestFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		var all [][]byte
		for i, size := range []int{0, 100, 20_000, 3<<20 + 17} {
			all = append(all, randomBytes(uint64(i), size))
			sites[0].put(w.space, all[i])
		}
		w.spread(sites)
		w.start()
		defer w.end()
		for _, b := range all {
			feed := w.client.hub.Feed()
			var told []int64
			hash := core.Hash(sha256.Sum256(b))
			err := w.Fetch(t.Context(), w.space, hash, func(done, size int64) {
				if size != int64(len(b)) {
					t.Errorf("size %d, want %d", size, len(b))
				}
				told = append(told, done)
			})
			if err != nil {
				t.Fatalf("Fetch of %d bytes = %v", len(b), err)
			}
			w.client.wantHere(w.space, b)
			if !slices.IsSorted(told) || len(b) > 0 && (len(told) == 0 || told[len(told)-1] != int64(len(b))) {
				t.Errorf("progress of %d bytes: %v", len(b), told)
			}
			got := feed.Take()
			if len(got) != 1 || got[0].Kind != events.SpaceChanged || got[0].Reason != "blobs" || got[0].Source != events.SourceDaemon {
				t.Errorf("events %+v, want that blobs of the space changed", got)
			}
			feed.Close()
			if err := w.Fetch(t.Context(), w.space, hash, nil); err != nil { // it is here
				t.Errorf("Fetch again = %v", err)
			}
		}
		if err := w.Fetch(t.Context(), w.space, core.Hash{1}, nil); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("Fetch of what the space does not hold = %v, want ErrNotFound", err)
		}
		w.client.wantWanted(w.space, 0)
		w.wantOffended()
	})
}

// What is wanted comes by itself: what was asked for, and all, where all is.
func TestWantedComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 2)
		var all [][]byte
		for i := range 100 {
			all = append(all, randomBytes(uint64(i), 1000*i))
			sites[0].put(w.space, all[i])
		}
		w.spread(sites)
		for _, b := range all[50:] {
			sites[1].bring(w.space, b)
		}
		w.start()
		defer w.end()
		w.want(sha256.Sum256(all[7]), sha256.Sum256(all[70]))
		time.Sleep(time.Second)
		w.client.wantHere(w.space, all[7])
		w.client.wantHere(w.space, all[70])
		w.client.wantNotHere(w.space, sha256.Sum256(all[8]))
		w.client.must(w.client.SetPin(t.Context(), w.space, core.PinAll))
		w.Changed(w.space)
		time.Sleep(time.Second)
		for _, b := range all {
			w.client.wantHere(w.space, b)
		}
		w.client.wantWanted(w.space, 0)
		if a, b := w.hosts[0].opened.Load(), w.hosts[1].opened.Load(); a < 50 || b < 10 {
			t.Errorf("%d and %d streams, want that both peers help", a, b)
		}
		// What is new comes too.
		late := randomBytes(1000, 5000)
		sites[0].put(w.space, late)
		w.spread(sites)
		w.Changed(w.space)
		time.Sleep(time.Second)
		w.client.wantHere(w.space, late)
		w.wantOffended()
	})
}

// A transfer that is cut goes on where it was, with another peer, and after a restart.
func TestResumes(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const size = 5 << 20
				w, sites := newWorld(t, 2)
				b := randomBytes(1, size)
				hash := sites[0].put(w.space, b)
				w.spread(sites)
				sites[1].bring(w.space, b)
				w.hosts[0].cut.Store(2 << 20)
				w.hosts[1].off.Store(restart)
				w.start()
				defer func() { w.end() }()
				if restart {
					w.want(hash)
					synctest.Wait()
					for range 2 { // it gets further
						time.Sleep(100 * time.Millisecond)
						w.hosts[0].off.Store(true)
						w.restart()
						w.hosts[0].off.Store(false)
						w.PeersChanged()
					}
				} else if err := w.fetch(hash); err != nil {
					t.Fatalf("Fetch = %v", err)
				}
				time.Sleep(10 * time.Second)
				w.client.wantHere(w.space, b)
				w.client.wantWanted(w.space, 0)
				if sent := w.hosts[0].sent.Load() + w.hosts[1].sent.Load(); sent < size || sent > size+200 {
					t.Errorf("%d bytes were sent of %d", sent, size)
				}
				if n := w.hosts[1].sent.Load(); !restart && n < size/2 {
					t.Errorf("the other peer sent %d bytes", n)
				}
				w.wantOffended()
			})
		})
	}
}

// answer is what a hostile peer sends for the first request of each stream.
func answer(send func(st wire.Stream, conn *wire.Conn)) func(wire.Stream, *wire.Conn) {
	return func(st wire.Stream, conn *wire.Conn) {
		if _, err := conn.Read(wire.Limits{64: 1000}); err != nil {
			return
		}
		send(st, conn)
	}
}

func foundFrame(size int64) []byte {
	b, err := wire.Encode(fetch.Found(size))
	if err != nil {
		panic(err)
	}
	return b
}

// Peers that do what they must not, or nothing, delay a blob, and no more.
func TestHostilePeers(t *testing.T) {
	const size = 1 << 20
	b := randomBytes(1, size)
	wrong := randomBytes(2, size)
	for _, test := range []struct {
		name   string
		serve  func(st wire.Stream, conn *wire.Conn)
		blamed bool
		most   time.Duration // that it may cost
	}{
		{"wrong bytes", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(append(foundFrame(size), wrong...))
			_ = st.Close()
		}), true, time.Second},
		{"fewer bytes", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(append(foundFrame(100), b[:100]...))
			_ = st.Close()
		}), true, time.Second},
		{"no bytes", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(foundFrame(0))
			_ = st.Close()
		}), true, time.Second},
		{"more bytes than the space says", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(append(foundFrame(size+1), b...))
			_ = st.Close()
		}), false, time.Second},
		{"more bytes than it says", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(append(foundFrame(size), append(slices.Clone(wrong), wrong...)...))
			_ = st.Close()
		}), true, time.Second},
		{"a size that cannot be", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(foundFrame(1<<50 + 1))
			_ = st.Close()
		}), true, time.Second},
		{"garbage", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(wrong)
			_ = st.Close()
		}), true, time.Second},
		{"another message", answer(func(_ wire.Stream, conn *wire.Conn) { _ = conn.Send(wire.Hello{Version: 1}) }), true, time.Second},
		{"nothing", answer(func(st wire.Stream, _ *wire.Conn) { _ = st.Close() }), false, time.Second},
		{"a reset", answer(func(st wire.Stream, _ *wire.Conn) { _ = st.Reset(wire.CodeBusy) }), false, time.Second},
		{"a cut in between", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(append(foundFrame(size), b[:size/2]...))
			_ = st.Close()
		}), false, time.Second},
		{"silence", answer(func(st wire.Stream, _ *wire.Conn) { _, _ = st.Read(make([]byte, 1)) }), false, fetch.Silence + time.Second},
		{"silence in between", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(append(foundFrame(size), b[:size/2]...))
			_, _ = st.Read(make([]byte, 1))
		}), false, fetch.Silence + time.Second},
		{"drops", answer(func(st wire.Stream, _ *wire.Conn) {
			_, err := st.Write(foundFrame(size))
			for i := 0; err == nil; i++ {
				_, err = st.Write(b[i : i+1])
				time.Sleep(time.Second)
			}
		}), false, 2*fetch.Silence + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, sites := newWorld(t, 1)
				hash := sites[0].put(w.space, b)
				w.spread(sites)
				evil := w.hostile("evil", test.serve)
				w.start()
				defer w.end()
				began := time.Now()
				if err := w.fetch(hash); err != nil {
					t.Fatalf("Fetch = %v", err)
				}
				if took := time.Since(began); took > test.most {
					t.Errorf("it cost %v, want %v at most", took, test.most)
				}
				w.client.wantHere(w.space, b)
				if evil.opened.Load() != 1 {
					t.Errorf("it was asked %d times, want once", evil.opened.Load())
				}
				if test.blamed {
					w.wantOffended(evil)
				} else {
					w.wantOffended()
				}
			})
		})
	}
}

// Who sent wrong bytes is not asked for the blob again, though nobody else has it.
func TestWrongBytesOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		b := randomBytes(1, 100_000)
		hash := sites[0].put(w.space, b)
		w.spread(sites)
		w.hosts[0].off.Store(true)
		evil := w.hostile("evil", answer(func(st wire.Stream, _ *wire.Conn) {
			_, _ = st.Write(append(foundFrame(100_000), make([]byte, 100_000)...))
			_ = st.Close()
		}))
		w.want(hash)
		w.start()
		defer w.end()
		time.Sleep(3 * time.Hour)
		w.client.wantNotHere(w.space, hash)
		w.client.wantWanted(w.space, 1)
		w.wantOffended(evil)
		if n := evil.opened.Load(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		w.hosts[1].off.Store(false)
		w.PeersChanged()
		time.Sleep(time.Second)
		w.client.wantHere(w.space, b)
	})
}

// Wrong bytes of one peer and right ones of another are nobody's fault that is known: all
// is fetched again, of one peer alone.
func TestMixedBytes(t *testing.T) {
	for _, half := range []int{1, 300_000, 599_999} {
		bubble(t, func(t *testing.T) {
			const size = 600_000
			w, sites := newWorld(t, 1)
			b := randomBytes(1, size)
			hash := sites[0].put(w.space, b)
			w.spread(sites)
			w.hostile("evil", answer(func(st wire.Stream, _ *wire.Conn) {
				_, _ = st.Write(append(foundFrame(size), make([]byte, half)...))
				_ = st.Close()
			}))
			w.start()
			defer w.end()
			if err := w.fetch(hash); err != nil {
				t.Fatalf("Fetch = %v", err)
			}
			w.client.wantHere(w.space, b)
			w.wantOffended()
		})
	}
}

// What came is more than there is: that too can only be wrong.
func TestTooMuchCame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		b := randomBytes(1, 50_000)
		lie := core.NewBlob{Hash: sha256.Sum256(b), Size: 100_000}
		around := func(_ core.Tx, _ int64, put func() error) (bool, error) { return false, put() }
		_, err := sites[0].replica.PutBlob(t.Context(), w.space, lie, events.SourceRenderer, around)
		w.client.must(err)
		w.spread(sites)
		sites[0].bring(w.space, b)
		p, err := w.client.Resume(t.Context(), core.WantedBlob{Space: w.space, Hash: lie.Hash})
		w.client.must(err)
		_, err = p.Write(make([]byte, 80_000))
		w.client.must(errors.Join(err, p.Close()))
		w.start()
		defer w.end()
		if err := w.fetch(lie.Hash); err != nil {
			t.Fatalf("Fetch = %v", err)
		}
		w.client.wantHere(w.space, b)
		w.wantOffended()
	})
}

// Many blobs that nobody has, or that only come slowly, do not keep others from coming.
func TestFairness(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		var hashes []core.Hash
		var last []byte
		for i := range 300 {
			b := randomBytes(uint64(i), 100)
			hash := sites[0].put(w.space, b)
			hashes = append(hashes, hash)
			if last == nil || bytes.Compare(hash[:], fetchHash(last)) > 0 {
				last = b
			}
		}
		w.spread(sites)
		nobody := newSite(t)
		sites[0].copyTo(nobody, w.space)
		nobody.bring(w.space, last)
		w.hosts = nil
		h := w.serveFrom(nobody)
		w.want(hashes...)
		w.start()
		defer w.end()
		time.Sleep(time.Second)
		w.client.wantHere(w.space, last)
		w.client.wantWanted(w.space, len(hashes)-1)
		if n := h.opened.Load(); n > 305 {
			t.Errorf("%d streams in a second for 300 blobs", n)
		}
		time.Sleep(time.Hour)
		if n := h.opened.Load(); n < 300*5 || n > 300*15 {
			t.Errorf("%d streams in an hour for 300 blobs", n)
		}
		synctest.Wait()
	})
}

func fetchHash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// Who waits is served though as many come in the background as may.
func TestWaitedComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		b := randomBytes(1, 100_000)
		hash := sites[0].put(w.space, b)
		var slow []core.Hash
		for i := range 20 {
			slow = append(slow, sites[0].put(w.space, randomBytes(uint64(100+i), 20_000)))
		}
		w.spread(sites)
		site := w.hosts[0].serve
		w.hosts[0].serve = func(ctx context.Context, st wire.Stream, pair *share.Pair) {
			if w.hosts[0].opened.Load() <= fetch.Parallel {
				<-ctx.Done() // it never answers
				return
			}
			site(ctx, st, pair)
		}
		w.want(slow...)
		w.start()
		defer w.end()
		time.Sleep(time.Second)
		began := time.Now()
		if err := w.fetch(hash); err != nil || time.Since(began) > time.Second {
			t.Errorf("Fetch = %v after %v", err, time.Since(began))
		}
		w.client.wantHere(w.space, b)
		w.client.wantWanted(w.space, len(slow))
		time.Sleep(time.Hour)
		w.client.wantWanted(w.space, 0)
	})
}

// What is not wanted any more, or not held, stops coming and leaves nothing.
func TestNotWantedAnyMore(t *testing.T) {
	for name, end := range map[string]func(w *world, sites []*site, hash core.Hash){
		"unwanted": func(w *world, _ []*site, hash core.Hash) {
			w.client.must(w.client.Unwant(w.t.Context(), w.space, hash))
		},
		"removed": func(w *world, sites []*site, hash core.Hash) {
			w.client.must(sites[0].replica.RemoveBlob(w.t.Context(), w.space, hash, events.SourceRenderer))
			w.spread(sites)
		},
		"nothing is pinned": func(w *world, _ []*site, _ core.Hash) {
			w.client.must(w.client.SetPin(w.t.Context(), w.space, core.PinNone))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, sites := newWorld(t, 1)
				const size = 2 << 20
				b := randomBytes(1, size)
				hash := sites[0].put(w.space, b)
				w.spread(sites)
				w.hosts[0].off.Store(true)
				drip := w.hostile("slow", answer(func(st wire.Stream, _ *wire.Conn) {
					_, err := st.Write(foundFrame(size))
					for i := 0; i < size && err == nil; i += 64 << 10 {
						_, err = st.Write(b[i : i+64<<10])
						time.Sleep(time.Second)
					}
				}))
				w.start()
				defer w.end()
				result := make(chan error, 1)
				go func() { result <- w.fetch(hash) }()
				time.Sleep(10 * time.Second)
				end(w, sites, hash)
				w.Changed(w.space)
				time.Sleep(8 * time.Second) // until the next piece is whole
				select {
				case err := <-result:
					if !errors.Is(err, core.ErrNotHere) && !errors.Is(err, core.ErrNotFound) {
						t.Errorf("Fetch = %v, want ErrNotHere or ErrNotFound", err)
					}
				default:
					t.Error("Fetch goes on")
				}
				sent := drip.sent.Load()
				time.Sleep(time.Hour)
				if more := drip.sent.Load() - sent; more > 0 || drip.opened.Load() != 1 {
					t.Errorf("%d bytes more, %d streams", more, drip.opened.Load())
				}
				if name == "nothing is pinned" {
					w.client.wantWanted(w.space, 0)
					w.client.must(w.client.SetPin(t.Context(), w.space, core.PinOnDemand)) // it is remembered
					w.client.wantWanted(w.space, 1)
					return
				}
				_, err := w.client.Collect(t.Context())
				w.client.must(err)
				if came, err := w.client.pool.Coming(); came != 0 || err != nil {
					t.Errorf("Coming() = %d, %v after all ended", came, err)
				}
			})
		})
	}
}

// Without room for a blob others come, and who waits is told.
func TestNoRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		large, small := randomBytes(1, 1<<20), randomBytes(2, 50_000)
		sites[0].put(w.space, large)
		sites[0].put(w.space, small)
		w.spread(sites)
		w.client.close()
		w.client.limits.Quota = 100_000
		w.client.open()
		w.client.must(w.client.SetPin(t.Context(), w.space, core.PinAll))
		w.start()
		defer w.end()
		if err := w.fetch(sha256.Sum256(large)); !errors.Is(err, core.ErrQuota) {
			t.Errorf("Fetch = %v, want ErrQuota", err)
		}
		time.Sleep(time.Second)
		w.client.wantHere(w.space, small)
		time.Sleep(time.Hour)
		w.client.wantWanted(w.space, 1)
		if n := w.hosts[0].opened.Load(); n != 1 {
			t.Errorf("%d streams, want one, for what there is room for", n)
		}
		w.end()
		w.client.close()
		w.client.limits.Quota = 0
		w.client.open()
		w.start()
		time.Sleep(time.Second)
		w.client.wantHere(w.space, large)
	})
}

// A caller that ends leaves the wish behind, and Run's end ends the callers.
func TestFetchEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		b := randomBytes(1, 1000)
		hash := sites[0].put(w.space, b)
		w.spread(sites)
		w.hosts[0].off.Store(true)
		w.start()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := w.Fetch(ctx, w.space, hash, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Fetch = %v, want DeadlineExceeded", err)
		}
		w.client.wantWanted(w.space, 1)
		result := make(chan error, 1)
		go func() { result <- w.fetch(hash) }()
		synctest.Wait()
		w.end()
		if err := <-result; !errors.Is(err, core.ErrSyncOff) {
			t.Errorf("Fetch = %v, want ErrSyncOff", err)
		}
		if err := w.fetch(hash); !errors.Is(err, core.ErrSyncOff) {
			t.Errorf("Fetch after Run = %v, want ErrSyncOff", err)
		}
		w.hosts[0].off.Store(false)
		w.start()
		defer w.end()
		time.Sleep(time.Second)
		w.client.wantHere(w.space, b)
	})
}

// A blob that is damaged here comes anew.
func TestDamagedComesAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, sites := newWorld(t, 1)
		b := randomBytes(1, 1000)
		hash := sites[0].put(w.space, b)
		w.spread(sites)
		w.start()
		defer w.end()
		if err := w.fetch(hash); err != nil {
			t.Fatal(err)
		}
		w.client.damage(hash)
		if _, err := w.client.OpenBlob(t.Context(), w.space, hash); !errors.Is(err, core.ErrCorrupt) {
			t.Fatalf("OpenBlob = %v, want ErrCorrupt", err)
		}
		if err := w.fetch(hash); err != nil {
			t.Errorf("Fetch = %v", err)
		}
		w.client.wantHere(w.space, b)
	})
}
