package blobhttp

import (
	"fmt"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

const urlPrefix = "soma-blob://daemon/"

// FormatURL returns the URL of a blob. ParseURL refuses it if one of the IDs is invalid.
func FormatURL(space core.SpaceID, cid core.CID) string {
	return urlPrefix + string(space) + "/" + string(cid)
}

// ParseURL accepts what FormatURL returns, and nothing else. It returns core.ErrInvalidURL,
// and core.ErrInvalidCID if only the CID is wrong.
func ParseURL(text string) (core.SpaceID, core.CID, error) {
	rest, isURL := strings.CutPrefix(text, urlPrefix)
	space, cid, both := strings.Cut(rest, "/")
	if !isURL || !both {
		return "", "", fmt.Errorf("%.200q is not %s{space}/{cid}: %w", text, urlPrefix, core.ErrInvalidURL)
	}
	if _, err := core.SpaceID(space).Hash(); err != nil {
		return "", "", fmt.Errorf("%w: %w", core.ErrInvalidURL, err)
	}
	if _, err := core.CID(cid).Hash(); err != nil {
		return "", "", fmt.Errorf("%w: %w", core.ErrInvalidURL, err)
	}
	return core.SpaceID(space), core.CID(cid), nil
}
