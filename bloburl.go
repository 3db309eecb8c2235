package soma

import "github.com/soma-sdk/soma/internal/blobhttp"

// FormatBlobURL returns the URL of a blob for an app that serves the scheme soma-blob:
// soma-blob://daemon/{space}/{cid}. If either ID is invalid, ParseBlobURL refuses the URL.
func FormatBlobURL(space SpaceID, cid CID) string { return blobhttp.FormatURL(space, cid) }

// ParseBlobURL returns what a URL of FormatBlobURL names. It accepts the canonical form
// alone, which is what new URL(url).href of a browser leaves as it is: anything in other
// case, with a user, port, query, fragment, escape, or more or fewer segments is
// ErrInvalidBlobURL. If only the CID is wrong it is ErrInvalidCID too. Whether such a space
// or blob exists is not looked at.
func ParseBlobURL(url string) (SpaceID, CID, error) { return blobhttp.ParseURL(url) }
