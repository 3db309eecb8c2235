//go:build linux || darwin || freebsd

package disk

import "golang.org/x/sys/unix"

// Free returns how many bytes of the disk that a directory is on the user may still write,
// and how many it has.
func Free(dir string) (free, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return blocks(uint64(s.Bavail), uint64(s.Bsize)), blocks(uint64(s.Blocks), uint64(s.Bsize)), nil
}
