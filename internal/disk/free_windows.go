package disk

import "golang.org/x/sys/windows"

// Free returns how many bytes of the disk that a directory is on the user may still write,
// and how many it has.
func Free(dir string) (free, total int64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var available, all uint64
	if err := windows.GetDiskFreeSpaceEx(path, &available, &all, nil); err != nil {
		return 0, 0, err
	}
	return blocks(available, 1), blocks(all, 1), nil
}
