package mailbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/strictjson"
)

// MarshalJSON writes the canonical form: the keys spaceId, documentId, snippet,
// updatedAtMs, baseDaemonUpdatedAtMs, baseStateVector (in base64) and conflictState in
// this order, of the last three those that are set, no white space. It reports what
// Validate does.
func (d Draft) MarshalJSON() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return strictjson.Marshal(struct {
		SpaceID               core.SpaceID    `json:"spaceId"`
		DocumentID            core.DocumentID `json:"documentId"`
		Snippet               string          `json:"snippet"`
		UpdatedAtMs           int64           `json:"updatedAtMs"`
		BaseDaemonUpdatedAtMs int64           `json:"baseDaemonUpdatedAtMs,omitempty"`
		BaseStateVector       []byte          `json:"baseStateVector,omitempty"`
		ConflictState         ConflictState   `json:"conflictState,omitempty"`
	}(d))
}

// UnmarshalJSON is ParseDraft into d, which keeps its value on an error.
func (d *Draft) UnmarshalJSON(data []byte) error {
	parsed, err := ParseDraft(data)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// ParseDraft reads one draft from JSON. Besides what Validate refuses it reports
// core.ErrInvalidDraft for a missing, extra or repeated field, a wrong type (null too), a
// time that is not a plain integer, text that has half a surrogate pair, base64 that is
// not in its standard form, with padding, and data after the draft. Field names are
// case-sensitive. Fields may come in any order; baseDaemonUpdatedAtMs, baseStateVector
// and conflictState may be missing, and 0 or empty means the same.
func ParseDraft(data []byte) (Draft, error) {
	var d Draft
	seen, err := strictjson.Object(data, d.setField)
	if err != nil {
		return Draft{}, invalid(err)
	}
	for _, name := range []string{"spaceId", "documentId", "snippet", "updatedAtMs"} {
		if !seen[name] {
			return Draft{}, invalid(fmt.Errorf("%s is missing", name))
		}
	}
	if err := d.Validate(); err != nil {
		return Draft{}, err
	}
	return d, nil
}

func (d *Draft) setField(name string, raw json.RawMessage) error {
	switch name {
	case "spaceId":
		return setString(&d.SpaceID, name, raw)
	case "documentId":
		return setString(&d.DocumentID, name, raw)
	case "snippet":
		return setString(&d.Snippet, name, raw)
	case "conflictState":
		return setString(&d.ConflictState, name, raw)
	case "updatedAtMs":
		return setTime(&d.UpdatedAtMs, name, raw)
	case "baseDaemonUpdatedAtMs":
		return setTime(&d.BaseDaemonUpdatedAtMs, name, raw)
	case "baseStateVector":
		return setBytes(&d.BaseStateVector, name, raw)
	default:
		return strictjson.Unknown(name)
	}
}

func setString[S ~string](to *S, name string, raw json.RawMessage) error {
	s, err := strictjson.String(name, raw)
	*to = S(s)
	return err
}

func setTime(to *int64, name string, raw json.RawMessage) (err error) {
	if *to, err = strictjson.Integer(name, raw); err != nil {
		err = fmt.Errorf("%w: %w", err, core.ErrInvalidTime)
	}
	return err
}

func setBytes(to *[]byte, name string, raw json.RawMessage) error {
	s, err := strictjson.String(name, raw)
	if err != nil {
		return err
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s { // line breaks are overlooked
		return errors.New(name + " is not base64")
	}
	if len(b) > 0 {
		*to = b
	}
	return nil
}
