package identity

import (
	"crypto/rand"

	"github.com/soma-sdk/soma/internal/core"
)

// NewIncarnation returns a random incarnation.
func NewIncarnation() core.Incarnation {
	var inc core.Incarnation
	rand.Read(inc[:]) // never fails
	return inc
}
