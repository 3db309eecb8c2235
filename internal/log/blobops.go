package log

import (
	"fmt"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// BlobPut has the space hold a blob: bytes that are kept elsewhere.
type BlobPut struct {
	Blob core.Hash // sha2-256 of the bytes
	Size uint64    // at most MaxCounter
	MIME string    // see CheckMIME
	Name string    // see CheckBlobName; "" for none
}

// Number implements Body.
func (BlobPut) Number() OpNumber { return OpBlobPut }
func (b BlobPut) wire() any      { return []any{b.Blob, b.Size, b.MIME, b.Name} }

// BlobRemove has the space hold a blob no more, as far as it was put in the past of the
// entry.
type BlobRemove struct {
	Blob core.Hash
}

// Number implements Body.
func (BlobRemove) Number() OpNumber { return OpBlobRemove }
func (b BlobRemove) wire() any      { return []any{b.Blob} }

// CheckBlobName reports core.ErrInvalidName unless name may name a blob: 1 to
// MaxBlobNameBytes bytes of UTF-8 without control characters, also those that turn the
// direction of text, line separators, slashes and backslashes, and neither "." nor "..". So
// it can name a file in a folder, and no other, and looks like what it is.
func CheckBlobName(name string) error {
	const turning = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`+turning) {
		return fmt.Errorf("blob name %q: %w", name, core.ErrInvalidName)
	}
	return checkLine("blob name", name, MaxBlobNameBytes)
}

// CheckMIME reports core.ErrInvalidMIME unless text may be the media type of a blob: at
// most MaxMIMEBytes printable ASCII characters. Whether it is one is for readers to see,
// since their libraries do not agree for ever.
func CheckMIME(text string) error {
	if len(text) > MaxMIMEBytes {
		return fmt.Errorf("media type has %d bytes, at most %d are allowed: %w", len(text), MaxMIMEBytes, core.ErrInvalidMIME)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		return fmt.Errorf("media type has a character at byte %d that is not printable ASCII: %w", i, core.ErrInvalidMIME)
	}
	return nil
}

// Meta returns what the op says of the blob besides its hash, for DecodeBlobMeta. It is not
// empty.
func (b BlobPut) Meta() []byte { return encodeItem([]any{b.Size, b.MIME, b.Name}) }

// DecodeBlobMeta reads what Meta returned, for a blob.
func DecodeBlobMeta(blob core.Hash, meta []byte) (BlobPut, error) {
	s := &scanner{b: meta}
	s.arrayOf(3)
	b := BlobPut{Blob: blob, Size: s.uint(), MIME: s.text(), Name: s.text()}
	if err := s.end(); err != nil {
		return BlobPut{}, err
	}
	return b, b.check()
}

func (b *BlobPut) check() error {
	if b.Size > MaxCounter {
		return fmt.Errorf("size %d, at most %d is allowed", b.Size, uint64(MaxCounter))
	}
	if b.Name != "" {
		if err := CheckBlobName(b.Name); err != nil {
			return err
		}
	}
	return CheckMIME(b.MIME)
}

func decodeBlobPut(s *scanner) (Body, error) {
	s.arrayOf(4)
	b := BlobPut{}
	copy(b.Blob[:], s.fixed(hashBytes))
	b.Size, b.MIME, b.Name = s.uint(), s.text(), s.text()
	if s.err != nil {
		return nil, s.err
	}
	return b, b.check()
}

func decodeBlobRemove(s *scanner) (Body, error) {
	s.arrayOf(1)
	b := BlobRemove{}
	copy(b.Blob[:], s.fixed(hashBytes))
	return b, s.err
}
