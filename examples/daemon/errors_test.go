package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/soma-sdk/soma"
)

func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK},
		{soma.ErrNotFound, codes.NotFound},
		{fmt.Errorf("open blob: %w", fmt.Errorf("%w: %w", soma.ErrNotFound, soma.ErrNotHere)), codes.Unavailable},
		{fmt.Errorf("save draft: %w: %w", soma.ErrInvalidDraft, soma.ErrTooLarge), codes.ResourceExhausted},
		{soma.ErrInvalidDraft, codes.InvalidArgument},
		{&soma.RecordError{Err: soma.ErrCorrupt}, codes.DataLoss},
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{fmt.Errorf("put blob: %w", status.Error(codes.Canceled, "the client has gone")), codes.Canceled},
		{io.ErrUnexpectedEOF, codes.Internal},
	} {
		if got := status.Code(translate(c.err)); got != c.want {
			t.Errorf("translate(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

// TestEverySentinelHasACode compares the table with the source of the library's errors.
func TestEverySentinelHasACode(t *testing.T) {
	never := []string{
		"ErrLocked", "ErrNotDatabase", "ErrNoCgo", // of Open
		"ErrTxClosed", "ErrOutOfRange", "ErrInvalidValue", "ErrTypeIntegrated", "ErrTypeDeleted", "ErrWrongKind", // of Edit
		"ErrInvalidEvent", "ErrInvalidBlobURL", "ErrInvalidArchive", "ErrInvalidEntry", "ErrInvalidSource", "ErrInvalidUpload", "ErrInvalidAddress", // of calls that are not served
	}
	here := names(t, "errors.go", func(n ast.Node) (string, bool) {
		s, ok := n.(*ast.SelectorExpr)
		return name(s), ok && name(s) != ""
	})
	library := names(t, "../../errors.go", func(n ast.Node) (string, bool) {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return "", false
		}
		return v.Names[0].Name, true
	})
	if len(library) < 50 {
		t.Fatalf("only %d errors were found in the library", len(library))
	}
	for _, sentinel := range library {
		if slices.Contains(here, sentinel) == slices.Contains(never, sentinel) {
			t.Errorf("%s: want it in errorCodes, or among those that no call returns", sentinel)
		}
	}
	for _, line := range errorCodes {
		for _, err := range line.errors {
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				continue
			}
			if got := status.Code(translate(fmt.Errorf("call: %w", err))); got != line.code {
				t.Errorf("translate(%v) = %v, want %v", err, got, line.code)
			}
		}
	}
}

// name returns the error that an expression selects from package soma.
func name(s *ast.SelectorExpr) string {
	if s == nil {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); !ok || x.Name != "soma" || !strings.HasPrefix(s.Sel.Name, "Err") {
		return ""
	}
	return s.Sel.Name
}

func names(t *testing.T, path string, of func(ast.Node) (string, bool)) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := of(n); ok {
			found = append(found, s)
		}
		return true
	})
	return found
}
