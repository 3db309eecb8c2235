package yjs_test

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// NewClient lets the conformance suite edit.
func (engine) NewClient(id uint64, _ []yjstest.Root, undo bool) (yjstest.Client, error) {
	if undo {
		return nil, yjstest.ErrNotOffered
	}
	return newEditor(id), nil
}

// editor is a document that is edited by the suite's operations.
type editor struct {
	liveDoc
	emitted   [][]byte
	announced [][]byte
	observed  []yjstest.Observation
	receiving bool
}

func newEditor(id uint64) *editor {
	e := &editor{liveDoc: liveDoc{Doc: yjs.NewDoc(yjs.Options{Live: true, ClientID: id})}}
	e.OnUpdate(func(emission yjs.Emission) {
		if emission.Local {
			e.emitted = append(e.emitted, emission.Update)
		} else {
			e.announced = append(e.announced, emission.Update)
		}
	})
	return e
}

func (e *editor) Undo() error    { return yjstest.ErrNotOffered }
func (e *editor) Redo() error    { return yjstest.ErrNotOffered }
func (e *editor) StopCapturing() {}

func (e *editor) Emitted() [][]byte {
	out := e.emitted
	e.emitted = nil
	return out
}

func (e *editor) Announced() [][]byte {
	out := e.announced
	e.announced = nil
	return out
}

func (e *editor) Watch() {
	for _, root := range e.declared {
		root.ObserveDeep(func(events []*yjs.Event) {
			if e.receiving && events[0].Local {
				return // the clean-up, which node/events.mjs leaves out too
			}
			list := make([]any, len(events))
			for i, event := range events {
				list[i] = exportedEvent(event)
			}
			e.observed = append(e.observed, yjstest.Observation{Root: root.Name(), Events: list})
		})
	}
}

// Apply implements yjstest.Doc.
func (e *editor) Apply(update []byte) error {
	e.receiving = true
	defer func() { e.receiving = false }()
	return e.liveDoc.Apply(update)
}

func (e *editor) Observed() ([]yjstest.Observation, error) {
	calls := e.observed
	e.observed = nil
	return calls, nil
}

// exportedEvent describes an event as node/events.mjs does.
func exportedEvent(e *yjs.Event) yjstest.Object {
	path := []any{}
	for _, step := range e.Path() {
		if index, ok := step.(uint64); ok {
			step = float64(index)
		}
		path = append(path, step)
	}
	changes := e.Keys()
	slices.SortFunc(changes, func(a, b yjs.KeyChange) int { return yjs.CompareUTF16(a.Key, b.Key) })
	keys := []any{}
	for _, change := range changes {
		entry := []any{change.Key, string(change.Action)}
		if change.Action != yjs.KeyAdded {
			entry = append(entry, exportedOld(change.OldValue))
		}
		keys = append(keys, entry)
	}
	delta := []any{}
	for _, op := range e.Delta() {
		delta = append(delta, exportedStep(op))
	}
	return yjstest.Object{{Key: "path", Value: path}, {Key: "keys", Value: keys}, {Key: "delta", Value: delta}}
}

// exportedOld says of a deleted type only that it was there.
func exportedOld(v any) any {
	t, ok := v.(*yjs.Type)
	if !ok {
		return exported(v)
	}
	for name, kind := range kinds {
		if kind == t.Kind() {
			return yjstest.Object{{Key: "gone", Value: string(name)}}
		}
	}
	return yjstest.Object{{Key: "gone", Value: "xmlhook"}}
}

func exportedStep(op yjs.DeltaOp) yjstest.Object {
	var step yjstest.Object
	switch {
	case op.Insert != nil:
		step = yjstest.Object{{Key: "insert", Value: exported(op.Insert)}}
	case op.Retain > 0:
		step = yjstest.Object{{Key: "retain", Value: float64(op.Retain)}}
	default:
		step = yjstest.Object{{Key: "delete", Value: float64(op.Delete)}}
	}
	if op.Attributes == nil {
		return step
	}
	sorted := slices.Clone(op.Attributes)
	slices.SortFunc(sorted, func(a, b yjs.Member) int { return yjs.CompareUTF16(a.Key, b.Key) })
	attributes := []any{}
	for _, m := range sorted {
		attributes = append(attributes, []any{m.Key, exported(m.Value)})
	}
	return append(step, yjstest.Pair{Key: "attributes", Value: attributes})
}

func (e *editor) Do(ops []yjstest.Op) error {
	return e.Transact(func(tx *yjs.Transaction) error {
		for _, op := range ops {
			if err := do(tx, op); err != nil {
				return fmt.Errorf("%+v: %w", op, err)
			}
		}
		return nil
	})
}

func do(tx *yjs.Transaction, op yjstest.Op) error {
	t, err := at(tx.Doc(), op.Path)
	if err != nil {
		return err
	}
	values, err := imports(op.Values)
	if err != nil {
		return err
	}
	value, err := imported(op.Value)
	if err != nil {
		return err
	}
	attributes, err := members(op.Attributes)
	if err != nil {
		return err
	}
	index, length := uint64(op.Index), uint64(op.Length)
	switch op.Name {
	case "insert":
		return t.InsertText(tx, index, value.(string), attributes)
	case "embed":
		return t.InsertEmbed(tx, index, value, attributes)
	case "delete", "del":
		return t.Delete(tx, index, length)
	case "format":
		return t.Format(tx, index, length, attributes)
	case "delta":
		delta, err := deltaOf(op.Delta)
		if err != nil {
			return err
		}
		return t.ApplyDelta(tx, delta)
	case "attr", "set":
		return t.Set(tx, op.Key, value)
	case "unattr", "unset":
		return t.Unset(tx, op.Key)
	case "clear":
		return t.Clear(tx)
	case "ins":
		return t.Insert(tx, index, values...)
	case "unshift":
		return t.Insert(tx, 0, values...)
	case "push":
		return t.Push(tx, values...)
	case "after":
		var child *yjs.Type
		if index > 0 {
			child = t.Values()[index-1].(*yjs.Type)
		}
		return t.InsertAfter(tx, child, values...)
	}
	return fmt.Errorf("unknown operation %q", op.Name)
}

