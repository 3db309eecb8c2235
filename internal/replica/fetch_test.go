package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
)

// newsOfBlobs returns which spaces followers are told of that their blobs changed.
func (s *site) newsOfBlobs(fn func()) (spaces []core.SpaceID) {
	s.t.Helper()
	news := make(chan core.News, 100)
	stop := s.Follow(func(n core.News) { news <- n })
	fn()
	stop()
	close(news)
	for n := range news {
		if n.Blobs {
			spaces = append(spaces, n.Space)
		}
	}
	return spaces
}

// What is wanted, and no more, is wanted until it is here, through restarts, and nodes are told.
func TestWantedBlobs(t *testing.T) {
	s := openSite(t, siteOptions{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one, two := s.create("one"), s.create("two")
	spaces := []core.SpaceID{one, two}
	slices.Sort(spaces)
	all := map[core.SpaceID][]core.WantedBlob{}
	for _, space := range spaces {
		for n := range 5 {
			b := newBlob(strings.Repeat("x", n+1), "", "")
			s.putBlob(space, b)
			all[space] = append(all[space], core.WantedBlob{Space: space, Hash: b.Hash, Size: b.Size})
		}
		slices.SortFunc(all[space], func(a, b core.WantedBlob) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	}
	told := s.newsOfBlobs(func() {
		for _, n := range []int{3, 1, 3} {
			must(s.WantBlob(s.ctx(), one, all[one][n].Hash))
		}
		must(s.SetPin(s.ctx(), two, core.PinAll))
	})
	if want := []core.SpaceID{one, one, one, two}; !slices.Equal(told, want) {
		t.Errorf("news of blobs in %v, want %v", told, want)
	}
	feed := s.hub.Feed()
	defer feed.Close()
	want := map[core.SpaceID][]core.WantedBlob{one: {all[one][1], all[one][3]}, two: all[two]}
	check := func(when string) {
		t.Helper()
		both := slices.Concat(want[spaces[0]], want[spaces[1]])
		for limit := 1; limit < 9; limit++ {
			var got []core.WantedBlob
			for after := (core.WantedBlob{}); ; {
				page, err := s.WantedBlobs(s.ctx(), "", after, limit)
				must(err)
				if got = append(got, page...); len(page) < limit {
					break
				}
				after = page[len(page)-1]
			}
			if !slices.Equal(got, both) {
				t.Errorf("%s: %d wanted %d at a time, want %d", when, len(got), limit, len(both))
			}
		}
		for _, space := range spaces {
			got, err := s.WantedBlobs(s.ctx(), space, core.WantedBlob{}, 10)
			n, cerr := s.CountWantedBlobs(s.ctx(), space)
			if !slices.Equal(got, want[space]) || n != len(want[space]) || errors.Join(err, cerr) != nil {
				t.Errorf("%s: %d wanted, counted %d, %v, want %d", when, len(got), n, errors.Join(err, cerr), len(want[space]))
			}
		}
	}
	check("first")
	if got := feed.Take(); len(got) != 0 {
		t.Errorf("events %+v of what is wanted", got)
	}
	s.close()
	s = s.reopen()
	check("opened again")
	must(s.Rebuild(s.ctx()))
	check("rebuilt")

	// One comes, which is in both; one is removed; one is not wanted any more.
	came := all[one][3].Hash
	s.bringBytes(strings.Repeat("x", int(all[one][3].Size)))
	want[one] = want[one][:1]
	want[two] = slices.DeleteFunc(slices.Clone(want[two]), func(w core.WantedBlob) bool { return w.Hash == came })
	check("one came")
	if err := s.WantBlob(s.ctx(), one, came); err != nil {
		t.Errorf("WantBlob of what is here = %v", err)
	}
	check("wanted what is here")
	s.removeBlob(one, strings.Repeat("x", int(want[one][0].Size)))
	was := want[one]
	want[one] = nil
	check("removed")
	s.putBlob(one, core.NewBlob{Hash: was[0].Hash, Size: was[0].Size})
	want[one] = was
	check("put again")
	for _, still := range []bool{true, false} { // the other space wants all
		wanted, err := s.UnwantBlob(s.ctx(), one, was[0].Hash)
		if err != nil || wanted != still {
			t.Errorf("UnwantBlob = %v, %v, want %v", wanted, err, still)
		}
		want[one] = nil
		check("unwanted")
		must(s.SetPin(s.ctx(), two, core.PinNone))
		want[two] = nil
		check("nothing is pinned")
	}
	for what, err := range map[string]error{
		"ErrPinNone":       s.WantBlob(s.ctx(), two, was[0].Hash),
		"ErrNotFound":      s.WantBlob(s.ctx(), one, core.Hash{1}),
		"ErrNotFound too":  s.WantBlob(s.ctx(), "unknown", was[0].Hash),
		"ErrInvalidOption": s.SetPin(s.ctx(), one, 3),
		"ErrNotFound also": s.SetPin(s.ctx(), "unknown", core.PinAll),
	} {
		sentinel := map[string]error{"ErrPinNone": core.ErrPinNone, "ErrInvalidOption": core.ErrInvalidOption}[what]
		if sentinel == nil {
			sentinel = core.ErrNotFound
		}
		if !errors.Is(err, sentinel) {
			t.Errorf("%v, want %s", err, what)
		}
	}
	if policy, err := s.Pin(s.ctx(), two); policy != core.PinNone || err != nil {
		t.Errorf("Pin = %v, %v, want PinNone", policy, err)
	}
	s.wantSound("in the end")
}

// Bytes that come are told to all spaces that hold them, from this machine.
func TestBlobCame(t *testing.T) {
	s := openSite(t, siteOptions{})
	one, two := s.create("one"), s.create("two")
	b := newBlob("x", "", "")
	s.putBlob(one, b)
	s.putBlob(two, b)
	for _, fresh := range []bool{false, true} {
		var told []core.SpaceID
		got := blobEvents(s, func() {
			told = s.newsOfBlobs(func() {
				err := s.BlobCame(s.ctx(), one, b.Hash, func(core.Tx, int64) (bool, error) { return fresh, nil })
				if err != nil {
					t.Errorf("BlobCame = %v", err)
				}
			})
		})
		if want := map[bool]int{true: 2}[fresh]; len(got) != want || len(told) != want {
			t.Errorf("fresh %v: %d events, %d news, want %d", fresh, len(got), len(told), want)
		}
		for _, e := range got {
			if e.Source != events.SourceDaemon || e.Reason != "blobs" {
				t.Errorf("event %+v", e)
			}
		}
	}
	failure := fmt.Errorf("failure")
	fail := func(core.Tx, int64) (bool, error) { return false, failure }
	if err := s.BlobCame(s.ctx(), one, b.Hash, fail); !errors.Is(err, failure) {
		t.Errorf("BlobCame = %v, want what take returned", err)
	}
	s.removeBlob(one, "x")
	if err := s.BlobCame(s.ctx(), one, b.Hash, fail); !errors.Is(err, failure) { // the other holds it
		t.Errorf("BlobCame = %v, want what take returned", err)
	}
	s.removeBlob(two, "x")
	if err := s.BlobCame(s.ctx(), one, b.Hash, fail); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("BlobCame of what nobody holds = %v, want ErrNotFound", err)
	}
	if err := s.BlobCame(s.ctx(), "unknown", b.Hash, fail); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("BlobCame in an unknown space = %v, want ErrNotFound", err)
	}
}
