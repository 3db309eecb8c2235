package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/soma-sdk/soma/internal/core"
)

// maxBatch is how many jobs one transaction takes: enough for any number of
// callers that one disk can serve, few enough that the first one does not wait
// much longer than for its own fsync.
const maxBatch = 1024

// Write implements core.Store. If fn panics, its writes are undone and Write
// panics with the same value in the caller's goroutine.
func (db *DB) Write(ctx context.Context, fn func(core.Tx) error) error {
	return db.writer.do(ctx, fn, false)
}

// WriteSynced implements core.Store.
func (db *DB) WriteSynced(ctx context.Context, fn func(core.Tx) error) error {
	return db.writer.do(ctx, fn, true)
}

// writer owns the only connection that changes rows. Its goroutine claims jobs,
// runs them in a transaction and answers after the commit.
type writer struct {
	conn    *conn
	relaxed bool
	log     *slog.Logger
	jobs    chan *job
	pool    sync.Pool
	closing <-chan struct{}
	stopped chan struct{} // closed when the goroutine has ended

	// All below belongs to the goroutine.
	full    bool   // commits reach the disk: synchronous is FULL
	synced  bool   // the batch at hand needs that
	begun   bool   // a transaction is open
	batch   []*job // whose writes are in it
	current *job   // whose function runs
	carried *job   // taken from jobs, to begin the next batch
}

// The states of a job. Only one side wins the step out of queued.
const (
	jobQueued int32 = iota
	jobClaimed
	jobWithdrawn
)

type job struct {
	fn       func(core.Tx) error
	synced   bool
	state    atomic.Int32
	done     chan struct{} // holds one answer
	tx       tx
	err      error
	panicked bool
	panic    any
}

func startWriter(c *conn, relaxed bool, closing <-chan struct{}, log *slog.Logger) *writer {
	w := &writer{
		conn: c, relaxed: relaxed, log: log, full: !relaxed,
		jobs: make(chan *job, maxBatch), closing: closing, stopped: make(chan struct{}),
	}
	w.pool.New = func() any { return &job{done: make(chan struct{}, 1)} }
	go w.loop()
	return w
}

// do queues fn and waits: for the claim as long as ctx lasts, then for the result.
func (w *writer) do(ctx context.Context, fn func(core.Tx) error, synced bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-w.closing:
		return core.ErrClosed
	default:
	}
	j := w.pool.Get().(*job)
	j.fn, j.synced = fn, synced
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return core.ErrClosed
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.withdraw() {
			return ctx.Err()
		}
		<-j.done
	case <-w.stopped:
		if j.withdraw() {
			return core.ErrClosed
		}
		<-j.done
	}
	err, panicked, value := j.err, j.panicked, j.panic
	w.recycle(j)
	if panicked {
		panic(value)
	}
	return err
}

// recycle is for answered jobs only: a withdrawn one is still in the queue.
func (w *writer) recycle(j *job) {
	done := j.done
	*j = job{done: done}
	w.pool.Put(j)
}

func (j *job) claim() bool    { return j.state.CompareAndSwap(jobQueued, jobClaimed) }
func (j *job) withdraw() bool { return j.state.CompareAndSwap(jobQueued, jobWithdrawn) }

// answer gives j back to its caller; nothing may touch it afterwards.
func (j *job) answer(err error) {
	j.err = err
	j.done <- struct{}{}
}

func (w *writer) loop() {
	ended := false
	defer func() {
		if ended {
			close(w.stopped)
			return
		}
		// A job called runtime.Goexit, as testing.T.FailNow does: this goroutine is
		// lost, its work is not.
		w.fail(w.current, errGoexit)
		w.commit()
		go w.loop()
	}()
	for j := w.next(); j != nil; j = w.next() {
		w.runBatch(j)
	}
	ended = true
}

// next waits for a job. When the store closes it returns what is queued, then nil.
func (w *writer) next() *job {
	if j := w.carried; j != nil {
		w.carried = nil
		return j
	}
	select {
	case j := <-w.jobs:
		return j
	case <-w.closing:
		return w.poll()
	}
}

func (w *writer) poll() *job {
	select {
	case j := <-w.jobs:
		return j
	default:
		return nil
	}
}

