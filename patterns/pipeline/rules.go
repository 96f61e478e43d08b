package pipeline

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// stage is a step as the rules about steps that meet see it.
type stage struct {
	place    int // of the step in its pipeline; the parts of a step have the place of that
	kind     Step
	instance string
	config   any // of its pattern, defaults filled in; nil if there is none
	self     any // the same for the same policy; nil if it is not known
	budget   any // the same for the same budget; nil if there is none
}

func (s stage) String() string { return fmt.Sprintf("%s %q", s.kind, s.instance) }

// stagesOf returns the stages of members, with those of a composition that is one of them in its place.
func stagesOf(members []Member) []stage {
	var stages []stage
	for i, m := range members {
		if parts := partsOf(m.Policy); parts != nil {
			for _, s := range stagesOf(parts) {
				s.place = i
				if _, known := s.self.(patterns.Policy); !known {
					s.self = nil // the name is one of other members
				}
				stages = append(stages, s)
			}
			continue
		}
		s := stage{place: i, instance: m.Instance}
		s.kind, s.config = inspect(m.Policy)
		s.self = Reference{m.Step, m.Instance}
		if s.config != nil || s.kind == Fallback { // it is a pointer then, which can be compared
			s.self = m.Policy
		}
		if m.Step == TotalTimeout {
			s.kind = TotalTimeout
		}
		if b := budgetOf(m.Policy); b != nil {
			s.budget = b
		}
		stages = append(stages, s)
	}
	return stages
}

// limit returns the time in which a stage ends what is inside of it, or 0 if it does not.
func (s stage) limit() time.Duration {
	switch c := s.config.(type) {
	case timeout.Config:
		return c.Timeout
	case circuitbreaker.Config:
		return c.Timeout
	default:
		return 0
	}
}

// attempts returns how often a stage runs what is inside of it at most.
func (s stage) attempts() int {
	switch c := s.config.(type) {
	case retry.Config:
		return c.MaxAttempts
	case hedge.Config:
		return 1 + c.MaxHedges
	default:
		return 1
	}
}

// finding is a mistake in how steps fit together.
type finding struct {
	place   int
	key     string // of the configuration that is wrong; "" if it is the place
	problem string // which of them, what is wrong, and what would be right
}

// rules judge the stages of a pipeline, outermost first.
type rules struct {
	stages   []stage
	mistakes []finding
	warnings []string
}

func judge(stages []stage) *rules {
	r := &rules{stages: stages}
	for i, s := range stages {
		switch c := s.config.(type) {
		case timeout.Config:
			r.timeout(i, c)
		case circuitbreaker.Config:
			r.circuitBreaker(i, c)
		case retry.Config:
			r.retry(i, c)
		case hedge.Config:
			r.hedge(i, c)
		case throttle.AdaptiveConfig, bulkhead.AdaptiveConfig:
			r.learner(i)
		}
		r.fallback(i)
		r.twice(i)
		r.budget(i)
	}
	r.multiply()
	return r
}

// report adds the mistakes to checks, each under the field that path makes of it.
func (r *rules) report(checks *patterns.Checks, path func(finding) string) {
	for _, m := range r.mistakes {
		checks.That(false, path(m), "%s", m.problem)
	}
}

func (r *rules) mistake(i int, key, problem string, args ...any) {
	r.mistakes = append(r.mistakes, finding{r.stages[i].place, key, fmt.Sprintf(problem, args...)})
}

func (r *rules) warn(warning string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(warning, args...))
}

func (r *rules) timeout(i int, c timeout.Config) {
	s := r.stages[i]
	if outer, ok := tightest(r.stages[:i]); ok && c.Timeout > outer.limit() {
		r.mistake(i, "timeout", "%v allows %v, but %v around it ends after %v: lower the one or raise the other",
			s, c.Timeout, outer, outer.limit())
	}
	if j := r.repeating(0, i); s.kind == TotalTimeout && j >= 0 {
		r.mistake(i, "", "%v is inside of %v, where it bounds one attempt: move it outside, or call it %s",
			s, r.stages[j], Timeout)
	}
	for _, outer := range r.stages[:i] {
		if c.Detached && (outer.kind == Bulkhead || outer.kind == AdaptiveBulkhead) {
			r.warn("%v is detached inside of %v: what it leaves behind runs on without a slot", s, outer)
		}
	}
}

func (r *rules) circuitBreaker(i int, c circuitbreaker.Config) {
	s := r.stages[i]
	if slow, ok := tightest(r.stages); ok && c.SlidingWindowCalls == 0 && c.SlidingWindow < 2*slow.limit() {
		r.mistake(i, "sliding_window_seconds",
			"the window of %v is %v, less than twice the %v that %v allows a call: "+
				"it would forget calls too soon to see them fail together; widen it or lower the timeout",
			s, c.SlidingWindow, slow.limit(), slow)
	}
	if end, ok := tightest(r.around(i)); ok && c.SlowCallDuration > 0 && c.SlowCallDuration >= end.limit() {
		r.mistake(i, "slow_call_duration", "to %v a call is slow after %v, but %v ends it after %v: "+
			"none would ever be; lower the one or raise the other", s, c.SlowCallDuration, end, end.limit())
	}
	r.learner(i)
}

