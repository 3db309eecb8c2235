package upload

import (
	"encoding/json"
	"slices"

	"github.com/soma-sdk/soma/internal/core"
)

// Job is an upload as it was at one moment.
type Job struct {
	ID              string          `json:"id"`
	SpaceID         core.SpaceID    `json:"spaceId"`
	Path            string          `json:"path,omitempty"`
	Spooled         bool            `json:"spooled,omitempty"`
	Name            string          `json:"name,omitempty"`
	MIME            string          `json:"mime,omitempty"`
	Size            int64           `json:"size"`
	CID             core.CID        `json:"cid,omitempty"`
	State           State           `json:"state"`
	Attempts        int64           `json:"attempts"`
	SentBytes       int64           `json:"sentBytes"`
	LastError       string          `json:"lastError,omitempty"`
	Permanent       bool            `json:"permanent,omitempty"`
	NextAttemptAtMs int64           `json:"nextAttemptAtMs,omitempty"`
	CreatedAtMs     int64           `json:"createdAtMs"`
	UpdatedAtMs     int64           `json:"updatedAtMs"`
	Renderer        json.RawMessage `json:"renderer,omitempty"`
}

// State says how far a job is.
type State string

// The states of jobs.
const (
	Queued    State = "queued"
	Hashing   State = "hashing"
	Uploading State = "uploading"
	Verifying State = "verifying"
	Waiting   State = "waiting"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"

	// Removed is that of a job which is not there any more. No row has it.
	Removed State = "removed"
	// ListAgain stands for more news than could wait, of any jobs.
	ListAgain State = "list-again"
)

// states are in the order of core.UploadState.
var states = []State{Queued, Hashing, Uploading, Verifying, Waiting, Done, Failed, Cancelled}

func (s State) number() (core.UploadState, bool) {
	n := slices.Index(states, s)
	return core.UploadState(max(n, 0)), n >= 0
}

// IsFinished reports whether nothing happens any more by itself.
func (s State) IsFinished() bool {
	n, ok := s.number()
	return !ok || n.IsFinished()
}

func jobOf(rec *core.UploadRecord) Job {
	j := Job{
		ID: rec.ID, SpaceID: rec.Space, Path: rec.Path, Spooled: rec.Path == "", Name: rec.Name, MIME: rec.MIME, Size: rec.Size,
		State: stateOf(rec), Attempts: rec.Attempts, SentBytes: rec.SentBytes, LastError: rec.LastError, Permanent: rec.Permanent,
		NextAttemptAtMs: rec.NextAttemptMs, CreatedAtMs: rec.CreatedAtMs, UpdatedAtMs: rec.UpdatedAtMs,
		Renderer: slices.Clone(rec.Renderer), // several subscribers get it
	}
	if len(rec.Hash) == len(core.Hash{}) {
		j.CID = core.CIDFromHash(core.Hash(rec.Hash))
	}
	return j
}

func stateOf(rec *core.UploadRecord) State {
	if int(rec.State) >= len(states) {
		return ""
	}
	return states[rec.State]
}
