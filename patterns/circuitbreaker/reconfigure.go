package circuitbreaker

import (
	"context"
	"fmt"

	"github.com/steadyfx/steady/patterns"
)

// Reconfigure puts another configuration in force. The circuit stays in its state, and its window keeps what is in it,
// unless it changes between a window of time and one of calls; that begins empty. An open circuit waits as long as the
// new configuration says, from the moment on that it opened. Calls that are under way keep the time limit they have.
// What was slow, and how long calls took, is measured anew if SlowCallDuration changes. The error lists every mistake in
// cfg, and then nothing has changed.
//
// Where Backend changes, a breaker of a registry that has a backend begins to share its state, or shares it no longer.
// Then Reconfigure returns when nothing of that runs any more, and must not be called by a listener of its events.
func (b *Breaker) Reconfigure(cfg Config) error {
	err := b.reconfigure(cfg)
	b.reconfigured()
	return err
}

// reconfigured does what has to be done outside of any lock when a breaker has been reconfigured.
func (b *Breaker) reconfigured() {
	if b.registry != nil {
		b.registry.update(b)
	}
	b.deliver()
}

// reconfigure is Reconfigure without what follows from it.
func (b *Breaker) reconfigure(cfg Config) error {
	cfg = cfg.withDefaults()
	var checks patterns.Checks
	checks.Include("", cfg.Validate())
	if err := checks.Err(fmt.Sprintf("circuit breaker %q", b.name)); err != nil {
		return err
	}
	next, err := newSettings(b.name, cfg, b.bus)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle(context.Background(), b.now()) // by the bounds that were in force
	b.use(next)
	return nil
}

// use continues the current phase under other settings. The caller holds the lock.
func (b *Breaker) use(s *settings) {
	last := b.current.Load()
	if last.settings.cfg == s.cfg {
		return
	}
	now := b.now()
	next := &phase{
		state: last.state, generation: last.generation, settings: s, since: last.since, until: last.until,
		reopened: last.reopened, draw: last.draw,
		probes: last.probes, nextProbe: last.nextProbe, successes: last.successes, slow: last.slow,
	}
	switch last.state {
	case Closed:
		next.window = last.window
		if shapeOf(s.cfg) != shapeOf(last.settings.cfg) {
			next.window = last.window.reshaped(last.settings.cfg, s.cfg, now, &b.retired)
		}
		next.alert = last.alert
		next.alert.wait(true) // the next result is judged by the new thresholds
	case Open:
		next.until = last.since + s.wait(last.reopened, last.draw)
	case HalfOpen, ForcedOpen, Disabled, DryRun:
	}
	b.current.Store(next)
}

// shapeOf returns the part of a configuration that a window is made for.
func shapeOf(cfg Config) Config {
	return Config{
		SlidingWindow: cfg.SlidingWindow, SlidingWindowCalls: cfg.SlidingWindowCalls, SlowCallDuration: cfg.SlowCallDuration,
	}
}
