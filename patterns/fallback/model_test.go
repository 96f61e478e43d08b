package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/fallback"
)

// behaviour is what the operation or a step does when it is run.
type behaviour struct {
	kind  string // "operation", "alternative", "retry" or "degrade"
	does  string // "succeed", "fail", "reject", "permanent", "panic" or "cancel"; not for a retry
	takes time.Duration
}

func drawBehaviour(rt *rapid.T, kinds ...string) behaviour {
	b := behaviour{kind: rapid.SampledFrom(kinds).Draw(rt, "kind")}
	b.does = rapid.SampledFrom([]string{"succeed", "fail", "fail", "reject", "permanent", "panic", "cancel"}).Draw(rt, "does")
	if b.kind != "degrade" {
		b.takes = time.Duration(rapid.IntRange(0, 3).Draw(rt, "takes")) * time.Second
	}
	return b
}

// setting is a chain and a call of it.
type setting struct {
	operation behaviour
	steps     []behaviour
	byDefault bool
	handler   bool // of rejections, that fails
	deadline  time.Duration
}

// outcome is what came of a call: the indexes of what was run, the operation being -1, and of what answered.
type outcome struct {
	runs      string
	value     string
	rejected  bool
	allFailed bool
}

// model says what must come of s, in the most obvious way.
func (s setting) model() outcome {
	var o outcome
	var now time.Duration
	rejections, causes, cancelled, skipped := 0, 0, false, false
	run := func(i int, b behaviour) bool {
		o.runs += fmt.Sprintf("%d ", i)
		now += b.takes
		causes++
		switch b.does {
		case "succeed":
			o.value = fmt.Sprint(i)
			return true
		case "reject":
			rejections++
		case "cancel":
			cancelled = now < s.deadline // after that it changes nothing
		}
		return false
	}
	over := func() bool { return now >= s.deadline }
	ok := run(-1, s.operation)
	if !ok && !cancelled && s.handler && s.operation.does == "reject" {
		return outcome{runs: o.runs}
	}
	for i, step := range s.steps {
		if ok || cancelled {
			break
		}
		switch {
		case step.kind == "retry" && s.operation.does == "permanent":
		case step.kind != "degrade" && over():
			skipped = true
		case step.kind == "retry":
			ok = run(-1, s.operation)
		default:
			ok = run(i, step)
		}
	}
	switch {
	case ok:
	case s.byDefault && !cancelled:
		o.value = "default"
	default:
		o.rejected = rejections == causes
		o.allFailed = !cancelled && !skipped
	}
	return o
}

// real does the same with a chain.
func (s setting) real(t *testing.T) outcome {
	var o outcome
	ctx, cancel := context.WithTimeout(t.Context(), s.deadline)
	defer cancel()
	act := func(i int, b behaviour) func(context.Context) (string, error) {
		return func(context.Context) (string, error) {
			o.runs += fmt.Sprintf("%d ", i)
			time.Sleep(b.takes)
			synctest.Wait() // for the timer of the deadline
			switch b.does {
			case "succeed":
				return fmt.Sprint(i), nil
			case "reject":
				return "", rejection{}
			case "permanent":
				return "", patterns.ErrPermanent
			case "panic":
				panic(errBoom)
			case "cancel":
				cancel()
			}
			return "", errBoom
		}
	}
	opts := []fallback.Option[string]{fallback.WithRecover[string]()}
	if s.byDefault {
		opts = append(opts, fallback.WithDefault("default"))
	}
	c := mustNew(t, opts...)
	if s.handler {
		c = c.On(patterns.ErrRejected, func(context.Context, error) (string, error) { return "", errStale })
	}
	for i, step := range s.steps {
		switch step.kind {
		case "alternative":
			c = c.Add(fallback.Alternative(act(i, step)))
		case "retry":
			c = c.Add(fallback.Retry[string](nil))
		default:
			fn := act(i, step)
			c = c.Add(fallback.DegradeFunc(func(ctx context.Context, _ error) (string, error) { return fn(ctx) }))
		}
	}
	value, err := c.Execute(ctx, act(-1, s.operation))
	o.value = value
	if err != nil {
		o.rejected, o.allFailed = errors.Is(err, patterns.ErrRejected), errors.Is(err, fallback.ErrAllFailed)
	}
	return o
}

func TestChainAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := setting{
			operation: drawBehaviour(rt, "operation"),
			byDefault: rapid.Bool().Draw(rt, "default"),
			handler:   rapid.Bool().Draw(rt, "handler"),
			deadline:  time.Duration(rapid.IntRange(1, 6).Draw(rt, "deadline")) * time.Second,
		}
		for range rapid.IntRange(0, 5).Draw(rt, "steps") {
			s.steps = append(s.steps, drawBehaviour(rt, "alternative", "retry", "degrade"))
		}
		var got outcome
		synctest.Test(t, func(t *testing.T) { got = s.real(t) })
		if want := s.model(); got != want {
			rt.Fatalf("%+v\ngot  %+v\nwant %+v", s, got, want)
		}
	})
}
