package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// at is a place that something has put a page at.
func at(parent core.DocumentID, position string) core.PagePlace {
	return core.PagePlace{Parent: parent, Position: position, Placed: true}
}

func trashed(p core.PagePlace) core.PagePlace {
	p.Trashed = true
	return p
}

// page is a row of a page that is shown under its parent.
func page(space int64, id core.DocumentID, p core.PagePlace) core.PageRecord {
	return core.PageRecord{Space: space, ID: id, PagePlace: p, Under: p.Parent}
}

func putPages(tx core.Tx, recs ...core.PageRecord) (err error) {
	for _, rec := range recs {
		err = errors.Join(err, tx.PutPage(rec))
	}
	return err
}

func testPage(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	full := core.PageRecord{
		Space: s, ID: "page é/ü", PagePlace: trashed(at("über", "\x00\xff\x00\x01")), Under: "", Title: "Größe 😀", Archived: true,
		CreatedBy: peer("creator"), CreatedAtMs: math.MaxInt64, UpdatedAtMs: -1,
	}
	bare := core.PageRecord{Space: s, ID: "bare"}
	elsewhere := page(other, full.ID, at("", "a"))
	changed := core.PageRecord{
		Space: s, ID: "changed", PagePlace: at("p", strings.Repeat("\xff", 1000)), Under: "p", Title: "now",
		CreatedBy: peer("second"), CreatedAtMs: 3, UpdatedAtMs: 4,
	}
	f.everywhere(func(tx core.Tx) error {
		was := full
		was.ID = changed.ID
		return errors.Join(
			putPages(tx, full, bare, elsewhere, was, changed, page(s, "gone", at("", "x")), page(other, "gone", at("", "x"))),
			tx.DeletePage(s, "gone"), tx.DeletePage(s, "never"), tx.DeletePage(s+other, full.ID))
	}, func(v core.View) error {
		for _, want := range []core.PageRecord{full, bare, elsewhere, changed, page(other, "gone", at("", "x"))} {
			got, err := v.Page(want.Space, want.ID)
			if err := equal("Page("+want.ID+")", got, err, want); err != nil {
				return err
			}
		}
		_, gone := v.Page(s, "gone")
		_, never := v.Page(other, bare.ID)
		_, nothing := v.Page(s, "")
		return errors.Join(
			fails("Page that was removed", gone, core.ErrNotFound), fails("Page of another space", never, core.ErrNotFound),
			fails("Page without an ID", nothing, core.ErrNotFound))
	})
}

func testPages(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	var recs []core.PageRecord // in order of the bytes of their IDs
	for _, id := range []core.DocumentID{"-", "10", "9", "A", "Z", "a", "aa", "b", "z", "é", "\uffff", "😀"} {
		recs = append(recs, page(s, id, core.PagePlace{Placed: len(id) == 1}))
	}
	f.everywhere(func(tx core.Tx) error {
		for _, rec := range slices.Backward(recs) {
			if err := putPages(tx, rec); err != nil {
				return err
			}
		}
		return putPages(tx, page(other, "c", at("", "a")))
	}, func(v core.View) error {
		for n := range len(recs) + 2 {
			for from := range recs {
				after := core.DocumentID("")
				if from > 0 {
					after = recs[from-1].ID
				}
				got, err := v.Pages(s, after, n)
				if err := equal(fmt.Sprintf("Pages(%q, %d)", after, n), got, err, recs[from:min(len(recs), from+n)]); err != nil {
					return err
				}
			}
		}
		got, err := v.Pages(s, "b\x00", 1) // which no page has
		if err := equal("Pages after an unknown ID", got, err, recs[8:9]); err != nil {
			return err
		}
		got, err = v.Pages(s, "😀", 1)
		if err := equal("Pages after the last", got, err, nil); err != nil {
			return err
		}
		got, err = v.Pages(s+other, "", 1)
		return equal("Pages of an unknown space", got, err, nil)
	})
}

// siblings are rows under a page, in order. Some are nowhere.
func siblings(space int64, under core.DocumentID) []core.PageRecord {
	var recs []core.PageRecord
	for _, position := range []string{"", "\x00\x00\x01", "\x00\x01", "\x01", "a", "a\x00\x01", "a\x01", "\x7f", "\x80", "\x80\x00\x01", "\xff", "\xff\xff"} {
		for i, id := range []core.DocumentID{"A", "a", "é"} {
			p := core.PagePlace{Parent: under, Position: position, Placed: position != "" && i != 1, Trashed: i == 2 && position == "a"}
			recs = append(recs, page(space, fmt.Sprintf("%s %x %s", id, position, under), p))
		}
	}
	return recs
}

