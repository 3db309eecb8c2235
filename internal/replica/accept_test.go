package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// wantStatus accepts entries and compares what became of each.
func (s *site) wantStatus(space core.SpaceID, want core.EntryStatus, entries ...core.Entry) {
	s.t.Helper()
	for i, o := range s.accept(space, entries...) {
		if o.Status != want || o.Hash != entries[i].Hash() {
			s.t.Errorf("entry %d of %d is %s: %v, want %s", i, len(entries), o.Status, o.Err, want)
		}
	}
}

// TestRejectedLeavesNoHole lets an entry be refused for which its successors wait:
// nothing can ever free them.
func TestRejectedLeavesNoHole(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	a := newAuthor(t, s.id.Key(), space, 1)
	first := a.write(nil, update("doc", insert(1, 0, "a")))
	good := a.sign(a.header(), update("doc", insert(1, 1, "b")))
	a.last = a.sign(a.header(), update("doc", []byte("bad")))
	bad := a.last
	after := []*log.Entry{a.write(nil, update("doc", insert(1, 1, "b"))), a.write(nil), a.write(nil)}
	s.wantStatus(space, core.EntryAccepted, first.Raw)
	s.wantStatus(space, core.EntryWaiting, raws(after...)...)
	waiting := s.waiting(space)
	for name, e := range map[string]core.Entry{
		"another's signature": {Header: bad.Raw.Header, Ops: bad.Raw.Ops, Sig: good.Raw.Sig},
		"other ops":           {Header: bad.Raw.Header, Ops: good.Raw.Ops, Sig: bad.Raw.Sig},
	} {
		s.wantStatus(space, core.EntryRejected, e)
		if got := s.waiting(space); got != waiting {
			t.Errorf("%d bytes wait after the entry came with %s, want %d: it may still come as it is", got, name, waiting)
		}
	}
	s.wantStatus(space, core.EntryRejected, bad.Raw)
	if got := s.waiting(space); got != 0 {
		t.Errorf("%d bytes wait for an entry that was refused, want none", got)
	}

	// So it is with what is refused when its own past has come.
	stray := newAuthor(t, stranger(3), space, 1)
	held := newAuthor(t, s.id.Key(), space, 2).write(nil, update("held", insert(1, 0, "x")))
	s.wantStatus(space, core.EntryWaiting, raws(stray.write([]*log.Entry{held}), stray.write(nil), stray.write(nil))...)
	s.wantStatus(space, core.EntryAccepted, held.Raw)
	if got := s.waiting(space); got != 0 {
		t.Errorf("%d bytes wait for what no member wrote, want none", got)
	}
	s.wantText(space, "doc", "a")
}

func TestUnknownContentOps(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	w := newAuthor(t, a.id.Key(), space, 1)
	var entries []*log.Entry
	for _, number := range []log.OpNumber{150, 95, 159, 191, log.OpCheckpoint} {
		entries = append(entries, w.write(nil,
			log.UnknownOp{Op: number, Raw: []byte{0x82, 0x01, 0x81, 0x20}},
			update("doc", insert(1, uint64(len(entries)), "x")),
		))
	}
	a.wantStatus(space, core.EntryAccepted, raws(entries...)...)
	a.wantText(space, "doc", "xxxxx")

	var stream bytes.Buffer
	if err := a.Export(a.ctx(), space, &stream); err != nil {
		t.Fatalf("Export = %v", err)
	}
	b := openSite(t, siteOptions{})
	if err := b.importFrom(&stream); err != nil {
		t.Fatalf("Import = %v", err)
	}
	if got, want := b.entries(space), a.entries(space); !slices.EqualFunc(got, want, sameEntry) {
		t.Errorf("forwarded %d entries, want the same %d", len(got), len(want))
	}
	wantEqual(t, "forwarded", b.dump(space), a.dump(space))
}

func sameEntry(a, b core.Entry) bool {
	return bytes.Equal(a.Header, b.Header) && bytes.Equal(a.Ops, b.Ops) && bytes.Equal(a.Sig, b.Sig)
}

