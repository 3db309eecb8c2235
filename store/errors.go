package store

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/soma-sdk/soma/internal/core"
)

var (
	errEnded  = errors.New("store: transaction has ended")
	errGoexit = errors.New("store: the function ended its goroutine (runtime.Goexit) instead of returning")
)

// wrap adds the operation to an error, if there is one.
func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// checkRange reports core.ErrTooLarge for numbers that SQLite cannot order.
func checkRange(what string, n uint64) error {
	if n > math.MaxInt64 {
		return fmt.Errorf("%s %d: %w", what, n, core.ErrTooLarge)
	}
	return nil
}

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func damaged(what string) error {
	return fmt.Errorf("%s: %w", what, core.ErrCorrupt)
}
