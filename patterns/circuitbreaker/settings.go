package circuitbreaker

import (
	"cmp"
	"math"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/timeout"
)

// settings is a configuration worked out for the calls. It never changes; a reconfigured breaker has another one.
type settings struct {
	cfg         Config
	failureRate uint64 // in parts of rateUnit
	slowRate    uint64
	lease       time.Duration   // of a probe
	limit       *timeout.Policy // nil: none
}

// rateUnit makes a rate an integer, so that 7 of 100 calls are exactly 0.07.
const rateUnit = 1_000_000_000

// newSettings takes a valid configuration.
func newSettings(name string, cfg Config, bus *hooks.Bus) (*settings, error) {
	s := &settings{
		cfg: cfg, lease: min(cfg.RecoveryTimeout, longestWait),
		failureRate: inUnits(cfg.FailureRateThreshold), slowRate: inUnits(cfg.SlowCallRateThreshold),
	}
	if cfg.Timeout > 0 {
		limit, err := timeout.New(name, timeout.Config{Timeout: cfg.Timeout, Message: "Circuit breaker call timed out"},
			timeout.WithBus(bus))
		if err != nil {
			return nil, err
		}
		s.limit, s.lease = limit, min(cfg.Timeout, longestWait)
	}
	return s, nil
}

// inUnits rounds down, so that two thirds reach 2.0/3, but not to nothing, which everything reaches.
func inUnits(rate float64) uint64 { return max(1, uint64(rate*rateUnit+1e-6)) }

// longestWait, 36 years, stands for any longer one, so that a few of them can be added to a time.
const longestWait = time.Duration(1 << 60)

// wait is how long the circuit stays open that has opened again so many times without closing. draw, from 0 to 1, is the
// random part.
func (s *settings) wait(reopened int, draw float64) time.Duration {
	if reopened == 0 && s.cfg.RecoveryJitter == 0 {
		return min(s.cfg.RecoveryTimeout, longestWait)
	}
	first := float64(s.cfg.RecoveryTimeout)
	longest := cmp.Or(float64(s.cfg.MaxRecoveryTimeout), 10*first)
	wait := min(first*math.Pow(s.cfg.RecoveryBackoffFactor, float64(reopened)), longest)
	return time.Duration(min(wait+wait*s.cfg.RecoveryJitter*draw, float64(longestWait)))
}

// slow reports whether a call that took so long was slow.
func (s *settings) slow(took time.Duration) bool {
	return s.cfg.SlowCallDuration > 0 && took > s.cfg.SlowCallDuration
}
