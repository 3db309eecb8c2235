package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// streamEvents tells the page what changed, as server-sent events: "change" is a domain
// event, "sync" how sync stands. A page that is slow is told each thing once.
func (s *server) streamEvents(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()
	changes, sync := s.db.Subscribe(ctx), s.db.Sync().Watch(ctx)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	send := func(name string, v any) error {
		data, err := json.Marshal(v)
		if err == nil {
			_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data)
		}
		if err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	for err := send("ready", nil); err == nil; {
		select {
		case change, open := <-changes:
			if !open {
				return
			}
			err = send("change", change)
		case _, open := <-sync:
			if !open {
				return
			}
			status, failed := s.db.Sync().Status(ctx)
			if failed != nil {
				return
			}
			err = send("sync", status)
		}
	}
}
