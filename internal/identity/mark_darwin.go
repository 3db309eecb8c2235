package identity

import "syscall"

func markOf(path string) (Mark, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return Mark{}, err
	}
	return newMark(uint64(st.Dev), st.Ino, uint64(st.Birthtimespec.Nano())), nil
}
