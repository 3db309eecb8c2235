package sim

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/yjs"
)

// villain is a member who signs entries without a replica: on whatever past, with
// whatever in them. Some do no harm, and vouch for those who do.
type villain struct {
	key          ed25519.PrivateKey
	peer         core.PeerID
	name         string
	incarnations []core.Incarnation
	own          []*log.Entry
	clients      uint64
}

func (w *world) addVillain() *villain {
	n := len(w.villains)
	name := fmt.Sprint("villain ", n)
	key := keyOf(w.conf.Seed, name)
	v := &villain{key: key, peer: peerOf(key), name: name, clients: uint64(100_000 * (n + 1))}
	for i := range 2 {
		hash := core.Entry{Header: fmt.Appendf(nil, "%s %d", name, i)}.Hash()
		v.incarnations = append(v.incarnations, core.Incarnation(hash[:16]))
	}
	w.villains = append(w.villains, v)
	return v
}

// name names a peer.
func (w *world) name(peer core.PeerID) string {
	for _, v := range w.villains {
		if v.peer == peer {
			return v.name
		}
	}
	for _, s := range w.sites {
		if s.peer == peer {
			return s.String()
		}
	}
	return "nobody"
}

// draft is an entry in the making.
type draft struct {
	log.Header
	ops []log.Op
}

// past is what an entry in the making knows.
type past struct {
	auth, deps []core.Hash
	fork       bool // it follows an earlier entry than the last one of its writer
}

// draft begins an entry of a chain, on a past to which what deps know is added.
func (w *world) draft(r *rand.Rand, v *villain, chain core.Chain, p past) (*draft, error) {
	genesis, err := w.space.Hash()
	if err != nil {
		return nil, err
	}
	d := &draft{Header: log.Header{
		Space: genesis, Incarnation: pick(r, v.incarnations[:1+r.IntN(2)]), Chain: chain, Seq: 1,
		WallMs: []uint64{startMs, startMs + uint64(r.IntN(1_000_000)), 0, log.MaxCounter}[r.IntN(4)],
	}}
	mine := w.writtenBy(v, d.Incarnation, chain)
	if p.fork && len(mine) > 0 {
		mine = mine[:r.IntN(len(mine))]
	}
	var base, cited []core.Hash
	if len(mine) > 0 {
		prev := mine[len(mine)-1]
		d.Seq, d.Prev, base = prev.Seq+1, prev.Hash, w.ledger.ancestors[prev.Hash].AuthSet
		if chain == core.ChainMembership {
			base = []core.Hash{prev.Hash}
		}
		cited = append(cited, prev.Hash)
	}
	auth := p.auth
	for _, hash := range p.deps {
		if w.ledger.entries[hash].Writer != log.WriterIDOf(v.peer, d.Incarnation) {
			d.Deps = append(d.Deps, hash)
			auth = slices.Concat(auth, w.ledger.ancestors[hash].AuthSet)
		}
	}
	slices.SortFunc(d.Deps, compareHashes)
	d.Deps = slices.Compact(d.Deps)
	if d.Auth, err = log.NewAuth(w.ledger, base, auth); err != nil {
		return nil, err
	}
	for _, hash := range slices.Concat(cited, d.Auth, d.Deps) {
		d.Lamport = max(d.Lamport, w.ledger.ancestors[hash].Lamport)
	}
	d.Lamport++
	return d, nil
}

// writtenBy returns the admissible entries of a chain.
func (w *world) writtenBy(v *villain, incarnation core.Incarnation, chain core.Chain) []*log.Entry {
	var mine []*log.Entry
	for _, e := range v.own {
		if e.Incarnation == incarnation && e.Chain == chain {
			mine = append(mine, e)
		}
	}
	return mine
}

// pickPast returns what an entry of a chain knows: all, something old, or hardly anything.
func (w *world) pickPast(r *rand.Rand, chain core.Chain) past {
	p := past{auth: w.pickAuth(r)}
	if chain == core.ChainContent {
		p.deps = w.pickDeps(r)
	}
	return p
}

// pickAuth returns what an entry knows of membership: all, or something old.
func (w *world) pickAuth(r *rand.Rand) []core.Hash {
	if r.IntN(3) == 0 {
		return w.ledger.heads(core.ChainMembership)
	}
	known := w.ledger.chains[core.ChainMembership]
	return []core.Hash{pick(r, known).Hash, known[min(len(known)-1, r.IntN(8))].Hash}
}

// pickDeps returns what an entry builds upon: all, something, or nothing.
func (w *world) pickDeps(r *rand.Rand) []core.Hash {
	known := w.ledger.chains[core.ChainContent]
	switch r.IntN(4) {
	case 0:
		return w.ledger.heads(core.ChainContent)
	case 1:
		return []core.Hash{pick(r, known).Hash}
	case 2:
		return []core.Hash{pick(r, known).Hash, known[len(known)-1].Hash}
	}
	return nil
}

