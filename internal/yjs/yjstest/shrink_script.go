package yjstest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ShrinkScript looks for the fewest acts of a session's clients after which an engine
// that edits and real yjs differ, and describes them. It returns "" if no such
// difference is found.
func (v *Verifier) ShrinkScript(e EditingEngine, s *Session) string {
	acts := actsOf(s)
	differs := func(acts []event) bool {
		_, differs := v.replay(e, s, acts)
		return differs
	}
	if !differs(acts) {
		return ""
	}
	acts = fewest(acts, differs)
	for i := range acts {
		ops := acts[i].step.Do
		if len(ops) < 2 {
			continue
		}
		acts[i].step.Do = fewest(ops, func(ops []Op) bool {
			smaller := slices.Clone(acts)
			smaller[i].step.Do = ops
			return differs(smaller)
		})
	}
	story, _ := v.replay(e, s, fewest(acts, differs))
	return story
}

// event is a step of a script, with the place in it. What it receives is named by the act
// that made it, because that makes something else when others are left out.
type event struct {
	at   int
	step Step
	from *source
}

// source names one of the updates that an act of the script made.
type source struct{ act, update int }

func actsOf(s *Session) []event {
	made := make(map[string]source)
	acts := make([]event, len(s.Script))
	for i, step := range s.Script {
		acts[i] = event{at: i, step: step}
		if step.Apply != nil {
			if from, ok := made[string(step.Apply)]; ok {
				acts[i].from = &from
			}
		}
		for n, update := range slices.Concat(step.Out, step.Announced) {
			if _, ok := made[string(update)]; !ok {
				made[string(update)] = source{i, n}
			}
		}
	}
	return acts
}

var errImpossible = errors.New("impossible act")

// replay plays acts in both engines and reports whether they differ. Acts that cannot be
// without others are no difference.
func (v *Verifier) replay(e EditingEngine, s *Session, acts []event) (story string, differs bool) {
	var b strings.Builder
	r := replay{v: v, e: e, s: s, made: make(map[source][]byte), peers: make(map[int]*Peer), clients: make(map[int]Client)}
	defer r.close()
	for _, a := range acts {
		fmt.Fprintf(&b, "  %s", a.step.what())
		err := r.play(&b, a)
		b.WriteByte('\n')
		if errors.Is(err, errImpossible) {
			return b.String(), false
		}
		if err != nil {
			fmt.Fprintf(&b, "  %v\n", err)
			return b.String(), true
		}
	}
	return b.String(), false
}

type replay struct {
	v       *Verifier
	e       EditingEngine
	s       *Session
	made    map[source][]byte
	peers   map[int]*Peer
	clients map[int]Client
}

func (r *replay) close() {
	for _, p := range r.peers {
		_ = p.Close() // the process is asked again by whoever needs it
	}
}

func (r *replay) play(b *strings.Builder, a event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	c, p, err := r.client(a.step.Client)
	if err != nil {
		return err
	}
	if a.from != nil {
		if a.step.Apply = r.made[*a.from]; a.step.Apply == nil {
			return nil
		}
		fmt.Fprintf(b, " %x", a.step.Apply)
	}
	want, err := judgeAct(p, a.step)
	if err != nil {
		return fmt.Errorf("%w: %w", errImpossible, err)
	}
	for n, update := range slices.Concat(want.Emitted, want.Announced) {
		r.made[source{a.at, n}] = update
	}
	fmt.Fprintf(b, ", yjs emits %x", want.Emitted)
	got, err := act(c, a.step)
	if err != nil { // most of all ErrRange, where yjs does something else
		return fmt.Errorf("%w: %w", errImpossible, err)
	}
	a.step.Out, a.step.Announced = want.Emitted, want.Announced
	if err := compareEmitted(c, a.step, got); err != nil {
		return err
	}
	return r.compare(c, p, a)
}

// compare compares what both hold. To read declares what should stay undeclared.
func (r *replay) compare(c Client, p *Peer, a event) error {
	if r.s.Late {
		update, err := p.Encode([]byte{0})
		if err != nil {
			return err
		}
		state, err := c.Encode(nil)
		if err != nil {
			return err
		}
		if !bytes.Equal(state, update) {
			return fmt.Errorf("state is %x, want %x", state, update)
		}
		return nil
	}
	reading, err := p.Read()
	if err != nil {
		return err
	}
	return compareEnd(c, r.s, End{State{a.at, reading.Update, reading.StateVector, reading.Pending}, reading.Content, reading.JSON})
}

func (r *replay) client(n int) (Client, *Peer, error) {
	if r.clients[n] != nil {
		return r.clients[n], r.peers[n], nil
	}
	p, err := r.v.Open(r.s.Clients[n], r.s.Roots, r.s.Late)
	if err != nil {
		return nil, nil, err
	}
	c, err := r.e.NewClient(r.s.Clients[n], r.s.Roots, r.s.Undo)
	if err != nil {
		return nil, nil, err
	}
	if !r.s.Late {
		declare(c, r.s)
	}
	r.clients[n], r.peers[n] = c, p
	return c, p, nil
}

func judgeAct(p *Peer, step Step) (Changes, error) {
	switch {
	case step.Do != nil:
		return p.Do(step.Do)
	case step.Apply != nil:
		return p.Apply(step.Apply)
	case step.Declare != nil:
		return p.Declare(step.Declare.Name)
	case step.Sync != nil:
		update, err := p.Encode(step.Sync)
		return Changes{Emitted: [][]byte{update}}, err
	}
	return Changes{}, errors.New("undo managers are not replayed")
}
