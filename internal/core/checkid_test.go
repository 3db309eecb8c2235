package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

func TestCheckID(t *testing.T) {
	good := []string{
		"a", "page-1", "two words", "Größe", "文書", "😀", "\U0001FAE9", // the last is newer than some Go releases know
		"\u0378",                  // not assigned yet: a later Unicode may print it, and the rule must not change then
		strings.Repeat("x", 128),  // the limit
		strings.Repeat("é", 64),   // the limit, in bytes
		"葛\U000e0100",             // an ideographic variant
		"../../etc/passwd", "a/b", // IDs are no paths
	}
	for _, id := range good {
		if err := core.CheckID("document id", id); err != nil {
			t.Errorf("CheckID(%q) = %v, want nil", id, err)
		}
	}
	bad := []string{
		"", strings.Repeat("x", 129), "\xff", "a\x00", "\n", "tab\t", "\x7f", "\u0085", "\u00a0", "\u00ad",
		"\u200d", "\u202e", "\u2028", "\u3000", "\ue000", "\ufeff", "\ufffe", "\U0001ffff", "\U000e0001", "\U0010ffff",
	}
	for _, id := range bad {
		if err := core.CheckID("document id", id); !errors.Is(err, core.ErrInvalidID) {
			t.Errorf("CheckID(%q) = %v, want ErrInvalidID", id, err)
		}
	}
}
