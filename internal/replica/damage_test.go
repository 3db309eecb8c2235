package replica_test

import (
	"bytes"
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/events"
	"github.com/soma-sdk/soma/internal/log"
	"github.com/soma-sdk/soma/internal/replica"
	"github.com/soma-sdk/soma/internal/ticket"
)

// unchecked are the columns of which nothing says what they should be, with the reason.
var unchecked = map[string]string{
	"space.updated_at_ms": "this machine's clock",
	"doc.created_at_ms":   "this machine's clock",
	"doc.updated_at_ms":   "this machine's clock",
	"doc.logged_at_ms":    "this machine's clock",
	"doc_pending.n":       "only their order counts",
	"peer.key":            "peers that nothing refers to any more",
	"peer.id":             "the same",
	"meta.key":            "facts of this machine, such as which file is its own; Open goes on under a new incarnation",
	"meta.value":          "the same",
	"parked.id":           "the order of arrival",
	"tail.id":             "the order of writing; tail.n is what counts",
	"auth_set.id":         "where entries do not refer to it",
	"doc.through_n":       "it may lie anywhere between deletes",
	"page.updated_at_ms":  "this machine's clock",
	"blob.updated_at_ms":  "this machine's clock",
	"record.age_ms":       "any that is not later than the time of update",
	"tombstone.id":        "the order of writing",
	"blob_file.id":        "the order of writing",
	"blob_want.id":        "the same",
	"blob_pin.id":         "the same",
}

// signed are the columns that cannot be made anew.
var signed = map[string]bool{
	"entry.header": true, "entry.sig": true, "entry.ops": true,
	"tail.doc": true, "tail.n": true, "tail.op_id": true, "tail.body": true, "tail.sum": true,
}

// local are the tables whose rows follow from nothing, and that Rebuild leaves alone.
var local = map[string]bool{
	"joining": true, "draft": true, "collection": true, "record": true, "tombstone": true, "quarantine": true, "blob_file": true, "upload_job": true,
	"blob_want": true, "blob_pin": true, "ack": true, "exchange": true, "address": true,
}

// lost reports whether damage of a column cannot be mended.
func lost(name string) bool {
	table, _, _ := strings.Cut(name, ".")
	return signed[name] || local[table]
}

