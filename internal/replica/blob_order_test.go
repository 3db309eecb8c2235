package replica_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
)

// at makes the author's next entry, by a clock, with everything in deps in its past.
func (a *author) at(wall uint64, deps []*log.Entry, bodies ...log.Body) *log.Entry {
	a.t.Helper()
	h := a.header(deps...)
	h.WallMs = wall
	a.last = a.sign(h, bodies...)
	return a.last
}

// What a space says of a blob does not depend on the order in which entries come.
func TestBlobsInEveryOrder(t *testing.T) {
	from := openSite(t, siteOptions{})
	space := from.create("first")
	put := func(mime string) log.Body { return blobPut("one", mime, "") }
	remove := blobRemove("one")
	deps := func(e ...*log.Entry) []*log.Entry { return e }
	for _, c := range []struct {
		name string
		log  func(a, b, c *author) []*log.Entry
		want string
	}{
		{"put", func(a, _, _ *author) []*log.Entry { return deps(a.at(1, nil, put("a/a"))) }, "3 a/a "},
		{"removed", func(a, b, _ *author) []*log.Entry {
			x := a.at(9, nil, put("a/a"))
			return deps(x, b.at(1, deps(x), remove))
		}, "none"},
		{"removed at the same time", func(a, b, _ *author) []*log.Entry {
			return deps(a.at(1, nil, put("a/a")), b.at(9, nil, remove))
		}, "3 a/a "},
		{"removed while another puts", func(a, b, c *author) []*log.Entry {
			x := a.at(9, nil, put("a/a"))
			return deps(x, b.at(1, deps(x), remove), c.at(1, deps(x), put("a/c")))
		}, "3 a/c "},
		{"one of two removed", func(a, b, c *author) []*log.Entry {
			x := a.at(9, nil, put("a/a"))
			return deps(x, b.at(1, nil, put("a/b")), c.at(1, deps(x), remove))
		}, "3 a/b "},
		{"both removed", func(a, b, c *author) []*log.Entry {
			x, y := a.at(9, nil, put("a/a")), b.at(1, nil, put("a/b"))
			return deps(x, y, c.at(1, deps(x, y), remove))
		}, "none"},
		{"removed through entries between", func(a, b, _ *author) []*log.Entry {
			x := a.at(9, nil, put("a/a"))
			return deps(x, b.at(1, deps(x), update("doc", insert(1, 0, "x"))), b.at(1, nil, remove))
		}, "none"},
		{"put again after a removal", func(a, b, c *author) []*log.Entry {
			x := a.at(9, nil, put("a/a"))
			y := b.at(8, deps(x), remove)
			return deps(x, y, c.at(1, deps(y), put("a/c")))
		}, "3 a/c "},
		{"of two the later clock", func(a, b, _ *author) []*log.Entry {
			return deps(a.at(1, nil, put("a/a")), b.at(2, nil, put("a/b")))
		}, "3 a/b "},
		{"of two the one that knows the other", func(a, b, _ *author) []*log.Entry {
			x := a.at(9, nil, put("a/a"))
			return deps(x, b.at(1, deps(x), put("a/b")))
		}, "3 a/b "},
		{"two puts in one entry", func(a, _, _ *author) []*log.Entry {
			return deps(a.at(1, nil, put("a/a"), put("a/b"), blobPut("two", "", "")))
		}, "3 a/b "},
		{"put, then removed in one entry", func(a, _, _ *author) []*log.Entry {
			return deps(a.at(1, nil, put("a/a"), remove))
		}, "none"},
		{"removed, then put in one entry", func(a, b, _ *author) []*log.Entry {
			x := a.at(9, nil, put("a/a"))
			return deps(x, b.at(1, deps(x), remove, put("a/b")))
		}, "3 a/b "},
		{"sizes that differ", func(a, b, _ *author) []*log.Entry {
			large := blobPut("one", "a/b", "")
			large.Size = log.MaxCounter
			return deps(a.at(1, nil, put("a/a")), b.at(2, nil, large))
		}, "9007199254740991 a/b "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b, d := newAuthor(t, from.id.Key(), space, 1), newAuthor(t, from.id.Key(), space, 2), newAuthor(t, from.id.Key(), space, 3)
			entries := c.log(a, b, d)
			inEveryOrder(t, from, space, entries, func(s *site, order string) {
				s.wantBlob(order, space, "one", c.want)
				s.wantSound(order)
			})
		})
	}
}

