package pipeline

import (
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/fallback"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// Member is one policy of a [Pipeline], and what it is.
type Member struct {
	Step     Step
	Instance string // name of the policy
	Policy   patterns.Policy
}

// check reports what is wrong with m by itself.
func (m Member) check(checks *patterns.Checks) {
	checks.Name(m.Instance)
	checks.That(m.Step.Known(), "step", "unknown step %q; known: %s", m.Step, joinSteps(Steps()))
	checks.That(m.Policy != nil, "policy", "must not be nil")
	if m.Policy == nil || !m.Step.Known() || m.Step == Custom {
		return
	}
	kind, _ := inspect(m.Policy)
	checks.That(kind == m.Step || kind == Timeout && m.Step == TotalTimeout, "policy",
		"must be one of package patterns for a step %s, got a %T; any policy can be a step %s", m.Step, m.Policy, Custom)
}

// inspect returns the step that a policy is made for, [Custom] if it is not one of this library, and its configuration,
// defaults filled in, or nil if it has none to show.
func inspect(p patterns.Policy) (kind Step, config any) {
	switch p := p.(type) {
	case *bulkhead.Adaptive:
		return AdaptiveBulkhead, p.Config()
	case *throttle.Adaptive:
		return AdaptiveThrottle, p.Config()
	case *bulkhead.Bulkhead:
		return Bulkhead, p.Config()
	case *circuitbreaker.Breaker:
		return CircuitBreaker, p.Config()
	case *fallback.Policy:
		return Fallback, nil
	case *hedge.Policy:
		return Hedge, p.Config()
	case *ratelimit.Distributed:
		return RateLimit, p.Config()
	case *ratelimit.SlidingCounter:
		return RateLimit, p.Config()
	case *ratelimit.SlidingWindow:
		return RateLimit, p.Config()
	case *ratelimit.TokenBucket:
		return RateLimit, p.Config()
	case *retry.Policy:
		return Retry, p.Config()
	case *throttle.Throttler:
		return Throttle, p.Config()
	case *timeout.Policy:
		return Timeout, p.Config()
	case ratelimit.Limiter:
		return RateLimit, nil
	default:
		return Custom, nil
	}
}

// budgetOf returns the budget that pays for the further attempts of a policy, or nil.
func budgetOf(p patterns.Policy) *retry.Budget {
	switch p := p.(type) {
	case *hedge.Policy:
		return p.Budget()
	case *retry.Policy:
		return p.Budget()
	default:
		return nil
	}
}

// partsOf returns what a policy is composed of, outermost first, or nil if it is not composed of several.
func partsOf(p patterns.Policy) []Member {
	if p, ok := p.(*Pipeline); ok {
		return p.steps
	}
	policies := patterns.Members(p)
	if len(policies) < 2 {
		return nil
	}
	parts := make([]Member, len(policies))
	for i, p := range policies {
		parts[i].Policy = p
		parts[i].Step, _ = inspect(p)
		if named, ok := p.(interface{ Name() string }); ok {
			parts[i].Instance = named.Name()
		}
	}
	return parts
}
