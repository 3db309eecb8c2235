package yjs_test

import (
	"math/big"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs"
	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// engine lets the conformance suite run this package.
type engine struct{}

func (engine) NewDoc() yjstest.Doc {
	return &liveDoc{Doc: yjs.NewDoc(yjs.Options{Live: true})}
}

func (engine) Merge(updates ...[]byte) ([]byte, error)    { return yjs.Merge(updates...) }
func (engine) Diff(update, vector []byte) ([]byte, error) { return yjs.Diff(update, vector) }
func (engine) StateVector(update []byte) ([]byte, error)  { return yjs.StateVector(update) }
func (engine) Validate(update []byte) error               { return yjs.Validate(update) }
func (engine) Compact(updates ...[]byte) ([]byte, error)  { return yjs.Compact(updates...) }

// liveDoc is a Doc with the roots that the suite declared.
type liveDoc struct {
	*yjs.Doc
	declared []*yjs.Type
}

var kinds = map[yjstest.Kind]yjs.Kind{
	yjstest.KindText:        yjs.KindText,
	yjstest.KindArray:       yjs.KindArray,
	yjstest.KindMap:         yjs.KindMap,
	yjstest.KindXMLFragment: yjs.KindXMLFragment,
	yjstest.KindXMLElement:  yjs.KindXMLElement,
	yjstest.KindXMLText:     yjs.KindXMLText,
}

func (d *liveDoc) Declare(name string, kind yjstest.Kind) {
	t, err := d.Doc.Declare(name, kinds[kind])
	if err != nil {
		panic(err)
	}
	d.declared = append(d.declared, t)
}

func (d *liveDoc) Pending() bool { return d.HasPending() }

func (d *liveDoc) Content() (map[string]any, error) {
	content := map[string]any{}
	for _, t := range d.declared {
		content[t.Name()] = exported(t)
	}
	return content, nil
}

func (d *liveDoc) JSON() (map[string]any, error) {
	content := map[string]any{}
	for _, t := range d.declared {
		v, err := t.ToJSON()
		if err != nil {
			return nil, err
		}
		content[t.Name()] = exported(v)
	}
	return content, nil
}

// exported translates a value or a type to the suite's types.
func exported(v any) any {
	switch v := v.(type) {
	case yjs.Undefined:
		return yjstest.Undefined{}
	case yjs.BigInt:
		return big.NewInt(int64(v))
	case yjs.Object:
		return yjstest.Object(pairs(v))
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = exported(e)
		}
		return out
	case yjs.Subdoc:
		return yjstest.Subdoc{GUID: v.GUID, Options: pairs(v.Options)}
	case *yjs.Type:
		return exportedType(v)
	}
	return v
}

func pairs(o yjs.Object) []yjstest.Pair {
	out := make([]yjstest.Pair, len(o))
	for i, m := range o {
		out[i] = yjstest.Pair{Key: m.Key, Value: exported(m.Value)}
	}
	return out
}

func exportedType(t *yjs.Type) any {
	switch t.Kind() {
	case yjs.KindText, yjs.KindXMLText:
		text := yjstest.Text{XML: t.Kind() == yjs.KindXMLText, Attributes: pairs(t.Entries())}
		for _, piece := range t.Delta() {
			insert := yjstest.Insert{Value: exported(piece.Value)}
			switch piece.Value.(type) {
			case string, *yjs.Type:
			default:
				insert.Value = yjstest.Embed{Value: insert.Value}
			}
			if piece.Attributes != nil {
				insert.Attributes = pairs(piece.Attributes)
			}
			text.Delta = append(text.Delta, insert)
		}
		return text
	case yjs.KindMap:
		return yjstest.Map{Entries: pairs(t.Entries())}
	case yjs.KindXMLFragment:
		return yjstest.XMLFragment{Children: exported(t.Values()).([]any)}
	case yjs.KindXMLElement:
		return yjstest.XMLElement{Name: t.NodeName(), Attributes: pairs(t.Entries()), Children: exported(t.Values()).([]any)}
	case yjs.KindXMLHook:
		return yjstest.XMLHook{Name: t.Name(), Entries: pairs(t.Entries())}
	default:
		return yjstest.Array{Items: exported(t.Values()).([]any)}
	}
}

// TestFixtures replays the committed sessions. They were recorded from yjs.
func TestFixtures(t *testing.T) {
	sessions, err := yjstest.Fixtures("yjstest/testdata/sessions-*.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	yjstest.Run(t, engine{}, sessions)
}
