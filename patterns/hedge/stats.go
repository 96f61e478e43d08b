package hedge

import "sync/atomic"

// Stats are counts since the [Policy] was made, but for Running.
type Stats struct {
	Calls       uint64 // that ran an attempt
	Hedges      uint64 // attempts that were not the first
	Won         uint64 // calls that succeeded with one of these
	Denied      uint64 // hedges that the budget did not allow
	Failed      uint64 // calls of which every attempt failed
	Interrupted uint64 // calls that their context ended
	LatePanics  uint64 // attempts that panicked when their call was over
	Running     int    // attempts now, also those whose call is over
}

// Stats returns a snapshot.
func (p *Policy) Stats() Stats {
	return Stats{
		Calls: p.counts.calls.Load(), Hedges: p.counts.hedges.Load(), Won: p.counts.won.Load(),
		Denied: p.counts.denied.Load(), Failed: p.counts.failed.Load(), Interrupted: p.counts.interrupted.Load(),
		LatePanics: p.counts.latePanics.Load(), Running: int(p.counts.running.Load()),
	}
}

type counts struct {
	calls, hedges, won, denied, failed, interrupted, latePanics atomic.Uint64
	running                                                     atomic.Int64
}
