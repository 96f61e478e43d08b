package report

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/steadyfx/steady/examples/payments/traffic"
)

// Summary is a run in numbers.
type Summary struct {
	Clients   traffic.Counts
	Latencies []time.Duration // of answered requests
	Charges   int             // at the provider
	GivenUp   int             // payments of which the client never learned what became of them
	Service   Service
	Replicas  int // processes of the service; 0: it was a part of this one
	Kills     int // of those
}

// Service counts what the service does, of which its clients see only a part.
type Service struct {
	Retries            int // of charges, by the pipeline
	CircuitRejections  int
	BulkheadRejections int
	Transitions        int // of the circuit breaker
}

// Write shows the summary as a table.
func (s Summary) Write(w io.Writer) {
	c := s.Clients
	row := func(name string, value any) { fmt.Fprintf(w, "  %-36s %10v\n", name, value) }
	row("requests by clients", c.Requests)
	row("  retries", c.Retries)
	row("  disconnects before the answer", c.Disconnects)
	row("  without an answer", c.Unanswered)
	row("payments accepted", c.Accepted)
	row("payments declined", c.Declined)
	row("payments given up", s.GivenUp)
	row("charges at the provider", s.Charges)
	row("replayed answers", c.Replays)
	row("conflicts (409)", c.Conflicts)
	row("mismatches (422)", c.Mismatches)
	row("store not available (503)", c.StoreDown)
	if s.Replicas > 0 {
		row("processes of the service killed", s.Kills)
	}
	row("retries by the service", s.Service.Retries)
	row("rejections by the circuit breaker", s.Service.CircuitRejections)
	row("rejections by the bulkhead", s.Service.BulkheadRejections)
	row("transitions of the circuit breaker", s.Service.Transitions)
	slices.Sort(s.Latencies)
	for _, q := range []struct {
		name    string
		percent int
	}{{"latency p50", 50}, {"latency p95", 95}, {"latency p99", 99}, {"latency max", 100}} {
		row(q.name, quantile(s.Latencies, q.percent).Round(10*time.Microsecond))
	}
}

// quantile returns the smallest value that percent of all are not above (nearest rank), or 0 if there are none.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}
