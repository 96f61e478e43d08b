package pipeline

import (
	"slices"
	"strings"
)

// Step names a kind of policy in a pipeline, as configuration files spell it.
type Step string

// The steps that a pipeline can have.
const (
	AdaptiveBulkhead Step = "adaptive_bulkhead"
	AdaptiveThrottle Step = "adaptive_throttle"
	Bulkhead         Step = "bulkhead"
	CircuitBreaker   Step = "circuit_breaker"
	Custom           Step = "custom" // a policy that the program has made itself
	Fallback         Step = "fallback"
	Hedge            Step = "hedge"
	RateLimit        Step = "rate_limit"
	Retry            Step = "retry"
	Throttle         Step = "throttle"
	Timeout          Step = "timeout"
	TotalTimeout     Step = "total_timeout" // a timeout of the whole call, with all its attempts
)

// Steps returns every step there is, in alphabetical order.
func Steps() []Step {
	return []Step{
		AdaptiveBulkhead, AdaptiveThrottle, Bulkhead, CircuitBreaker, Custom, Fallback, Hedge, RateLimit, Retry, Throttle,
		Timeout, TotalTimeout,
	}
}

// Known reports whether s is one of [Steps].
func (s Step) Known() bool { return slices.Contains(Steps(), s) }

// Of returns the instance that a step is if no other is named: the one that has the name of the pipeline, and for a
// [TotalTimeout], which is not to be taken for the other timeout, the one that has that name and ".total".
func (s Step) Of(pipeline string) Reference {
	if s == TotalTimeout {
		pipeline += ".total"
	}
	return Reference{Step: s, Instance: pipeline}
}

// DefaultOrder returns the order of [Config] where none is given, outermost first: bulkhead, circuit breaker, retry,
// timeout. The timeout bounds each attempt; the circuit breaker sees a call with all its attempts as one, and its own
// Timeout, if it has one, bounds them together: it should leave room for as many attempts as there may be.
func DefaultOrder() []Step { return []Step{Bulkhead, CircuitBreaker, Retry, Timeout} }

// StandardOrder returns the order of [Standard], outermost first.
//
// The fallback answers for all that can go wrong. The total timeout bounds a call with everything that it waits for.
// What sheds load comes before what spends it: rate limit, throttle, and a bulkhead that has one slot for a call with all
// its attempts. Each attempt of a retry or a hedge is then seen by what learns from it, adaptive throttle, adaptive
// bulkhead and circuit breaker, and bounded by the timeout.
func StandardOrder() []Step {
	return []Step{
		Fallback, TotalTimeout, RateLimit, Throttle, Bulkhead, Retry, Hedge, AdaptiveThrottle, AdaptiveBulkhead,
		CircuitBreaker, Timeout,
	}
}

func joinSteps(steps []Step) string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
