package identity

import (
	"os"
	"syscall"
)

func markOf(path string) (Mark, error) {
	f, err := os.Open(path)
	if err != nil {
		return Mark{}, err
	}
	defer f.Close()
	var info syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(f.Fd()), &info); err != nil {
		return Mark{}, err
	}
	index := uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
	return newMark(uint64(info.VolumeSerialNumber), index, uint64(info.CreationTime.Nanoseconds())), nil
}
