package shape_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/shape"
	"github.com/soma-sdk/soma/internal/yjs"
)

const (
	fixtures = "testdata/documents-*.jsonl.gz"
	nodeDir  = "shapetest/node"
)

// document is what a real editor wrote, and what it says of it.
type document struct {
	Family    shape.Shape
	Seed      uint32
	Variant   string
	Root      string
	Detected  bool // the shape, and not only the root, can be told from the content
	Separator string
	Text      string
	JSON      any
	// EditorJSON is the JSON that the editor has in memory, with its defaults; JSON is
	// then what its binding makes of the document.
	EditorJSON any
	Update     []byte
	Summary    *struct {
		Played  int
		Dropped map[string]int
	}
}

func (d *document) String() string { return fmt.Sprintf("%s/%d %s", d.Family, d.Seed, d.Variant) }

// readDocuments gives each document of a stream to f, and returns its summary.
func readDocuments(r io.Reader, f func(*document)) (*document, error) {
	lines := json.NewDecoder(bufio.NewReaderSize(r, 1<<20))
	for {
		var d document
		if err := lines.Decode(&d); err == io.EOF {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if d.Summary != nil {
			return &d, nil
		}
		f(&d)
	}
}

// TestEditors reads the documents that real editors wrote, see shapetest/node.
func TestEditors(t *testing.T) {
	files, err := filepath.Glob(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 7 {
		t.Fatalf("%s matches %d files, want one for each of the 7 editors", fixtures, len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			count := 0
			if _, err := readDocuments(unpacked(t, file), func(d *document) {
				count++
				checkDocument(t, d)
			}); err != nil {
				t.Fatal(err)
			}
			if count == 0 {
				t.Error("no document")
			}
		})
	}
}

func unpacked(t testing.TB, name string) io.Reader {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func checkDocument(t *testing.T, d *document) {
	t.Helper()
	doc, err := yjs.Load(yjs.Options{}, d.Update)
	if err != nil {
		t.Errorf("%s: %v", d, err)
		return
	}
	from := shape.Source{Root: d.Root, Shape: d.Family}
	root, detected := shape.Detect(doc)
	if r := doc.Root(d.Root); r == nil || r.Len() == 0 {
		d.Detected = false // nothing says whose it is
	}
	if d.Detected && (root != d.Root || detected != d.Family) {
		t.Errorf("%s: Detect = %q, %s, want %q", d, root, detected, d.Root)
	}
	for _, from := range []shape.Source{from, {}} {
		if from == (shape.Source{}) && !d.Detected {
			continue
		}
		if got, err := shape.Text(doc, from, d.Separator); err != nil || got != d.Text {
			t.Errorf("%s: Text from %q = %q, %v, want %q", d, from.Shape, got, err, d.Text)
		}
	}
	const mark = "\x00"
	if got, err := shape.Text(doc, from, mark); err != nil || strings.ReplaceAll(got, mark, d.Separator) != d.Text {
		t.Errorf("%s: Text with another separator = %q, %v, want %q between blocks", d, got, err, d.Separator)
	}
	if got, err := shape.Title(doc, from); err != nil || !isTitle(got, d.Text) {
		t.Errorf("%s: Title = %q, %v of %q", d, got, err, d.Text)
	}
	body, err := shape.JSON(doc, from)
	if err != nil {
		t.Errorf("%s: JSON: %v", d, err)
		return
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Errorf("%s: JSON: %v in %s", d, err, body)
		return
	}
	if !reflect.DeepEqual(got, d.JSON) {
		t.Errorf("%s: JSON differs: %s", d, difference("", got, d.JSON))
	}
	if d.EditorJSON != nil {
		if got, want := withoutDefaults(got), withoutDefaults(d.EditorJSON); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: JSON differs from the editor's: %s", d, difference("", got, want))
		}
	}
}

// isTitle is what a title must be, said in another way than the reader does it.
func isTitle(title, text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			return title == line || strings.HasPrefix(line, title) && len([]rune(title)) > shape.MaxTitleRunes-20
		}
	}
	return title == ""
}

// withoutDefaults is the JSON of a ProseMirror editor without what it has from its
// schema: attributes that are null, the order of marks, and text with the same marks as
// the text before it, which an editor joins (a format that ends where the same one
// begins is in the Yjs document, and so in yDocToProsemirrorJSON). Of other JSON it is
// the same.
func withoutDefaults(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, 0, len(v))
		for i := range v {
			next := withoutDefaults(v[i])
			if len(out) > 0 && joinText(out[len(out)-1], next) {
				continue
			}
			out = append(out, next)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			value = withoutDefaults(value)
			switch key {
			case "attrs":
				attrs, ok := value.(map[string]any)
				if !ok {
					break
				}
				for key := range attrs {
					if attrs[key] == nil {
						delete(attrs, key)
					}
				}
				if len(attrs) == 0 {
					continue
				}
			case "marks":
				if marks, ok := value.([]any); ok {
					slices.SortFunc(marks, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
				}
			case "content":
				if content, ok := value.([]any); ok && len(content) == 0 {
					continue
				}
			}
			out[key] = value
		}
		return out
	}
	return v
}