// scene is a directory that has something in every table, except in tail if that is not
// wanted: what Open seals may cover up damage.
func scene(t *testing.T, tail bool) (s *site, spaces []core.SpaceID) {
	c := newCourt(t)
	s = c.site
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(5) {
		s.upsert(c.space, "text", insert(10, i*4, "text"))
	}
	s.upsert(c.space, "text", erase(10, 2, 3))
	s.upsert(c.space, "text", erase(10, 8, 1))
	s.seal()
	must(s.Compact(s.ctx(), s.record(c.space, "text").Key))
	s.upsert(c.space, "text", insert(11, 0, "more"))
	s.upsert(c.space, "waiting", insert(12, 3, "late"))
	s.upsert(c.space, "hidden", insert(14, 0, "gone"))
	must(s.Delete(s.ctx(), c.space, "hidden", events.SourceRenderer))
	s.rename(c.space, "named")

	// Pages: some that others are under, in the trash and in the archive, and, of another
	// author, some under one that is nowhere, and one that was only named.
	for _, at := range []replica.NewPage{{ID: "p1", Title: "one"}, {ID: "p2", Title: "two"}, {ID: "p3", At: replica.PageTarget{Parent: "p1"}}} {
		_, err := s.CreatePage(s.ctx(), c.space, at, events.SourceRenderer)
		must(err)
	}
	_, err := s.DeletePage(s.ctx(), c.space, "p1", events.SourceRenderer)
	must(err)
	_, err = s.ArchivePage(s.ctx(), c.space, "p2", events.SourceRenderer)
	must(err)
	pages := newAuthor(t, s.id.Key(), c.space, 76)
	c.take(pages.write(nil,
		log.PageMove{Page: "p4", Parent: "ghost", Position: "a"}, log.PutTitle("p5", "nowhere"),
		log.PageMove{Page: "p3", Parent: "", Position: "b"}, log.PutTitle("p2", "two at once"),
	))

	// Blobs: some that are held, one that is not any more, and one of which another author
	// says something else at the same time.
	large := strings.Repeat("large", 10_000) // than what is in rows
	for _, b := range []core.NewBlob{newBlob("one", "text/plain", "one.txt"), newBlob("two", "", ""), newBlob("gone", "", "gone"), newBlob(large, "", "")} {
		s.putBlob(c.space, b)
	}
	s.removeBlob(c.space, "gone")
	blobs := newAuthor(t, s.id.Key(), c.space, 75)
	c.take(blobs.write(nil, blobPut("one", "image/png", "other"), blobPut("three", "a/b", "three"), blobRemove("two"), blobPut("gone", "", "")))
	s.removeBlob(c.space, "gone")
	s.bringBytes(large, "one", "gone")
	must(s.WantBlob(s.ctx(), c.space, hashOf("three")))
	must(s.SetPin(s.ctx(), c.space, core.PinAll))

	// Two names at once, and a fork.
	w := newAuthor(t, s.id.Key(), c.space, 77)
	one := w.write(nil, log.SpaceMeta{Name: "also named"})
	again := newAuthor(t, s.id.Key(), c.space, 77)
	c.take(one, again.write(nil, update("fork", insert(20, 0, "branch"))), w.write(nil, update("fork", insert(21, 0, "trunk"))))

	// Two contents of the same clocks.
	x, y := newAuthor(t, s.id.Key(), c.space, 78), newAuthor(t, s.id.Key(), c.space, 79)
	c.take(x.write(nil, update("contest", insert(50, 0, "one"))), y.write(nil, update("contest", insert(50, 0, "two"))))

	// What bob wrote before his removal, what carl built upon, and what is void.
	before, vouched := c.content(c.bob, "before"), c.content(c.bob, "vouched")
	c.take(before)
	must(s.RemoveMember(s.ctx(), c.space, c.bob.peer(), false))
	h := c.owner.header(vouched)
	h.Auth, h.Lamport = []core.Hash{c.head}, vouched.Lamport+1
	c.owner.last = c.owner.sign(h, update("vouched", insert(30, 0, "y")))
	voided := newAuthor(t, stranger(2), c.space, 3)
	c.take(vouched, c.owner.last, c.content(voided, "void"))
	if got := c.rejected(); got != "[vouched][void][contest]" {
		t.Fatalf("rejected in %s", got)
	}

	// Entries that wait, invites, a ticket of another space.
	lost := newAuthor(t, s.id.Key(), c.space, 88)
	lost.write(nil, update("lost", insert(40, 0, "first")))
	s.accept(c.space, lost.write(nil, update("lost", insert(40, 5, "second"))).Raw)
	for _, role := range []log.Role{log.RoleEditor, log.RoleViewer} {
		_, err := s.Invite(s.ctx(), c.space, replica.InviteOptions{Role: role, Uses: 3, ExpiresMs: 1 << 50})
		must(err)
	}
	_, err = s.Join(s.ctx(), ticket.Ticket{Space: core.SpaceIDFromHash(core.Hash{1}), Seed: [32]byte{2}, Role: 2}, log.KindDevice)
	must(err)

	must(s.store.Write(s.ctx(), collections))
	// An upload that is queued, and one that has failed.
	for n, state := range []core.UploadState{core.UploadQueued, core.UploadFailed} {
		rec := core.UploadRecord{
			ID: fmt.Sprint("upload ", n), Space: c.space, State: state, Path: "/path", Name: "name", MIME: "text/plain", Size: 4, ModifiedNs: 5,
			Hash: make([]byte, 32), Attempts: 1, SentBytes: 2, LastError: "error", Renderer: []byte(`{"a":1}`), Seen: []byte("12345678"),
		}
		must(s.store.Write(s.ctx(), func(tx core.Tx) error { return tx.PutUpload(&rec) }))
	}
	// A live draft, and one that was cleared.
	for n, cleared := range []int64{0, 1} {
		rec := core.DraftRecord{
			Space: c.space, Doc: "drafted", UpdatedAtMs: s.clock.ms.Load() + int64(n), Snippet: "text", BaseUpdatedAtMs: 1,
			BaseVector: []byte{1, 10, 4}, Conflict: 1, Cleared: cleared, ClearedAtMs: cleared,
		}
		must(s.store.Write(s.ctx(), func(tx core.Tx) error { return tx.PutDraft(&rec) }))
	}

	// What is known of peers.
	must(s.store.Write(s.ctx(), func(tx core.Tx) error {
		writer, _ := s.Writer()
		ack := core.AckRecord{Peer: c.bob.peer(), Writer: writer, Chain: core.ChainContent, Tips: []core.Tip{{Seq: 1, Hash: core.Hash{1}}}}
		return errors.Join(
			tx.PutAck(c.space, ack),
			tx.PutExchange(c.space, core.ExchangeRecord{Peer: c.bob.peer(), Mark: core.Mark{Epoch: core.Incarnation{1}, Row: 2}, AtMs: 3}),
			tx.PutPeerAddresses(core.PeerAddresses{Peer: c.bob.peer(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, SeenMs: 4}))
	}))

	other := s.create("other")
	s.upsert(other, "text", insert(10, 0, "elsewhere"))
	s.seal()
	if tail {
		s.upsert(other, "text", erase(13, 5, 2)) // of what is not here
		s.upsert(other, "text", insert(10, 9, " and "))
	}
	return s, []core.SpaceID{c.space, other}
}

// bringBytes stores the bytes of blobs.
func (s *site) bringBytes(contents ...string) {
	s.t.Helper()
	pool, err := s.store.OpenPool(s.clock.now)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, content := range contents {
		staged, err := pool.Stage(s.ctx(), strings.NewReader(content), core.StageOptions{Limit: 1 << 20, Size: -1})
		if err != nil {
			s.t.Fatal(err)
		}
		err = staged.Commit(s.ctx(), func(record func(core.Tx) (bool, error)) error {
			return s.store.Write(s.ctx(), func(tx core.Tx) error {
				_, err := record(tx)
				return err
			})
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// collections fills the tables of collections.
func collections(tx core.Tx) error {
	row := core.CollectionRow{Name: "tabs", Schema: 1, Seq: 9, Position: 2, ClearedAtMs: 5}
	err := tx.PutCollection(&row)
	for i := int64(1); i <= 3; i++ {
		rec := core.RecordRow{
			Position: i, Key: fmt.Sprint("s:t", i), UpdatedAtMs: 1000, Seq: i, Schema: 1, VersionKey: "v", Seen: []byte("seen"), Value: []byte(`{"id":1}`),
		}
		gone := core.TombstoneRow{Key: fmt.Sprint("s:gone", i), UpdatedAtMs: 7, MadeAtMs: 8, Seq: i, Seen: []byte("seen")}
		aside := core.QuarantineRow{Key: rec.Key, UpdatedAtMs: 3, Reason: "why", Value: []byte("bytes")}
		err = errors.Join(err, tx.AddRecord(row.Key, rec), tx.PutTombstone(row.Key, gone), tx.AddQuarantine(row.Key, &aside))
		row.Records, row.Tombstones, row.Bytes = i, i, row.Bytes+int64(len(rec.Key)-len("s:")+len(rec.Value))
	}
	return errors.Join(err, tx.PutCollection(&row))
}

// wantSound fails unless Verify finds nothing.
func (s *site) wantSound(what string) {
	s.t.Helper()
	if found := s.problems(); len(found) > 0 {
		s.t.Errorf("%s: %d problems, first %+v", what, len(found), found[0])
	}
}

func (s *site) problems() []replica.Problem {
	s.t.Helper()
	found, err := s.Verify(s.ctx())
	if err != nil {
		s.t.Fatalf("Verify = %v", err)
	}
	return found
}

// dumps is dump of several spaces, but for what sealing changes.
func (s *site) dumps(spaces []core.SpaceID) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, space := range spaces {
		for key, value := range s.dump(space) {
			if strings.HasPrefix(key, "head") || strings.HasPrefix(key, "frontier") {
				continue
			}
			all[string(space)+" "+key] = value
		}
	}
	return all
}

// raw opens a database beside the store.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=off&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// query returns all rows that a query finds.
func query(t *testing.T, db *sql.DB, text string) (all [][]any) {
	t.Helper()
	rows, err := db.Query(text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row := make([]any, len(names))
		to := make([]any, len(names))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// columns returns table.column of all tables.
func columns(t *testing.T, db *sql.DB) []string {
	t.Helper()
	var all []string
	for _, row := range query(t, db, `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1`) {
		all = append(all, row[0].(string))
	}
	return all
}

// flip changes one bit of a column in the row-th row, and returns false if there is
// none.
func flip(t *testing.T, db *sql.DB, table, column string, row int, r *rand.Rand) (what string, ok bool) {
	t.Helper()
	keys := map[string]string{
		"meta": "key", "field": "entry", "writer_head": "space, writer, chain", "frontier": "hash", "parked_bytes": "space, author",
		"doc_client": "doc, client", "doc_deleted": "doc, client, clock", "doc_op": "doc, n", "member": "space, peer",
		"invite": "ident", "verdict": "entry", "joining": "ident", "doc_pending": "doc, n",
		"doc_lost": "doc, entry, client, clock", "page": "space, ident", "page_move": "space, lamport, author, hash, n",
		"page_put": "space, page, entry", "blob": "space, hash", "blob_usage": "space", "blob_op": "space, hash, entry",
		"ack": "space, peer, writer, chain", "exchange": "space, peer", "address": "peer",
	}
	key := cmp.Or(keys[table], "rowid")
	found := query(t, db, fmt.Sprintf("SELECT %s, %s FROM %s ORDER BY %s LIMIT 1 OFFSET %d", column, key, table, key, row))
	if len(found) == 0 {
		return "", false
	}
	was, where := found[0][0], strings.ReplaceAll(key, ",", " = ? AND ")+" = ?"
	args := found[0]
	for range 50 { // a key may be taken
		args[0] = flipped(was, r)
		res, err := db.Exec(fmt.Sprintf("UPDATE %s SET %s = ? WHERE %s", table, column, where), args...)
		if err != nil {
			continue
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%d rows changed, %v", n, err)
		}
		return fmt.Sprintf("row %d: %s, was %s", row, short(args[0]), short(was)), true
	}
	return "", false
}

func short(v any) string {
	b, ok := v.([]byte)
	if !ok {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%.20x", b)
}

func flipped(v any, r *rand.Rand) any {
	switch v := v.(type) {
	case nil:
		return []byte{1}
	case int64:
		return v ^ 1<<[]int{0, 1, 2, 3, 5, 9, 33}[r.IntN(7)]
	case string:
		b := []byte(v)
		if len(b) == 0 {
			return "x"
		}
		b[r.IntN(len(b))] ^= 1 << r.IntN(5)
		return string(b)
	case []byte:
		b := bytes.Clone(v)
		if len(b) == 0 {
			return []byte{1}
		}
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return b
	}
	panic(fmt.Sprintf("%T", v))
}

// TestDamageIsFound changes one bit at a time, in every column of every table: Verify
// finds it, Rebuild mends what is not signed, and then all is as it was.
// SOMA_DAMAGE_SEEDS says how many bits of each column.
func TestDamageIsFound(t *testing.T) {
	var scenes [2]damageScene
	for i := range scenes {
		s, spaces := scene(t, i == 1)
		s.wantSound("scene")
		scenes[i] = damageScene{s, spaces, s.dumps(spaces)}
		s.crash() // the tail stays
	}
	db := raw(t, scenes[0].site.database)
	names := columns(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	tables := map[string]bool{}
	seeds := 2 // of both scenes
	if n, err := strconv.Atoi(os.Getenv("SOMA_DAMAGE_SEEDS")); err == nil {
		seeds = n
	}
	for _, name := range names {
		table, column, _ := strings.Cut(name, ".")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range seeds {
				r := rand.New(rand.NewPCG(uint64(n), uint64(len(name))))
				row := r.IntN(1 + min(n, 4))
				of := &scenes[n%2]
				if table == "doc_early" {
					of = &scenes[1]
				}
				damaged := *of.site
				damaged.t, damaged.dir = t, copyDir(t, damaged.dir)
				if table == "tail" { // Open would seal it
					damageOpen(t, &damaged, name, row%3, r)
					continue
				}
				db := raw(t, filepath.Join(damaged.dir, "soma.db"))
				what, ok := flip(t, db, table, column, row, r)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				if !ok {
					if row == 0 {
						t.Errorf("nothing in %s", table)
					}
					continue
				}
				of.check(t, damaged.again(), name, what, n%2 == 0)
				if t.Failed() {
					return
				}
			}
		})
		tables[table] = true
	}
	if len(tables) != 42 {
		t.Errorf("%d tables, want 42: %v", len(tables), slices.Sorted(maps.Keys(tables)))
	}
}

type damageScene struct {
	site   *site
	spaces []core.SpaceID
	want   map[string]string
}

// check opens a damaged copy of a scene.
func (d *damageScene) check(t *testing.T, opts siteOptions, name, what string, mustFind bool) {
	t.Helper()
	s, err := tryOpenSite(t, opts)
	if name == "peer.id" && errors.Is(err, core.ErrCorrupt) {
		return // whose directory is it?
	}
	if err != nil {
		t.Fatalf("%s: Open = %v", what, err)
	}
	found := s.problems()
	if mustFind && len(found) == 0 && unchecked[name] == "" {
		t.Errorf("%s: Verify found nothing", what)
	}
	if len(found) > 0 && testing.Verbose() {
		t.Logf("%s: %d problems, first %+v", what, len(found), found[0])
	}
	table, _, _ := strings.Cut(name, ".")
	for _, p := range found {
		if p.Lost != lost(name) && table != "doc_early" { // which is dropped
			t.Logf("%+v", p)
			t.Errorf("%s: lost is %v: %+v", what, p.Lost, p)
		}
	}
	err = s.Rebuild(s.ctx())
	switch {
	case local[table]:
		if err != nil {
			t.Errorf("%s: Rebuild = %v", what, err)
		}
	case signed[name]:
		if !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: Rebuild = %v, want ErrCorrupt", what, err)
		}
		if len(s.problems()) == 0 {
			t.Errorf("%s: Rebuild made signed data sound", what)
		}
	case err != nil:
		t.Errorf("%s: Rebuild = %v", what, err)
	default:
		s.wantSound(what + ", rebuilt")
		wantEqual(t, what, s.dumps(d.spaces), d.want)
	}
	s.close()
}

// TestLostRowsAreFound removes one row at a time, from every table that follows from the
// log.
func TestLostRowsAreFound(t *testing.T) {
	s, spaces := scene(t, false)
	of := &damageScene{s, spaces, s.dumps(spaces)}
	s.crash()
	for _, table := range []string{
		"space", "field", "writer", "writer_head", "frontier", "auth_set", "parked", "parked_bytes", "doc", "doc_client",
		"doc_deleted", "doc_pending", "doc_snapshot", "doc_op", "member", "invite", "verdict",
		"page", "page_move", "page_put", "blob", "blob_op", "blob_usage",
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			damaged := *s
			damaged.t, damaged.dir = t, copyDir(t, s.dir)
			db := raw(t, filepath.Join(damaged.dir, "soma.db"))
			first := query(t, db, "SELECT * FROM "+table+" LIMIT 1")
			columns := query(t, db, "SELECT name FROM pragma_table_info('"+table+"')")
			var where []string
			for _, c := range columns {
				where = append(where, c[0].(string)+" IS ?")
			}
			_, err := db.Exec("DELETE FROM "+table+" WHERE "+strings.Join(where, " AND "), first[0]...)
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			of.check(t, damaged.again(), table+".*", "a row of "+table+" is gone", true)
		})
	}
}

// damageOpen damages a tail while the directory is open.
func damageOpen(t *testing.T, s *site, name string, row int, r *rand.Rand) {
	t.Helper()
	opened := openSite(t, s.again()) // seals it
	space := opened.create("tails")
	opened.upsert(space, "doc", insert(1, 0, "sealed"))
	for i := range uint64(3) {
		opened.upsert(space, "doc", insert(1, 6+i, "x"))
	}
	db := raw(t, filepath.Join(opened.dir, "soma.db"))
	table, column, _ := strings.Cut(name, ".")
	what, ok := flip(t, db, table, column, row, r)
	if err := db.Close(); err != nil || !ok {
		t.Fatalf("flip = %v, %v", ok, err)
	}
	found := opened.problems()
	if len(found) == 0 && unchecked[name] == "" {
		t.Errorf("%s: Verify found nothing", what)
	}
	for _, p := range found[:min(len(found), 1)] {
		if !p.Lost {
			t.Errorf("%s: can be mended: %+v", what, p)
		}
	}
	if err := opened.Rebuild(opened.ctx()); errors.Is(err, core.ErrCorrupt) != (len(found) > 0) && column != "doc" {
		t.Errorf("%s: Rebuild = %v after %d problems", what, err, len(found))
	}
	opened.crash()
}

// TestPagesAreChecked damages the file below the rows.
func TestPagesAreChecked(t *testing.T) {
	s, _ := scene(t, true)
	s.close()
	db := raw(t, s.database)
	var page, size int64
	if err := errors.Join(
		db.QueryRow("SELECT rootpage FROM sqlite_master WHERE name = 'entry_in_chain'").Scan(&page),
		db.QueryRow("PRAGMA page_size").Scan(&size), db.Close(),
	); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.database)
	if err != nil {
		t.Fatal(err)
	}
	b[page*size-1] ^= 4 // the last cell of the index
	if err := os.WriteFile(s.database, b, 0o600); err != nil {
		t.Fatal(err)
	}
	again := openSite(t, s.again())
	found := again.problems()
	if len(found) == 0 || found[0].Lost {
		t.Fatalf("Verify = %+v, want a problem that can be mended", found)
	}
	if err := again.Rebuild(again.ctx()); err != nil {
		t.Fatal(err)
	}
	again.wantSound("rebuilt")
}

// TestFailingRebuild lets every write of Rebuild fail: a space is rebuilt, or stays as it
// was, and so does what is kept in memory.
func TestFailingRebuild(t *testing.T) {
	s, spaces := scene(t, true)
	want := s.dumps(spaces)
	s.crash()
	db := raw(t, s.database)
	_, err := db.Exec(`UPDATE space SET name = 'wrong'; UPDATE doc_client SET end_clock = end_clock + 1;
		DELETE FROM member; DELETE FROM verdict; UPDATE doc SET hidden = 1 - hidden; DELETE FROM frontier WHERE space = 1`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	opts := s.again()
	opts.faults = &faults{}
	s = openSite(t, opts)
	before := s.dumps(spaces)
	mended := map[core.SpaceID]bool{}
	k := int64(1)
	for ; ; k++ {
		opts.faults.arm(k, false, k%2 == 0)
		err := rebuildOrPanic(s)
		if !opts.faults.disarm() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, errInjected) {
			t.Fatalf("Rebuild, failing at %d = %v, want the injected error", k, err)
		}
		after := s.dumps(spaces)
		for _, space := range spaces {
			mended[space] = mended[space] || after[string(space)+" name"] != "wrong"
			for key := range after {
				if was := map[bool]string{true: want[key], false: before[key]}[mended[space]]; strings.HasPrefix(key, string(space)) && after[key] != was {
					t.Fatalf("Rebuild, failing at %d: %s = %q, want %q", k, key, after[key], was)
				}
			}
		}
		s.verifyCache()
	}
	if k < 50 {
		t.Errorf("Rebuild got through after %d failures, want one for every write", k-1)
	}
	s.wantSound("rebuilt")
	wantEqual(t, "rebuilt", s.dumps(spaces), want)
}

// rebuildOrPanic turns an injected panic into an error.
func rebuildOrPanic(s *site) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	return s.Rebuild(s.ctx())
}
