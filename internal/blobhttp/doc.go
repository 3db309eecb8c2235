// Package blobhttp serves blobs to browsers, which do not know who put them: the media type
// and the name of a blob are what some member of its space says.
package blobhttp