// op adds an op.
func (d *draft) op(r *rand.Rand, body log.Body) {
	var id log.OpID
	for i := range id {
		id[i] = byte(r.UintN(256))
	}
	d.ops = append(d.ops, log.Op{ID: id, Body: body})
}

// sign signs a draft and puts it where others can get it. What is not admissible goes
// out too: everybody must refuse it.
func (w *world) sign(v *villain, d *draft) (*log.Entry, error) {
	e, err := log.Seal(v.key, d.Header, d.ops)
	if isRejected(err) {
		return nil, nil //nolint:nilnil // what cannot even be encoded
	}
	if err != nil {
		return nil, err
	}
	switch err := w.ledger.add(e); {
	case isWaiting(err):
		w.waits[e.Hash] = true
		w.stash = append(w.stash, e)
	case isRejected(err):
		w.refuse(e.Raw)
	case err != nil:
		return nil, err
	default:
		v.own = append(v.own, e)
		w.stash = append(w.stash, e)
	}
	w.tell("%s signs %s: chain %d seq %d, %s, %v", v.name, e.Hash, e.Chain, e.Seq, describe(e), err)
	return e, nil
}

// refuse puts an entry out that everybody must refuse.
func (w *world) refuse(raw core.Entry) { w.invalid[keyOfLetter(raw)] = raw }

func describe(e *log.Entry) string {
	var out []string
	for _, op := range e.Ops {
		out = append(out, op.Body.Number().String())
	}
	return fmt.Sprint(out)
}

// forge has a villain sign an entry on some past, and posts something.
func (w *world) forge(r *rand.Rand, chain core.Chain, fill func(v *villain, d *draft)) error {
	v := pick(r, w.villains)
	if v == nil {
		return nil
	}
	d, err := w.draft(r, v, chain, w.pickPast(r, chain))
	if err != nil {
		return err
	}
	fill(v, d)
	if _, err := w.sign(v, d); err != nil {
		return err
	}
	return w.post(r)
}

func (w *world) forgeContent(r *rand.Rand) error {
	return w.forge(r, core.ChainContent, func(v *villain, d *draft) {
		for range 1 + r.IntN(2) {
			d.op(r, w.forgedContent(r, v))
		}
	})
}

func (w *world) forgedContent(r *rand.Rand, v *villain) log.Body {
	switch r.IntN(8) {
	case 0, 1:
		return w.forgedPage(r)
	case 2:
		return forgedBlob(r)
	}
	doc := pickDoc(r)
	switch r.IntN(8) {
	case 0:
		return log.DocDelete{Doc: doc}
	case 1:
		return log.SpaceMeta{Name: fmt.Sprint("forged ", r.IntN(100))}
	case 2:
		if units := w.units[doc]; len(units) > 0 {
			id := pick(r, units)
			return log.DocUpdate{Doc: doc, Update: erased(span{id.Client, id.Clock, id.Clock + 1})}
		}
	}
	// Where one unit alone is named, what is beside it decides the rest.
	var left *yjs.ID
	if units := w.units[doc]; len(units) > 0 && r.IntN(4) > 0 {
		left = new(pick(r, units))
	}
	text := pickText(r)
	v.clients++
	w.wrote(doc, span{v.clients, 0, uint64(len(text))})
	return log.DocUpdate{Doc: doc, Update: typed(yjs.ID{Client: v.clients}, left, nil, text)}
}

func (w *world) forgeAct(r *rand.Rand) error {
	return w.forge(r, core.ChainMembership, func(v *villain, d *draft) {
		if r.IntN(5) == 0 && len(w.tickets) > 0 {
			d.op(r, log.Redeem(pick(r, w.tickets).Key(), d.Space, v.peer, log.KindBot))
			return
		}
		for range 1 + r.IntN(2) {
			d.op(r, w.forgedAct(r))
		}
	})
}

func (w *world) forgedAct(r *rand.Rand) log.Body {
	peer := pick(r, w.peers())
	switch r.IntN(10) {
	case 0, 1:
		return log.MemberAdd{Peer: peer, Role: pickRole(r), Kind: log.KindDevice}
	case 2, 3:
		return log.MemberRole{Peer: peer, Role: pickRole(r), Cut: w.forgedCut(r, peer)}
	case 4, 5, 6:
		return log.MemberRemove{Peer: peer, Purge: r.IntN(3) == 0, Cut: w.forgedCut(r, peer)}
	case 7:
		return log.MemberLeave{}
	case 8:
		if len(w.tickets) > 0 {
			return log.InviteRevoke{Invite: pick(r, w.tickets).Invite()}
		}
	}
	return log.MemberAck{Peer: peer}
}

