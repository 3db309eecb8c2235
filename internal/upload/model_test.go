package upload_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/soma-sdk/soma/internal/core"
	"github.com/soma-sdk/soma/internal/upload"
)

// modelJob is a job as it should be.
type modelJob struct {
	id, text string
	space    core.SpaceID
	path     bool
	state    upload.State
	attempts int64
}

// model is an outbox with one worker, whose sink does what it is told, and whose jobs never
// come to the end of a wait.
type model struct {
	b        *box
	verdicts chan error
	jobs     []*modelJob
	queue    []*modelJob
	current  *modelJob // the sink has it
	there    map[string]bool
	files    map[string]string
}

func (m *model) key(j *modelJob) string { return keyOf(j.space, cidOf(j.text)) }

// advance lets the worker go on until it is held by the sink.
func (m *model) advance() {
	for m.current == nil && len(m.queue) > 0 {
		j := m.queue[0]
		m.queue = m.queue[1:]
		j.attempts++
		if m.there[m.key(j)] {
			j.state = upload.Done
			continue
		}
		j.state, m.current = upload.Uploading, j
	}
}

func (m *model) end(j *modelJob, state upload.State) {
	j.state = state
	if j == m.current {
		m.current = nil
	}
	m.queue = slices.DeleteFunc(m.queue, func(q *modelJob) bool { return q == j })
}

// check compares all jobs with the model, once the worker has come as far as it can.
func (m *model) check(t *rapid.T) {
	m.advance()
	var spooled []string
	for _, j := range m.jobs {
		got := m.b.until(j.id, j.state)
		if got.Attempts != j.attempts {
			t.Fatalf("%s: %d attempts, want %d", j.id, got.Attempts, j.attempts)
		}
		if (got.NextAttemptAtMs != 0) != (j.state == upload.Waiting) || got.State == upload.Done && got.SentBytes != got.Size {
			t.Fatalf("job is %+v", got)
		}
		if j.state == upload.Done && m.b.sink.text(m.key(j)) != j.text {
			t.Fatalf("%+v is done without its bytes", got)
		}
		if !j.path && j.state != upload.Done && j.state != upload.Cancelled {
			spooled = append(spooled, j.id)
		}
	}
	if got := len(m.b.all()); got != len(m.jobs) {
		t.Fatalf("%d jobs, want %d", got, len(m.jobs))
	}
	for _, id := range spooled {
		if !slices.Contains(m.b.spooled(), id) {
			t.Fatalf("bytes of %s are gone", id)
		}
	}
	m.b.sink.mu.Lock()
	defer m.b.sink.mu.Unlock()
	for key, n := range m.b.sink.uploads {
		if n != 1 {
			t.Fatalf("%s was uploaded %d times", key, n)
		}
	}
}

// act does something to some job, and compares what that says.
func (m *model) act(t *rapid.T, name string, fn func(string) error, want func(*modelJob) error) {
	if len(m.jobs) == 0 {
		return
	}
	j := rapid.SampledFrom(m.jobs).Draw(t, "job")
	was := j.state
	if got, want := fn(j.id), want(j); !errors.Is(got, want) {
		t.Fatalf("%s of a job that is %s = %v, want %v", name, was, got, want)
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := openBox(t, slow)
		defer b.quiet()
		m := &model{b: b, verdicts: held(b.sink), there: map[string]bool{}, files: map[string]string{}}
		ctx := t.Context()
		verdict := func(err error, state func(*modelJob) upload.State) {
			if m.current == nil {
				return
			}
			m.verdicts <- err
			if err == nil {
				m.there[m.key(m.current)] = true
			}
			m.end(m.current, state(m.current))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"": m.check,
			"enqueue": func(rt *rapid.T) {
				j := &modelJob{
					text: rapid.SampledFrom([]string{"one", "two", ""}).Draw(rt, "text"), state: upload.Queued,
					space: rapid.SampledFrom([]core.SpaceID{"s", "t"}).Draw(rt, "space"), path: rapid.Bool().Draw(rt, "path"),
				}
				src := reader(j.text)
				if j.path {
					if m.files[j.text] == "" {
						m.files[j.text] = b.file("f", j.text)
					}
					src = upload.Source{Path: m.files[j.text]}
				}
				j.id = b.enqueue(j.space, src).ID
				m.jobs, m.queue = append(m.jobs, j), append(m.queue, j)
			},
			"succeed": func(*rapid.T) { verdict(nil, func(*modelJob) upload.State { return upload.Done }) },
			"fail": func(*rapid.T) {
				verdict(errors.New("passing"), func(j *modelJob) upload.State {
					if j.attempts >= slow.Attempts {
						return upload.Failed
					}
					return upload.Waiting
				})
			},
			"fail for good": func(*rapid.T) {
				verdict(core.ErrQuota, func(*modelJob) upload.State { return upload.Failed })
			},
			"cancel": func(rt *rapid.T) {
				m.act(rt, "Cancel", func(id string) error { return b.Cancel(ctx, id) }, func(j *modelJob) error {
					if j.state.IsFinished() {
						return core.ErrUploadState
					}
					m.end(j, upload.Cancelled)
					return nil
				})
			},
			"retry": func(rt *rapid.T) {
				m.act(rt, "Retry", func(id string) error { return b.Retry(ctx, id) }, func(j *modelJob) error {
					switch {
					case j.state == upload.Cancelled && !j.path:
						return core.ErrInvalidSource
					case j.state != upload.Cancelled && j.state != upload.Failed && j.state != upload.Waiting:
						return core.ErrUploadState
					}
					j.state, j.attempts = upload.Queued, 0
					m.queue = append(m.queue, j)
					return nil
				})
			},
			"remove": func(rt *rapid.T) {
				m.act(rt, "Remove", func(id string) error { return b.Remove(ctx, id) }, func(j *modelJob) error {
					if !j.state.IsFinished() {
						return core.ErrUploadState
					}
					m.jobs = slices.DeleteFunc(m.jobs, func(o *modelJob) bool { return o == j })
					return nil
				})
			},
			"take out": func(rt *rapid.T) { // as the collection does
				m.act(rt, "RemoveUntil", func(id string) error { return b.RemoveUntil(ctx, id, 1<<50) }, func(j *modelJob) error {
					m.end(j, upload.Removed)
					m.jobs = slices.DeleteFunc(m.jobs, func(o *modelJob) bool { return o == j })
					return nil
				})
			},
			"reopen": func(*rapid.T) {
				b.reopen()
				m.current, m.queue = nil, nil
				for _, j := range m.jobs {
					if j.state == upload.Uploading {
						j.state, j.attempts = upload.Queued, j.attempts-1
					}
					if j.state == upload.Queued {
						m.queue = append(m.queue, j)
					}
				}
			},
		})
	})
}

// quiet closes a box before the test ends, and fails if half of a spooled file is left.
func (b *box) quiet() {
	b.t.Helper()
	b.close()
	b.closed = true
	for _, name := range b.spooled() {
		if filepath.Ext(name) != "" {
			b.t.Errorf("%s is left", name)
		}
	}
}
