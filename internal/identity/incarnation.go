package identity

import (
	"io"

	"github.com/soma-sdk/soma/internal/core"
)

// NewIncarnation returns a random incarnation.
func NewIncarnation(random io.Reader) (inc core.Incarnation) {
	core.Fill(random, inc[:])
	return inc
}