// blobAfter is the next entry of an author of a court, after others, in ignorance of what
// members do meanwhile.
func (c *court) blobAfter(a *author, deps []*log.Entry, bodies ...log.Body) *log.Entry {
	c.t.Helper()
	h := a.header(deps...)
	if h.Seq == 1 {
		h.Auth, h.Lamport = []core.Hash{c.head}, max(h.Lamport, c.lamport+1)
	}
	a.last = a.sign(h, bodies...)
	return a.last
}

// What a removed member put, or removed, without knowing of it does not count, unless
// somebody who did not know of it either builds upon it.
func TestBlobsOfARemovedMember(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(c *court) []*log.Entry
		want string
	}{
		{"put", func(c *court) []*log.Entry {
			return []*log.Entry{c.blobAfter(c.bob, nil, blobPut("one", "a/b", "")), c.remove()}
		}, "none"},
		{"put, kept by one who builds upon it", func(c *court) []*log.Entry {
			x := c.blobAfter(c.bob, nil, blobPut("one", "a/b", ""))
			return []*log.Entry{x, c.remove(), c.blobAfter(c.owner, []*log.Entry{x}, blobPut("two", "", ""))}
		}, "3 a/b "},
		{"removal", func(c *court) []*log.Entry {
			x := c.blobAfter(c.owner, nil, blobPut("one", "a/a", ""))
			return []*log.Entry{x, c.blobAfter(c.bob, []*log.Entry{x}, blobRemove("one")), c.remove()}
		}, "3 a/a "},
		{"removal, kept by one who builds upon it", func(c *court) []*log.Entry {
			x := c.blobAfter(c.owner, nil, blobPut("one", "a/a", ""))
			y := c.blobAfter(c.bob, []*log.Entry{x}, blobRemove("one"))
			return []*log.Entry{x, y, c.remove(), c.blobAfter(c.owner, []*log.Entry{y}, blobPut("two", "", ""))}
		}, "none"},
		{"what it said of another's", func(c *court) []*log.Entry {
			x := c.blobAfter(c.owner, nil, blobPut("one", "a/a", ""))
			return []*log.Entry{x, c.blobAfter(c.bob, []*log.Entry{x}, blobPut("one", "a/b", "bob's")), c.remove()}
		}, "3 a/a "},
		{"removal of what was put again", func(c *court) []*log.Entry {
			x := c.blobAfter(c.bob, nil, blobPut("one", "a/b", ""))
			y := c.blobAfter(c.owner, nil, blobPut("one", "a/a", ""))
			return []*log.Entry{x, y, c.blobAfter(c.bob, []*log.Entry{y}, blobRemove("one")), c.remove()}
		}, "3 a/a "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			eachOrder(test.make(newCourt(t)), func([]*log.Entry) { n++ })
			for i := range n {
				c := newCourt(t)
				at := 0
				eachOrder(test.make(c), func(order []*log.Entry) {
					if at == i {
						for _, e := range order {
							c.accept(c.space, e.Raw)
						}
					}
					at++
				})
				c.wantBlob(test.name, c.space, "one", test.want)
				c.wantSound(test.name)
				other := openSite(t, siteOptions{noVerify: true})
				other.found(c.site, c.space)
				entries := c.entries(c.space)
				slices.Reverse(entries)
				other.accept(c.space, entries...)
				other.wantBlob("at once", c.space, "one", test.want)
				if err := other.Rebuild(other.ctx()); err != nil {
					t.Fatal(err)
				}
				other.wantBlob("rebuilt", c.space, "one", test.want)
				other.wantSound("rebuilt")
				other.close()
				c.close()
			}
		})
	}
}

// Rows that a rebuild does not change keep their times, and nobody is told.
func TestBlobsRebuilt(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("s")
	s.putBlob(space, newBlob("one", "a/b", "one"))
	s.clock.ms.Add(5)
	s.putBlob(space, newBlob("two", "", ""))
	s.removeBlob(space, "one")
	s.putBlob(space, newBlob("one", "", "again"))
	before, err := s.Blobs(s.ctx(), space, core.Hash{}, 10)
	if err != nil || len(before) != 2 {
		t.Fatalf("Blobs = %+v, %v", before, err)
	}
	s.clock.ms.Add(1000)
	told := blobEvents(s, func() {
		if err := s.Rebuild(s.ctx()); err != nil {
			t.Fatal(err)
		}
	})
	if len(told) > 0 {
		t.Errorf("events %+v", told)
	}
	after, err := s.Blobs(s.ctx(), space, core.Hash{}, 10)
	if err != nil || !slices.Equal(after, before) {
		t.Errorf("rebuilt: %+v, %v, want %+v", after, err, before)
	}
}

