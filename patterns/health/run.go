package health

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// run is one run of a check. It has a result when the check has returned or its time is up, whichever is first.
type run struct {
	check  *registered
	begun  time.Time
	done   chan struct{} // closed when there is a result
	result Result        // set before
	over   atomic.Bool   // the check has ended, and its change has been told: it may be run again
}

// answer is what a check reported, and when.
type answer struct {
	report Report
	after  time.Duration
}

// current returns the run of c whose result counts now. If there is none, it begins one. m.mu is held.
func (m *Manager) current(ctx context.Context, c *registered) *run {
	before := Unknown
	if last := c.last; last != nil {
		if !last.over.Load() || time.Since(last.result.Timestamp) < m.cfg.MaxAge {
			return last
		}
		before = last.result.Status
	}
	c.last = &run{check: c, begun: time.Now(), done: make(chan struct{})}
	go m.perform(context.WithoutCancel(ctx), c.last, before)
	return c.last
}

// perform runs the check, settles the result, tells about a change, and returns when the check has ended.
func (m *Manager) perform(ctx context.Context, r *run, before Status) {
	limited, cancel := context.WithTimeout(ctx, r.check.Timeout)
	defer cancel()
	answers := make(chan answer, 1)
	go r.ask(limited, answers)

	a, answered := answer{}, true
	select {
	case a = <-answers:
	case <-limited.Done():
		a.after, answered = time.Since(r.begun), false
	}
	defer func() { // even if the listener ends this goroutine
		if !answered {
			<-answers
		}
		r.over.Store(true)
	}()
	r.settle(a)
	m.tell(ctx, before, r)
}

// ask runs the check and sends its answer, whatever it does.
func (r *run) ask(ctx context.Context, to chan<- answer) {
	name := r.check.Name
	report := Report{Status: Unhealthy, Message: "ended without an answer", Err: &PanicError{Name: name}}
	defer func() {
		if value := recover(); value != nil {
			err := &PanicError{Name: name, Value: value, Stack: debug.Stack()}
			report = Report{Status: Unhealthy, Message: "panicked", Err: err}
		}
		to <- answer{report, time.Since(r.begun)}
	}()
	report = r.check.Func(ctx)
}

// settle sets the result. An answer at the limit is too late, so that it does not matter which of two things that
// happen at once is seen first.
func (r *run) settle(a answer) {
	report, limit := a.report, r.check.Timeout
	if a.after >= limit {
		report = Report{
			Status: Unhealthy, Message: fmt.Sprintf("no answer within %v", limit),
			Err: &TimeoutError{Name: r.check.Name, Limit: limit, Err: a.report.Err},
		}
	}
	r.result = r.resultOf(report, a.after)
	close(r.done)
}

// tell calls the listener if there is a change.
func (m *Manager) tell(ctx context.Context, before Status, r *run) {
	if m.onChange == nil || r.result.Status == before || !m.has(r.check) {
		return
	}
	defer func() { _ = recover() }() // on this goroutine a panic would end the process
	m.onChange(ctx, before, r.result)
}

// wait returns the result, or that there is none when ctx ends.
func (r *run) wait(ctx context.Context) Result {
	select {
	case <-r.done:
		return r.result
	default: // a result that is there counts even if ctx has ended
	}
	select {
	case <-r.done:
		return r.result
	case <-ctx.Done():
		return r.resultOf(Report{Message: "no answer yet", Err: patterns.Ended(ctx)}, time.Since(r.begun))
	}
}

func (r *run) resultOf(report Report, latency time.Duration) Result {
	report = report.bounded()
	return Result{
		Name: r.check.Name, Critical: r.check.Critical, Status: report.Status, Message: report.Message, Latency: latency,
		Details: report.Details, Timestamp: r.begun.Add(latency), Err: report.Err,
	}
}
