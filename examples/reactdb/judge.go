package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/soma-sdk/soma"
)

// acknowledged has, for each collection and key that only one window writes, what may be
// there: what Soma said is stored, or what the window wrote after that and had no answer to.
// null is a row that was deleted.
type acknowledged map[string]map[string][]json.RawMessage

// checkAcknowledged returns how many rows it has found to be as they must be.
func checkAcknowledged(ctx context.Context, db *soma.DB, file string) (checked int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var want acknowledged
	if err := json.Unmarshal(text, &want); err != nil {
		return 0, err
	}
	for name, rows := range want {
		for key, may := range rows {
			got, err := stored(ctx, db, name, key)
			if err != nil {
				return checked, err
			}
			if !isOneOf(got, may) {
				return checked, fmt.Errorf("%s has %s as %s, want one of %s", name, key, got, may)
			}
			checked++
		}
	}
	return checked, nil
}

// stored returns what a window has written under a key, null for nothing.
func stored(ctx context.Context, db *soma.DB, name, key string) (value json.RawMessage, err error) {
	if name == soma.CollectionUploadJobs { // of which a field is the window's
		var job soma.UploadJob
		job, err = db.Uploads().Get(ctx, key)
		value = job.Renderer
	} else {
		var rec soma.RawRecord
		rec, err = db.Collections().Get(ctx, name, key)
		value = rec.Value
	}
	if errors.Is(err, soma.ErrNotFound) {
		return json.RawMessage("null"), nil
	}
	return value, err
}

// isOneOf compares values as JavaScript sees them.
func isOneOf(got json.RawMessage, may []json.RawMessage) bool {
	for _, want := range may {
		var a, b any
		if json.Unmarshal(got, &a) == nil && json.Unmarshal(want, &b) == nil && reflect.DeepEqual(a, b) {
			return true
		}
	}
	return false
}
