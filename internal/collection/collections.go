package collection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/soma-sdk/soma/internal/core"
)

// Config is what Collections are made of. All fields are required.
type Config struct {
	Store  Store
	Now    func() time.Time
	Logger *slog.Logger
}

// Collections are the collections of one store. They are safe for concurrent use.
type Collections struct {
	store   Store
	now     func() time.Time
	logger  *slog.Logger
	changes *hub

	mu     sync.Mutex
	states map[string]*state

	// rows are collections as the writer's goroutine has left them. It alone uses them.
	rows map[string]*core.CollectionRow
}

// state is what is known of a collection while it is open.
type state struct {
	rules  *Rules
	logged map[string]bool // keys whose quarantine was told, at most MaxQuarantined

	gate     chan struct{} // held while values are migrated
	migrated *Rules        // the rules whose migrations have run

	storage storage // what the storage bridge remembers
}

// New returns the collections of a store. Close must be called before the store's.
func New(c Config) *Collections {
	return &Collections{
		store: c.Store, now: c.Now, logger: c.Logger, changes: newHub(),
		states: map[string]*state{}, rows: map[string]*core.CollectionRow{},
	}
}

// Close ends all watches. It does not wait for who reads them.
func (c *Collections) Close() { c.changes.close() }

// state returns what is known of a collection, and remembers it.
func (c *Collections) state(name string) *state {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.states[name]
	if s == nil {
		s = &state{rules: defaultRules(), logged: map[string]bool{}, gate: make(chan struct{}, 1)}
		c.states[name] = s
	}
	return s
}

// SetRules changes the rules of a collection, whoever uses it.
func (c *Collections) SetRules(name string, change func(*Rules)) {
	s := c.state(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	rules := *s.rules
	change(&rules)
	s.rules = &rules
}

// Checker returns whose check the rules of a collection have.
func (c *Collections) Checker(name string) any { return c.rules(name).Checker }

// Publish tells the watches of a collection of a change that was made elsewhere.
func (c *Collections) Publish(change Change) { c.changes.publish(change) }

// rules returns the rules of a collection.
func (c *Collections) rules(name string) *Rules {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.states[name]; s != nil {
		return s.rules
	}
	return defaultRules()
}

func (c *Collections) nowMs() int64 { return c.now().UnixMilli() }

// begin makes a collection ready for a call: it checks the name and runs migrations.
func (c *Collections) begin(ctx context.Context, name string) (*Rules, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	rules := c.rules(name)
	if rules.Schema == 0 {
		return rules, nil
	}
	return rules, c.migrate(ctx, name, rules)
}

// CheckName reports core.ErrInvalidID for what cannot be the name of a collection.
func CheckName(name string) error { return core.CheckID("collection name", name) }

// Names returns the collections that hold records, in order of name.
func (c *Collections) Names(ctx context.Context) ([]string, error) {
	var names []string
	err := c.eachCollection(ctx, func(row core.CollectionRow) error {
		if row.Records > 0 {
			names = append(names, row.Name)
		}
		return nil
	})
	return names, err
}

// eachCollection calls fn with all collections, while no transaction is open.
func (c *Collections) eachCollection(ctx context.Context, fn func(core.CollectionRow) error) error {
	for after := ""; ; {
		var page []core.CollectionRow
		err := c.store.Read(ctx, func(v core.CollectionView) (err error) {
			page, err = v.Collections(after, readPage)
			return err
		})
		if err != nil {
			return err
		}
		last := after
		for _, row := range page {
			if err := fn(row); err != nil {
				return err
			}
			last = max(last, row.Name)
		}
		if len(page) < readPage {
			return nil
		}
		if last == after { // names are damaged: the page would come again
			return fmt.Errorf("order of collections: %w", core.ErrCorrupt)
		}
		after = last
	}
}

// isNotFound reports whether what was asked for is simply not there.
func isNotFound(err error) bool { return errors.Is(err, core.ErrNotFound) }

// tooMany says that a name cannot become a collection.
func tooMany(name string) error {
	return fmt.Errorf("collection %q would be one more than %d: %w", name, MaxCollections, core.ErrTooLarge)
}
