package sim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Shrink returns the shortest prefix of a failing run that fails too, without the
// steps that it fails without, and how it fails. Each try gets a directory of its own
// under that of the Config.
func Shrink(ctx context.Context, c Config) (Config, error) {
	tries := 0
	run := func(c Config) error {
		tries++
		c.Dir = filepath.Join(c.Dir, fmt.Sprint("try-", tries))
		err := Run(ctx, c)
		_ = os.RemoveAll(c.Dir) // it is not looked at again
		return err
	}
	all := len(plan(c))
	failed := error(nil)
	for n := 1; n <= all && failed == nil; n++ {
		c.Steps = n
		failed = run(c)
	}
	c.Skip = map[int]bool{}
	for n := c.Steps; n > 0; n-- {
		c.Skip[n] = true
		if err := run(c); err != nil {
			failed = err
		} else {
			delete(c.Skip, n)
		}
	}
	return c, failed
}

// Command returns what runs a Config again.
func (c Config) Command() string {
	var skip []string
	for n := range c.Skip {
		skip = append(skip, fmt.Sprint(n))
	}
	slices.Sort(skip)
	out := fmt.Sprintf("SOMA_SIM_SEED=%d SOMA_SIM_STEPS=%d ", c.Seed, c.Steps)
	if len(skip) > 0 {
		out += "SOMA_SIM_SKIP=" + strings.Join(skip, ",") + " "
	}
	if !c.Edits {
		out += "SOMA_SIM_EDITS=0 "
	}
	return out + "go test -run TestSeeds -v ./internal/sim"
}
