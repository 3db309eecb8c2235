package identity

import "golang.org/x/sys/unix"

func markOf(path string) (Mark, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return Mark{}, err
	}
	var birth uint64
	if st.Mask&unix.STATX_BTIME != 0 { // not all file systems keep it
		birth = uint64(st.Btime.Sec)*1e9 + uint64(st.Btime.Nsec)
	}
	return newMark(unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino, birth), nil
}
