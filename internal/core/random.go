package core

import (
	"fmt"
	"io"
)

// Fill fills b from a source of random bytes, such as crypto/rand.Reader. Like
// crypto/rand.Read it never fails: it does not return if the source does.
func Fill(random io.Reader, b []byte) {
	if _, err := io.ReadFull(random, b); err != nil {
		panic(fmt.Sprintf("source of random bytes: %v", err))
	}
}
