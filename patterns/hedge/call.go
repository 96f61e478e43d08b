package hedge

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns"
)

// call is one call of a policy.
type call struct {
	*Policy
	next  patterns.Policy
	op    patterns.Operation
	ctx   context.Context // of the attempts
	begun time.Time

	started, ended int  // attempts
	firstEnded     bool // the first attempt is one of them
	permanent      bool // no other may be started
	done           bool // the call has a result
	succeeded      bool
	failure        failure

	results chan result // has room for all
	mu      sync.Mutex
	over    bool // nobody will read another result
}

// failure is what a call returns if no attempt succeeds.
type failure struct {
	err     error
	attempt int
	refused bool // by another policy
}

// result is how an attempt ended.
type result struct {
	attempt int // 0-based
	branch  *patterns.Branch
	took    time.Duration
	err     error
	ending  ending
	value   any // of the panic
	stack   []byte
}

type ending uint8

const (
	exited ending = iota // by runtime.Goexit
	panicked
	returned
)

// rethrow does in the caller what the attempt did, unless that returned.
func (r result) rethrow() {
	switch r.ending {
	case panicked:
		panic(r.value)
	case exited:
		runtime.Goexit()
	case returned:
	}
}

// run starts attempts until the call has a result.
func (c *call) run(ctx context.Context) error {
	delay := c.Delay()
	c.start()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for hedges := 0; !c.done; {
		select {
		case r := <-c.results:
			c.take(r)
		case <-timer.C:
			if c.takeAll(); c.done || c.permanent || ctx.Err() != nil {
				break
			}
			if hedges++; hedges < c.cfg.MaxHedges {
				timer.Reset(delay)
			}
			c.hedge(ctx, delay)
		case <-ctx.Done():
			c.takeAll()
			c.done = true
		}
	}
	switch {
	case c.succeeded:
		return nil
	case ctx.Err() != nil: // also if all attempts have said so themselves: that must not depend on who is first
		return c.interrupted(ctx)
	default:
		c.counts.failed.Add(1)
		return c.failure.err
	}
}

// start runs the next attempt on a goroutine of its own.
func (c *call) start() {
	ctx, branch := patterns.Fork(c.ctx)
	r := result{attempt: c.started, branch: branch}
	c.started++
	c.counts.running.Add(1)
	begun := time.Now()
	go func() {
		defer func() {
			if r.ending != returned {
				if r.value = recover(); r.value != nil {
					r.ending, r.stack = panicked, debug.Stack()
				}
			}
			r.took = time.Since(begun)
			c.counts.running.Add(-1)
			c.deliver(ctx, r)
		}()
		r.err = c.next.Execute(ctx, c.op)
		r.ending = returned
	}()
}

// hedge starts another attempt, if the budget allows it.
func (c *call) hedge(ctx context.Context, delay time.Duration) {
	if c.budget != nil && !c.budget.TryTake() {
		c.counts.denied.Add(1)
		return
	}
	c.counts.hedges.Add(1)
	hooks.Emit(ctx, c.bus, hooks.HedgeStarted{
		Operation: c.name, Attempt: c.started + 1, Delay: delay, At: time.Now(),
	})
	c.start()
}

// takeAll takes the results that are there.
func (c *call) takeAll() {
	for !c.done && len(c.results) > 0 {
		c.take(<-c.results)
	}
}

// take decides what the result of an attempt means for the call.
func (c *call) take(r result) {
	r.rethrow()
	if r.err == nil {
		r.branch.Adopt()
		c.measure(r)
		c.done, c.succeeded = true, true
		return
	}
	c.ended++
	c.firstEnded = c.firstEnded || r.attempt == 0
	c.permanent = c.permanent || errors.Is(r.err, patterns.ErrPermanent)
	f, other := failure{r.err, r.attempt, errors.Is(r.err, patterns.ErrRejected)}, c.failure
	if other.err == nil || other.refused && !f.refused || other.refused == f.refused && f.attempt < other.attempt {
		c.failure = f
	}
	c.done = c.ended == c.started
}

// measure follows the success of an attempt.
func (c *call) measure(r result) {
	if r.attempt > 0 {
		c.counts.won.Add(1)
	}
	switch {
	case c.latencies == nil:
	case r.attempt == 0:
		c.latencies.record(r.took)
	case !c.firstEnded:
		c.latencies.record(time.Since(c.begun))
	}
}

// interrupted returns the error of a call whose context has ended.
func (c *call) interrupted(ctx context.Context) error {
	c.counts.interrupted.Add(1)
	e := &InterruptedError{Name: c.name, Attempts: c.started, Cause: patterns.Ended(ctx)}
	if !c.failure.refused { // else errors.Is would say that nothing was run
		e.Last = c.failure.err
	}
	return e
}

// close makes results that come from now on late. It may be called more than once.
func (c *call) close() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
}

// deliver hands the result of an attempt to the caller. If there is none any more, nobody can be told of a panic but
// those who listen.
func (c *call) deliver(ctx context.Context, r result) {
	c.mu.Lock()
	late := c.over
	if !late {
		c.results <- r // has room
	}
	c.mu.Unlock()
	if late && r.ending == panicked {
		c.counts.latePanics.Add(1)
		hooks.Emit(ctx, c.bus, hooks.HedgePanicked{
			Operation: c.name, Attempt: r.attempt + 1, Value: r.value, Stack: r.stack, At: time.Now(),
		})
	}
}