// standBy lets somebody say that they stand by one of some sites, and all of these know.
func (w *world) standBy(r *rand.Rand, sites []*site) error {
	v := pick(r, w.villains)
	if v == nil {
		return nil
	}
	d, err := w.draft(r, v, core.ChainMembership, past{auth: w.ledger.heads(core.ChainMembership)})
	if err != nil {
		return err
	}
	d.op(r, log.MemberAck{Peer: pick(r, sites).peer})
	if _, err := w.sign(v, d); err != nil {
		return err
	}
	for _, s := range sites {
		if err := w.deliver(s, w.everything()); err != nil {
			return err
		}
	}
	return nil
}

// forgedCut names some entries of a member, and at times what is none of theirs.
func (w *world) forgedCut(r *rand.Rand, peer core.PeerID) []log.CutHead {
	var cut []log.CutHead
	for _, e := range w.ledger.chains[core.ChainContent] {
		if (e.Peer == peer || r.IntN(20) == 0) && r.IntN(3) == 0 {
			cut = append(cut, log.CutHead{Incarnation: e.Incarnation, Seq: e.Seq, Hash: e.Hash})
		}
	}
	slices.SortFunc(cut, func(a, b log.CutHead) int {
		if c := bytes.Compare(a.Incarnation[:], b.Incarnation[:]); c != 0 {
			return c
		}
		return bytes.Compare(a.Hash[:], b.Hash[:])
	})
	return cut
}

// fork signs another entry at a seq that has one.
func (w *world) fork(r *rand.Rand) error {
	v := pick(r, w.villains)
	if v == nil {
		return nil
	}
	chain := pick(r, []core.Chain{core.ChainMembership, core.ChainContent, core.ChainContent})
	p := w.pickPast(r, chain)
	p.fork = true
	d, err := w.draft(r, v, chain, p)
	if err != nil {
		return err
	}
	if chain == core.ChainContent {
		d.op(r, w.forgedContent(r, v))
	} else {
		d.op(r, w.forgedAct(r))
	}
	_, err = w.sign(v, d)
	return err
}

// collude lets several act together, each on what the one before did and on nothing
// newer than they like: to bring each other in, and to keep what others void.
func (w *world) collude(r *rand.Rand) error {
	if len(w.villains) < 2 {
		return nil
	}
	p := past{auth: w.pickAuth(r)}
	at := r.IntN(len(w.villains))
	for range 2 + r.IntN(3) {
		v, next := w.villains[at], (at+1)%len(w.villains)
		chain := core.Chain(r.IntN(2))
		d, err := w.draft(r, v, chain, p)
		if err != nil {
			return err
		}
		switch {
		case chain == core.ChainContent:
			d.op(r, w.forgedContent(r, v))
		case r.IntN(2) == 0:
			d.op(r, log.MemberAdd{Peer: w.villains[next].peer, Role: log.RoleOwner, Kind: log.KindDevice})
		default:
			d.op(r, w.forgedAct(r))
		}
		e, err := w.sign(v, d)
		if err != nil {
			return err
		}
		if e != nil && w.ledger.entries[e.Hash] != nil {
			if chain == core.ChainContent {
				p.deps = []core.Hash{e.Hash}
			} else {
				p.auth = []core.Hash{e.Hash}
			}
			at = next
		}
	}
	return w.post(r)
}

// flood signs many entries.
func (w *world) flood(r *rand.Rand) error {
	for range 12 {
		if err := w.forgeContent(r); err != nil {
			return err
		}
	}
	return nil
}

// withhold signs entries whose past nobody ever gets.
func (w *world) withhold(r *rand.Rand) error {
	v := pick(r, w.villains)
	if v == nil {
		return nil
	}
	d, err := w.draft(r, v, core.ChainContent, w.pickPast(r, core.ChainContent))
	if err != nil {
		return err
	}
	d.op(r, w.forgedContent(r, v))
	first, err := log.Seal(v.key, d.Header, d.ops)
	if err != nil {
		return err
	}
	w.secret[first.Hash] = true
	for range 3 {
		d.Seq, d.Prev, d.Auth, d.Deps, d.ops = d.Seq+1, first.Hash, nil, nil, nil
		d.Lamport++
		d.op(r, w.forgedContent(r, v))
		if first, err = log.Seal(v.key, d.Header, d.ops); err != nil {
			return err
		}
		w.stash = append(w.stash, first)
	}
	return nil
}

