package pipeline_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/fallback"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

const (
	total   = pipeline.TotalTimeout
	attempt = pipeline.Timeout
	breaker = pipeline.CircuitBreaker
	tries   = pipeline.Retry
	hedges  = pipeline.Hedge
)

func within(d time.Duration) *timeout.Config { return &timeout.Config{Timeout: d} }

func order(steps ...pipeline.Step) []pipeline.Step { return steps }

// constant retries so often, after delays of the same length.
func constant(attempts int, delay time.Duration) *retry.Config {
	return &retry.Config{MaxAttempts: attempts, BaseDelay: delay, Backoff: retry.Constant, Jitter: retry.NoJitter}
}

// windowed opens by the failures in so much time, and has a timeout of its own.
func windowed(window, timeout time.Duration) *circuitbreaker.Config {
	return &circuitbreaker.Config{SlidingWindow: window, Timeout: timeout}
}

func answers(t *testing.T, name string) *fallback.Policy {
	t.Helper()
	chain, err := fallback.New[struct{}](name)
	if err != nil {
		t.Fatal(err)
	}
	return fallback.NewPolicy(chain)
}

func slots(t *testing.T, name string) *bulkhead.Bulkhead {
	t.Helper()
	b, err := bulkhead.New(name, bulkhead.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func budget(t *testing.T) *retry.Budget {
	t.Helper()
	b, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStepsThatDoNotFitTogetherAreAnError(t *testing.T) {
	type named = map[pipeline.Step]patterns.Policy
	shared := slots(t, "shared")
	inner := newPipeline(t, pipeline.Config{Timeout: within(time.Second), Named: named{"shared": shared}, Order: order("shared", attempt)})
	const s = time.Second
	tests := []struct {
		name string
		cfg  pipeline.Config
		want string // "": they do
	}{
		{"attempt as long as the total", pipeline.Config{TotalTimeout: within(s), Timeout: within(s), Order: order(total, attempt)}, ""},
		{"attempt longer than the total", pipeline.Config{TotalTimeout: within(s), Timeout: within(s + 1), Order: order(total, attempt)},
			`timeout.timeout: timeout "p" allows 1.000000001s, but total_timeout "p.total" around it ends after 1s: lower the one or raise the other`},
		{"attempt longer than the breaker allows", pipeline.Config{CircuitBreaker: windowed(time.Minute, s), Timeout: within(2 * s), Order: order(breaker, attempt)},
			`timeout.timeout: timeout "p" allows 2s, but circuit_breaker "p" around it ends after 1s: lower the one or raise the other`},
		{"breaker allows more than the total", pipeline.Config{TotalTimeout: within(s), CircuitBreaker: windowed(time.Minute, 30*s), Order: order(total, breaker)}, ""},
		{"tightest of several around it", pipeline.Config{TotalTimeout: within(2 * s), Timeout: within(3 * s), Named: named{"mid": limit(t, s)}, Order: order(total, "mid", attempt)},
			`timeout.timeout: timeout "p" allows 3s, but timeout "mid" around it ends after 1s: lower the one or raise the other`},
		{"named one too long", pipeline.Config{TotalTimeout: within(2 * s), Named: named{"mid": limit(t, 3*s)}, Order: order(total, "mid")},
			`mid.timeout: timeout "mid" allows 3s, but total_timeout "p.total" around it ends after 2s: lower the one or raise the other`},

		{"total timeout inside of a retry", pipeline.Config{TotalTimeout: within(s), Retry: constant(2, 1), Order: order(tries, total)},
			`order: total_timeout "p.total" is inside of retry "p", where it bounds one attempt: move it outside, or call it timeout`},
		{"total timeout inside of one attempt", pipeline.Config{TotalTimeout: within(s), Retry: constant(1, 1), Order: order(tries, total)}, ""},

		{"window of two calls", pipeline.Config{CircuitBreaker: windowed(2*s, 0), Timeout: within(s), Order: order(breaker, attempt)}, ""},
		{"window of less than two calls", pipeline.Config{CircuitBreaker: windowed(2*s-1, 0), Timeout: within(s), Order: order(breaker, attempt)},
			`circuit_breaker.sliding_window_seconds: the window of circuit_breaker "p" is 1.999999999s, less than twice the 1s that timeout "p" allows a call: it would forget calls too soon to see them fail together; widen it or lower the timeout`},
		{"window of less than two of its own calls", pipeline.Config{CircuitBreaker: windowed(s, s)},
			`circuit_breaker.sliding_window_seconds: the window of circuit_breaker "p" is 1s, less than twice the 1s that circuit_breaker "p" allows a call: it would forget calls too soon to see them fail together; widen it or lower the timeout`},
		{"window, and what bounds a call from outside", pipeline.Config{CircuitBreaker: windowed(s, 30*s), TotalTimeout: within(s / 2), Order: order(total, breaker)}, ""},
		{"window without any timeout", pipeline.Config{CircuitBreaker: windowed(s, 0)}, ""},

		{"window of calls", pipeline.Config{CircuitBreaker: &circuitbreaker.Config{SlidingWindow: s, SlidingWindowCalls: 5, Timeout: s}}, ""},

		{"slow before the end", pipeline.Config{CircuitBreaker: &circuitbreaker.Config{SlowCallDuration: s - 1}, Timeout: within(s), Order: order(breaker, attempt)}, ""},
		{"slow after the end", pipeline.Config{CircuitBreaker: &circuitbreaker.Config{SlowCallDuration: s}, Timeout: within(s), Order: order(breaker, attempt)},
			`circuit_breaker.slow_call_duration: to circuit_breaker "p" a call is slow after 1s, but timeout "p" ends it after 1s: none would ever be; lower the one or raise the other`},
		{"slow with all attempts", pipeline.Config{CircuitBreaker: &circuitbreaker.Config{SlowCallDuration: 2 * s}, Retry: constant(2, s), Timeout: within(s)}, ""},

		{"delays that fit", pipeline.Config{TotalTimeout: within(2*s + 1), Retry: constant(3, s), Order: order(total, tries)}, ""},
		{"delays that do not fit", pipeline.Config{TotalTimeout: within(2 * s), Retry: constant(3, s), Order: order(total, tries)},
			`retry.max_attempts: retry "p" makes up to 3 attempts with delays of at least 2s in all, but total_timeout "p.total" around it ends after 2s: make fewer attempts or shorter delays, raise the timeout, or end the retries with max_elapsed`},
		{"delays that max_elapsed ends", pipeline.Config{TotalTimeout: within(2 * s), Retry: &retry.Config{MaxAttempts: 3, BaseDelay: s, MaxElapsed: s}, Order: order(total, tries)}, ""},
		{"delays that the breaker ends", pipeline.Config{CircuitBreaker: windowed(time.Minute, s), Retry: constant(2, s), Order: order(breaker, tries)},
			`retry.max_attempts: retry "p" makes up to 2 attempts with delays of at least 1s in all, but circuit_breaker "p" around it ends after 1s: make fewer attempts or shorter delays, raise the timeout, or end the retries with max_elapsed`},
		{"decorrelated delays that fit", pipeline.Config{TotalTimeout: within(2*s + 1), Retry: &retry.Config{JitterKind: retry.DecorrelatedJitter}, Order: order(total, tries)}, ""},
		{"decorrelated delays that do not fit", pipeline.Config{TotalTimeout: within(2 * s), Retry: &retry.Config{JitterKind: retry.DecorrelatedJitter}, Order: order(total, tries)},
			`retry.max_attempts: retry "p" makes up to 3 attempts with delays of at least 2s in all, but total_timeout "p.total" around it ends after 2s: make fewer attempts or shorter delays, raise the timeout, or end the retries with max_elapsed`},
		{"delays and the timeout of an attempt", pipeline.Config{Timeout: within(s), Retry: constant(3, s), Order: order(tries, attempt)}, ""},

		{"hedge before the end of the call", pipeline.Config{TotalTimeout: within(s), Hedge: &hedge.Config{Delay: s - 1}, Order: order(total, hedges)}, ""},
		{"hedge at the end of the call", pipeline.Config{TotalTimeout: within(s), Hedge: &hedge.Config{Delay: s}, Order: order(total, hedges)},
			`hedge.delay: hedge "p" waits 1s before it makes another attempt, but total_timeout "p.total" ends after 1s: there would never be one; lower the delay or raise the timeout`},
		{"hedge after the end of the attempt", pipeline.Config{Timeout: within(s), Hedge: &hedge.Config{Delay: 2 * s}, Order: order(hedges, attempt)},
			`hedge.delay: hedge "p" waits 2s before it makes another attempt, but timeout "p" ends after 1s: there would never be one; lower the delay or raise the timeout`},
		{"hedge of attempts that are retried", pipeline.Config{Timeout: within(s), Retry: constant(3, s), Hedge: &hedge.Config{Delay: 2 * s}, Order: order(hedges, tries, attempt)}, ""},
		{"hedge by quantile", pipeline.Config{TotalTimeout: within(s), Hedge: &hedge.Config{Delay: s, Quantile: 0.9}, Order: order(total, hedges)}, ""},

		{"fallback outermost", pipeline.Config{Fallback: answers(t, "p"), Retry: constant(2, 1), Order: order(pipeline.Fallback, tries)}, ""},
		{"fallback inside", pipeline.Config{Fallback: answers(t, "p"), TotalTimeout: within(s), Retry: constant(2, 1), Order: order(total, pipeline.Fallback, tries)},
			`order: fallback "p" is inside of total_timeout "p.total", whose errors it does not see: move it to the outermost place`},
		{"fallback inside of a fallback and what is not ours", pipeline.Config{Fallback: answers(t, "p"), Named: named{"a": answers(t, "a"), "trace": patterns.Direct{}}, Order: order("trace", "a", pipeline.Fallback)}, ""},

		{"the same policy twice", pipeline.Config{Named: named{"a": shared, "b": shared}, Order: order("a", "b")},
			`order: bulkhead "b" is in this pipeline already`},
		{"the same policy in a pipeline inside", pipeline.Config{Named: named{"a": shared, "b": inner}, Order: order("a", "b")},
			`order: bulkhead "shared" is in this pipeline already`},
		{"the same policy of another kind twice", pipeline.Config{Named: named{"a": patterns.Direct{}, "b": patterns.Direct{}}, Order: order("a", "b")}, ""},
		{"parts without a name", pipeline.Config{Named: named{"a": patterns.Compose(own{}, own{}), "b": own{}}, Order: order("a", "b")}, ""},
		{"a composition inside", pipeline.Config{Timeout: within(s), Named: named{"a": patterns.Compose(limit(t, 2*s), slots(t, "x"))}, Order: order(attempt, "a")},
			`a.timeout: timeout "limit" allows 2s, but timeout "p" around it ends after 1s: lower the one or raise the other`},

		{"one budget inside of another", pipeline.Config{Budget: budget(t), Retry: constant(2, 1), Hedge: &hedge.Config{}, Order: order(tries, hedges)},
			`hedge.budget: hedge "p" is paid by the same budget as retry "p" around it, and each of them counts the call: only one of them can have it`},
		{"two of a kind without a budget", pipeline.Config{Retry: constant(2, 1), Hedge: &hedge.Config{}, Order: order(tries, hedges)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pipeline.New("p", tt.cfg)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || err.Error() != `pipeline "p": `+tt.want):
				t.Errorf("got  %v\nwant %s", err, tt.want)
			case tt.want != "" && !errors.Is(err, patterns.ErrConfiguration):
				t.Error("it is no mistake in a configuration")
			}
		})
	}
}

func TestEveryMisfitIsReportedAtOnce(t *testing.T) {
	_, err := pipeline.New("p", pipeline.Config{
		TotalTimeout: within(time.Second), Fallback: answers(t, "p"), CircuitBreaker: windowed(time.Second, 0),
		Retry: constant(3, time.Second), Timeout: within(2 * time.Second),
		Order: order(total, pipeline.Fallback, tries, breaker, attempt),
	})
	for _, want := range []string{"order: fallback", "retry.max_attempts: ", "circuit_breaker.sliding_window_seconds: ", "timeout.timeout: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

// The least delays of a call are those of which no draw is below.
func TestLeastDelaysAreALowerBound(t *testing.T) {
	for name, cfg := range map[string]retry.Config{
		"default":      {},
		"none":         {Jitter: retry.NoJitter},
		"all":          {Jitter: 1},
		"full":         {JitterKind: retry.FullJitter},
		"equal":        {JitterKind: retry.EqualJitter},
		"decorrelated": {JitterKind: retry.DecorrelatedJitter},
		"smooth":       {JitterKind: retry.SmoothJitter},
		"linear":       {Backoff: retry.Linear, Jitter: retry.NoJitter},
		"fibonacci":    {Backoff: retry.Fibonacci},
		"capped":       {MaxDelay: 1500 * time.Millisecond},
	} {
		cfg.MaxAttempts = 6
		drawn := time.Duration(math.MaxInt64)
		for range 200 {
			sum := time.Duration(0)
			for n := 1; n < cfg.MaxAttempts; n++ {
				sum += cfg.Delay(n)
			}
			drawn = min(drawn, sum)
		}
		fits := func(limit time.Duration) bool {
			_, err := pipeline.New("p", pipeline.Config{TotalTimeout: within(limit), Retry: &cfg, Order: order(total, tries)})
			return err == nil
		}
		if !fits(drawn + 1) {
			t.Errorf("%s: delays of %v in all were drawn, but are said not to fit in that", name, drawn)
		}
	}
}

func TestVeryManyAttemptsAreJudgedQuickly(t *testing.T) {
	for attempts, want := range map[int]bool{math.MaxInt: false, 3_600_001: false, 3_600_000: true} {
		_, err := pipeline.New("p", pipeline.Config{
			TotalTimeout: within(time.Hour), Retry: constant(attempts, time.Millisecond), Order: order(total, tries),
		})
		if (err == nil) != want {
			t.Errorf("%d attempts: %v", attempts, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		name string
		cfg  pipeline.Config
		want []string
	}{
		{"breaker inside", pipeline.Config{CircuitBreaker: windowed(0, 0), Retry: constant(3, 1), Order: order(tries, breaker)}, nil},
		{"breaker outside", pipeline.Config{CircuitBreaker: windowed(0, 0), Retry: constant(3, 1)},
			[]string{`circuit_breaker "p" is outside of retry "p": of up to 3 attempts, and the delays between them, it sees one call`}},
		{"breaker outside of one attempt", pipeline.Config{CircuitBreaker: windowed(0, 0), Retry: constant(1, 1)}, nil},
		{"what adapts outside", pipeline.Config{
			AdaptiveBulkhead: &bulkhead.AdaptiveConfig{}, AdaptiveThrottle: &throttle.AdaptiveConfig{}, Hedge: &hedge.Config{},
			Order: order(pipeline.AdaptiveBulkhead, pipeline.AdaptiveThrottle, hedges),
		}, []string{
			`adaptive_bulkhead "p" is outside of hedge "p": of up to 2 attempts, and the delays between them, it sees one call`,
			`adaptive_throttle "p" is outside of hedge "p": of up to 2 attempts, and the delays between them, it sees one call`,
		}},
		{"attempts of attempts", pipeline.Config{Retry: constant(3, 1), Hedge: &hedge.Config{MaxHedges: 3}, Order: order(tries, hedges)},
			[]string{`attempts multiply: retry "p" (3) and hedge "p" (4) make up to 12 of one call`}},
		{"detached", pipeline.Config{Bulkhead: &bulkhead.Config{}, Timeout: &timeout.Config{Timeout: 1, Detached: true}},
			[]string{`timeout "p" is detached inside of bulkhead "p": what it leaves behind runs on without a slot`}},
		{"detached inside of one that adapts", pipeline.Config{
			AdaptiveBulkhead: &bulkhead.AdaptiveConfig{}, Timeout: &timeout.Config{Timeout: 1, Detached: true},
			Order: order(pipeline.AdaptiveBulkhead, attempt),
		}, []string{`timeout "p" is detached inside of adaptive_bulkhead "p": what it leaves behind runs on without a slot`}},
		{"detached outside", pipeline.Config{
			Bulkhead: &bulkhead.Config{}, Timeout: &timeout.Config{Timeout: 1, Detached: true}, Order: order(attempt, pipeline.Bulkhead),
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pipeline.New("p", tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Describe().Warnings; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEveryStepHasItsPlaceInTheStandardOrder(t *testing.T) {
	p, err := pipeline.Standard("p", pipeline.Config{
		AdaptiveBulkhead: &bulkhead.AdaptiveConfig{}, AdaptiveThrottle: &throttle.AdaptiveConfig{}, Bulkhead: &bulkhead.Config{},
		CircuitBreaker: &circuitbreaker.Config{}, Fallback: answers(t, "p"), Hedge: &hedge.Config{}, RateLimit: &ratelimit.Config{},
		Retry: &retry.Config{}, Throttle: &throttle.Config{}, Timeout: &timeout.Config{}, TotalTimeout: &timeout.Config{},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []pipeline.Step
	for _, m := range p.Members() {
		got = append(got, m.Step)
		if want := m.Step.Of("p"); m.Instance != want.Instance {
			t.Errorf("%s is called %q", m.Step, m.Instance)
		}
	}
	if !reflect.DeepEqual(got, pipeline.StandardOrder()) {
		t.Errorf("got %v", got)
	}
}

// limiter is one of a program.
type limiter struct{ ratelimit.Limiter }

func (limiter) Execute(ctx context.Context, op patterns.Operation) error { return op(ctx) }

func TestStepsAreOfTheKindThatTheirPolicyIs(t *testing.T) {
	window, err := ratelimit.NewSlidingWindow("w", ratelimit.WindowConfig{Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	counter, err := ratelimit.NewSlidingCounter("c", ratelimit.WindowConfig{Limit: 6})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.New("p", pipeline.Config{
		Named: map[pipeline.Step]patterns.Policy{"w": window, "c": counter, "l": limiter{counter}},
		Order: order("w", "c", "l"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []pipeline.StepDescription{
		{Step: pipeline.RateLimit, Instance: "w", Config: window.Config()},
		{Step: pipeline.RateLimit, Instance: "c", Config: counter.Config()},
		{Step: pipeline.RateLimit, Instance: "l"},
	}
	if got := p.Describe().Steps; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestStandardOrder(t *testing.T) {
	cfg := pipeline.Config{
		Fallback: answers(t, "p"), TotalTimeout: within(5 * time.Second), Bulkhead: &bulkhead.Config{},
		Retry: &retry.Config{}, Budget: budget(t), CircuitBreaker: &circuitbreaker.Config{}, Timeout: within(time.Second),
		Named: map[pipeline.Step]patterns.Policy{"latency": patterns.Direct{}, "chaos": patterns.Direct{}},
	}
	p, err := pipeline.Standard("p", cfg)
	if err != nil {
		t.Fatal(err)
	}
	const want = "fallback(p) > total_timeout(p.total) > bulkhead(p) > retry(p) > circuit_breaker(p) > timeout(p)" +
		" > custom(chaos) > custom(latency)"
	if p.String() != want {
		t.Errorf("got %s", p)
	}
	if warnings := p.Describe().Warnings; warnings != nil {
		t.Errorf("the standard order has warnings: %q", warnings)
	}
	cfg.Order = pipeline.DefaultOrder()
	if _, err := pipeline.Standard("p", cfg); err == nil || !strings.Contains(err.Error(), "order: must be empty") {
		t.Errorf("got %v", err)
	}
}
