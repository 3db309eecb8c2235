package upload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/strictjson"
)

// Limits of a job.
const (
	MaxPathBytes     = 4096
	MaxNameBytes     = 255 // as those of a blob
	MaxMIMEBytes     = 255
	MaxErrorBytes    = 1024
	MaxRendererBytes = 16 << 10
)

// UnmarshalJSON is ParseJob into j, which keeps its value on an error.
func (j *Job) UnmarshalJSON(data []byte) error {
	parsed, err := ParseJob(data)
	if err != nil {
		return err
	}
	*j = parsed
	return nil
}

// ParseJob reads one job from JSON. It reports core.ErrInvalidUpload for a missing, extra or
// repeated field, a wrong type (null too), a number that is not a plain integer from 0 to
// 2^53-1, an unknown state, an ID or a CID that is none (an empty one too), a path that is
// not absolute or that of a reader, text beyond its limit, and data after it.
func ParseJob(data []byte) (Job, error) {
	var j Job
	seen, err := strictjson.Object(data, j.setField)
	if err != nil {
		return Job{}, invalid(err)
	}
	for _, name := range []string{"id", "spaceId", "size", "state", "attempts", "sentBytes", "createdAtMs", "updatedAtMs"} {
		if !seen[name] {
			return Job{}, invalid(fmt.Errorf("%s is missing", name))
		}
	}
	if err := j.check(); err != nil {
		return Job{}, invalid(err)
	}
	return j, nil
}

func invalid(err error) error { return fmt.Errorf("%w: %w", core.ErrInvalidUpload, err) }

func (j *Job) setField(name string, raw json.RawMessage) (err error) {
	switch name {
	case "id":
		return setString(&j.ID, name, raw)
	case "spaceId":
		return setString(&j.SpaceID, name, raw)
	case "path":
		if err = setString(&j.Path, name, raw); err == nil && !isAbs(j.Path) {
			err = fmt.Errorf("path %.100q is not absolute", j.Path)
		}
		return err
	case "name":
		return setString(&j.Name, name, raw)
	case "mime":
		return setString(&j.MIME, name, raw)
	case "cid":
		if err = setString(&j.CID, name, raw); err == nil {
			_, err = j.CID.Hash()
		}
		return err
	case "state":
		return setString(&j.State, name, raw)
	case "lastError":
		return setString(&j.LastError, name, raw)
	case "spooled":
		return setBool(&j.Spooled, name, raw)
	case "permanent":
		return setBool(&j.Permanent, name, raw)
	case "size":
		j.Size, err = strictjson.Integer(name, raw)
	case "attempts":
		j.Attempts, err = strictjson.Integer(name, raw)
	case "sentBytes":
		j.SentBytes, err = strictjson.Integer(name, raw)
	case "nextAttemptAtMs":
		j.NextAttemptAtMs, err = strictjson.Integer(name, raw)
	case "createdAtMs":
		j.CreatedAtMs, err = strictjson.Integer(name, raw)
	case "updatedAtMs":
		j.UpdatedAtMs, err = strictjson.Integer(name, raw)
	case "renderer":
		j.Renderer, err = rendererOf(raw)
	default:
		err = strictjson.Unknown(name)
	}
	return err
}

// isAbs reports whether a path is absolute on any system: a job may be read on another one.
func isAbs(path string) bool {
	if len(path) > 2 && path[1] == ':' && (path[2] == '\\' || path[2] == '/') {
		drive := path[0] | 0x20
		return 'a' <= drive && drive <= 'z'
	}
	return strings.HasPrefix(path, "/") || strings.HasPrefix(path, `\\`)
}

func setString[S ~string](to *S, name string, raw json.RawMessage) error {
	s, err := strictjson.String(name, raw)
	*to = S(s)
	return err
}

func setBool(to *bool, name string, raw json.RawMessage) error {
	switch string(raw) {
	case "true", "false":
		*to = string(raw) == "true"
		return nil
	}
	return fmt.Errorf("%s is not a boolean", name)
}

// rendererOf reads what the renderer keeps with a job: an object, without white space.
func rendererOf(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, fmt.Errorf("renderer is not an object")
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("renderer is not UTF-8")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, fmt.Errorf("renderer: %w", err)
	}
	if b.Len() > MaxRendererBytes {
		return nil, fmt.Errorf("renderer has %d bytes, at most %d are allowed: %w", b.Len(), MaxRendererBytes, core.ErrTooLarge)
	}
	return b.Bytes(), nil
}

func (j *Job) check() error {
	if !IsID(j.ID) {
		return fmt.Errorf("id %.100q is not %d of a-z and 2-7", j.ID, idLen)
	}
	if err := core.CheckID("spaceId", string(j.SpaceID)); err != nil {
		return err
	}
	if _, ok := j.State.number(); !ok && j.State != Removed {
		return fmt.Errorf("state %q is unknown", string(j.State))
	}
	if j.Path != "" && j.Spooled {
		return fmt.Errorf("path is that of a file, but the job is spooled")
	}
	for _, text := range []struct {
		field, value string
		limit        int
	}{{"path", j.Path, MaxPathBytes}, {"name", j.Name, MaxNameBytes}, {"mime", j.MIME, MaxMIMEBytes}, {"lastError", j.LastError, MaxErrorBytes}} {
		if len(text.value) > text.limit {
			return fmt.Errorf("%s has %d bytes, at most %d are allowed: %w", text.field, len(text.value), text.limit, core.ErrTooLarge)
		}
	}
	return nil
}
