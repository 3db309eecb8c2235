package soma_test

import (
	"errors"
	"testing"

	"github.com/soma-sdk/soma"
	"github.com/soma-sdk/soma/internal/somatest"
)

// Editors come back with all that they have, to a document out of which content was taken.
func TestFits(t *testing.T) {
	m := newTeam(t, "eve", "cid")
	m.upsert("ann", "page", typed(1, 0, nil, "keep this"))
	m.sync()
	m.upsert("eve", "page", typed(2, 0, &[2]uint64{1, 8}, " void"))
	m.upsert("eve", "page", somatest.Deletion(1, 0, 5))
	cid := m.dbs["cid"].Documents()
	m.send("eve", "cid")
	before, err := cid.Diff(m.ctx(), m.space, "page", nil)
	m.must("Diff", err)
	m.must("Fits before", cid.Fits(m.ctx(), m.space, "page", before))
	m.must("Remove", m.dbs["ann"].Spaces().RemoveMember(m.ctx(), m.space, m.peer("eve"), soma.RemoveOptions{}))
	m.send("ann", "cid")
	if got := m.text("cid", "page"); got != "keep this" {
		t.Fatalf("the document is %q, want it without what is void", got)
	}
	after, err := cid.Diff(m.ctx(), m.space, "page", nil)
	m.must("Diff", err)
	for name, c := range map[string]struct {
		state []byte
		want  error
	}{
		"what was":                {before, soma.ErrStaleDocument},
		"void text":               {typed(2, 0, &[2]uint64{1, 8}, " void"), soma.ErrStaleDocument},
		"part of it":              {typed(2, 0, &[2]uint64{1, 8}, " vo"), soma.ErrStaleDocument},
		"a void deletion":         {somatest.Deletion(1, 0, 5), soma.ErrStaleDocument},
		"what is":                 {after, nil},
		"nothing":                 {[]byte{0, 0}, nil},
		"text of one's own":       {typed(3, 0, &[2]uint64{1, 8}, "!"), nil},
		"a deletion of one's own": {somatest.Deletion(1, 6, 2), nil},
		"no update":               {[]byte{1, 9}, soma.ErrInvalidUpdate},
	} {
		if err := cid.Fits(m.ctx(), m.space, "page", c.state); !errors.Is(err, c.want) {
			t.Errorf("Fits(%s) = %v, want %v", name, err, c.want)
		}
	}
	m.must("Fits of a document that is not there", cid.Fits(m.ctx(), m.space, "none", before))
	if err := cid.Fits(m.ctx(), "elsewhere", "page", before); !errors.Is(err, soma.ErrNotFound) {
		t.Errorf("Fits in an unknown space = %v, want ErrNotFound", err)
	}
	if got := m.text("cid", "page"); got != "keep this" {
		t.Errorf("Fits stored something: %q", got)
	}
}
