// Package storetest is the conformance suite of core.Store: any implementation
// that passes it can take the place of package store.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/soma-sdk/soma/internal/core"
)

// Run checks the store that open returns. open is called with a fresh directory
// or with one that an earlier, closed store used; the suite closes what it opens.
func Run(t *testing.T, open func(t *testing.T, dir string) core.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"Meta", testMeta},
		{"Spaces", testSpaces},
		{"Fields", testFields},
		{"Writers", testWriters},
		{"Entries", testEntries},
		{"EntriesAfter", testEntriesAfter},
		{"Heads", testHeads},
		{"Frontier", testFrontier},
		{"AuthSets", testAuthSets},
		{"Parked", testParked},
		{"Members", testMembers},
		{"Joining", testJoining},
		{"Verdicts", testVerdicts},
		{"Chains", testChains},
		{"Forks", testForks},
		{"WritersOf", testWritersOf},
		{"VoidOps", testVoidOps},
		{"ResetDoc", testResetDoc},
		{"Places", testPlaces},
		{"DocOpsSince", testDocOpsSince},
		{"Lost", testLost},
		{"Early", testEarly},
		{"Drafts", testDrafts},
		{"DraftOrder", testDraftOrder},
		{"DamagedDraft", testDamagedDraft},
		{"Uploads", testUploads},
		{"FinishedUploads", testFinishedUploads},
		{"DamagedUpload", testDamagedUpload},
		{"Wants", testWants},
		{"IsWanted", testIsWanted},
		{"WantsOutlast", testWantsOutlast},
		{"Docs", testDocs},
		{"DocClients", testDocClients},
		{"Deleted", testDeleted},
		{"DocBodies", testDocBodies},
		{"DocOps", testDocOps},
		{"Tail", testTail},
		{"TailDocs", testTailDocs},
		{"Check", testCheck},
		{"WritersInOrder", testWritersInOrder},
		{"Headers", testHeaders},
		{"ParkedAfter", testParkedAfter},
		{"OpRecords", testOpRecords},
		{"DocDeleted", testDocDeleted},
		{"Mend", testMend},
		{"ChangedRows", testChangedRows},
		{"ResetSpace", testResetSpace},
		{"Collections", testCollections},
		{"Records", testRecords},
		{"Tombstones", testTombstones},
		{"RemoveNothing", testRemoveNothing},
		{"Quarantine", testQuarantine},
		{"OnCommit", testOnCommit},
		{"Page", testPage},
		{"Pages", testPages},
		{"PageWay", testPageWay},
		{"PagesUnder", testPagesUnder},
		{"PageBeside", testPageBeside},
		{"PageOrphans", testPageOrphans},
		{"PagesTrashed", testPagesTrashed},
		{"PageMoves", testPageMoves},
		{"PageOrigin", testPageOrigin},
		{"PagePuts", testPagePuts},
		{"PagesReset", testPagesReset},
		{"Blob", testBlob},
		{"Blobs", testBlobs},
		{"BlobOps", testBlobOps},
		{"BlobsReset", testBlobsReset},
		{"BlobOrphans", testBlobOrphans},
		{"Joinings", testJoinings},
		{"ChainRows", testChainRows},
		{"Acks", testAcks},
		{"Exchanges", testExchanges},
		{"PeerAddresses", testPeerAddresses},
		{"SlicesAreCopied", testSlices},
		{"FailedJobIsUndone", testFailedJob},
		{"PanicIsUndone", testPanic},
		{"GoexitIsUndone", testGoexit},
		{"Rollback", testRollback},
		{"ReadSeesOneState", testReadIsolation},
		{"WritesAreConcurrent", testConcurrentWrites},
		{"Context", testContext},
		{"Closed", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fixture{t: t, dir: t.TempDir(), open: open}
			f.store = open(t, f.dir)
			t.Cleanup(f.close)
			test.run(t, f)
		})
	}
}

// fixture is one store under test.
type fixture struct {
	t     *testing.T
	dir   string
	open  func(*testing.T, string) core.Store
	store core.Store
}

func (f *fixture) close() {
	f.t.Helper()
	if err := f.store.Close(); err != nil {
		f.t.Errorf("Close() = %v", err)
	}
}

func (f *fixture) reopen() {
	f.t.Helper()
	f.close()
	f.store = f.open(f.t, f.dir)
}

// write runs fn in a job that must succeed.
func (f *fixture) write(fn func(core.Tx) error) {
	f.t.Helper()
	if err := f.store.Write(context.Background(), fn); err != nil {
		f.t.Fatalf("Write() = %v", err)
	}
}

func (f *fixture) read(fn func(core.View) error) {
	f.t.Helper()
	if err := f.store.Read(context.Background(), fn); err != nil {
		f.t.Fatalf("Read() = %v", err)
	}
}

// everywhere runs check on each kind of view: the writer's own before its
// commit, a reader's, and a reader's after a reopening. prepare writes what
// check looks at.
func (f *fixture) everywhere(prepare func(core.Tx) error, check func(core.View) error) {
	f.t.Helper()
	f.write(func(tx core.Tx) error {
		if err := prepare(tx); err != nil {
			return err
		}
		if err := check(tx); err != nil {
			return fmt.Errorf("inside Write: %w", err)
		}
		return nil
	})
	f.read(check)
	f.reopen()
	f.read(check)
}

// space adds a space and returns its key.
func (f *fixture) space(name string) int64 {
	f.t.Helper()
	rec := core.SpaceRecord{ID: core.SpaceID(name), Name: name}
	f.write(func(tx core.Tx) error { return tx.PutSpace(&rec) })
	return rec.Key
}

// writer adds a writer and returns its key.
func (f *fixture) writer(name string) int64 {
	f.t.Helper()
	var key int64
	f.write(func(tx core.Tx) (err error) {
		key, err = tx.EnsureWriter(core.WriterRecord{ID: core.WriterID(hash(name)), Peer: peer(name)})
		return err
	})
	return key
}

// doc adds a document and returns its key.
func (f *fixture) doc(space int64, id string) int64 {
	f.t.Helper()
	rec := core.DocRecord{Space: space, ID: id}
	f.write(func(tx core.Tx) error { return tx.PutDoc(&rec) })
	return rec.Key
}

func hash(s string) core.Hash { return sha256.Sum256([]byte(s)) }

func peer(s string) core.PeerID {
	h := hash("peer " + s)
	return core.PeerIDFromKey(h[:])
}

// equal compares what a call returned with what it must return. Empty and nil
// slices are the same at the top level.
func equal[T any](call string, got T, err error, want T) error {
	if err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if g.Kind() == reflect.Slice && g.Len() == 0 && w.Len() == 0 {
		return nil
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s = %+v, want %+v", call, got, want)
	}
	return nil
}

// fails checks that a call returned the error.
func fails(call string, err, want error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s: no error, want %w", call, want)
	case !errors.Is(err, want):
		return fmt.Errorf("%s: error %w, want %w", call, err, want)
	}
	return nil
}

func entry(name string, opsSize int) core.Entry {
	return core.Entry{
		Header: []byte("header of " + name), Sig: []byte("signature of " + name),
		Ops: bytes.Repeat([]byte(name[:1]), opsSize),
	}
}
