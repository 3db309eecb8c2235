package store

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// checkPage is how many rows of a table one statement of Check looks at.
const checkPage = 1024

// Check implements core.View.
func (v *view) Check(fn func(core.Damage) error) error {
	for _, check := range []func(func(core.Damage) error) error{
		v.checkPages, v.checkReferences, v.checkOrphans, v.checkValues, v.checkSizes, v.checkAuthSets, v.checkTails, v.checkEarly, v.checkJoining, v.checkCollections,
		v.checkDrafts,
		v.checkBlobFiles,
		v.checkUploads,
		v.checkFetch,
		v.checkShared,
	} {
		if err := check(fn); err != nil {
			return err
		}
	}
	return nil
}

// found runs a query of which every row is damage, and calls fn once no statement is
// open any more.
func (v *view) found(fn func(core.Damage) error, sql string, args []any, damage func(*row) (core.Damage, bool)) error {
	var all []core.Damage
	err := v.c.each(sql, args, func(r *row) bool {
		if d, ok := damage(r); ok {
			all = append(all, d)
		}
		return true
	})
	if err != nil {
		return wrap("check database", err)
	}
	v.c.forget(sql)
	for _, d := range all {
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}

// checkPages asks SQLite. Rows that an index lacks, or has too many of, are all that
// can be mended of what it finds.
func (v *view) checkPages(fn func(core.Damage) error) error {
	return v.found(fn, "PRAGMA integrity_check", nil, func(r *row) (core.Damage, bool) {
		text := r.text(0)
		return core.Damage{Detail: text, Lost: !strings.Contains(text, "index ")}, text != "ok"
	})
}

// checkReferences asks SQLite for the rows that the schema says must be there.
func (v *view) checkReferences(fn func(core.Damage) error) error {
	return v.found(fn, `SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2`, nil, func(r *row) (core.Damage, bool) {
		return core.Damage{Table: r.text(0), Detail: fmt.Sprintf("%d rows refer to a missing row of %s", r.int(2), r.text(1))}, true
	})
}

// orphan is a kind of row that needs another one which the schema does not ask for,
// since that would cost a look at each write.
type orphan struct{ table, column, parent string }

var orphans = []orphan{
	{"field", "space", "space"},
	{"writer_head", "space", "space"},
	{"frontier", "space", "space"},
	{"auth_set", "space", "space"},
	{"parked", "space", "space"},
	{"parked_bytes", "space", "space"},
	{"member", "space", "space"},
	{"invite", "space", "space"},
	{"verdict", "space", "space"},
	{"doc_client", "doc", "doc"},
	{"doc_deleted", "doc", "doc"},
	{"doc_pending", "doc", "doc"},
	{"doc_snapshot", "doc", "doc"},
	{"doc_op", "doc", "doc"},
	{"doc_early", "doc", "doc"},
	{"doc_lost", "space", "space"},
	{"doc_lost", "doc", "doc"},
	{"page", "space", "space"},
	{"page_move", "space", "space"},
	{"page_put", "space", "space"},
	{"blob", "space", "space"},
	{"blob_op", "space", "space"},
}

func (o orphan) condition() string {
	return fmt.Sprintf("%s NOT IN (SELECT id FROM %s)", o.column, o.parent)
}

// unknownPeers are the columns that name a peer without saying so to SQLite. Peer 0
// is nobody.
var unknownPeers = []orphan{
	{"member", "added_by", "peer"},
	{"invite", "created_by", "peer"},
	{"parked", "author", "peer"},
	{"page", "created_by", "peer"},
	{"blob", "created_by", "peer"},
}

func (v *view) checkOrphans(fn func(core.Damage) error) error {
	count := func(o orphan, condition string, lost bool) error {
		return v.found(fn, "SELECT count(*) FROM "+o.table+" WHERE "+condition, nil, func(r *row) (core.Damage, bool) {
			d := core.Damage{Table: o.table, Detail: fmt.Sprintf("%d rows have a %s that is not there", r.int(0), o.column), Lost: lost}
			return d, r.int(0) > 0
		})
	}
	for _, o := range orphans {
		if err := count(o, o.condition(), false); err != nil {
			return err
		}
	}
	for _, o := range unknownPeers {
		if err := count(o, o.column+" <> 0 AND "+o.condition(), false); err != nil {
			return err
		}
	}
	tail := orphan{"tail", "doc", "doc"}
	return count(tail, tail.condition(), true)
}

// impossible are values that a row cannot have: no reader would see that they are wrong.
var impossible = []struct{ table, condition string }{
	{"space", "id <= 0"},
	{"writer", "id <= 0"},
	{"doc", "id <= 0 OR hidden NOT IN (0, 1)"},
	{"entry", "id <= 0 OR chain NOT IN (0, 1) OR state NOT IN (0, 1)"},
	{"writer_head", "chain NOT IN (0, 1)"},
	{"frontier", "chain NOT IN (0, 1)"},
	{"member", "role NOT BETWEEN 0 AND 255 OR kind NOT BETWEEN 0 AND 255"},
	{"invite", "role NOT BETWEEN 0 AND 255"},
	{"page", "state NOT BETWEEN 0 AND 3 OR archived NOT IN (0, 1)"},
	{"page_move", "kind NOT BETWEEN 0 AND 255 OR was_state NOT BETWEEN 0 AND 3"},
}

func (v *view) checkValues(fn func(core.Damage) error) error {
	for _, i := range impossible {
		err := v.found(fn, "SELECT count(*) FROM "+i.table+" WHERE "+i.condition, nil, func(r *row) (core.Damage, bool) {
			return core.Damage{Table: i.table, Detail: fmt.Sprintf("%d rows have values that none can have", r.int(0))}, r.int(0) > 0
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// parkedBytes counts what parked_bytes should.
const parkedBytes = `SELECT space, author, sum(size) FROM parked GROUP BY space, author
	UNION ALL SELECT space, -1, sum(size) FROM parked GROUP BY space`

func (v *view) checkSizes(fn func(core.Damage) error) error {
	err := v.found(fn, "SELECT count(*) FROM parked WHERE size <> length(header) + length(sig) + ifnull(length(ops), 0)", nil,
		func(r *row) (core.Damage, bool) {
			return core.Damage{Table: "parked", Detail: fmt.Sprintf("%d rows have another size", r.int(0))}, r.int(0) > 0
		})
	if err != nil {
		return err
	}
	return v.found(fn, "SELECT (SELECT count(*) FROM ("+parkedBytes+" EXCEPT SELECT space, author, bytes FROM parked_bytes)) + "+
		"(SELECT count(*) FROM (SELECT space, author, bytes FROM parked_bytes EXCEPT SELECT * FROM ("+parkedBytes+")))", nil,
		func(r *row) (core.Damage, bool) {
			return core.Damage{Table: "parked_bytes", Detail: fmt.Sprintf("%d sums are wrong or missing", r.int(0))}, r.int(0) > 0
		})
}

func (v *view) checkAuthSets(fn func(core.Damage) error) error {
	return v.eachPage(fn, "SELECT id, digest, heads FROM auth_set WHERE id > ? ORDER BY id LIMIT ?+0", func(r *row) (core.Damage, bool) {
		digest := sha256.Sum256(r.blob(2))
		return core.Damage{Table: "auth_set", Detail: fmt.Sprintf("set %d has another digest", r.int(0))}, string(r.blob(1)) != string(digest[:])
	})
}

func (v *view) checkTails(fn func(core.Damage) error) error {
	return v.eachPage(fn, "SELECT id, doc, n, op_id, body, sum FROM tail WHERE id > ? ORDER BY id LIMIT ?+0", func(r *row) (core.Damage, bool) {
		doc, rec := r.int(1), core.TailRecord{N: r.int(2), OpID: r.blob(3), Update: r.blob(4)}
		d := core.Damage{Table: "tail", Detail: fmt.Sprintf("update %d of document %d has another checksum", rec.N, doc), Lost: true}
		return d, sumOfTail(doc, rec) != r.int(5)
	})
}

func (v *view) checkEarly(fn func(core.Damage) error) error {
	docs, err := v.damagedEarly()
	if err != nil {
		return err
	}
	for _, doc := range docs {
		d := core.Damage{Table: "doc_early", Detail: fmt.Sprintf("early deletions of document %d have another checksum", doc), Lost: true}
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}

// damagedEarly returns the documents whose early deletions are damaged.
func (v *view) damagedEarly() (docs []int64, err error) {
	none := func(core.Damage) error { return nil }
	err = v.eachPage(none, "SELECT doc, body, sum FROM doc_early WHERE doc > ? ORDER BY doc LIMIT ?+0", func(r *row) (core.Damage, bool) {
		if doc := r.int(0); sumOfEarly(doc, r.blob(1)) != r.int(2) {
			docs = append(docs, doc)
		}
		return core.Damage{}, false
	})
	return docs, err
}

func (v *view) checkJoining(fn func(core.Damage) error) error {
	return v.found(fn, "SELECT ident, ticket, sum FROM joining", nil, func(r *row) (core.Damage, bool) {
		d := core.Damage{Table: "joining", Detail: fmt.Sprintf("the ticket for space %s has another checksum", r.text(0)), Lost: true}
		return d, sumOfJoining(core.SpaceID(r.text(0)), r.blob(1)) != r.int(2)
	})
}

// eachPage is found for a table whose first column is its row id, a page at a time.
func (v *view) eachPage(fn func(core.Damage) error, sql string, damage func(*row) (core.Damage, bool)) error {
	for after, more := int64(math.MinInt64), true; more; {
		n := 0
		err := v.found(fn, sql, []any{after, int64(checkPage)}, func(r *row) (core.Damage, bool) {
			after, n = r.int(0), n+1
			return damage(r)
		})
		if err != nil {
			return err
		}
		more = n == checkPage
	}
	return nil
}
