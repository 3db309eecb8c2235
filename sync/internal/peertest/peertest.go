// Package peertest has what the tests of whole peers share: keys that a seed gives, what
// two directories say of a space, and waiting.
package peertest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/core"
)

// Text is the root of documents in which tests type.
const Text = "text"

// Key returns a key that is the same in every run.
func Key(seed uint64, name string) ed25519.PrivateKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "soma peer test %d %s", seed, name))
	return ed25519.NewKeyFromSeed(sum[:])
}

// Peer returns whose key it is.
func Peer(key ed25519.PrivateKey) soma.PeerID {
	return core.PeerIDFromKey(key.Public().(ed25519.PublicKey))
}

// Bytes returns n bytes that follow from a seed.
func Bytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, seed)))
	_, _ = src.Read(b) // never fails
	return b
}

// Type puts a word, without spaces, between the words of a document, where is it that a
// random number says.
func Type(ctx context.Context, db *soma.DB, space soma.SpaceID, doc soma.DocumentID, word string, at uint64) error {
	_, err := db.Documents().Edit(ctx, space, doc, func(tx *soma.EditTx) error {
		text := tx.Text(Text)
		places := []int{0}
		for i, c := range text.String() { // ASCII
			if c == ' ' {
				places = append(places, i+1)
			}
		}
		return text.Insert(places[at%uint64(len(places))], word+" ", nil)
	})
	return err
}

// Words returns the words of all documents of a space.
func Words(ctx context.Context, db *soma.DB, space soma.SpaceID) (map[string]bool, error) {
	words := map[string]bool{}
	for doc, err := range db.Documents().List(ctx, space) {
		if err != nil {
			return nil, err
		}
		text, err := db.Documents().Text(ctx, space, doc.ID)
		if err != nil {
			return nil, err
		}
		for word := range strings.FieldsSeq(text) {
			words[word] = true
		}
	}
	return words, nil
}

// Differ says in what a space is different in two directories, nil for nothing: members,
// name, the bytes and texts of documents, pages, and which blobs there are.
func Differ(ctx context.Context, a, b *soma.DB, space soma.SpaceID) error {
	left, err := describe(ctx, a, space)
	if err != nil {
		return err
	}
	right, err := describe(ctx, b, space)
	if err != nil {
		return err
	}
	for i, line := range left {
		if i >= len(right) || right[i] != line {
			other := "nothing"
			if i < len(right) {
				other = right[i]
			}
			return fmt.Errorf("space %s: %.600s here, %.600s there", space, line, other)
		}
	}
	if len(right) > len(left) {
		return fmt.Errorf("space %s: nothing here, %.600s there", space, right[len(left)])
	}
	return nil
}

// describe returns a line for all that must be equal on all machines.
func describe(ctx context.Context, db *soma.DB, id soma.SpaceID) ([]string, error) {
	space, err := db.Spaces().Get(ctx, id)
	if err != nil {
		return nil, err
	}
	lines := []string{"name " + space.Name}
	members, err := db.Spaces().Members(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		lines = append(lines, fmt.Sprintf("member %+v", m))
	}
	slices.Sort(lines)
	var docs []string
	for info, err := range db.Documents().List(ctx, id) {
		if err != nil {
			return nil, err
		}
		doc, err := db.Documents().Get(ctx, id, info.ID)
		if err != nil {
			return nil, err
		}
		text, err := db.Documents().Text(ctx, id, info.ID)
		if err != nil {
			return nil, err
		}
		docs = append(docs, fmt.Sprintf("document %s %x %q %x %v", doc.ID, sha256.Sum256(doc.Update), text, doc.Epoch, doc.Pending))
	}
	slices.Sort(docs)
	lines = append(lines, docs...)
	tree, err := db.Pages().Tree(ctx, id, soma.WithArchived())
	if err != nil {
		return nil, err
	}
	lines = appendPages(lines, tree, "")
	trash, err := db.Pages().Trash(ctx, id)
	if err != nil {
		return nil, err
	}
	var trashed []string
	for _, p := range trash {
		trashed = append(trashed, fmt.Sprintf("in the trash %s %q %s", p.ID, p.Title, p.CreatedBy))
	}
	slices.Sort(trashed)
	lines = append(lines, trashed...)
	var blobs []string
	for b, err := range db.Blobs().List(ctx, id) {
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, fmt.Sprintf("blob %s %d %q %q %s", b.CID, b.Size, b.MIME, b.Name, b.CreatedBy))
	}
	slices.Sort(blobs)
	return append(lines, blobs...), nil
}

func appendPages(lines []string, nodes []*soma.PageNode, indent string) []string {
	for _, n := range nodes {
		lines = append(lines, fmt.Sprintf("page %s%s %q %s %v %s %d", indent, n.ID, n.Title, n.Order, n.Archived, n.CreatedBy, n.CreatedAtMs))
		lines = appendPages(lines, n.Children, indent+"  ")
	}
	return lines
}

// SameBlob says whether the bytes of a blob are here, and what they are to be.
func SameBlob(ctx context.Context, db *soma.DB, space soma.SpaceID, cid soma.CID, want []byte) error {
	b, err := db.Blobs().Open(ctx, space, cid)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(b)
	if err := errors.Join(err, b.Close()); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("blob %s has other bytes than were put", cid)
	}
	return nil
}

// Until waits until fn returns nil, and fails the test if that takes longer than any
// machine needs.
func Until(t testing.TB, what string, fn func() error) {
	t.Helper()
	const patience = 3 * time.Minute
	end := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: still not after %v: %v", what, patience, err)
		}
		time.Sleep(pause)
	}
}

// Want asks for the bytes of a blob.
func Want(ctx context.Context, db *soma.DB, space soma.SpaceID, cid soma.CID) error {
	return db.Blobs().Want(ctx, space, cid)
}