// TestNewerMembershipWaits hands over an entry that only a newer version can judge.
func TestNewerMembershipWaits(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	w := newAuthor(t, s.id.Key(), space, 1)
	acts := w.sign(log.Header{
		Space: w.genesis, Incarnation: w.incarnation, Chain: core.ChainMembership, Seq: 1,
		Auth: []core.Hash{w.genesis}, Lamport: 2, WallMs: 1,
	}, log.UnknownOp{Op: 5, Raw: []byte{0x81, 0x01}})
	h := w.header()
	h.Auth, h.Lamport = []core.Hash{acts.Hash}, 3
	builds := w.sign(h, update("doc", insert(1, 0, "unseen")))
	s.wantStatus(space, core.EntryWaiting, builds.Raw, acts.Raw, acts.Raw)
	var waiting *log.WaitingError
	if o := s.accept(space, acts.Raw)[0]; !errors.As(o.Err, &waiting) || waiting.Reason != log.WaitMembershipOp {
		t.Errorf("Err = %v, want one that waits for %s", o.Err, log.WaitMembershipOp)
	}
	s.wantHidden(space, "doc")
	before := s.waiting(space)
	s.close()
	s = s.reopen()
	if got := s.waiting(space); got != before || got == 0 {
		t.Errorf("%d bytes wait after opening again, want %d", got, before)
	}
	s.upsert(space, "mine", insert(3, 0, "still works"))
	if n := len(s.entries(space)); n != 3 {
		t.Errorf("%d entries, want genesis, name and the own one", n)
	}
}

func TestWithheldEntries(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	b := a.second(space)
	c := openSite(t, siteOptions{})
	c.found(a, space)
	w, v := newAuthor(t, a.id.Key(), space, 1), newAuthor(t, a.id.Key(), space, 2)
	base := w.write(nil, update("base", insert(1, 0, "base")))
	withheld := v.write([]*log.Entry{base}, update("held", insert(2, 0, "held")), log.SpaceMeta{Name: "held"})
	above := w.write([]*log.Entry{withheld}, update("above", insert(3, 0, "above")), log.DocDelete{Doc: "base"})
	beside := w.write(nil, update("beside", insert(4, 0, "beside")))
	apart := newAuthor(t, a.id.Key(), space, 3).write([]*log.Entry{base}, update("apart", insert(5, 0, "apart")))

	c.wantStatus(space, core.EntryWaiting, above.Raw, beside.Raw, apart.Raw)
	c.wantStatus(space, core.EntryAccepted, base.Raw)
	c.wantText(space, "base", "base")
	c.wantText(space, "apart", "apart") // knew nothing of what is withheld
	c.wantHidden(space, "held")
	c.wantHidden(space, "above")
	c.wantHidden(space, "beside")
	if got := c.name(space); got != "" {
		t.Errorf("name = %q, want none: its entry did not come", got)
	}
	c.wantStatus(space, core.EntryAccepted, withheld.Raw)
	c.wantText(space, "held", "held")
	c.wantText(space, "above", "above")
	c.wantText(space, "beside", "beside")
	c.wantHidden(space, "base")
	if got := c.name(space); got != "held" || c.waiting(space) != 0 {
		t.Errorf("name = %q, %d bytes waiting, want \"held\" and 0", got, c.waiting(space))
	}
	b.accept(space, raws(beside, above, withheld, apart, base)...)
	b.wantText(space, "beside", "beside")
}

func TestUnknownSpace(t *testing.T) {
	a, b := openSite(t, siteOptions{}), openSite(t, siteOptions{})
	space := a.create("space")
	if _, err := b.Accept(b.ctx(), space, a.entries(space)); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("Accept(unknown space) = %v, want ErrNotFound", err)
	}
	if spaces, err := b.Spaces(b.ctx()); err != nil || len(spaces) != 0 {
		t.Errorf("Spaces = %v, %v, want none", spaces, err)
	}
}

func TestParkedChainSurvivesReopening(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	w := newAuthor(t, s.id.Key(), space, 1)
	var chain []*log.Entry
	for n := range uint64(60) {
		chain = append(chain, w.write(nil, update("doc", insert(1, n, fmt.Sprint(n%10)))))
	}
	want := strings.Repeat("0123456789", 6)
	rest := raws(chain[1:]...)
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	s.wantStatus(space, core.EntryWaiting, rest...)
	s.crash()
	s = s.reopen()
	s.wantHidden(space, "doc")
	s.wantStatus(space, core.EntryAccepted, chain[0].Raw)
	s.wantText(space, "doc", want)
	if got := s.waiting(space); got != 0 {
		t.Errorf("%d bytes wait, want 0", got)
	}
}

// TestManyDependencies parks an entry that waits for more than one.
func TestManyDependencies(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	var deps []*log.Entry
	for n := range byte(64) {
		deps = append(deps, newAuthor(t, s.id.Key(), space, n+1).write(nil, update("doc", insert(uint64(n)+1, 0, "x"))))
	}
	top := newAuthor(t, s.id.Key(), space, 100).write(deps, update("top", insert(1, 0, "top")))
	s.wantStatus(space, core.EntryWaiting, top.Raw)
	for i, dep := range deps {
		s.wantHidden(space, "top")
		s.wantStatus(space, core.EntryAccepted, dep.Raw)
		if waits := s.waiting(space) > 0; waits != (i < len(deps)-1) {
			t.Fatalf("after %d of %d entries: waits = %v", i+1, len(deps), waits)
		}
	}
	s.wantText(space, "top", "top")
}

