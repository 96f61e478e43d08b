package retry

import "sync/atomic"

// Stats are counts since the [Policy] was made. A call that succeeds at the first attempt, which is what calls should
// do, costs nothing and is in none of them: where calls are to be counted, a circuit breaker does it, or a [Budget].
type Stats struct {
	Failures     uint64 // attempts that failed
	Retries      uint64 // attempts that were not the first
	Recovered    uint64 // calls that succeeded with one of these
	Exhausted    uint64 // calls that used up their attempts
	Elapsed      uint64 // calls that ended because of MaxElapsed
	RetryAfter   uint64 // calls that ended because an error asked for a wait beyond MaxRetryAfter
	BudgetDenied uint64 // calls that ended because the budget was spent
	NotRetried   uint64 // calls that ended with an error that is not worth another attempt
	Interrupted  uint64 // calls that ended because of their context, or because another policy refused to go on
}

// Stats returns a snapshot.
func (p *Policy) Stats() Stats {
	return Stats{
		Failures: p.counts.failures.Load(), Retries: p.counts.retries.Load(), Recovered: p.counts.recovered.Load(),
		Exhausted: p.counts.exhausted.Load(), Elapsed: p.counts.elapsed.Load(),
		RetryAfter: p.counts.retryAfter.Load(), BudgetDenied: p.counts.budgetDenied.Load(),
		NotRetried: p.counts.notRetried.Load(), Interrupted: p.counts.interrupted.Load(),
	}
}

type counts struct {
	failures, retries, recovered          atomic.Uint64
	exhausted, elapsed, retryAfter        atomic.Uint64
	budgetDenied, notRetried, interrupted atomic.Uint64
}
