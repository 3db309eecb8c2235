package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// AuthSet implements core.View.
func (v *view) AuthSet(key int64) ([]core.Hash, error) {
	r, err := v.c.one("SELECT heads FROM auth_set WHERE id = ?", key)
	if err == nil && r == nil {
		err = core.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read auth set %d: %w", key, err)
	}
	b := r.blob(0)
	if r.bad() != nil || len(b)%sha256.Size != 0 {
		return nil, damaged(fmt.Sprintf("auth set %d", key))
	}
	heads := make([]core.Hash, 0, len(b)/sha256.Size)
	for h := range slices.Chunk(b, sha256.Size) {
		heads = append(heads, core.Hash(h))
	}
	return heads, nil
}

// EnsureAuthSet implements core.Tx. Heads that are not in strictly rising order
// are an error: one set must have one key.
func (t *tx) EnsureAuthSet(space int64, heads []core.Hash) (int64, error) {
	b := make([]byte, 0, len(heads)*sha256.Size)
	for i, h := range heads {
		if i > 0 && bytes.Compare(heads[i-1][:], h[:]) >= 0 {
			return 0, errors.New("write auth set: heads are not sorted")
		}
		b = append(b, h[:]...)
	}
	digest := sha256.Sum256(b)
	r, err := t.c.one("SELECT id FROM auth_set WHERE space = ? AND digest = ?", space, digest[:])
	if err != nil {
		return 0, wrap("read auth set", err)
	}
	if r != nil {
		return r.int(0), r.bad()
	}
	key, err := t.c.insert("INSERT INTO auth_set (space, digest, heads) VALUES (?, ?, ?)", space, digest[:], b)
	return key, wrap("write auth set", err)
}
