package pipeline

import "slices"

// Step names a kind of policy in a pipeline, as configuration files spell it.
type Step string

// The steps that a pipeline can have.
const (
	Bulkhead       Step = "bulkhead"
	CircuitBreaker Step = "circuit_breaker"
	Retry          Step = "retry"
	Timeout        Step = "timeout"
)

// Steps returns every step there is, in alphabetical order.
func Steps() []Step { return []Step{Bulkhead, CircuitBreaker, Retry, Timeout} }

// Known reports whether s is one of [Steps].
func (s Step) Known() bool { return slices.Contains(Steps(), s) }

// DefaultOrder returns the order of [Config] where none is given, outermost first: bulkhead, circuit breaker, retry,
// timeout. The timeout bounds each attempt; the circuit breaker sees a call with all its attempts as one, and its own
// Timeout, if it has one, bounds them together: it should leave room for as many attempts as there may be.
func DefaultOrder() []Step { return []Step{Bulkhead, CircuitBreaker, Retry, Timeout} }