// runBatch runs j and whatever else arrives meanwhile in one transaction. There
// is no timer: under load the next batch fills while this one is on its way to
// the disk.
func (w *writer) runBatch(j *job) {
	w.synced = j.synced || !w.relaxed
	for n := 1; j != nil; n++ {
		if j.synced && !w.synced { // the level cannot change inside a transaction
			w.carried = j
			break
		}
		if j.claim() {
			w.run(j)
		}
		if n == maxBatch {
			break
		}
		j = w.poll()
	}
	w.commit()
}

// run runs one job so that its failure undoes only itself.
func (w *writer) run(j *job) {
	if err := w.begin(); err != nil {
		j.tx.undo()
		j.answer(err)
		return
	}
	err := w.call(j)
	switch {
	case j.panicked || err != nil:
		w.fail(j, err)
	case w.conn.lost != nil:
		w.abort(w.conn.lost, j)
	default:
		w.keep(j)
	}
}

// begin opens the transaction for the first job, a savepoint for each further
// one: what the first does is undone by rolling all back.
func (w *writer) begin() error {
	if w.begun && len(w.batch) > 0 {
		_, err := w.conn.exec("SAVEPOINT job")
		return err
	}
	if w.begun {
		return nil
	}
	if w.full != w.synced {
		if err := w.setLevel(); err != nil {
			return err
		}
	}
	if err := w.conn.begin("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	w.begun = true
	return nil
}

func (w *writer) setLevel() error {
	level := synchronousNormal
	if w.synced {
		level = synchronousFull
	}
	if err := w.conn.setPragma(level); err != nil {
		return err
	}
	w.full = w.synced
	return nil
}

func (w *writer) call(j *job) error {
	returned := false
	j.tx.c = w.conn
	w.current = j
	defer func() {
		j.tx.c = nil
		if returned {
			w.current = nil
			return
		}
		if j.panic = recover(); j.panic != nil {
			j.panicked = true
			w.current = nil
			w.log.Error("panic in a write, passed on to its caller", "panic", fmt.Sprint(j.panic), "stack", string(debug.Stack()))
		}
	}()
	err := j.fn(&j.tx)
	returned = true
	return err
}

// keep adds j to the transaction for good.
func (w *writer) keep(j *job) {
	if len(w.batch) > 0 {
		if _, err := w.conn.exec("RELEASE job"); err != nil {
			w.abort(err, j)
			return
		}
	}
	w.batch = append(w.batch, j)
}

// fail undoes j alone, if the transaction can still do that, and answers it with
// its own error.
func (w *writer) fail(j *job, err error) {
	w.current = nil
	lost := w.conn.lost
	if lost == nil {
		lost = w.undoLast()
	}
	w.conn.peers.forget()
	j.tx.undo() // before those of earlier jobs
	if lost != nil {
		w.abort(lost, nil)
	}
	j.answer(err)
}

func (w *writer) undoLast() error {
	if len(w.batch) == 0 {
		w.begun = false
		return w.conn.rollback()
	}
	if _, err := w.conn.exec("ROLLBACK TO job"); err != nil {
		return err
	}
	_, err := w.conn.exec("RELEASE job")
	return err
}

// commit makes the batch durable and answers its jobs.
func (w *writer) commit() {
	if !w.begun {
		return
	}
	if err := w.conn.commit(); err != nil {
		w.abort(err, nil)
		return
	}
	w.begun = false
	for _, j := range w.batch {
		for _, hook := range j.tx.committed {
			hook()
		}
	}
	for i, j := range w.batch {
		j.answer(nil)
		w.batch[i] = nil
	}
	w.batch = w.batch[:0]
}

// abort gives up the transaction: nothing of it is stored, so every job of the
// batch fails, and last, which ran after them.
func (w *writer) abort(err error, last *job) {
	if rerr := w.conn.rollback(); rerr != nil {
		err = errors.Join(err, rerr)
	}
	w.begun = false
	w.conn.peers.forget()
	if last != nil {
		w.batch = append(w.batch, last)
	}
	for _, j := range slices.Backward(w.batch) {
		j.tx.undo()
	}
	for i, j := range w.batch {
		j.answer(err)
		w.batch[i] = nil
	}
	w.batch = w.batch[:0]
}
