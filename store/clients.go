package store

import (
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

const clientColumns = "SELECT client, end_clock FROM doc_client "

// DocClient implements core.View.
func (v *view) DocClient(doc int64, client uint64) (core.DocClient, error) {
	r, err := v.c.one(clientColumns+"WHERE doc = ? AND client = ?", doc, int64(client))
	if err == nil && r == nil {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.DocClient{}, fmt.Errorf("read client %d of document %d: %w", client, doc, err)
	}
	rec := clientOf(r)
	return rec, r.bad()
}

// DocClients implements core.View.
func (v *view) DocClients(doc int64) ([]core.DocClient, error) {
	var recs []core.DocClient
	err := v.c.each(clientColumns+"WHERE doc = ?+0 ORDER BY client DESC", []any{doc}, func(r *row) bool {
		recs = append(recs, clientOf(r))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list clients of document %d: %w", doc, err)
	}
	return recs, nil
}

func clientOf(r *row) core.DocClient {
	return core.DocClient{Client: r.uint(0), End: r.uint(1)}
}

// PutDocClient implements core.Tx. Clients and clocks of Yjs have at most 53
// bits; above 63 they are ErrTooLarge.
func (t *tx) PutDocClient(doc int64, c core.DocClient) error {
	if err := checkRange("client", c.Client); err != nil {
		return err
	}
	if err := checkRange("clock", c.End); err != nil {
		return err
	}
	_, err := t.c.exec("INSERT INTO doc_client (doc, client, end_clock) VALUES (?, ?, ?) ON CONFLICT (doc, client) DO UPDATE SET end_clock = excluded.end_clock",
		doc, int64(c.Client), int64(c.End))
	if err != nil {
		return fmt.Errorf("write client %d of document %d: %w", c.Client, doc, err)
	}
	return nil
}
