package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// sumSuffix names the file with the size and checksum of a search index. It is there
// only while the index is closed, and was closed in order.
const sumSuffix = ".sum"

// takeSum compares the index with its checksum, and removes that. It returns false
// where there is none, as after a crash, and core.ErrCorrupt where it is another one: a
// changed byte in an index is not found otherwise, it only makes words not be found.
//
// It must run before the index is opened: closing a file drops SQLite's locks on it.
func takeSum(path string) (bool, error) {
	want, err := os.ReadFile(path + sumSuffix)
	if err == nil {
		err = os.Remove(path + sumSuffix)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case len(want) == 0: // the power failed before it was written
		return false, nil
	}
	got, err := fileSum(path)
	if err != nil {
		return false, err
	}
	if got != string(want) {
		return false, damaged("checksum of the index")
	}
	return true, nil
}

// leaveSum writes the checksum of an index that is closed, unless a log is left.
func leaveSum(path string) error {
	if info, err := os.Lstat(path + "-wal"); err == nil && info.Size() > 0 {
		return nil
	}
	sum, err := fileSum(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path+sumSuffix, []byte(sum), 0o600)
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, f, make([]byte, 1<<18))
	if err := closing(f, err); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %08x\n", n, h.Sum32()), nil
}
