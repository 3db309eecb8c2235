package plain

import (
	"cmp"
	"maps"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

// Permits is line 1 as far as it is about the author: whether they may do every op.
func (s *Space) Permits(e *log.Entry) bool {
	if e.IsGenesis() {
		return true
	}
	before := s.Before(e.Hash)
	role := before.Roles[e.Peer]
	if len(e.Ops) == 1 {
		if redeem, ok := e.Ops[0].Body.(log.InviteRedeem); ok {
			f := before.Invites[redeem.Invite]
			return f.Open() || f.Made && !f.Revoked && role != 0
		}
	}
	for _, op := range e.Ops {
		r, ok := log.RangeOf(op.Body.Number())
		if _, unknown := op.Body.(log.UnknownOp); unknown && e.Chain == core.ChainMembership || !ok || !role.Has(r.Needs) {
			return false
		}
	}
	return role != 0
}

// Over is why an entry is over, line 7.
type Over struct {
	Act  log.Act // the cut; zero if what made its author a member has no effect
	Role log.Role
	By   core.PeerID

	purge bool
}

// lost reports whether what made the author a member has no effect.
func (o Over) lost() bool { return o.Act == log.Act{} }

// Over is line 7.
func (s *Space) Over(v *Verdict, x *log.Entry) []Over {
	var over []Over
	for _, d := range v.effective {
		if d.target != x.Peer || !v.Cuts[d.Act] || s.auth[x.Hash][d.Entry] {
			continue
		}
		o := Over{Act: d.Act, By: d.e.Peer}
		var cut []log.CutHead
		switch b := d.body.(type) {
		case log.MemberRole:
			o.Role, cut = b.Role, b.Cut
		case log.MemberRemove:
			o.purge, cut = b.Purge, b.Cut
		case log.MemberLeave:
			cut = b.Cut
		}
		if !o.Role.Has(x.Needs()) && !slices.ContainsFunc(cut, func(h log.CutHead) bool { return s.leadsTo(x, h) }) {
			over = append(over, o)
		}
	}
	var role log.Role
	for _, d := range v.effective {
		if d.target == x.Peer && s.auth[x.Hash][d.Entry] {
			role = d.changes(role)
		}
	}
	if !role.Has(x.Needs()) {
		over = append(over, Over{})
	}
	return over
}

// leadsTo reports whether an entry lies on the chain that ends with a head. A head
// that nobody has is believed.
func (s *Space) leadsTo(x *log.Entry, head log.CutHead) bool {
	if log.WriterIDOf(x.Peer, head.Incarnation) != x.Writer || x.Seq > head.Seq {
		return false
	}
	at := s.Entries[head.Hash]
	if at == nil {
		return true
	}
	if at.Writer != x.Writer || at.Chain != x.Chain || at.Seq != head.Seq {
		return false
	}
	for at.Seq > x.Seq {
		at = s.Entries[at.Prev]
	}
	return at == x
}

// Kept is line 8. It returns why an entry is over, and whether it is kept all the same.
func (s *Space) Kept(v *Verdict, x *log.Entry) (over []Over, kept bool) {
	over = s.Over(v, x)
	for _, o := range over {
		vouched := slices.ContainsFunc(s.Order, func(y *log.Entry) bool {
			return y.Peer != x.Peer && s.content[y.Hash][x.Hash] && s.ignorant(y, x, o) && len(s.Over(v, y)) == 0
		})
		if o.purge || !vouched {
			return over, false
		}
	}
	return over, true
}

// ignorant reports whether an entry does not know why another is over.
func (s *Space) ignorant(y, x *log.Entry, o Over) bool {
	if o.lost() {
		return s.Before(y.Hash).Roles[x.Peer].Has(x.Needs())
	}
	return !s.auth[y.Hash][o.Act.Entry]
}

// Outcome is what became of the content of a space.
type Outcome struct {
	*Verdict
	Over  map[core.Hash][]Over // by content entry that is over
	Void  map[core.Hash]bool
	Name  string
	Docs  map[core.DocumentID]*Doc
	Tree  Tree
	Blobs map[core.Hash]Blob // that the space holds
}

// Doc is a document that somebody wrote to.
type Doc struct {
	Kept, Void []Write
	Hidden     bool
}

// Write is one update of a document.
type Write struct {
	Entry  *log.Entry
	Op     int
	Update []byte
}

// Outcome computes what became of everything.
func (s *Space) Outcome() *Outcome {
	out := &Outcome{Verdict: s.Judge(s.All()), Over: map[core.Hash][]Over{}, Void: map[core.Hash]bool{}, Docs: map[core.DocumentID]*Doc{}}
	for _, e := range s.Order {
		if e.Chain != core.ChainContent {
			continue
		}
		over, kept := s.Kept(out.Verdict, e)
		if len(over) > 0 {
			out.Over[e.Hash] = over
		}
		if !kept {
			out.Void[e.Hash] = true
		}
	}
	out.Name, out.Tree, out.Blobs = s.name(out), s.pages(out), s.blobs(out)
	s.documents(out)
	return out
}

// name is line 11 for the name of the space.
func (s *Space) name(out *Outcome) string {
	names := map[*log.Entry]string{}
	for _, e := range s.Order {
		for _, op := range e.Ops {
			if meta, ok := op.Body.(log.SpaceMeta); ok && !out.Void[e.Hash] {
				names[e] = meta.Name
			}
		}
	}
	return latest(s, names)
}

// documents collects what was written, and which documents a delete hides: one that
// has all updates in its past.
func (s *Space) documents(out *Outcome) {
	deletes := map[core.DocumentID][]Write{}
	for _, e := range s.Order {
		for i, op := range e.Ops {
			switch b := op.Body.(type) {
			case log.DocUpdate:
				d := out.Docs[b.Doc]
				if d == nil {
					d = &Doc{}
					out.Docs[b.Doc] = d
				}
				w := Write{e, i, b.Update}
				if out.Void[e.Hash] {
					d.Void = append(d.Void, w)
				} else {
					d.Kept = append(d.Kept, w)
				}
			case log.DocDelete:
				if !out.Void[e.Hash] {
					deletes[b.Doc] = append(deletes[b.Doc], Write{Entry: e, Op: i})
				}
			}
		}
	}
	for id, d := range out.Docs {
		d.Hidden = len(d.Kept) == 0 || slices.ContainsFunc(deletes[id], func(del Write) bool {
			return !slices.ContainsFunc(d.Kept, func(w Write) bool { return !s.covers(del, w) })
		})
	}
}

func (s *Space) covers(del, w Write) bool {
	if del.Entry == w.Entry {
		return del.Op > w.Op
	}
	return s.content[del.Entry.Hash][w.Entry.Hash]
}

// Ranks returns the members, first added first.
func (v *Verdict) Ranks() []core.PeerID {
	return slices.SortedFunc(maps.Keys(v.Roles), func(a, b core.PeerID) int { return cmp.Compare(v.rank(a), v.rank(b)) })
}
