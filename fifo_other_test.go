//go:build !unix

package soma_test

import "errors"

func makeFIFO(string) error { return errors.ErrUnsupported }
