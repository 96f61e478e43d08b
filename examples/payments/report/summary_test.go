package report

import (
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/examples/payments/traffic"
)

func TestSummaryIsATable(t *testing.T) {
	s := Summary{
		Clients: traffic.Counts{
			Requests: 2046, Retries: 561, Disconnects: 98, Unanswered: 31, Accepted: 836, Declined: 42, Replays: 483, Conflicts: 257,
			Mismatches: 87, StoreDown: 7,
		},
		Latencies: []time.Duration{4 * time.Second, time.Millisecond, 1234567, 1},
		Charges:   838, GivenUp: 2, Replicas: 2, Kills: 2,
		Service: Service{Retries: 84, CircuitRejections: 328, BulkheadRejections: 5, Transitions: 25},
	}
	const want = `
  requests by clients                        2046
    retries                                   561
    disconnects before the answer              98
    without an answer                          31
  payments accepted                           836
  payments declined                            42
  payments given up                             2
  charges at the provider                     838
  replayed answers                            483
  conflicts (409)                             257
  mismatches (422)                             87
  store not available (503)                     7
  processes of the service killed               2
  retries by the service                       84
  rejections by the circuit breaker           328
  rejections by the bulkhead                    5
  transitions of the circuit breaker           25
  latency p50                                 1ms
  latency p95                                  4s
  latency p99                                  4s
  latency max                                  4s
`
	var out strings.Builder
	s.Write(&out)
	if got := "\n" + out.String(); got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, test := range []struct {
		values  []time.Duration
		percent int
		want    time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 1, 7},
		{[]time.Duration{7}, 100, 7},
		{[]time.Duration{1, 2, 3}, 50, 2},
		{[]time.Duration{1, 2, 3, 4}, 50, 2},
		{hundred, 50, 50},
		{hundred, 95, 95},
		{hundred, 99, 99},
		{hundred, 100, 100},
	} {
		if got := quantile(test.values, test.percent); got != test.want {
			t.Errorf("%d %% of %d values: got %d, want %d", test.percent, len(test.values), got, test.want)
		}
	}
}
