package log_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/log"
)

func TestCheckBlobName(t *testing.T) {
	for _, name := range []string{"a", "a.txt", "...", ".hidden", "-rf", "Größe ✎", "con", "a:b", strings.Repeat("x", log.MaxBlobNameBytes)} {
		if err := log.CheckBlobName(name); err != nil {
			t.Errorf("CheckBlobName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "/", "a/b", `a\b`, "../a", "a\n", "a\r", "a\t", "\x00", "\x7f", "\u0085", "\u2028", "\u2029", "\xff",
		strings.Repeat("x", log.MaxBlobNameBytes+1), strings.Repeat("é", 128),
	} {
		if err := log.CheckBlobName(name); !errors.Is(err, core.ErrInvalidName) {
			t.Errorf("CheckBlobName(%q) = %v, want ErrInvalidName", name, err)
		}
	}
}

func TestCheckMIME(t *testing.T) {
	for _, text := range []string{"", "text/plain", "text/html; charset=utf-8", "no type", strings.Repeat("~", log.MaxMIMEBytes)} {
		if err := log.CheckMIME(text); err != nil {
			t.Errorf("CheckMIME(%q) = %v", text, err)
		}
	}
	for _, text := range []string{"a/b\n", "a/b\r\nx: y", "a/b\t", "\x00", "\x7f", "é", "\xff", strings.Repeat("x", log.MaxMIMEBytes+1)} {
		if err := log.CheckMIME(text); !errors.Is(err, core.ErrInvalidMIME) {
			t.Errorf("CheckMIME(%q) = %v, want ErrInvalidMIME", text, err)
		}
	}
}

// What is kept of a put in its field is read again, and nothing else is.
func TestBlobMeta(t *testing.T) {
	blob := core.Hash{1}
	for _, put := range []log.BlobPut{
		{Blob: blob}, {Blob: blob, Size: log.MaxCounter, MIME: "a/b", Name: "n"}, {Blob: blob, MIME: "text/plain"}, {Blob: blob, Size: 24, Name: "é"},
	} {
		meta := put.Meta()
		if len(meta) == 0 {
			t.Errorf("Meta of %+v is empty", put)
		}
		if got, err := log.DecodeBlobMeta(blob, meta); err != nil || got != put {
			t.Errorf("DecodeBlobMeta(%x) = %+v, %v, want %+v", meta, got, err, put)
		}
		for n := range meta {
			if got, err := log.DecodeBlobMeta(blob, meta[:n]); err == nil {
				t.Errorf("DecodeBlobMeta(%x) = %+v, want an error", meta[:n], got)
			}
		}
	}
	for _, meta := range [][]byte{
		log.BlobPut{Size: math.MaxUint64}.Meta(), log.BlobPut{MIME: "\n"}.Meta(), log.BlobPut{Name: "a/b"}.Meta(), append(log.BlobPut{}.Meta(), 0),
	} {
		if got, err := log.DecodeBlobMeta(blob, meta); err == nil {
			t.Errorf("DecodeBlobMeta(%x) = %+v, want an error", meta, got)
		}
	}
}

// FuzzBlobMeta shows that what is read is written with the same bytes.
func FuzzBlobMeta(f *testing.F) {
	f.Add(log.BlobPut{}.Meta())
	f.Add(log.BlobPut{Size: log.MaxCounter, MIME: "text/plain", Name: "é.txt"}.Meta())
	f.Add([]byte("\x83\x1b\x00\x00\x00\x00\x00\x00\x00\x01\x60\x60"))
	f.Fuzz(func(t *testing.T, meta []byte) {
		put, err := log.DecodeBlobMeta(core.Hash{}, meta)
		if err == nil && !bytes.Equal(put.Meta(), meta) {
			t.Fatalf("meta %x is written as %x", meta, put.Meta())
		}
	})
}