// joinText appends the text of b to that of a, if both are text and else the same.
func joinText(a, b any) bool {
	before, _ := a.(map[string]any)
	after, _ := b.(map[string]any)
	start, isText := before["text"].(string)
	rest, bothText := after["text"].(string)
	if !isText || !bothText || before["type"] != "text" {
		return false
	}
	other := maps.Clone(after)
	other["text"] = start
	if !reflect.DeepEqual(before, other) {
		return false
	}
	before["text"] = start + rest
	return true
}

// difference says where two values first differ.
func difference(at string, got, want any) string {
	switch g := got.(type) {
	case []any:
		if w, ok := want.([]any); ok {
			for i := range min(len(g), len(w)) {
				if d := difference(fmt.Sprintf("%s[%d]", at, i), g[i], w[i]); d != "" {
					return d
				}
			}
			if len(g) == len(w) {
				return ""
			}
		}
	case map[string]any:
		if w, ok := want.(map[string]any); ok {
			for key := range w {
				if d := difference(at+"."+key, g[key], w[key]); d != "" {
					return d
				}
			}
			if len(g) == len(w) {
				return ""
			}
		}
	default:
		if reflect.DeepEqual(got, want) {
			return ""
		}
	}
	return fmt.Sprintf("%s is %.600s, want %.600s", at, marshalled(got), marshalled(want))
}

func marshalled(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestLive has the real editors write fresh documents, and compares. SOMA_SHAPE_LIVE is
// how many; SOMA_SHAPE_SEED and SOMA_SHAPE_FAMILY repeat some of them.
func TestLive(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("SOMA_SHAPE_LIVE"))
	if err != nil || count == 0 {
		t.Skip("SOMA_SHAPE_LIVE does not say how many documents to make")
	}
	needNode(t)
	seed := uint64(rand.Uint32())
	if s := os.Getenv("SOMA_SHAPE_SEED"); s != "" {
		if seed, err = strconv.ParseUint(s, 10, 32); err != nil {
			t.Fatalf("SOMA_SHAPE_SEED: %v", err)
		}
	}
	args := []string{"live.mjs", "--count", strconv.Itoa(count), "--seed", strconv.FormatUint(seed, 10)}
	if family := os.Getenv("SOMA_SHAPE_FAMILY"); family != "" {
		args = append(args, "--family", family)
	}
	t.Logf("%d documents from seed %d", count, seed)
	summary := runNode(t, args, func(d *document) { checkDocument(t, d) })
	if summary == nil {
		t.Fatal("node ended before its summary")
	}
	dropped := 0
	for reason, n := range summary.Summary.Dropped {
		t.Logf("%d dropped, an editor threw: %s", n, reason)
		dropped += n
	}
	t.Logf("%d documents compared", summary.Summary.Played)
	if summary.Summary.Played == 0 || dropped > count/10+3 {
		t.Errorf("%d of %d documents were dropped", dropped, count)
	}
}

// TestLiveFixtures makes the committed fixtures again: they must be what the generator
// makes.
func TestLiveFixtures(t *testing.T) {
	if os.Getenv("SOMA_SHAPE_LIVE") == "" {
		t.Skip("SOMA_SHAPE_LIVE is not set")
	}
	needNode(t)
	dir := t.TempDir()
	cmd := exec.Command("node", "generate.mjs", "--out", dir)
	cmd.Dir = nodeDir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("generate: %v\n%s", err, out)
	}
	committed, err := filepath.Glob(fixtures)
	if err != nil || len(committed) == 0 {
		t.Fatalf("%s matches %d files, %v", fixtures, len(committed), err)
	}
	for _, name := range committed {
		want, err := io.ReadAll(unpacked(t, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(unpacked(t, filepath.Join(dir, filepath.Base(name))))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes", name)
		}
	}
}

func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("real editors need node: %v", err)
	}
	if _, err := os.Stat(filepath.Join(nodeDir, "node_modules", "yjs")); err != nil {
		t.Skipf("real editors are not installed (npm ci): %v", err)
	}
}

// runNode runs a script and gives each document that it prints to f.
func runNode(t *testing.T, args []string, f func(*document)) *document {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = nodeDir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	summary, err := readDocuments(out, f)
	if err != nil {
		cancel()
	}
	if waitErr := cmd.Wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		t.Fatalf("node: %v\n%.4000s", err, stderr.Bytes())
	}
	return summary
}
