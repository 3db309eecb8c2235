package store

import (
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// maxFailures is how many errors of files one run returns. The others are counted.
const maxFailures = 100

// failures are the errors of files that did not end a run over many.
type failures struct {
	first []error
	more  int
}

func (f *failures) add(err error) {
	switch {
	case err == nil:
	case len(f.first) < maxFailures:
		f.first = append(f.first, err)
	default:
		f.more++
	}
}

// with returns what ended the run, if anything did, and the rest.
func (f *failures) with(err error) error {
	err = errors.Join(append([]error{err}, f.first...)...)
	if f.more > 0 {
		err = fmt.Errorf("%w\nand %d more", err, f.more)
	}
	return err
}

// unreadableError is of a file that is there but cannot be read now, which says nothing of its
// bytes.
type unreadableError struct {
	hash core.Hash
	err  error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("blob %s cannot be read: %v", core.CIDFromHash(e.hash), e.err)
}

func (e *unreadableError) Unwrap() error { return e.err }

// addUnreadable takes errors of files that cannot be read, and returns others.
func (f *failures) addUnreadable(err error) error {
	if _, ok := errors.AsType[*unreadableError](err); ok {
		f.add(err)
		return nil
	}
	return err
}
