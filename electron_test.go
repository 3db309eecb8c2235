package soma_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/soma-sdk/soma"
)

func importElectron(t *testing.T, db *soma.DB, config string) []string {
	t.Helper()
	report, err := db.Collections().ImportElectronStore(t.Context(), strings.NewReader(config))
	if err != nil {
		t.Fatalf("ImportElectronStore = %v", err)
	}
	var all []string
	for _, c := range report {
		line := fmt.Sprintf("%s: %d imported, %d existing", c.Name, c.Imported, c.Existing)
		for _, row := range c.Refused {
			line += fmt.Sprintf(", %q refused", row.Key)
			if row.Err == nil {
				t.Errorf("%s: no reason", line)
			}
		}
		if c.Err != nil {
			line += fmt.Sprintf(", %v", c.Err)
		}
		all = append(all, line)
	}
	return all
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s = %q, want %q", what, got, want)
	}
}

func quoted(value string) string {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestImportElectronStore(t *testing.T) {
	db, _ := openAt(t)
	put(t, db, "rows", "had", `{"mine":1}`, theTime)
	del(t, db, "rows", "had", theTime)
	put(t, db, "rows", "there", `{"mine":1}`, 1)
	config := `{
		"other": {"reactDb": {"no": "{}"}}, "window": [1, 2],
		"reactDb": {
			"rows": ` + quoted(rows(
		`s:z v1 {"updatedAtMs":1600000000000,"n":1.0}`, `s:there v2 {}`, `s:had v3 {}`, `n:5 v4 {"updatedAtMs":1.6e12}`,
		`bare v5 {"updatedAtMs":"soon"}`, `s:ahead v6 {"updatedAtMs":9000000000000}`, `s:half v7 {"updatedAtMs":1.5}`,
		`s:bad v8 7`, `n:x v9 {}`, `s:z v10 {}`)) + `,
			"object": {"s:a": {"versionKey": "o1", "data": { "x" : 1 }}},
			"empty": "{}", "nothing": {},
			"app": {"tabs": ` + quoted(rows(`s:t t1 {}`)) + `, "deep": {"er": ` + rows(`s:d d1 {}`) + `}},
			"dot.ted": ` + rows(`s:e e1 {}`) + `,
			"torn": "{\"s:a\":", "null": null, "list": "[]", "bad\u0007": "{}", "\ud800": "{}",
			"draftMailbox": "{}", "uploadJobs": ` + rows(`s:u u1 {"id":"u"}`) + `, "pages": "{}", "documents": ` + rows(`s:x x1 {}`) + `
		},
		"reactDb.flat": ` + quoted(rows(`s:f f1 {}`)) + `
	}`
	got := importElectron(t, db, config)
	reserved := func(name string) string {
		return fmt.Sprintf("%s: 0 imported, 0 existing, collection name %q: %v", name, name, soma.ErrReservedCollection)
	}
	wantLines(t, "ImportElectronStore", got,
		`rows: 5 imported, 2 existing, "bad" refused, "n:x" refused, "z" refused`,
		"object: 1 imported, 0 existing", "empty: 0 imported, 0 existing", "nothing: 0 imported, 0 existing",
		"app.tabs: 1 imported, 0 existing", "app.deep.er: 1 imported, 0 existing", "dot.ted: 1 imported, 0 existing",
		"torn: 0 imported, 0 existing, the text ends at byte 7: soma: invalid JSON",
		"null: 0 imported, 0 existing, the value is neither a string nor an object: soma: invalid storage snapshot",
		"list: 0 imported, 0 existing, it is no object: soma: invalid storage snapshot",
		"bad\x07: 0 imported, 0 existing, collection name has an unprintable character at byte 3: soma: invalid identifier",
		got[11], "draftMailbox: 0 imported, 0 existing", `uploadJobs: 0 imported, 0 existing, "u" refused`, reserved("pages"), reserved("documents"),
		"flat: 1 imported, 0 existing")
	if !strings.Contains(got[11], soma.ErrInvalidID.Error()) {
		t.Errorf("half a pair as a name: %s", got[11])
	}
	wantList(t, db, "rows", `there={"mine":1}@1`,
		`z={"updatedAtMs":1600000000000,"n":1.0}@1600000000000`, soma.NumberKey(5)+`={"updatedAtMs":1.6e12}@1600000000000`,
		fmt.Sprintf(`bare={"updatedAtMs":"soon"}@%d`, theTime), fmt.Sprintf(`ahead={"updatedAtMs":9000000000000}@%d`, theTime),
		fmt.Sprintf(`half={"updatedAtMs":1.5}@%d`, theTime))
	wantList(t, db, "object", fmt.Sprintf(`a={"x":1}@%d`, theTime))
	if s := string(storageOf(t, db).Value); !strings.Contains(s, `"n:5":{"versionKey":"v4","data":{"updatedAtMs":1.6e12}}`) {
		t.Errorf("Snapshot = %s", s)
	}
	before := storageOf(t, db)
	again := importElectron(t, db, config)
	wantLines(t, "a second import", again[:2], `rows: 0 imported, 7 existing, "bad" refused, "n:x" refused, "z" refused`, "object: 0 imported, 1 existing")
	if after := storageOf(t, db); after.Seq != before.Seq || string(after.Value) != string(before.Value) {
		t.Errorf("a second import changed %s to %s", before.Value, after.Value)
	}
}

func TestImportElectronStoreRules(t *testing.T) {
	db, _ := openAt(t)
	soma.NewCollection[soma.Tab](db, "rows", soma.WithKeyOf(func(t soma.Tab) string { return t.ID }), soma.WithMaxRecords(2), soma.WithTTL(time.Hour))
	if err := db.Collections().Clear(t.Context(), "rows", theTime-1000); err != nil {
		t.Fatal(err)
	}
	report, err := db.Collections().ImportElectronStore(t.Context(), strings.NewReader(`{"reactDb":{"rows":`+quoted(rows(
		`s:a v1 {"id":"a"}`, `s:b v2 {"id":"x"}`, `s:old v3 {"id":"old","updatedAtMs":5}`, `s:c v4 {"id":"c"}`, `s:d v5 {"id":"d"}`))+`}}`))
	if err != nil || len(report) != 1 || report[0].Imported != 2 || len(report[0].Refused) != 3 {
		t.Fatalf("ImportElectronStore = %+v, %v", report, err)
	}
	for i, want := range []struct {
		key string
		err error
	}{{"b", soma.ErrInvalidRecord}, {"old", soma.ErrInvalidRecord}, {"d", soma.ErrCollectionFull}} {
		if got := report[0].Refused[i]; got.Key != want.key || !errors.Is(got.Err, want.err) {
			t.Errorf("refused %q: %v, want %q: %v", got.Key, got.Err, want.key, want.err)
		}
	}
}

func TestImportElectronStoreRefuses(t *testing.T) {
	db, _ := openAt(t)
	good := `{"reactDb":{"rows":` + quoted(rows(`s:a v1 {}`)) + `}}`
	for name, test := range map[string]struct {
		config io.Reader
		want   error
	}{
		"empty":     {strings.NewReader(``), soma.ErrInvalidJSON},
		"half":      {strings.NewReader(good[:len(good)-2]), soma.ErrInvalidJSON},
		"encrypted": {strings.NewReader("\x8f\x01\xff\x00:abc"), soma.ErrInvalidJSON},
		"more":      {strings.NewReader(good + "x"), soma.ErrInvalidJSON},
		"array":     {strings.NewReader(`[]`), soma.ErrInvalidSnapshot},
		"no map":    {strings.NewReader(`{"reactDb":"{}"}`), soma.ErrInvalidSnapshot},
		"late":      {strings.NewReader(good[:len(good)-1] + `,"z":{"a":tru}}`), soma.ErrInvalidJSON},
		"too large": {io.MultiReader(strings.NewReader(good), zeros{}), soma.ErrTooLarge},
		"unread":    {iotest.ErrReader(io.ErrClosedPipe), io.ErrClosedPipe},
	} {
		report, err := db.Collections().ImportElectronStore(t.Context(), test.config)
		if !errors.Is(err, test.want) || len(report) != 0 {
			t.Errorf("%s: ImportElectronStore = %+v, %v, want %v", name, report, err, test.want)
		}
	}
	wantList(t, db, "rows")
	wantLines(t, "no map at all", importElectron(t, db, `{"a":{"reactDb":1}}`))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Collections().ImportElectronStore(t.Context(), strings.NewReader(good)); !errors.Is(err, soma.ErrClosed) {
		t.Errorf("ImportElectronStore after Close = %v", err)
	}
}

// zeros is a file without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
