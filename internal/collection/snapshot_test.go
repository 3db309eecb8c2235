package collection_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

var snapshotTexts = []string{
	`{}`, ` { } `, `null`, `[]`, `{"s:a":{"versionKey":"v1","data":{"x":1.0}}}`, `{"s:a":{"data":[],"versionKey":"\u0076"},"n:5":{"versionKey":"w","data":{}}}`,
	`{"bare":{"versionKey":"v","data":{}},"s:bare":{"versionKey":"w","data":{}}}`, `{"s:a":{}}`, `{"s:a":5}`, `{"s:a":{"versionKey":"","data":{}}}`,
	`{"s:\ud800":{"versionKey":"v","data":{}}}`, `{"n:1e999":{"versionKey":"v","data":{}},"n:-0":{"versionKey":"v","data":{}}}`,
	`{"s:a":{"versionKey":"v","data":{"y":"\ud83d\ude00\ud800"},"z":1}}`, `{"s:a":{"versionKey":"v","data":{}},}`, `{"s:a":{"versionKey":"v","data":{}}`,
}

// FuzzSnapshot reads texts as snapshots: what is one can be written again, and is the same.
func FuzzSnapshot(f *testing.F) {
	for _, text := range snapshotTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, refused, err := collection.ReadSnapshot(text)
		if valid := json.Valid(text) && utf8.Valid(text); valid == errors.Is(err, core.ErrInvalidJSON) {
			t.Fatalf("ReadSnapshot(%q) = %v, JSON: %t", text, err, valid)
		}
		if err != nil {
			return
		}
		var plain map[string]json.RawMessage
		if err := json.Unmarshal(text, &plain); err != nil || len(plain) > len(rows)+len(refused) {
			t.Fatalf("ReadSnapshot(%q) has %d rows and %d faults, want %d; %v", text, len(rows), len(refused), len(plain), err)
		}
		again := []byte{'{'}
		for _, row := range rows {
			again = collection.AppendRow(again, row)
		}
		again = append(again, '}')
		if !json.Valid(again) {
			t.Fatalf("%q is written as %q", text, again)
		}
		read, refused, err := collection.ReadSnapshot(again)
		if err != nil || len(refused) > 0 || !slices.Equal(read, rows) {
			t.Fatalf("%q is written as %q, which is %q, %v, %v", text, again, read, refused, err)
		}
	})
}

func FuzzElectronStore(f *testing.F) {
	f.Add([]byte(`{"reactDb":{"tabs":"{}","app":{"x":"{\"s:a\":{\"versionKey\":\"v\",\"data\":{}}}","y":{"z":{}}},"o":{"s:a":{"versionKey":"v","data":{}}}}}`))
	f.Add([]byte(`{"reactDb.a":"{}","reactDb":[]}`))
	f.Add([]byte(`{"reactDb":{"":{"":{"":""}},"\ud800":1,"a":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := collection.ReadElectronStore(text)
		switch {
		case err == nil && !json.Valid(text):
			t.Fatalf("ReadElectronStore(%q) takes what is no JSON", text)
		case err != nil && !errors.Is(err, core.ErrInvalidJSON) && !errors.Is(err, core.ErrInvalidSnapshot):
			t.Fatalf("ReadElectronStore(%q) = %v", text, err)
		case err == nil && len(s.Collections()) > len(text):
			t.Fatalf("ReadElectronStore(%q) = %q", text, s.Collections())
		}
	})
}

// TestStoredKey has what String(n) and Number(text) are in JavaScript.
func TestStoredKey(t *testing.T) {
	for name, want := range map[string]string{
		"s:a": "s:a", "a": "s:a", "s:s:a": "s:s:a", "s:n:5": "s:n:5", "5": "s:5", "x:y": "s:x:y", "s:é😀": "s:é😀",
		"n:5": "n:5", "n:5.0": "n:5", "n:-0": "n:0", "n:0.5": "n:0.5", "n:1e21": "n:1e+21", "n:1e20": "n:100000000000000000000",
		"n:1e-7": "n:1e-7", "n:0.000001": "n:0.000001", "n:123456789012345680000": "n:123456789012345680000", "n:1e999": "n:Infinity",
		"n:Infinity": "n:Infinity", "n:-Infinity": "n:-Infinity", "n:NaN": "n:NaN", "n:5e-324": "n:5e-324",
		"n:1.7976931348623157e308": "n:1.7976931348623157e+308", "n:0.1": "n:0.1", "n:-2.5e-10": "n:-2.5e-10",
	} {
		if got, err := collection.StoredKey(name); got != want || err != nil {
			t.Errorf("StoredKey(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "s:", "n:", "n:x", "n: 5", "s:\x00a", "\x005", "s:\xff", "n:1_0"} {
		if got, err := collection.StoredKey(name); !errors.Is(err, core.ErrInvalidID) {
			t.Errorf("StoredKey(%q) = %q, %v, want ErrInvalidID", name, got, err)
		}
	}
}
