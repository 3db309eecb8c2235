//go:build !linux && !darwin && !freebsd && !windows

package disk

import "errors"

// Free is not known here: errors.ErrUnsupported.
func Free(string) (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }
