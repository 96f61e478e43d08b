package retry_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
)

// busy is an answer that says when to come again.
type busy time.Duration

func (b busy) Error() string                  { return "busy" }
func (b busy) RetryIn() (time.Duration, bool) { return time.Duration(b), true }

func TestPitfall09RetryAfterIsKeptAndBounded(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name  string
		limit time.Duration // MaxRetryAfter; the delay would be 100 ms, and MaxDelay is 1 s
		err   error
		want  time.Duration // before the second attempt; -1 if there is none
	}{
		{"more than the delay", 0, busy(700 * ms), 700 * ms},
		{"less than the delay", 0, busy(50 * ms), 100 * ms},
		{"nothing", 0, busy(0), 100 * ms},
		{"negative", 0, busy(math.MinInt64), 100 * ms},
		{"the maximum", 0, busy(1000 * ms), 1000 * ms},
		{"more than the maximum", 0, busy(1000*ms + 1), -1},
		{"for ever", 0, busy(math.MaxInt64), -1},
		{"wrapped", 0, fmt.Errorf("call: %w", busy(700*ms)), 700 * ms},
		{"joined", 0, errors.Join(errBoom, busy(700*ms)), 700 * ms},
		{"own maximum", 5000 * ms, busy(5000 * ms), 5000 * ms},
		{"more than the own maximum", 5000 * ms, busy(5000*ms + 1), -1},
		{"more than a small own maximum", 200 * ms, busy(300 * ms), -1},
		{"delay above a small own maximum", 50 * ms, busy(50 * ms), 100 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := exact(3)
				cfg.MaxRetryAfter = tt.limit
				op, p := newScript(tt.err), mustNew(t, cfg)
				err := p.Execute(t.Context(), op.run)
				elapsed := time.Since(op.start)
				if tt.want >= 0 {
					if err != nil || op.calls != 2 || elapsed != tt.want {
						t.Errorf("%v after %d attempts in %v, want 2 in %v", err, op.calls, elapsed, tt.want)
					}
					return
				}
				var exhausted *retry.ExhaustedError
				if !errors.As(err, &exhausted) || exhausted.Attempts != 1 || exhausted.Last != tt.err || elapsed != 0 {
					t.Fatalf("got %v after %v", err, elapsed)
				}
				want := `retry "payments": gave up after 1 attempt: the wait that it asks for is longer than max_retry_after; ` +
					`last error: busy`
				if err.Error() != want || p.Stats().RetryAfter != 1 {
					t.Errorf("message %q, want %q; stats %+v", err, want, p.Stats())
				}
			})
		})
	}
}

func TestJitterOfRetryAfterIsUpwardOnly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := time.Duration(rapid.Int64Range(1, math.MaxInt64/4).Draw(rt, "limit")) // that the clock of a bubble can reach
		asked := time.Duration(rapid.Int64Range(1, int64(limit)).Draw(rt, "asked"))
		fraction := retry.Jitter(rapid.Float64Range(0.01, 1).Draw(rt, "jitter"))
		kind := rapid.SampledFrom(kinds).Draw(rt, "kind")
		var waited time.Duration
		synctest.Test(t, func(t *testing.T) {
			p := mustNew(t, retry.Config{
				BaseDelay: 1, MaxDelay: 1, MaxRetryAfter: limit, Jitter: fraction, JitterKind: kind,
			})
			op := newScript(busy(asked))
			if err := p.Execute(t.Context(), op.run); err != nil {
				t.Error(err)
			}
			waited = time.Since(op.start)
		})
		if most := float64(asked) * (1 + float64(fraction)); waited < asked || float64(waited) > most+1 || waited > limit {
			rt.Fatalf("waited %v", waited)
		}
	})
}

func TestJitterOfRetryAfterUsesItsRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, retry.Config{BaseDelay: 1, MaxDelay: 2 * time.Second})
		low, high := time.Hour, time.Duration(0)
		for range 1000 {
			op := newScript(busy(time.Second))
			if err := p.Execute(t.Context(), op.run); err != nil {
				t.Fatal(err)
			}
			low, high = min(low, time.Since(op.start)), max(high, time.Since(op.start))
		}
		if low < time.Second || low > 1025*time.Millisecond || high < 1225*time.Millisecond || high > 1250*time.Millisecond {
			t.Errorf("waits from %v to %v, want 1s to 1.25s", low, high)
		}
	})
}

func TestJitterOfRetryAfterDoesNotMeetAtItsMaximum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustNew(t, retry.Config{BaseDelay: 1, MaxDelay: 1100 * time.Millisecond, Jitter: 1})
		above := 0
		for range 1000 {
			op := newScript(busy(time.Second))
			if err := p.Execute(t.Context(), op.run); err != nil {
				t.Fatal(err)
			}
			if time.Since(op.start) > 1050*time.Millisecond {
				above++
			}
		}
		if above < 400 || above > 600 { // 6 standard deviations
			t.Errorf("%d of 1000 waits are in the upper half of what the maximum leaves", above)
		}
	})
}

