package collection_test

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/collection"
	"github.com/soma-sdk/soma/internal/core"
)

// The texts are those of String(n) in JavaScript.
func TestNumberKey(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 5: "5", -5: "-5", 1.5: "1.5", 0.1: "0.1", 1e20: "100000000000000000000", 1e21: "1e+21",
		1.5e300: "1.5e+300", 1e-6: "0.000001", 1e-7: "1e-7", 1.25e-9: "1.25e-9", -1e-7: "-1e-7", 1<<53 - 1: "9007199254740991",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity", math.MaxFloat64: "1.7976931348623157e+308", 5e-324: "5e-324",
	} {
		key := collection.NumberKey(n)
		if key != "\x00"+want {
			t.Errorf("NumberKey(%g) = %q, want %q", n, key, want)
		}
		if stored, err := collection.EncodeKey(key); err != nil || stored != "n:"+want {
			t.Errorf("EncodeKey(%q) = %q, %v", key, stored, err)
		}
	}
	if key := collection.NumberKey(math.NaN()); key != "\x00NaN" {
		t.Errorf("NumberKey(NaN) = %q", key)
	}
	if _, err := collection.EncodeKey("\x000x10"); !errors.Is(err, core.ErrInvalidID) {
		t.Errorf("EncodeKey of a hexadecimal number = %v, want ErrInvalidID", err)
	}
}

func FuzzKey(f *testing.F) {
	for _, key := range []string{"", "a", "s:a", "n:5", "\x005", "\x00", "\x00-0", "\x001e21", "\xff", strings.Repeat("k", 257)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		stored, err := collection.EncodeKey(key)
		if err != nil {
			if !errors.Is(err, core.ErrInvalidID) {
				t.Fatalf("EncodeKey(%q) = %v", key, err)
			}
			return
		}
		if back := collection.DecodeKey(stored); back != key {
			t.Fatalf("DecodeKey(EncodeKey(%q)) = %q", key, back)
		}
	})
}

func TestSeen(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	var seen []byte
	var keys []string
	for range 200 {
		key := collection.NewVersionKey()
		if !uuid.MatchString(key) {
			t.Fatalf("version key %q is no UUID", key)
		}
		if collection.HasSeen(seen, key) {
			t.Fatalf("%s is there before it was", key)
		}
		was := string(seen)
		next := collection.Remember(seen, key)
		if string(seen) != was {
			t.Fatal("Remember changed what it was given")
		}
		seen, keys = next, append(keys, key)
	}
	if len(seen) != collection.SeenBytes {
		t.Errorf("%d bytes are remembered, want %d", len(seen), collection.SeenBytes)
	}
	for i, key := range keys {
		if got, want := collection.HasSeen(seen, key), i >= len(keys)-64; got != want {
			t.Errorf("key %d of %d: %v, want %v", i, len(keys), got, want)
		}
	}
}