// TestManyHeads gives a replica more concurrent heads than one entry may cite.
func TestManyHeads(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	const heads = 150
	var entries []core.Entry
	for n := range byte(heads) {
		entries = append(entries, newAuthor(t, s.id.Key(), space, n+1).write(nil, update("doc", insert(uint64(n)+1, 0, "x"))).Raw)
	}
	s.wantStatus(space, core.EntryAccepted, entries...)
	s.upsert(space, "doc", insert(1000, 0, "mine"))
	s.seal()
	all := s.decoded(space)
	writer, _ := s.Writer()
	cited, last := 0, all[len(all)-1]
	for _, e := range all[2+heads:] {
		if e.Writer != writer || len(e.Deps) > log.MaxHeads {
			t.Errorf("entry %s by %s cites %d, want an own one that cites at most %d", e.Hash, e.Writer, len(e.Deps), log.MaxHeads)
		}
		if empty := len(e.Ops) == 0; empty != (e != last) {
			t.Errorf("entry %d has %d ops", e.Seq, len(e.Ops))
		}
		cited += len(e.Deps)
	}
	if cited != heads || len(all) != 2+heads+3 {
		t.Errorf("%d heads are cited by %d entries, want %d by 3", cited, len(all)-2-heads, heads)
	}
	other := openSite(t, siteOptions{})
	other.found(s, space)
	other.pull(s, space)
	wantEqual(t, "other", other.dump(space), s.dump(space))
}

// TestForkOfOthers takes in two branches of one writer.
func TestForkOfOthers(t *testing.T) {
	a := openSite(t, siteOptions{})
	space := a.create("space")
	left := newAuthor(t, a.id.Key(), space, 1)
	base := left.write(nil, update("doc", insert(1, 0, "a")))
	right := *left
	entries := raws(base,
		left.write(nil, update("left", insert(2, 0, "left"))),
		right.write(nil, update("right", insert(3, 0, "right"))),
		right.write(nil, update("right", insert(3, 5, "!"))))
	a.wantStatus(space, core.EntryAccepted, entries...)
	a.wantText(space, "left", "left")
	a.wantText(space, "right", "right!")
	b := openSite(t, siteOptions{})
	b.found(a, space)
	slices.Reverse(entries)
	b.accept(space, entries...)
	b.wantText(space, "left", "left")
	b.wantText(space, "right", "right!")
	// Both branches are built upon.
	a.upsert(space, "mine", insert(4, 0, "mine"))
	all := a.decoded(space)
	if got := len(all[len(all)-1].Deps); got != 2 {
		t.Errorf("the own entry cites %d heads, want both branches", got)
	}
}

// TestForkOfOwnWriter meets entries under the own writer that this directory did
// not make, as when a copy of it was not recognised, and goes on.
func TestForkOfOwnWriter(t *testing.T) {
	s := openSite(t, siteOptions{})
	space := s.create("space")
	s.upsert(space, "doc", insert(1, 0, "mine"))
	copied := newAuthor(t, s.id.Key(), space, 0)
	_, copied.incarnation = s.Writer()
	copied.last = s.decoded(space)[1]
	s.wantStatus(space, core.EntryAccepted, copied.write(nil, update("other", insert(2, 0, "not mine"))).Raw)
	s.wantStatus(space, core.EntryAccepted, copied.write(nil, update("other", insert(2, 8, "!"))).Raw)
	s.wantText(space, "other", "not mine!")
	s.upsert(space, "doc", insert(1, 4, "!"))
	s.seal()
	s.wantText(space, "doc", "mine!")

	_, incarnation := s.Writer()
	if incarnation == copied.incarnation {
		t.Fatal("the incarnation is the one that another writes under")
	}
	all := s.decoded(space)
	last := all[len(all)-1]
	if retire, ok := last.Ops[0].Body.(log.WriterRetire); !ok || last.Seq != 1 || !slices.Equal(retire.Incarnations, []core.Incarnation{copied.incarnation}) {
		t.Errorf("entry %d begins with %v, want a first one that retires %x", last.Seq, last.Ops[0].Body, copied.incarnation)
	}
	b := openSite(t, siteOptions{})
	b.found(s, space)
	b.accept(space, s.entries(space)...)
	b.wantText(space, "doc", "mine!")
	s.close()
	s = s.reopen()
	if _, got := s.Writer(); got != incarnation {
		t.Errorf("incarnation after opening again = %x, want %x", got, incarnation)
	}
}