// Whoever may not write is told so, and nothing is stored.
func TestBlobsAreForbidden(t *testing.T) {
	owner, s := openSite(t, siteOptions{}), openSite(t, siteOptions{})
	space := owner.create("s")
	owner.putBlob(space, newBlob("one", "", ""))
	around := func(core.Tx, int64, func() error) (bool, error) {
		t.Error("around is called")
		return false, core.ErrQuota
	}
	refused := func(when string, want error) {
		t.Helper()
		_, put := s.PutBlob(s.ctx(), space, newBlob("two", "", ""), events.SourceRenderer, around)
		remove := s.RemoveBlob(s.ctx(), space, hashOf("one"), events.SourceRenderer)
		for what, err := range map[string]error{"MayPutBlobs": s.MayPutBlobs(s.ctx(), space), "PutBlob": put, "RemoveBlob": remove} {
			if !errors.Is(err, want) {
				t.Errorf("%s: %s = %v, want %v", when, what, err, want)
			}
		}
	}
	refused("unknown space", core.ErrNotFound)
	s.found(owner, space)
	refused("stranger", core.ErrForbidden)
	if err := owner.AddMember(owner.ctx(), space, s.id.PeerID(), log.RoleViewer, log.KindDevice); err != nil {
		t.Fatal(err)
	}
	s.pull(owner, space)
	before := len(s.entries(space))
	refused("viewer", core.ErrForbidden)
	s.wantBlob("viewer", space, "one", "3  ")
	if n := len(s.entries(space)); n != before {
		t.Errorf("%d entries, want %d", n, before)
	}
	if err := owner.SetRole(owner.ctx(), space, s.id.PeerID(), log.RoleEditor); err != nil {
		t.Fatal(err)
	}
	s.pull(owner, space)
	if err := s.MayPutBlobs(s.ctx(), space); err != nil {
		t.Errorf("MayPutBlobs of an editor = %v", err)
	}
	if rec := s.putBlob(space, newBlob("two", "", "")); rec.CreatedBy != s.id.PeerID() {
		t.Errorf("put by %s", rec.CreatedBy)
	}
}

// Ops that no version writes are refused with their entries.
func TestHostileBlobOps(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("s")
	a := newAuthor(t, s.id.Key(), space, 9)
	good := a.write(nil, blobPut("one", "a/b", "n"))
	hash := hashOf("one")
	for name, body := range map[string][]any{
		"size":          {hash[:], uint64(1 << 53), "a/b", "n"},
		"line in type":  {hash[:], 1, "a/b\r\nx: y", "n"},
		"path":          {hash[:], 1, "a/b", "../n"},
		"long name":     {hash[:], 1, "a/b", string(bytes.Repeat([]byte("x"), log.MaxBlobNameBytes+1))},
		"short hash":    {hash[1:], 1, "a/b", "n"},
		"field of more": {hash[:], 1, "a/b", "n", 1},
	} {
		id := sha256.Sum256([]byte(name))
		ops := encode(t, []any{[]any{uint64(log.OpBlobPut), id[:16], body}})
		s.wantStatus(space, core.EntryRejected, a.forge(good, ops, nil))
	}
	s.wantBlob("refused", space, "one", "none")
	s.wantStatus(space, core.EntryAccepted, good.Raw)
	s.wantBlob("good", space, "one", "3 a/b n")
}

// Archives carry what is said of blobs.
func TestBlobsInArchives(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("s")
	s.putBlob(space, newBlob("one", "a/b", "one"))
	s.putBlob(space, newBlob("two", "", ""))
	s.removeBlob(space, "two")
	var stream bytes.Buffer
	if err := s.Export(s.ctx(), space, &stream); err != nil {
		t.Fatal(err)
	}
	other := openSite(t, siteOptions{})
	if err := other.importFrom(&stream); err != nil {
		t.Fatal(err)
	}
	other.wantBlob("imported", space, "one", "3 a/b one")
	other.wantBlob("imported", space, "two", "none")
	other.wantSound("imported")
}

// A put of the local member loses to what they do not know of, and counts again.
func TestOwnBlobsAreVoid(t *testing.T) {
	c := newCourt(t)
	me := c.Peer()
	c.putBlob(c.space, newBlob("one", "a/b", ""))
	c.take(c.act(c.owner, log.MemberRemove{Peer: me}))
	c.wantBlob("void", c.space, "one", "none")
	if _, err := c.PutBlob(c.ctx(), c.space, newBlob("one", "", ""), events.SourceRenderer, plainPut(true)); !errors.Is(err, core.ErrForbidden) {
		t.Errorf("PutBlob = %v, want ErrForbidden", err)
	}
}
