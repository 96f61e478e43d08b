package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// TestGuardsKeepTheirPromise lets random calls meet on two guards that share a store, as two processes would: calls
// that succeed, fail for now or for good, panic or end their goroutine, while the store takes no extensions for some
// time. Then it looks at all that has happened.
func TestGuardsKeepTheirPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(rt *rapid.T) {
			h := newHistory(t, rt)
			var wg sync.WaitGroup
			for range rapid.IntRange(1, 12).Draw(rt, "calls") {
				c := drawCall(rt)
				wg.Go(func() { h.make(c) })
			}
			wg.Wait()
			h.check(rt)
		})
	})
}

// noDeadline hides the Deadline of a test, which may not be asked for in a bubble.
type noDeadline struct{ rapid.TB }

// plannedCall is what a call will do.
type plannedCall struct {
	at, runs time.Duration
	guard    int
	key      string
	payload  string
	end      string
	deaf     bool // does not stop when its claim is lost
}

func drawCall(rt *rapid.T) plannedCall {
	moment := rapid.Custom(func(rt *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 500).Draw(rt, "ms")) * 10 * time.Millisecond
	})
	return plannedCall{
		at: moment.Draw(rt, "at"), runs: moment.Draw(rt, "runs"), guard: rapid.IntRange(0, 1).Draw(rt, "guard"),
		key: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key"), payload: rapid.SampledFrom([]string{"", "x", "x", "y"}).Draw(rt, "payload"),
		end:  rapid.SampledFrom([]string{"ok", "ok", "ok", "declined", "error", "panic", "goexit"}).Draw(rt, "end"),
		deaf: rapid.Bool().Draw(rt, "deaf"),
	}
}

// executionSeen is one run of a function.
type executionSeen struct {
	plannedCall
	fence       int64
	start, stop time.Time // stop is zero while it runs
	lost        time.Time // when its context was cancelled; zero: not at all
	kept        bool      // came to a result
}

// answerSeen is what a call got without running.
type answerSeen struct {
	plannedCall
	asked, at time.Time
	result    idempotency.Result[int64]
	err       error
}

type history struct {
	guards    [2]*idempotency.Guard
	wait, ttl time.Duration

	mu         sync.Mutex
	executions []*executionSeen
	answers    []answerSeen
}

func newHistory(t *testing.T, rt *rapid.T) *history {
	h := &history{
		wait: rapid.SampledFrom([]time.Duration{0, 700 * time.Millisecond, 30 * time.Second}).Draw(rt, "wait"),
		ttl:  rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(rt, "ttl"),
	}
	began := time.Now()
	from := began.Add(time.Duration(rapid.IntRange(0, 10).Draw(rt, "outage")) * time.Second / 2)
	to := from.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "length")) * time.Second)
	store := newStore(t)
	store.before = func(_ context.Context, op string, _ int) error {
		if now := time.Now(); op == "extend" && !now.Before(from) && now.Before(to) {
			return unavailable(op)
		}
		return nil
	}
	for i := range h.guards {
		g, err := idempotency.New(store, idempotency.Config{
			Lease: time.Second, TTL: h.ttl, Wait: h.wait, CacheEntries: rapid.IntRange(0, 2).Draw(rt, "cache"),
		}, idempotency.WithRecordedErrors(idempotency.ErrorType[*declinedError]("declined")))
		if err != nil {
			t.Fatal(err)
		}
		h.guards[i] = g
	}
	return h
}

// make makes a call and writes down what comes of it.
func (h *history) make(c plannedCall) {
	time.Sleep(c.at)
	a := answerSeen{plannedCall: c, asked: time.Now()}
	ran := false
	defer func() {
		_ = recover()
		if !ran {
			h.mu.Lock()
			defer h.mu.Unlock()
			a.at = time.Now()
			h.answers = append(h.answers, a)
		}
	}()
	call := idempotency.Call{Operation: "charge", Key: c.key, Fingerprint: []byte(c.payload)}
	a.result, a.err = idempotency.Do(context.Background(), h.guards[c.guard], call, func(ctx context.Context) (int64, error) {
		ran = true
		return h.execute(ctx, c)
	})
}

func (h *history) execute(ctx context.Context, c plannedCall) (int64, error) {
	e := &executionSeen{plannedCall: c, start: time.Now()}
	e.fence, _ = idempotency.FenceOf(ctx)
	h.mu.Lock()
	h.executions = append(h.executions, e)
	h.mu.Unlock()
	unwatch := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		e.lost = time.Now()
	})
	defer func() {
		unwatch()
		h.mu.Lock()
		defer h.mu.Unlock()
		e.stop = time.Now()
	}()
	heard := ctx.Done()
	if c.deaf {
		heard = nil
	}
	select {
	case <-time.After(c.runs):
	case <-heard:
		return 0, context.Cause(ctx)
	}
	switch c.end {
	case "ok":
		e.kept = true
		return e.fence, nil
	case "declined":
		e.kept = true
		return 0, &declinedError{Limit: e.fence}
	case "panic":
		panic("ouch")
	case "goexit":
		runtime.Goexit()
	}
	return 0, errBoom
}

// check fails the test if the guards have broken a promise.
func (h *history) check(rt *rapid.T) {
	for _, first := range h.executions {
		for _, second := range h.executions {
			if first == second || first.key != second.key || first.fence > second.fence {
				continue
			}
			switch overlap := second.start.Before(first.stop); {
			case overlap && (first.lost.IsZero() || first.lost.After(second.start)):
				rt.Errorf("two at a time: %v and %v", first, second)
			case !overlap && first.kept && first.lost.IsZero() && second.start.Before(first.stop.Add(h.ttl)):
				rt.Errorf("again, although there was a result: %v and %v", first, second)
			}
		}
	}
	for _, a := range h.answers {
		if err := h.explain(a); err != nil {
			rt.Errorf("%v got %+v and %v: %v", a.plannedCall, a.result, a.err, err)
		}
	}
}

// explain returns an error if nothing that happened is a reason for an answer.
func (h *history) explain(a answerSeen) error {
	switch {
	case errors.As(a.err, new(*idempotency.ConflictError)):
		if waited := a.at.Sub(a.asked); waited != h.wait {
			return fmt.Errorf("after %v", waited)
		}
		return h.reason(a, func(e *executionSeen) bool { return !a.at.After(e.stop) })
	case errors.As(a.err, new(*idempotency.DuplicateRequestError)):
		return h.reason(a, func(e *executionSeen) bool {
			return different(a.payload, e.payload) && a.at.Before(e.stop.Add(h.ttl))
		})
	}
	fence := a.result.Value
	if declined, ok := errors.AsType[*declinedError](a.err); ok {
		fence = declined.Limit
	} else if a.err != nil {
		return errors.New("unexpected")
	}
	return h.reason(a, func(e *executionSeen) bool {
		return e.fence == fence && a.result.Fence == fence && e.kept && (a.err == nil) == (e.end == "ok") &&
			!different(a.payload, e.payload) && a.result.Age == a.at.Sub(e.stop) && a.result.Age < h.ttl && a.result.IsDuplicate
	})
}

// reason returns an error if no execution of the key that began before the answer is a reason for it.
func (h *history) reason(a answerSeen, is func(*executionSeen) bool) error {
	for _, e := range h.executions {
		if e.key == a.key && !e.start.After(a.at) && is(e) {
			return nil
		}
	}
	return errors.New("for no reason")
}

func different(a, b string) bool { return a != "" && b != "" && a != b }
