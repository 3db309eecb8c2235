package disk

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// SyncDir makes the names in a directory durable, where a system can do that.
func SyncDir(dir string) error { return SyncOpened(os.Open, dir) }

// SyncOpened is SyncDir for a directory that open opens.
func SyncOpened(open func(string) (*os.File, error), dir string) error {
	if runtime.GOOS == "windows" {
		return nil // its journal has to do
	}
	d, err := open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // some network file systems have no such call
	}
	return errors.Join(err, d.Close())
}