// What is asked to retry an open circuit or a rate limit comes back when that lets calls through, and not before.
func TestRejectionIsRetriedWhenItAsksTo(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want time.Duration // before the second attempt; -1 if there is none
	}{
		{"open circuit", &circuitbreaker.OpenError{State: circuitbreaker.Open, RetryAfter: 700 * time.Millisecond},
			700 * time.Millisecond},
		{"probes in flight", &circuitbreaker.OpenError{State: circuitbreaker.HalfOpen}, 100 * time.Millisecond},
		{"rate limit", fmt.Errorf("call: %w", &ratelimit.LimitedError{RetryAfter: time.Second}), time.Second},
		{"circuit that is open for too long",
			&circuitbreaker.OpenError{State: circuitbreaker.Open, RetryAfter: time.Second + 1}, -1},
		{"key in use", &idempotency.ConflictError{RetryAfter: 300 * time.Millisecond}, 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				op := newScript(tt.err)
				err := mustNew(t, exact(3), retry.WithRetryOn(circuitbreaker.ErrOpen, ratelimit.ErrLimited,
					idempotency.ErrIdempotency)).Execute(t.Context(), op.run)
				if tt.want < 0 {
					if !errors.Is(err, circuitbreaker.ErrOpen) || !errors.Is(err, retry.ErrExhausted) || op.calls != 1 {
						t.Errorf("got %v after %d attempts", err, op.calls)
					}
					return
				}
				if err != nil || op.calls != 2 || op.at[1] != tt.want {
					t.Errorf("%v, attempts at %v", err, op.at)
				}
			})
		})
	}
}

func TestRetryAfterThatTheDeadlineForbidsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := exact(3)
		cfg.MaxElapsed = 400 * time.Millisecond
		op := newScript(busy(500 * time.Millisecond))
		err := mustNew(t, cfg).Execute(t.Context(), op.run)
		if !errors.Is(err, retry.ErrExhausted) || op.calls != 1 || time.Since(op.start) != 0 {
			t.Errorf("%v after %d attempts in %v", err, op.calls, time.Since(op.start))
		}
	})
}

var now = time.Date(2026, 5, 4, 12, 0, 0, 250e6, time.UTC)

func TestRetryAfterHeaderIsRead(t *testing.T) {
	const s = time.Second
	tests := []struct {
		header string
		want   time.Duration
		ok     bool
	}{
		{"0", 0, true},
		{"120", 120 * s, true},
		{" 7\t", 7 * s, true},
		{"007", 7 * s, true},
		{"9223372036", 9223372036 * s, true},
		{"9223372037", math.MaxInt64, true},
		{strings.Repeat("9", 400), math.MaxInt64, true},
		{"Mon, 04 May 2026 12:00:01 GMT", 750 * time.Millisecond, true},
		{"Monday, 04-May-26 12:00:01 GMT", 750 * time.Millisecond, true},
		{"Mon May  4 12:00:01 2026", 750 * time.Millisecond, true},
		{"Mon, 04 May 2026 12:00:00 GMT", 0, true},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64, true},
		{"", 0, false},
		{" ", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"1.5", 0, false},
		{"1e3", 0, false},
		{"١", 0, false},
		{"soon", 0, false},
		{"1, 2", 0, false},
		{"Mon, 04 May 2026 12:00:01", 0, false},
		{"Mon, 04 May 2026 12:00:01 +0200", 0, false},
		{"Mon, 32 May 2026 12:00:01 GMT", 0, false},
	}
	for _, tt := range tests {
		if got, ok := retry.ParseRetryAfter(tt.header, now); got != tt.want || ok != tt.ok {
			t.Errorf("%q: got %v, %v, want %v, %v", tt.header, got, ok, tt.want, tt.ok)
		}
	}
	elsewhere := now.In(time.FixedZone("", 2*60*60))
	if got, ok := retry.ParseRetryAfter("Mon, 04 May 2026 12:00:01 GMT", elsewhere); got != 750*time.Millisecond || !ok {
		t.Errorf("in another zone: %v, %v", got, ok)
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, header := range []string{
		"120", " 0 ", "-1", "9223372037", "Mon, 04 May 2026 12:00:01 GMT", "Monday, 04-May-26 12:00:01 GMT",
		"Mon May  4 12:00:01 2026", "Mon, 04 May 2026 12:00:01 UTC", "\t", "1 2",
	} {
		f.Add(header, int64(0))
	}
	f.Fuzz(func(t *testing.T, header string, at int64) {
		now := time.Unix(at%1e11, at%1e9)
		got, ok := retry.ParseRetryAfter(header, now)
		trimmed := strings.Trim(header, " \t")
		seconds, digits := new(big.Int).SetString(trimmed, 10)
		digits = digits && !strings.ContainsAny(trimmed, "+-_")
		date, err := http.ParseTime(trimmed)
		switch {
		case got < 0 || !ok && got != 0:
			t.Fatalf("%q: %v, %v", header, got, ok)
		case digits && !ok, ok && !digits && err != nil: // net/http reads some dates that are not in GMT, too
			t.Fatalf("%q: valid %v, but a number %v, a date %v", header, ok, digits, err == nil)
		case digits:
			want := seconds.Mul(seconds, big.NewInt(int64(time.Second)))
			if want.IsInt64() && want.Int64() != int64(got) || !want.IsInt64() && got != math.MaxInt64 {
				t.Fatalf("%q: %v, want %v ns", header, got, want)
			}
		case ok && now.Add(got).Before(date) && got != math.MaxInt64:
			t.Fatalf("%q: %v after %v is before %v", header, got, now, date)
		}
	})
}
