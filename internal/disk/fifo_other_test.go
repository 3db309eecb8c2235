//go:build !unix

package disk_test

import "errors"

func makeFIFO(string) error { return errors.ErrUnsupported }