// learner warns of a stage that learns from what it sees, where that is not each attempt.
func (r *rules) learner(i int) {
	if j := r.repeating(i+1, len(r.stages)); j >= 0 {
		r.warn("%v is outside of %v: of up to %d attempts, and the delays between them, it sees one call",
			r.stages[i], r.stages[j], r.stages[j].attempts())
	}
}

func (r *rules) retry(i int, c retry.Config) {
	if outer, ok := tightest(r.stages[:i]); ok {
		if least := leastDelays(c, outer.limit()); least >= outer.limit() {
			r.mistake(i, "max_attempts",
				"%v makes up to %d attempts with delays of at least %v in all, but %v around it ends after %v: "+
					"make fewer attempts or shorter delays, raise the timeout, or end the retries with max_elapsed",
				r.stages[i], c.MaxAttempts, least, outer, outer.limit())
		}
	}
}

func (r *rules) hedge(i int, c hedge.Config) {
	if c.Quantile > 0 { // then Delay is only where it begins
		return
	}
	if end, ok := tightest(r.around(i)); ok && c.Delay >= end.limit() {
		r.mistake(i, "delay", "%v waits %v before it makes another attempt, but %v ends after %v: "+
			"there would never be one; lower the delay or raise the timeout", r.stages[i], c.Delay, end, end.limit())
	}
}

func (r *rules) fallback(i int) {
	if r.stages[i].kind != Fallback {
		return
	}
	for _, outer := range r.stages[:i] {
		if outer.kind != Fallback && outer.kind != Custom {
			r.mistake(i, "", "%v is inside of %v, whose errors it does not see: move it to the outermost place",
				r.stages[i], outer)
			return
		}
	}
}

func (r *rules) twice(i int) {
	for _, outer := range r.stages[:i] {
		if self := r.stages[i].self; self != nil && self == outer.self {
			r.mistake(i, "", "%v is in this pipeline already", r.stages[i])
			return
		}
	}
}

func (r *rules) budget(i int) {
	for _, outer := range r.stages[:i] {
		if b := r.stages[i].budget; b != nil && b == outer.budget {
			r.mistake(i, "budget", "%v is paid by the same budget as %v around it, and each of them counts the call: "+
				"only one of them can have it", r.stages[i], outer)
			return
		}
	}
}

func (r *rules) multiply() {
	var factors []string
	product := 1.0
	for _, s := range r.stages {
		if n := s.attempts(); n > 1 {
			factors = append(factors, fmt.Sprintf("%v (%d)", s, n))
			product *= float64(n)
		}
	}
	if len(factors) > 1 {
		r.warn("attempts multiply: %s make up to %.0f of one call", strings.Join(factors, " and "), product)
	}
}

// repeating returns the first stage from one index to before another that makes several attempts, or -1.
func (r *rules) repeating(from, to int) int {
	for i := from; i < to; i++ {
		if r.stages[i].attempts() > 1 {
			return i
		}
	}
	return -1
}

// around returns the stages that can end what the stage i runs: not those inside of one that would run it again.
func (r *rules) around(i int) []stage {
	if j := r.repeating(i+1, len(r.stages)); j >= 0 {
		return r.stages[:j]
	}
	return r.stages
}

// tightest returns the stage with the lowest limit, if any has one.
func tightest(stages []stage) (lowest stage, ok bool) {
	for _, s := range stages {
		if l := s.limit(); l > 0 && (!ok || l < lowest.limit()) {
			lowest, ok = s, true
		}
	}
	return lowest, ok
}

// leastDelays returns the least time that the delays between all attempts of a call take, but no more than enough.
func leastDelays(c retry.Config, enough time.Duration) time.Duration {
	if c.MaxElapsed > 0 {
		enough = min(enough, c.MaxElapsed)
	}
	const looked = 1000 // at one by one; the delays after them are no shorter
	retries := c.MaxAttempts - 1
	sum, last := time.Duration(0), time.Duration(0)
	for attempt := 1; attempt <= min(retries, looked) && sum < enough; attempt++ {
		last = leastDelay(c, attempt)
		sum += min(last, enough-sum)
	}
	if rest := retries - looked; rest > 0 && last > 0 {
		if int64((enough-sum)/last) < int64(rest) {
			return enough
		}
		sum += last * time.Duration(rest)
	}
	return sum
}

// leastDelay returns the least delay after an attempt (1-based).
func leastDelay(c retry.Config, attempt int) time.Duration {
	share := 1.0
	switch {
	case c.Jitter == retry.NoJitter:
	case c.JitterKind == retry.FullJitter, c.JitterKind == retry.SmoothJitter:
		return 0
	case c.JitterKind == retry.DecorrelatedJitter:
		return c.BaseDelay
	case c.JitterKind == retry.EqualJitter:
		share = 0.5
	default:
		share -= float64(c.Jitter)
	}
	c.Jitter = retry.NoJitter
	return time.Duration(math.Floor(share * float64(c.Delay(attempt))))
}