// placed returns the rows that are somewhere.
func placed(recs []core.PageRecord) []core.PageRecord {
	return slices.DeleteFunc(recs, func(rec core.PageRecord) bool { return !rec.Placed })
}

// testPageWay goes up, from any page, any number of steps, and ends where pages are under
// each other.
func testPageWay(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	way := []core.PageRecord{page(s, "d", at("c", "1")), page(s, "c", at("b", "\x00\x01")), page(s, "b", at("a", "1")), page(s, "a", at("", "1"))}
	orphan := page(s, "orphan", at("ghost", "1"))
	orphan.Under = ""
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(putPages(tx, way...), putPages(tx, orphan, page(s, "x", at("y", "1")), page(s, "y", at("x", "1"))),
			putPages(tx, page(other, "a", at("d", "1")), page(other, "d", at("", "1"))))
	}, func(v core.View) error {
		for from := range way {
			for limit := 1; limit < 6; limit++ {
				got, err := v.PageWay(s, way[from].ID, limit)
				if err := equal(fmt.Sprintf("PageWay(%q, %d)", way[from].ID, limit), got, err, way[from:min(len(way), from+limit)]); err != nil {
					return err
				}
			}
		}
		got, err := v.PageWay(s, "orphan", 9)
		if err := equal("PageWay of an orphan", got, err, []core.PageRecord{orphan}); err != nil {
			return err
		}
		got, err = v.PageWay(s, "ghost", 9)
		if err := equal("PageWay of nothing", got, err, nil); err != nil {
			return err
		}
		got, err = v.PageWay(s, "x", 5)
		return equal("PageWay in a circle", len(got), err, 5)
	})
}

func testPagesUnder(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	f.everywhere(func(tx core.Tx) error {
		for _, rec := range slices.Concat(siblings(s, ""), siblings(s, "p"), siblings(other, "p")) {
			if rec.Space == other {
				rec.ID += " of another space"
			}
			if err := tx.PutPage(rec); err != nil {
				return err
			}
		}
		moved := page(s, "moved", at("p", "b")) // it leaves the index
		return errors.Join(putPages(tx, moved), putPages(tx, page(s, "moved", at("q", "b"))))
	}, func(v core.View) error {
		for _, under := range []core.DocumentID{"", "p"} {
			got, err := v.PagesUnder(s, under)
			if err := equal(fmt.Sprintf("PagesUnder(%q)", under), got, err, placed(siblings(s, under))); err != nil {
				return err
			}
		}
		got, err := v.PagesUnder(s, "q")
		if err := equal("PagesUnder(q)", got, err, []core.PageRecord{page(s, "moved", at("q", "b"))}); err != nil {
			return err
		}
		got, err = v.PagesUnder(s, "moved")
		return equal("PagesUnder a page with nothing under it", got, err, nil)
	})
}

func testPageBeside(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	const under = "p"
	here := placed(siblings(s, under))
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(putPages(tx, siblings(s, under)...), putPages(tx, siblings(other, "q")...), putPages(tx, siblings(s, "")...))
	}, func(v core.View) error {
		got, err := v.PageBeside(s, under, nil, false)
		if err := equal("PageBeside back from the end", got, err, here[len(here)-1]); err != nil {
			return err
		}
		for i := range here[1:] {
			got, err := v.PageBeside(s, under, &here[i], true)
			if err := equal("PageBeside after "+here[i].ID, got, err, here[i+1]); err != nil {
				return err
			}
			got, err = v.PageBeside(s, under, &here[i+1], false)
			if err := equal("PageBeside before "+here[i+1].ID, got, err, here[i]); err != nil {
				return err
			}
		}
		// What it starts from need not be there.
		from := page(s, "0", at(under, here[4].Position))
		got, err = v.PageBeside(s, under, &from, true)
		if err := equal("PageBeside after what is not there", got, err, here[4]); err != nil {
			return err
		}
		got, err = v.PageBeside(s, under, &from, false)
		if err := equal("PageBeside before what is not there", got, err, here[3]); err != nil {
			return err
		}
		_, after := v.PageBeside(s, under, &here[len(here)-1], true)
		_, before := v.PageBeside(s, under, &here[0], false)
		_, empty := v.PageBeside(s, "q", nil, false)
		_, unknown := v.PageBeside(s+other, under, nil, false)
		return errors.Join(
			fails("PageBeside after the last", after, core.ErrNotFound), fails("PageBeside before the first", before, core.ErrNotFound),
			fails("PageBeside under a page of another space", empty, core.ErrNotFound), fails("PageBeside of an unknown space", unknown, core.ErrNotFound))
	})
}

