package upload

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
)

// Permanent marks an error as one that trying again does not help against.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() error   { return e.err }
func (e *permanentError) Permanent() bool { return true }

// permanent are the errors that stay. A sink that knows better returns one that has a method
// Permanent() bool.
var permanent = []error{
	core.ErrForbidden, core.ErrNotFound, core.ErrTooLarge, core.ErrQuota, core.ErrInvalidID, core.ErrInvalidName, core.ErrInvalidMIME,
	core.ErrInvalidCID, core.ErrInvalidSource, core.ErrInvalidOption, core.ErrInvalidURL, fs.ErrNotExist, fs.ErrPermission,
}

func isPermanent(err error) bool {
	var says interface{ Permanent() bool }
	if errors.As(err, &says) {
		return says.Permanent()
	}
	for _, is := range permanent {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// sinkError is what an error of a sink said when it was returned. Nothing is asked of the
// error itself any more, whose methods may panic.
type sinkError struct {
	text      string
	permanent bool
}

func (e *sinkError) Error() string   { return e.text }
func (e *sinkError) Permanent() bool { return e.permanent }

func sinkErrorOf(err error) error {
	if err == nil {
		return nil
	}
	return &sinkError{err.Error(), isPermanent(err)}
}

// errorText is an error as a job keeps it: bounded, never empty, and with the paths of our
// files as they are in the directory of the DB.
func (u *Uploads) errorText(err error) string {
	text := relative(err.Error(), u.dir+string(filepath.Separator))
	if strings.TrimSpace(text) == "" {
		text = "unknown error"
	}
	if len(text) > MaxErrorBytes {
		text = text[:MaxErrorBytes]
		for !utf8.ValidString(text) && len(text) > MaxErrorBytes-utf8.UTFMax {
			text = text[:len(text)-1]
		}
	}
	return strings.ToValidUTF8(text, "?")
}

// relative takes a folder off the paths in a text that begin with it.
func relative(text, folder string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, folder)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if so := b.String(); so != "" && !strings.ContainsAny(so[len(so)-1:], " \t\n\"'`(<[{:=,") {
			b.WriteString(folder) // it is inside of another path
		}
		text = after
	}
}
