package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/soma-sdk/soma/internal/core"
)

// LockedError says who uses a directory. It is core.ErrLocked.
type LockedError struct {
	Dir  string
	PID  int    // 0 if unknown
	Host string // "" if unknown
}

// Error names the directory and the holder.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%v: %s", core.ErrLocked, e.Dir)
	}
	return fmt.Sprintf("%v: %s is held by process %d on %s", core.ErrLocked, e.Dir, e.PID, e.Host)
}

// Is reports whether target is core.ErrLocked.
func (e *LockedError) Is(target error) bool { return target == core.ErrLocked }

// dirLock is the advisory lock on a directory. The kernel frees it when the
// process ends, however it ends. The lock file itself is never deleted: another
// process could hold a lock on the deleted file and a third one on a new file.
type dirLock struct {
	lock  *flock.Flock
	owner string
}

// lockDir takes the lock or returns *LockedError. It never waits. The lock
// belongs to the open file, so a second handle in this process is refused too.
func lockDir(dir string) (*dirLock, error) {
	l := &dirLock{
		lock:  flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600)),
		owner: filepath.Join(dir, ownerName),
	}
	ok, err := l.lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.Join(holder(dir), l.lock.Close())
	}
	if err := l.sign(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// sign leaves pid and host beside the lock, for the message of whoever is refused.
func (l *dirLock) sign() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return os.WriteFile(l.owner, fmt.Appendf(nil, "%d %s\n", os.Getpid(), host), 0o600)
}

func holder(dir string) *LockedError {
	e := &LockedError{Dir: dir}
	if b, err := os.ReadFile(filepath.Join(dir, ownerName)); err == nil {
		if n, _ := fmt.Sscanf(string(b), "%d %s", &e.PID, &e.Host); n != 2 {
			e.PID, e.Host = 0, ""
		}
	}
	return e
}

func (l *dirLock) release() error {
	err := os.Remove(l.owner)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.lock.Close())
}
