package storagetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

func fixed(ms int64) func() time.Time {
	return func() time.Time { return time.UnixMilli(ms) }
}

// TestLiveElectronStore imports what the real packages have written.
func TestLiveElectronStore(t *testing.T) {
	needNode(t)
	dir := t.TempDir()
	cmd := exec.Command("node", "electron.mjs", dir)
	cmd.Dir = nodeDir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("electron.mjs: %v\n%s", err, out)
	}
	const now = int64(1_700_000_000_000)
	tabs := []string{
		"b " + `{"id":"b","title":"Zwölf \"€\" <b>","updatedAtMs":1600000000000} 1600000000000`,
		"a " + fmt.Sprintf(`{"id":"a","title":"no time"} %d`, now), "n:7 " + fmt.Sprintf(`{"id":"n:7","title":"a string"} %d`, now),
	}
	numbers := []string{
		soma.NumberKey(7) + fmt.Sprintf(` {"id":7,"half":0.5} %d`, now), soma.NumberKey(-0.25) + fmt.Sprintf(` {"id":-0.25,"half":1} %d`, now),
	}
	for file, names := range map[string][]string{
		"path.json": {"tabs", "numbers", "app.tabs", "app.escaped", "object"},
		"flat.json": {"tabs", "numbers", "app.tabs"},
	} {
		db := somatest.Open(t, soma.WithClock(fixed(now))).Collections()
		f, err := os.Open(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		report, err := db.ImportElectronStore(t.Context(), f)
		f.Close()
		if err != nil || len(report) != len(names) {
			t.Fatalf("%s: ImportElectronStore = %+v, %v, want %q", file, report, err, names)
		}
		for i, name := range names {
			want := tabs
			if name == "numbers" {
				want = numbers
			}
			if got := report[i]; got.Name != name || got.Imported != len(want) || got.Existing > 0 || len(got.Refused) > 0 || got.Err != nil {
				t.Errorf("%s: %+v, want %d rows of %s", file, got, len(want), name)
			}
			var got []string
			for rec, err := range db.List(t.Context(), name) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %s %d", rec.Key, rec.Value, rec.UpdatedAtMs))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has %q, want %q", file, name, got, want)
			}
		}
	}
}
