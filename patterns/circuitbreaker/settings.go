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
		cfg: cfg, lease: cfg.RecoveryTimeout,
		failureRate: inUnits(cfg.FailureRateThreshold), slowRate: inUnits(cfg.SlowCallRateThreshold),
	}
	if cfg.Timeout > 0 {
		limit, err := timeout.New(name, timeout.Config{Timeout: cfg.Timeout, Message: "Circuit breaker call timed out"},
			timeout.WithBus(bus))
		if err != nil {
			return nil, err
		}
		s.limit, s.lease = limit, cfg.Timeout
	}
	return s, nil
}

// inUnits rounds down, so that two thirds reach 2.0/3.
func inUnits(rate float64) uint64 { return uint64(rate*rateUnit + 1e-6) }

// wait is how long the circuit stays open that has opened again so many times without closing. draw, from 0 to 1, is the
// random part.
func (s *settings) wait(reopened int, draw float64) time.Duration {
	first := s.cfg.RecoveryTimeout
	if reopened == 0 && s.cfg.RecoveryJitter == 0 {
		return first
	}
	longest := cmp.Or(s.cfg.MaxRecoveryTimeout, 10*first)
	wait := min(float64(first)*math.Pow(s.cfg.RecoveryBackoffFactor, float64(reopened)), float64(longest))
	return time.Duration(wait + wait*s.cfg.RecoveryJitter*draw)
}

// slow reports whether a call that took so long was slow.
func (s *settings) slow(took time.Duration) bool {
	return s.cfg.SlowCallDuration > 0 && took > s.cfg.SlowCallDuration
}
