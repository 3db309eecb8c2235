package collection

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// Keys are stored with what they are in JavaScript in front: "s:" for strings, "n:" for
// numbers. In Go a number is a string that begins with U+0000, which no other key can.
const (
	stringPrefix = "s:"
	numberPrefix = "n:"
	numberMark   = "\x00"
)

// NumberKey returns the key that stands for a JavaScript number.
func NumberKey(n float64) string { return numberMark + numberText(n) }

// numberText is what String(n) is in JavaScript.
func numberText(n float64) string {
	switch abs := math.Abs(n); {
	case n == 0:
		return "0" // -0 too
	case math.IsNaN(n):
		return "NaN"
	case math.IsInf(n, 1):
		return "Infinity"
	case math.IsInf(n, -1):
		return "-Infinity"
	case abs < 1e21 && abs >= 1e-6:
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	text := strconv.FormatFloat(n, 'e', -1, 64) // with two digits of exponent at least
	mantissa, exponent, _ := strings.Cut(text, "e")
	return mantissa + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0")
}

// EncodeKey returns the stored form of a key. Errors: core.ErrInvalidID.
func EncodeKey(key string) (string, error) {
	if text, ok := strings.CutPrefix(key, numberMark); ok {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || numberText(n) != text {
			return "", fmt.Errorf("number key %q: %w", text, core.ErrInvalidID)
		}
		return numberPrefix + text, nil
	}
	if err := core.CheckKey(key); err != nil {
		return "", err
	}
	return stringPrefix + key, nil
}

// DecodeKey is the inverse of EncodeKey for what that returned, and returns other text as
// it is.
func DecodeKey(stored string) string {
	if text, ok := strings.CutPrefix(stored, numberPrefix); ok {
		return numberMark + text
	}
	return strings.TrimPrefix(stored, stringPrefix)
}