// forgeUnknown signs an op of a later version.
func (w *world) forgeUnknown(r *rand.Rand) error {
	v := pick(r, w.villains)
	if v == nil {
		return nil
	}
	// An act of an owner stops the acts of all others, so most are of the other ranges.
	number := []log.OpNumber{150, 150, 150, 90, 180, 50, 50, 25}[r.IntN(8)]
	known, _ := log.RangeOf(number)
	d, err := w.draft(r, v, known.Chain, w.pickPast(r, known.Chain))
	if err != nil {
		return err
	}
	d.op(r, log.UnknownOp{Op: number, Raw: []byte("\x81\x01")})
	_, err = w.sign(v, d)
	return err
}

// forgeInvalid signs, or damages, what breaks a rule.
func (w *world) forgeInvalid(r *rand.Rand) error {
	v := pick(r, w.villains)
	if v == nil {
		return nil
	}
	chain := core.Chain(r.IntN(2))
	d, err := w.draft(r, v, chain, w.pickPast(r, chain))
	if err != nil {
		return err
	}
	broken := *d
	switch r.IntN(8) {
	case 0:
		broken.Lamport += uint64(1 + r.IntN(1000))
	case 1:
		broken.Lamport = log.MaxCounter
	case 2:
		broken.Auth = nil
		broken.Seq, broken.Prev = 2, pick(r, w.ledger.chains[d.Chain]).Hash
		broken.Lamport = 1
	case 3:
		broken.Deps = nil
		broken.Auth = append(broken.Auth, w.ledger.chains[core.ChainMembership][0].Hash)
		slices.SortFunc(broken.Auth, func(a, b core.Hash) int { return bytes.Compare(a[:], b[:]) })
		broken.Auth = slices.Compact(broken.Auth)
		broken.Lamport--
	case 4, 5, 6, 7:
		return w.damage(r, v)
	}
	e, err := log.Seal(v.key, broken.Header, broken.ops)
	if err != nil {
		return nil //nolint:nilerr // it cannot even be encoded
	}
	if _, err := log.Admit(e, w.ledger); isRejected(err) {
		w.refuse(e.Raw)
	}
	return nil
}

// damage puts out a good entry with something wrong in its bytes.
func (w *world) damage(r *rand.Rand, v *villain) error {
	raw := pick(r, w.ledger.chains[r.IntN(2)]).Raw
	switch r.IntN(4) {
	case 0:
		raw.Sig = flip(r, raw.Sig)
	case 1:
		raw.Ops = flip(r, raw.Ops)
	case 2:
		raw.Header = flip(r, raw.Header)
	case 3:
		d, err := w.draft(r, v, core.ChainContent, w.pickPast(r, core.ChainContent))
		if err != nil {
			return err
		}
		d.op(r, log.DocUpdate{Doc: pickDoc(r), Update: []byte{1, 1, 1}})
		e, err := log.Seal(v.key, d.Header, d.ops)
		if err != nil {
			return err
		}
		raw = e.Raw
	}
	w.refuse(raw)
	return nil
}

func flip(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	return b
}

// post brings some of what hostile members signed to a site, valid or not. An
// accomplice does it for one who is removed.
func (w *world) post(r *rand.Rand) error {
	to := pick(r, w.sites)
	var letters []core.Entry
	for _, e := range w.stash {
		if r.IntN(4) > 0 {
			letters = append(letters, e.Raw)
		}
	}
	letters = append(lose(r, letters), w.invalidLetters()...)
	return w.deliver(to, letters)
}

func (w *world) invalidLetters() []core.Entry {
	var all []core.Entry
	for _, raw := range w.invalid {
		all = append(all, raw)
	}
	slices.SortFunc(all, func(a, b core.Entry) int { return bytes.Compare(a.Header, b.Header) })
	return all
}

// claim signs content under a clientID of somebody else, at clocks that are written
// already or not.
func (w *world) claim(r *rand.Rand) error {
	if len(w.notes) == 0 {
		return nil
	}
	return w.forge(r, core.ChainContent, func(_ *villain, d *draft) {
		n := pick(r, w.notes)
		id := yjs.ID{Client: n.at.client, Clock: n.at.clock}
		switch r.IntN(3) {
		case 0:
			id.Clock = n.at.end
		case 1:
			id = yjs.ID{Client: id.Client + 1} // the next one of that site
		}
		w.stolen[id.Client] = true
		d.op(r, log.DocUpdate{Doc: n.doc, Update: typed(id, nil, nil, pickText(r))})
	})
}

// preDelete signs deletions of what is not written yet, or not known to the entry.
func (w *world) preDelete(r *rand.Rand) error {
	if len(w.notes) == 0 {
		return nil
	}
	return w.forge(r, core.ChainContent, func(_ *villain, d *draft) {
		n := pick(r, w.notes)
		d.op(r, log.DocUpdate{Doc: n.doc, Update: erased(span{n.at.client, n.at.clock, n.at.end + []uint64{0, 20, 1 << 40}[r.IntN(3)]})})
	})
}
