//go:build unix

package identity

import (
	"errors"
	"os"
	"syscall"
)

// syncDir makes a new name in the directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // some network file systems have no such call
	}
	return errors.Join(err, f.Close())
}
