package blobhttp

import (
	"net/http"
	"slices"
	"strings"

	"github.com/soma-sdk/soma/internal/core"
)

// target returns what a request names: by the wildcards space and cid of the pattern that
// matched it, or else by the path /{space}/{cid} that is left of its URL, with or without the
// first slash, since prefixes are stripped with or without their last one. IDs are spelled in
// one way only, so there are no escapes.
func target(r *http.Request) (core.SpaceID, core.CID, bool) {
	path := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	space, cid := r.PathValue("space"), r.PathValue("cid")
	switch {
	case space != "" && cid != "":
		if !slices.Contains(path, space) || !slices.Contains(path, cid) {
			return "", "", false
		}
	case len(path) == 2:
		space, cid = path[0], path[1]
	}
	return core.SpaceID(space), core.CID(cid), cid != "" && core.CheckID("space id", space) == nil
}
