package disk

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"github.com/soma-sdk/soma/internal/core"
)

// errWindowsFull is ERROR_DISK_FULL.
const errWindowsFull = syscall.Errno(112)

// Full makes an error core.ErrDiskFull too, if it says so.
func Full(err error) error {
	if errors.Is(err, core.ErrDiskFull) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || runtime.GOOS == "windows" && errors.Is(err, errWindowsFull) {
		return fmt.Errorf("%w: %w", core.ErrDiskFull, err)
	}
	return err
}
