package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/disk"
)

// create makes a new database beside its name and then renames it: a file under
// the final name always has its schema and its stamps, in its own pages and not
// only in a log.
func create(path string, steps []string) error {
	temp := path + ".new"
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} { // of a crash in here
		if err := os.Remove(temp + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := private(temp); err != nil {
		return err
	}
	c, err := openConn(temp, append(creationPragmas(), writerPragmas(false)...))
	if err != nil {
		return err
	}
	if err := apply(c, 0, steps); err != nil {
		return errors.Join(err, c.close())
	}
	if err := finish(c); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}

// private makes an empty file that only the user can read, whatever directory it
// lies in. SQLite gives the files beside it the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// migrate brings an existing database up to the newest schema, after a backup.
func migrate(c *conn, path string, steps []string, log *slog.Logger) error {
	version, err := schemaVersion(c, len(steps))
	if err != nil || version == len(steps) {
		return err
	}
	backup := fmt.Sprintf("%s.v%d.backup", path, version)
	if err := backupTo(c, backup); err != nil {
		return fmt.Errorf("back up before migration: %w", err)
	}
	log.Info("migrating store", "path", path, "from", version, "to", len(steps), "backup", backup)
	if err := apply(c, version, steps); err != nil {
		return err
	}
	// The new version must not be in the log alone: an older program that finds
	// the two after a crash has to see it.
	_, err = c.one("PRAGMA wal_checkpoint(TRUNCATE)")
	return wrap("checkpoint after migration", err)
}

// schemaVersion returns the version of the database, or the error that refuses it.
func schemaVersion(c *conn, newest int) (int, error) {
	var stamps [2]int64
	for i, name := range []string{"application_id", "user_version"} {
		r, err := c.one("PRAGMA " + name)
		if err != nil {
			return 0, wrap("read pragma "+name, err)
		}
		stamps[i] = r.int(0)
		if err := r.bad(); err != nil {
			return 0, err
		}
	}
	return int(stamps[1]), checkVersion(uint32(stamps[0]), uint32(stamps[1]), newest)
}

func checkVersion(appID, version uint32, newest int) error {
	if appID != applicationID {
		return fmt.Errorf("application id is %#x: %w", appID, core.ErrNotDatabase)
	}
	if version == 0 {
		return fmt.Errorf("schema has no version: %w", core.ErrCorrupt)
	}
	if int64(version) > int64(newest) {
		return fmt.Errorf("schema version is %d, this program knows %d: %w", version, newest, core.ErrSchemaTooNew)
	}
	return nil
}

// apply runs the steps after version from in one transaction: all or none.
func apply(c *conn, from int, steps []string) error {
	if err := c.begin("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for i, step := range steps[from:] {
		if err := c.script(step); err != nil {
			return errors.Join(fmt.Errorf("migrate schema to version %d: %w", from+i+1, err), c.rollback())
		}
	}
	if err := c.script(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, len(steps))); err != nil {
		return errors.Join(wrap("stamp schema", err), c.rollback())
	}
	if err := c.commit(); err != nil {
		return errors.Join(err, c.rollback())
	}
	return nil
}

// backupTo writes a consistent copy that is either whole or not there.
func backupTo(c *conn, path string) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := private(temp); err != nil {
		return err
	}
	if _, err := c.exec("VACUUM INTO ?", temp); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := closing(f, f.Sync()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}

// quickCheck reports core.ErrCorrupt unless the structure of the database is sound. ctx
// interrupts.
func quickCheck(ctx context.Context, c *conn) error {
	verdict := "nothing said"
	err := c.eachContext(ctx, "PRAGMA quick_check(1)", nil, func(r *row) bool {
		verdict = r.text(0)
		return false
	})
	if err != nil {
		return wrap("check database", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("check of the database: %s: %w", verdict, core.ErrCorrupt)
	}
	return nil
}
