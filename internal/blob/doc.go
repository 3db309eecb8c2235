// Package blob puts bytes into spaces: it joins the pool, which holds bytes on this machine
// and knows no spaces, with the log, which says what spaces hold and has no bytes.
package blob
