package yjs_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

// TestRecording loads the session of the quickstart and finds the page that yjs found.
func TestRecording(t *testing.T) {
	const folder = "../../examples/quickstart/"
	data, err := os.ReadFile(folder + "session.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Updates     int
		StateVector []byte
		State       []byte
		Content     map[string]yjstest.Tagged
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(folder + "session.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	doc := engine{}.NewDoc()
	var updates [][]byte
	for lines := json.NewDecoder(z); ; {
		var line struct{ Update []byte }
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Apply(line.Update); err != nil {
			t.Fatalf("apply update %d: %v", len(updates), err)
		}
		updates = append(updates, line.Update)
	}
	if len(updates) != want.Updates {
		t.Fatalf("the recording has %d updates, want %d", len(updates), want.Updates)
	}
	state, err := doc.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(state) != string(want.State) || string(doc.StateVector()) != string(want.StateVector) {
		t.Error("the document encodes otherwise than in yjs")
	}
	compacted, err := engine{}.Compact(updates...)
	if err != nil {
		t.Fatal(err)
	}
	reloaded := engine{}.NewDoc()
	if err := reloaded.Apply(compacted); err != nil {
		t.Fatal(err)
	}
	content := make(map[string]any, len(want.Content))
	for name, v := range want.Content {
		content[name] = v.Value
	}
	expected, err := yjstest.CanonicalRoots(content)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]yjstest.Doc{"applied": doc, "compacted": reloaded} {
		d.Declare("blockOrder", yjstest.KindArray)
		d.Declare("blockMeta", yjstest.KindMap)
		d.Declare("blockContents", yjstest.KindMap)
		roots, err := d.Content()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := yjstest.CanonicalRoots(roots); err != nil || got != expected {
			t.Errorf("%s: content = %s, %v, want %s", name, got, err, expected)
		}
	}
}
