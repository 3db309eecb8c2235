package store

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// Query returns the documents of a space that match, in no order. rank scores one where
// the engine does not do it itself; it must not keep its argument. ctx interrupts.
func (x *SearchIndex) Query(ctx context.Context, space core.SpaceID, q core.SearchQuery, rank func(core.MatchInfo) float64) ([]core.IndexMatch, error) {
	if len(q.All) == 0 {
		return nil, ctx.Err()
	}
	select {
	case <-x.closing:
		return nil, core.ErrClosed
	default:
	}
	select {
	case c := <-x.readers.free:
		defer func() { x.readers.free <- c }()
		found, err := x.query(ctx, c, space, q, rank)
		return found, wrap("query search index", x.failed(err))
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-x.closing:
		return nil, core.ErrClosed
	}
}

func (x *SearchIndex) query(ctx context.Context, c *conn, space core.SpaceID, q core.SearchQuery, rank func(core.MatchInfo) float64) ([]core.IndexMatch, error) {
	key, err := spaceKey(c, space)
	if err != nil || key == 0 {
		return nil, err
	}
	args := []any{x.engine.match(q), key}
	if x.engine == fts5 {
		args = append(args, q.Weights[0], q.Weights[1])
	}
	var found []core.IndexMatch
	var info core.MatchInfo
	err = c.eachContext(ctx, x.engine.find(), args, func(r *row) bool {
		m := core.IndexMatch{IndexedDoc: core.IndexedDoc{ID: r.text(0), UpdatedAtMs: r.int(1)}}
		if x.engine == fts5 {
			m.Score = r.float(2)
		} else {
			info = decodeInfo(info[:0], r.blob(2))
			m.Score = rank(info)
		}
		found = append(found, m)
		return true
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func decodeInfo(info core.MatchInfo, b []byte) core.MatchInfo {
	for ; len(b) >= 4; b = b[4:] {
		info = append(info, binary.NativeEndian.Uint32(b))
	}
	return info
}

// match returns a query in the engine's language.
func (e engine) match(q core.SearchQuery) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, p := range q.All {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString("(" + e.phrase(p.Terms, false))
		if p.Prefix {
			b.WriteString(" OR " + e.phrase(p.Terms, true))
		}
		b.WriteByte(')')
	}
	b.WriteByte(')')
	for i, p := range q.None {
		if i == 0 {
			b.WriteString(" NOT (")
		} else {
			b.WriteString(" OR ")
		}
		b.WriteString(e.phrase(p.Terms, p.Prefix))
	}
	if len(q.None) > 0 {
		b.WriteByte(')')
	}
	return b.String()
}

// spaceKey returns the key of a space in the index, 0 for none.
func spaceKey(c *conn, space core.SpaceID) (int64, error) {
	r, err := c.one("SELECT id FROM space WHERE ident = ?", string(space))
	if err != nil || r == nil {
		return 0, err
	}
	return r.int(0), r.bad()
}