// at finds the type that a path of the suite names.
func at(d *yjs.Doc, path []yjstest.PathStep) (*yjs.Type, error) {
	t := d.Root(path[0].Key)
	for _, step := range path[1:] {
		var v any
		switch step.Kind {
		case yjstest.StepKey:
			v, _ = t.Get(step.Key)
		case yjstest.StepIndex:
			v = t.Values()[step.Index]
		case yjstest.StepType:
			n := 0
			for _, piece := range t.Delta() {
				if _, ok := piece.Value.(*yjs.Type); !ok {
					continue
				}
				if n == step.Index {
					v = piece.Value
				}
				n++
			}
		}
		nested, ok := v.(*yjs.Type)
		if !ok {
			return nil, fmt.Errorf("no type at %v", path)
		}
		t = nested
	}
	return t, nil
}

func deltaOf(steps []yjstest.DeltaOp) ([]yjs.DeltaOp, error) {
	delta := make([]yjs.DeltaOp, len(steps))
	for i, step := range steps {
		delta[i] = yjs.DeltaOp{Retain: uint64(step.Retain), Delete: uint64(step.Delete)}
		var err error
		if delta[i].Insert, err = imported(step.Insert); err != nil {
			return nil, err
		}
		if delta[i].Attributes, err = members(step.Attributes); err != nil {
			return nil, err
		}
	}
	return delta, nil
}

// imported translates a value of the suite to what operations take: exported backwards.
func imported(v any) (any, error) {
	switch v := v.(type) {
	case yjstest.Undefined:
		return yjs.Undefined{}, nil
	case *big.Int: // of which yjs writes 64 bits
		return yjs.BigInt(new(big.Int).And(v, new(big.Int).SetUint64(1<<64-1)).Uint64()), nil
	case yjstest.Object:
		return members(v)
	case []any:
		return imports(v)
	case yjstest.Embed:
		return imported(v.Value)
	case yjstest.Subdoc:
		return subdoc(v)
	case yjstest.Array:
		values, err := imports(v.Items)
		if err != nil {
			return nil, err
		}
		return yjs.NewArray(values...)
	case yjstest.Map:
		entries, err := members(v.Entries)
		if err != nil {
			return nil, err
		}
		return yjs.NewMap(entries)
	case yjstest.Text:
		return newText(v)
	case yjstest.XMLElement:
		t, err := yjs.NewXMLElement(v.Name)
		if err != nil {
			return nil, err
		}
		return withContent(t, v.Attributes, v.Children)
	case yjstest.XMLHook:
		t, err := yjs.NewXMLHook(v.Name)
		if err != nil {
			return nil, err
		}
		return withContent(t, v.Entries, nil)
	}
	return v, nil
}

func imports(list []any) ([]any, error) {
	out := make([]any, len(list))
	for i, v := range list {
		var err error
		if out[i], err = imported(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// members keeps nil apart from an empty list: attributes that are not given.
func members(pairs []yjstest.Pair) (yjs.Object, error) {
	if pairs == nil {
		return nil, nil
	}
	o := yjs.Object{}
	for _, p := range pairs {
		v, err := imported(p.Value)
		if err != nil {
			return nil, err
		}
		o = append(o, yjs.Member{Key: p.Key, Value: v})
	}
	return o, nil
}

// subdoc leaves out what says nothing, as the constructor of Y.Doc does.
func subdoc(v yjstest.Subdoc) (yjs.Subdoc, error) {
	options, err := members(v.Options)
	if err != nil {
		return yjs.Subdoc{}, err
	}
	doc := yjs.Subdoc{GUID: v.GUID}
	for _, m := range options {
		if m.Value != nil && m.Value != (yjs.Undefined{}) {
			doc.Options = append(doc.Options, m)
		}
	}
	return doc, nil
}

func newText(v yjstest.Text) (*yjs.Type, error) {
	make := yjs.NewText
	if v.XML {
		make = yjs.NewXMLText
	}
	t, err := make("")
	if err != nil {
		return nil, err
	}
	if t, err = withContent(t, v.Attributes, nil); err != nil || len(v.Delta) == 0 {
		return t, err
	}
	var steps []yjstest.DeltaOp
	for _, piece := range v.Delta {
		steps = append(steps, yjstest.DeltaOp{Insert: piece.Value, Attributes: piece.Attributes})
	}
	delta, err := deltaOf(steps)
	if err != nil {
		return nil, err
	}
	return t, t.ApplyDelta(nil, delta)
}

// withContent sets what a free-standing type holds.
func withContent(t *yjs.Type, entries []yjstest.Pair, children []any) (*yjs.Type, error) {
	for _, p := range entries {
		v, err := imported(p.Value)
		if err != nil {
			return nil, err
		}
		if err := t.Set(nil, p.Key, v); err != nil {
			return nil, err
		}
	}
	if len(children) == 0 {
		return t, nil
	}
	values, err := imports(children)
	if err != nil {
		return nil, err
	}
	return t, t.Insert(nil, 0, values...)
}
