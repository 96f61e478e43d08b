package pipeline

import (
	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/throttle"
	"github.com/steadyfx/steady/patterns/timeout"
)

// maker makes policies that announce what happens on one bus.
type maker struct {
	bus    *hooks.Bus
	budget func(name string) (*retry.Budget, error) // of a retry or a hedge that names it, or "" if it names none
}

func (m maker) adaptiveBulkhead(name string, c bulkhead.AdaptiveConfig) (*bulkhead.Adaptive, error) {
	return bulkhead.NewAdaptive(name, c, bulkhead.WithBus(m.bus))
}

func (m maker) adaptiveThrottle(name string, c throttle.AdaptiveConfig) (*throttle.Adaptive, error) {
	return throttle.NewAdaptive(name, c, throttle.WithBus(m.bus))
}

func (m maker) bulkhead(name string, c bulkhead.Config) (*bulkhead.Bulkhead, error) {
	return bulkhead.New(name, c, bulkhead.WithBus(m.bus))
}

func (m maker) circuitBreaker(name string, c circuitbreaker.Config) (*circuitbreaker.Breaker, error) {
	return circuitbreaker.New(name, c, circuitbreaker.WithBus(m.bus))
}

func (m maker) hedge(name string, c hedge.Config) (*hedge.Policy, error) {
	b, err := m.budget(c.Budget)
	if err != nil {
		return nil, err
	}
	return hedge.New(name, c, hedge.WithBus(m.bus), hedge.WithBudget(b))
}

func (m maker) rateLimit(name string, c ratelimit.Config) (*ratelimit.TokenBucket, error) {
	return ratelimit.NewTokenBucket(name, c, ratelimit.WithBus(m.bus))
}

func (m maker) retry(name string, c retry.Config) (*retry.Policy, error) {
	b, err := m.budget(c.Budget)
	if err != nil {
		return nil, err
	}
	return retry.New(name, c, retry.WithBus(m.bus), retry.WithBudget(b))
}

func (m maker) throttle(name string, c throttle.Config) (*throttle.Throttler, error) {
	return throttle.New(name, c, throttle.WithBus(m.bus))
}

func (m maker) timeout(name string, c timeout.Config) (*timeout.Policy, error) {
	return timeout.New(name, c, timeout.WithBus(m.bus))
}
