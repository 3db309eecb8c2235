package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/soma-sdk/soma/internal/core"
)

// Problem is a place where what is stored is not what it should be.
type Problem struct {
	Space    core.SpaceID    // "" where it is in none, or in which cannot be said
	Document core.DocumentID // "" where it is in none
	Entry    core.Hash       // zero where it is in none
	Table    string          // "" where it is in none
	Detail   string
	Lost     bool // Rebuild cannot mend it
}

// MaxProblems is how many problems Verify returns. There may be more then.
const MaxProblems = 1000

// errEnough ends a check that has found MaxProblems.
var errEnough = errors.New("too many problems")

// problems collects what Verify finds.
type problems []Problem

func (p *problems) add(problem Problem) error {
	*p = append(*p, problem)
	if len(*p) == MaxProblems {
		return errEnough
	}
	return nil
}

// unreadable notes an error that says that rows cannot be read, in place of which it
// returns nil. Where problems are known already, it is taken for one of their
// consequences.
func (p *problems) unreadable(err error, space core.SpaceID, lost bool) error {
	switch {
	case err == nil, errors.Is(err, errEnough), errors.Is(err, core.ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case len(*p) > 0:
		return nil
	}
	return p.add(Problem{Space: space, Detail: err.Error(), Lost: lost})
}

// compareRows notes which rows of a table are missing, and which should not be there.
func compareRows[R comparable](p *problems, of Problem, got, want []R) error {
	extra := make(map[R]bool, len(got))
	for _, row := range got {
		extra[row] = true
	}
	for _, row := range want {
		if !extra[row] {
			of.Detail = fmt.Sprintf("%+v is missing", row)
			if err := p.add(of); err != nil {
				return err
			}
		}
		delete(extra, row)
	}
	for _, row := range got {
		if extra[row] {
			of.Detail = fmt.Sprintf("%+v does not follow from the log", row)
			if err := p.add(of); err != nil {
				return err
			}
		}
	}
	return nil
}

// onlyCorrupt drops an error that is told as a problem.
func onlyCorrupt(err error) error {
	if errors.Is(err, core.ErrCorrupt) {
		return nil
	}
	return err
}
