package yjstest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/yjs/yjstest"
)

const fixtures = "testdata/sessions-*.jsonl.gz"

func readFixtures(t *testing.T) []*yjstest.Session {
	t.Helper()
	sessions, err := yjstest.Fixtures(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	return sessions
}

func TestFixturesAreComplete(t *testing.T) {
	families := make(map[string]int)
	undo, watched := 0, 0
	for _, s := range readFixtures(t) {
		families[s.Family]++
		if len(s.Script) == 0 || len(s.Ends) == 0 {
			t.Errorf("session %s/%d: %d steps, %d ends", s.Family, s.Seed, len(s.Script), len(s.Ends))
		}
		if s.Undo {
			undo++
		}
		if s.Watched {
			watched++
		}
		if s.Family == "markers" || s.Family == "latemarkers" {
			continue // only a script
		}
		if len(s.Updates) == 0 || len(s.Merges) != 4 || len(s.Diffs) == 0 || len(s.Encodes) == 0 {
			t.Errorf("session %s/%d: %d updates, %d merges, %d diffs, %d encodes", s.Family, s.Seed,
				len(s.Updates), len(s.Merges), len(s.Diffs), len(s.Encodes))
		}
		if len(s.Content) != len(s.Roots) || len(s.JSON) != len(s.Roots) {
			t.Errorf("session %s/%d: content of %d roots, JSON of %d, want %d", s.Family, s.Seed, len(s.Content), len(s.JSON), len(s.Roots))
		}
	}
	for name, least := range map[string]int{
		"text": 20, "richtext": 20, "emoji": 20, "embeds": 20, "map": 20, "keys": 20, "array": 20, "values": 20,
		"nested": 20, "xml": 20, "xmltext": 20, "undo": 20, "subdocs": 20, "legacy": 20, "mixed": 20,
		"objects": 20, "burst": 20, "late": 20, "events": 20, "markers": 5, "latemarkers": 5,
	} {
		if families[name] < least {
			t.Errorf("family %s has %d sessions, want at least %d", name, families[name], least)
		}
	}
	if undo == 0 || watched == 0 {
		t.Errorf("%d sessions with undo managers, %d with observers, want some", undo, watched)
	}
}

func TestFixturesAreSmall(t *testing.T) {
	files, err := filepath.Glob(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size == 0 || size > 3<<20 {
		t.Errorf("fixtures have %d bytes, want 1 to %d", size, 3<<20)
	}
}

func TestFixturesWithoutMatch(t *testing.T) {
	if _, err := yjstest.Fixtures("testdata/no-such-*.jsonl.gz"); err == nil {
		t.Error("a glob that matches nothing gave no error")
	}
}

func TestCanonicalRoundTrip(t *testing.T) {
	for _, s := range readFixtures(t) {
		text, err := yjstest.CanonicalRoots(s.Content)
		if err != nil {
			t.Fatalf("session %s/%d: %v", s.Family, s.Seed, err)
		}
		var back yjstest.Tagged
		if err := back.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatalf("session %s/%d: %v", s.Family, s.Seed, err)
		}
		again, err := yjstest.Canonical(back.Value)
		if err != nil {
			t.Fatalf("session %s/%d: %v", s.Family, s.Seed, err)
		}
		if again != text {
			t.Fatalf("session %s/%d: canonical form is not stable:\n%s\n%s", s.Family, s.Seed, text, again)
		}
	}
}

func TestCanonical(t *testing.T) {
	bold := []yjstest.Pair{{Key: "bold", Value: true}}
	for _, test := range []struct {
		name  string
		value any
		want  string
	}{
		{"joined strings", yjstest.Text{Delta: []yjstest.Insert{
			{Value: "a", Attributes: bold}, {Value: "b", Attributes: bold}, {Value: "c"},
		}}, `{"$":"text","d":[["ab",[["bold",true]]],["c"]]}`},
		{"map order", yjstest.Map{Entries: []yjstest.Pair{{Key: "b", Value: 1.0}, {Key: "a", Value: 0.5}}}, `{"$":"map","v":[["a",0.5],["b",1]]}`},
		{"object order", yjstest.Object{{Key: "b"}, {Key: "a"}}, `{"$":"object","v":[["b",null],["a",null]]}`},
		{"half a pair", "x\xed\xa0\xbd", `{"$":"utf16","v":"0078d83d"}`},
		{"two halves", "\xed\xa0\xbd\xed\xb8\x80", `"😀"`},
	} {
		got, err := yjstest.Canonical(test.value)
		if err != nil || got != test.want {
			t.Errorf("%s: Canonical = %s, %v, want %s", test.name, got, err, test.want)
		}
	}
	if _, err := yjstest.Canonical(struct{}{}); err == nil {
		t.Error("Canonical took a value that no document holds")
	}
}

func TestReadStream(t *testing.T) {
	if _, err := yjstest.Read(strings.NewReader("{}x\n"), func(*yjstest.Session) bool { return true }); err == nil {
		t.Error("Read took a broken record")
	}
	summary, err := yjstest.Read(bytes.NewReader([]byte(`{"summary":{"played":2,"dropped":{"why":1}}}`+"\n")), nil)
	if err != nil || summary == nil || summary.Played != 2 || summary.Dropped["why"] != 1 {
		t.Errorf("Read = %+v, %v, want a summary of 2", summary, err)
	}
}
