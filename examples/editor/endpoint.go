package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/soma-sdk/soma"
)

// maxBody bounds what a request says in JSON, in bytes.
const maxBody = 4 << 20

// none is what a request says that has no body.
type none struct{}

// endpoint makes a handler of a function: it reads what the body says, and what the
// function returns is the answer, both JSON. Errors have the status that fits them.
func endpoint[In any](fn func(r *http.Request, in In) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		out, err := any(nil), read(r, &in)
		if err == nil {
			out, err = fn(r, in)
		}
		if err != nil {
			fail(w, err)
			return
		}
		answer(w, http.StatusOK, out)
	}
}

var errBadRequest = errors.New("the request is not what is expected")

func read[In any](r *http.Request, in *In) error {
	if _, empty := any(in).(*none); empty {
		return nil
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(in)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.Join(errors.New("there is more than one value"), err)
	}
	return fmt.Errorf("%w: %w", errBadRequest, err)
}

// answer sends v, which is made of what JSON has.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// fail says what went wrong.
func fail(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		log.Print(err)
	}
	answer(w, status, map[string]string{"error": err.Error()})
}

// statusOf returns the first status that fits: more than one of the errors may be in one.
func statusOf(err error) int {
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return http.StatusRequestEntityTooLarge
	}
	for _, s := range []struct {
		status int
		of     []error
	}{
		{http.StatusServiceUnavailable, []error{soma.ErrClosed}},
		{http.StatusNotFound, []error{soma.ErrNotFound}},
		{http.StatusForbidden, []error{soma.ErrForbidden}},
		{http.StatusConflict, []error{soma.ErrLastOwner, soma.ErrPageCycle, soma.ErrTooNew, soma.ErrClientIDTaken}},
		{http.StatusRequestEntityTooLarge, []error{soma.ErrTooLarge}},
		{http.StatusInsufficientStorage, []error{soma.ErrQuota, soma.ErrDiskFull}},
		{http.StatusBadRequest, []error{
			errBadRequest, soma.ErrInvalidOption, soma.ErrInvalidID, soma.ErrInvalidName, soma.ErrInvalidTicket, soma.ErrTicketExpired,
			soma.ErrInvalidPlace, soma.ErrInvalidDraft, soma.ErrInvalidUpdate, soma.ErrInvalidMIME,
		}},
	} {
		for _, target := range s.of {
			if errors.Is(err, target) {
				return s.status
			}
		}
	}
	return http.StatusInternalServerError
}
