package zaphooks

import (
	"go.uber.org/zap"

	"github.com/steadyfx/steady/hooks"
)

// describeCircuit describes the events of circuit breakers. It reports whether event is one.
func describeCircuit(event hooks.Event) (entry, bool) {
	switch e := event.(type) {
	case hooks.CircuitOpened:
		return circuitEntry(entry{zap.WarnLevel, openedMessage(e), e.At, []zap.Field{
			zap.String("name", e.Name), zap.Int("consecutive", e.Consecutive), zap.Int("failures", e.Failures),
			zap.Int("slow", e.Slow), zap.Int("calls", e.Calls), zap.Duration("retry_after", e.RetryAfter),
		}}, e.DryRun), true
	case hooks.CircuitHalfOpened:
		return circuitEntry(entry{zap.InfoLevel, "circuit breaker half-opened: probes go through", e.At, []zap.Field{
			zap.String("name", e.Name),
		}}, e.DryRun), true
	case hooks.CircuitClosed:
		level, message := zap.InfoLevel, "circuit breaker closed: calls go through again"
		switch {
		case e.Disabled:
			level, message = zap.WarnLevel, "circuit breaker was disabled: calls go through unprotected until it is reset"
		case e.Reset:
			message = "circuit breaker was reset: calls go through again"
		}
		return circuitEntry(entry{level, message, e.At, []zap.Field{zap.String("name", e.Name)}}, e.DryRun), true
	case hooks.CircuitRejected:
		return circuitEntry(entry{zap.DebugLevel, "circuit breaker rejected a call", e.At, []zap.Field{
			zap.String("name", e.Name), zap.String("state", e.State), zap.Duration("retry_after", e.RetryAfter),
		}}, e.DryRun), true
	case hooks.CircuitDegraded:
		return entry{zap.WarnLevel, "circuit breaker lost its store: it goes on alone until that answers", e.At, []zap.Field{
			zap.String("name", e.Name), zap.Error(e.Err),
		}}, true
	case hooks.CircuitRecovered:
		return entry{zap.InfoLevel, "circuit breaker has its store again: its state is shared", e.At, []zap.Field{
			zap.String("name", e.Name), zap.Duration("after", e.After),
		}}, true
	default:
		return entry{}, false
	}
}

func openedMessage(e hooks.CircuitOpened) string {
	switch {
	case e.Forced:
		return "circuit breaker was forced open: calls are rejected until it is reset"
	case e.Shared:
		return "circuit breaker opened with other replicas: calls are rejected until probes succeed"
	}
	return "circuit breaker opened: calls are rejected until probes succeed"
}

// circuitEntry marks what a circuit breaker only would have done.
func circuitEntry(e entry, dryRun bool) entry {
	if dryRun {
		e.message = "dry run, nothing is rejected: " + e.message
		e.fields = append(e.fields, zap.Bool("dry_run", true))
	}
	return e
}
