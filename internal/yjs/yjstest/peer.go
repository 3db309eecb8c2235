package yjstest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Peer is a Y.Doc in the process of a Verifier, which edits under a client ID of its
// own.
type Peer struct {
	v *Verifier
	n int
}

// Changes are the updates that a document emitted, and those that announce what
// received updates brought.
type Changes struct{ Emitted, Announced [][]byte }

// Open makes a Y.Doc. With late, its roots are not declared. The caller closes it.
func (v *Verifier) Open(client uint64, roots []Root, late bool) (*Peer, error) {
	v.mu.Lock()
	v.peers++
	p := &Peer{v, v.peers}
	v.mu.Unlock()
	_, err := v.ask(struct {
		Open   int             `json:"open"`
		Client uint64          `json:"client"`
		Roots  map[string]Kind `json:"roots"`
		Late   bool            `json:"late"`
	}{p.n, client, kindsOf(roots), late})
	return p, err
}

// Close drops the document.
func (p *Peer) Close() error {
	_, err := p.v.ask(struct {
		Close int `json:"close"`
	}{p.n})
	return err
}

// peerRequest is a request to one document. What is not asked for is left out.
type peerRequest struct {
	Doc     int               `json:"doc"`
	Do      []json.RawMessage `json:"do,omitempty"`
	Edit    string            `json:"edit,omitempty"`
	Seed    uint32            `json:"seed,omitempty"`
	Apply   string            `json:"apply,omitempty"`
	Declare string            `json:"declare,omitempty"`
	Sync    string            `json:"sync,omitempty"`
}

func (p *Peer) change(r peerRequest) (Changes, error) {
	r.Doc = p.n
	a, err := p.v.ask(r)
	if err != nil {
		return Changes{}, err
	}
	emitted, err := unhexes(a.Out)
	if err != nil {
		return Changes{}, err
	}
	announced, err := unhexes(a.Re)
	return Changes{emitted, announced}, err
}

// Do performs recorded operations in one transaction.
func (p *Peer) Do(ops []Op) (Changes, error) {
	r := peerRequest{Do: make([]json.RawMessage, len(ops))}
	for i, op := range ops {
		if op.raw == nil {
			return Changes{}, fmt.Errorf("ask yjs: operation %+v was not recorded", op)
		}
		r.Do[i] = op.raw
	}
	return p.change(r)
}

// Edit performs random operations of a family in one transaction.
func (p *Peer) Edit(family string, seed uint32) (Changes, error) {
	return p.change(peerRequest{Edit: family, Seed: seed})
}

// Apply is Y.applyUpdate.
func (p *Peer) Apply(update []byte) (Changes, error) {
	return p.change(peerRequest{Apply: hex.EncodeToString(update)})
}

// Declare fixes the type of a root.
func (p *Peer) Declare(root string) (Changes, error) { return p.change(peerRequest{Declare: root}) }

// Encode is Y.encodeStateAsUpdate for a state vector.
func (p *Peer) Encode(vector []byte) ([]byte, error) {
	a, err := p.v.ask(peerRequest{Doc: p.n, Sync: hex.EncodeToString(vector)})
	if err != nil {
		return nil, err
	}
	update, err := hex.DecodeString(a.Update)
	if err != nil {
		return nil, fmt.Errorf("ask yjs: %w", err)
	}
	return update, nil
}

// Read returns what the document holds, and declares its roots before that.
func (p *Peer) Read() (*Reading, error) {
	a, err := p.v.ask(peerRequest{Doc: p.n})
	if err != nil {
		return nil, err
	}
	return a.reading()
}
