//go:build !unix

package upload_test

import "errors"

func makeFIFO(string) error { return errors.ErrUnsupported }
