package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// checkCollections looks at the tables of collections. Nothing else says what is in them.
func (v *view) checkCollections(fn func(core.Damage) error) error {
	for _, check := range []struct {
		table, columns string
		damaged        func(*row) (key string, damaged bool)
	}{
		{"collection", collectionColumns, func(r *row) (string, bool) {
			rec := collectionOf(r)
			return rec.Name, rec.Damaged
		}},
		{"record", recordColumns, func(r *row) (string, bool) {
			rec := recordOf(r, r.int(1))
			return rec.Key, rec.Damaged
		}},
		{"tombstone", "id, " + tombstoneColumns, func(r *row) (string, bool) {
			t := tombstoneOf(&row{vals: r.vals[1:]})
			return t.Key, t.Damaged
		}},
		{"quarantine", quarantineColumns, func(r *row) (string, bool) {
			q := quarantineOf(r)
			return q.Key, q.Damaged
		}},
	} {
		sql := "SELECT " + check.columns + " FROM " + check.table + " WHERE id > ? ORDER BY id LIMIT ?+0"
		err := v.eachPage(fn, sql, func(r *row) (core.Damage, bool) {
			key, damaged := check.damaged(r)
			return core.Damage{Table: check.table, Detail: fmt.Sprintf("row %q has another checksum", key), Lost: true}, damaged
		})
		if err != nil {
			return err
		}
	}
	return v.checkCounts(fn)
}

// checkCounts compares the counters of collections with their rows, and looks for rows of
// no collection. The two bytes that say of which type a key is do not count.
func (v *view) checkCounts(fn func(core.Damage) error) error {
	err := v.found(fn, `SELECT name FROM collection c WHERE
			(records, bytes) <> (SELECT count(*), ifnull(sum(max(length(CAST(key AS BLOB)) - 2, 0) + length(value)), 0) FROM record WHERE collection = c.id)
			OR tombstones <> (SELECT count(*) FROM tombstone WHERE collection = c.id)`, nil,
		func(r *row) (core.Damage, bool) {
			return core.Damage{Table: "collection", Detail: fmt.Sprintf("%q counts its rows wrongly", r.text(0)), Lost: true}, true
		})
	if err != nil {
		return err
	}
	for _, table := range []string{"record", "tombstone", "quarantine"} {
		o := orphan{table, "collection", "collection"}
		err := v.found(fn, "SELECT count(*) FROM "+table+" WHERE "+o.condition(), nil, func(r *row) (core.Damage, bool) {
			return core.Damage{Table: table, Detail: fmt.Sprintf("%d rows have a collection that is not there", r.int(0)), Lost: true}, r.int(0) > 0
		})
		if err != nil {
			return err
		}
	}
	return nil
}
