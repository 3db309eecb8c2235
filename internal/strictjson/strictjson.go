// Package strictjson reads JSON objects of which every field is known: what
// encoding/json would overlook is an error here.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxInteger is the greatest number that Integer returns: JavaScript's
// Number.MAX_SAFE_INTEGER.
const MaxInteger = 1<<53 - 1

// Fields is what an object held, by name.
type Fields map[string]bool

// Object calls field with each field of the JSON object in data, in order, and returns
// the names of all. An error of field ends it. It refuses bytes that are not UTF-8, what
// is not one JSON object, data after it, and a field that is repeated. Field names are
// case-sensitive.
func Object(data []byte, field func(name string, raw json.RawMessage) error) (Fields, error) {
	// After these two checks the token stream below cannot fail on syntax, and
	// nothing follows the first value.
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	if !json.Valid(data) {
		return nil, errors.New("not one JSON value")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	seen := Fields{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // an object key is always a string
		if seen[name] {
			return nil, fmt.Errorf("field %q is repeated", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		if err := field(name, raw); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// String reads a value that has to be a string of whole characters.
func String(name string, raw json.RawMessage) (string, error) {
	if raw[0] != '"' {
		return "", fmt.Errorf("%s is not a string", name)
	}
	if hasLoneSurrogate(raw) { // encoding/json would turn it into U+FFFD: another text
		return "", fmt.Errorf("%s has half a surrogate pair", name)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// Integer reads a value that has to be a plain integer from 0 to MaxInteger. 1.0, 1e3
// and -0 are refused: JSON.stringify writes none of them, and one spelling per number
// keeps a canonical form unique.
func Integer(name string, raw json.RawMessage) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || raw[0] == '-' || n > MaxInteger {
		return 0, fmt.Errorf("%s is not an integer from 0 to %d", name, int64(MaxInteger))
	}
	return n, nil
}

// Unknown is the error for a field that no object of the kind has.
func Unknown(name string) error { return fmt.Errorf("field %q is unknown", name) }

// Marshal writes a value without white space and without escapes for HTML, but with those
// for U+2028 and U+2029.
func Marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// hasLoneSurrogate looks at the escapes of a valid JSON string.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		r, ok := unicodeEscape(raw[i:])
		if !ok {
			i++ // the escaped character, which may be a backslash
			continue
		}
		i += len(`\uXXXX`) - 1
		if !utf16.IsSurrogate(r) {
			continue
		}
		low, _ := unicodeEscape(raw[i+1:])
		if utf16.DecodeRune(r, low) == utf8.RuneError {
			return true
		}
		i += len(`\uXXXX`)
	}
	return false
}

// unicodeEscape returns the UTF-16 unit of the \uXXXX that b starts with.
func unicodeEscape(b []byte) (rune, bool) {
	if len(b) < len(`\uXXXX`) || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}