func testPageOrphans(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	orphan := func(space int64, id core.DocumentID, p core.PagePlace) core.PageRecord {
		rec := page(space, id, p)
		rec.Under = ""
		return rec
	}
	b, a := orphan(s, "b", at("p", "1")), orphan(s, "a", trashed(at("p", "2")))
	nowhere := orphan(s, "c", core.PagePlace{Parent: "p"})
	f.everywhere(func(tx core.Tx) error {
		return putPages(tx, b, a, nowhere, orphan(s, "adopted", at("p", "4")), page(s, "adopted", at("p", "4")),
			page(s, "child", at("p", "3")), page(s, "top", at("", "1")), orphan(s, "of another page", at("q", "1")), orphan(other, "d", at("p", "1")))
	}, func(v core.View) error {
		got, err := v.PageOrphans(s, "p")
		slices.SortFunc(got, func(a, b core.PageRecord) int { return strings.Compare(a.ID, b.ID) })
		if err := equal("PageOrphans", got, err, []core.PageRecord{a, b, nowhere}); err != nil {
			return err
		}
		for _, parent := range []core.DocumentID{"", "unknown"} {
			got, err = v.PageOrphans(s, parent)
			if err := equal(fmt.Sprintf("PageOrphans(%q)", parent), got, err, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func testPagesTrashed(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	b, a, z := page(s, "b", trashed(at("p", "1"))), page(s, "a", trashed(at("b", "1"))), page(s, "Z", trashed(at("", "1")))
	f.everywhere(func(tx core.Tx) error {
		return putPages(tx, b, a, z, page(s, "c", at("b", "2")), page(s, "back", trashed(at("", "2"))), page(s, "back", at("", "2")),
			page(other, "d", trashed(at("", "1"))))
	}, func(v core.View) error {
		got, err := v.PagesTrashed(s)
		if err := equal("PagesTrashed", got, err, []core.PageRecord{z, a, b}); err != nil {
			return err
		}
		got, err = v.PagesTrashed(s + other)
		return equal("PagesTrashed of an unknown space", got, err, nil)
	})
}

// peersInOrder returns peers in the order of their keys.
func peersInOrder(n int) []core.PeerID {
	peers := make([]core.PeerID, n)
	for i := range peers {
		peers[i] = peer(fmt.Sprint(i))
	}
	slices.SortFunc(peers, core.PeerID.Compare)
	return peers
}

// pageStamps are stamps in order, some of which differ in one component alone.
func pageStamps() []core.PageStamp {
	var all []core.PageStamp
	low, high := core.Hash{}, core.Hash{31: 1}
	for i := range high[:31] {
		high[i] = 0xff
	}
	for _, lamport := range []uint64{0, 1, 2, 255, 256, 1<<53 - 1} {
		for _, author := range peersInOrder(3) {
			for _, hash := range []core.Hash{low, {31: 1}, {0: 0x7f}, {0: 0x80}, high} {
				for _, n := range []int{0, 1, 9, 10, 255} {
					all = append(all, core.PageStamp{Lamport: lamport, Author: author, Hash: hash, N: n})
				}
			}
		}
	}
	return all
}

func testPageMoves(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	stamps := pageStamps()
	var want []core.PageMove
	for i, stamp := range stamps {
		m := core.PageMove{PageStamp: stamp, Entry: int64(i), Page: fmt.Sprint("p", i%7), Kind: core.PageMoveKind(i % 3)}
		if m.Kind != core.PageDeleted {
			m.Parent, m.Position = fmt.Sprint("p", i%3), string([]byte{0, byte(i), 0xff})
		}
		m.Was = core.PagePlace{Parent: fmt.Sprint("was ", i), Position: string([]byte{0xff, 0, byte(i)}), Placed: i%2 == 0, Trashed: i%4 == 0}
		want = append(want, m)
	}
	gone := 100 // it is removed, the ones beside it are not
	f.everywhere(func(tx core.Tx) error {
		for i, m := range slices.Backward(want) {
			if i%5 == 0 { // it is put again
				old := m
				old.Entry, old.Page, old.Kind, old.Parent, old.Position, old.Was = 99, "old", core.PageMoved, "x", "y", core.PagePlace{}
				if err := tx.PutPageMove(s, old); err != nil {
					return err
				}
			}
			if err := tx.PutPageMove(s, m); err != nil {
				return err
			}
		}
		return errors.Join(
			tx.PutPageMove(other, want[gone]), tx.DeletePageMove(s, stamps[gone]), tx.DeletePageMove(s, core.PageStamp{Lamport: 3, Author: peer("0")}),
			tx.DeletePageMove(s+other, stamps[0]))
	}, func(v core.View) error {
		left := slices.Delete(slices.Clone(want), gone, gone+1)
		for i, from := range stamps {
			got, err := v.PageMovesFrom(s, from)
			at := i
			if i > gone {
				at--
			}
			if err := equal(fmt.Sprintf("PageMovesFrom(%+v)", from), got, err, left[at:]); err != nil {
				return err
			}
		}
		after := stamps[len(stamps)-1]
		after.N++
		got, err := v.PageMovesFrom(s, after)
		if err := equal("PageMovesFrom after the last", got, err, nil); err != nil {
			return err
		}
		got, err = v.PageMovesFrom(other, core.PageStamp{Author: peersInOrder(1)[0]})
		return equal("PageMovesFrom of another space", got, err, want[gone:gone+1])
	})
}

func testPageOrigin(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	stamps := pageStamps()
	move := func(i int, page core.DocumentID, kind core.PageMoveKind) core.PageMove {
		return core.PageMove{PageStamp: stamps[i], Entry: int64(i), Page: page, Kind: kind, Position: "a"}
	}
	first := move(4, "p", core.PageMoved)
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.PutPageMove(s, move(9, "p", core.PageMoved)), tx.PutPageMove(s, first), tx.PutPageMove(s, move(0, "p", core.PageMoved)),
			tx.PutPageMove(s, move(1, "p", core.PageReordered)), tx.PutPageMove(s, move(2, "p", core.PageDeleted)),
			tx.PutPageMove(s, move(3, "q", core.PageReordered)), tx.PutPageMove(other, move(3, "p", core.PageMoved)),
			tx.DeletePageMove(s, stamps[0]))
	}, func(v core.View) error {
		got, err := v.PageOrigin(s, "p")
		if err := equal("PageOrigin", got, err, first); err != nil {
			return err
		}
		_, reordered := v.PageOrigin(s, "q")
		_, unknown := v.PageOrigin(other, "q")
		return errors.Join(fails("PageOrigin of what nobody moved", reordered, core.ErrNotFound), fails("PageOrigin of an unknown page", unknown, core.ErrNotFound))
	})
}

func testPagePuts(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	f.everywhere(func(tx core.Tx) error {
		return errors.Join(
			tx.AddPagePut(s, "p", 10), tx.AddPagePut(s, "p", 9), tx.AddPagePut(s, "p", 10), tx.AddPagePut(s, "p", 300),
			tx.AddPagePut(s, "P", 11), tx.AddPagePut(other, "p", 12), tx.AddPagePut(s, "p", 13),
			tx.DeletePagePut(s, "p", 13), tx.DeletePagePut(s, "p", 14), tx.DeletePagePut(s, "q", 9))
	}, func(v core.View) error {
		got, err := v.PagePuts(s, "p")
		if err := equal("PagePuts", got, err, []int64{9, 10, 300}); err != nil {
			return err
		}
		got, err = v.PagePuts(other, "P")
		return equal("PagePuts of an unknown page", got, err, nil)
	})
}

func testPagesReset(_ *testing.T, f *fixture) {
	s, other := f.space("s"), f.space("other")
	stamp := core.PageStamp{Lamport: 1, Author: peer("a"), Hash: hash("a")}
	f.everywhere(func(tx core.Tx) error {
		for _, space := range []int64{s, other} {
			err := errors.Join(
				putPages(tx, page(space, "p", at("", "a"))), tx.AddPagePut(space, "p", 1),
				tx.PutPageMove(space, core.PageMove{PageStamp: stamp, Entry: 1, Page: "p", Position: "a"}))
			if err != nil {
				return err
			}
		}
		return tx.ResetSpace(s)
	}, func(v core.View) error {
		for _, of := range []struct {
			space int64
			rows  int
		}{{s, 0}, {other, 1}} {
			pages, err := v.Pages(of.space, "", 2)
			if err := equal("pages", len(pages), err, of.rows); err != nil {
				return err
			}
			moves, err := v.PageMovesFrom(of.space, stamp)
			if err := equal("moves", len(moves), err, of.rows); err != nil {
				return err
			}
			puts, err := v.PagePuts(of.space, "p")
			if err := equal("puts", len(puts), err, of.rows); err != nil {
				return err
			}
		}
		return nil
	})
}
