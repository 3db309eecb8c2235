package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/soma-sdk/soma/internal/core"
)

// OpenRegular opens a regular file, or a link to one, for reading. Anything else is
// core.ErrInvalidSource, and is not waited for: opening a pipe would be. info is that of the
// open file.
func OpenRegular(path string) (f *os.File, info fs.FileInfo, err error) {
	if info, err = os.Stat(path); err != nil {
		return nil, nil, err
	}
	if err := checkRegular(path, info); err != nil {
		return nil, nil, err
	}
	f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe by now
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = checkRegular(path, info)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func checkRegular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: core.ErrInvalidSource}
}
