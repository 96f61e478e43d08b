package circuitbreaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/hooks"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

func TestDryRunRejectsNothingAndAnnouncesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := new(hooks.Bus)
		var got []string
		hooks.On(bus, func(_ context.Context, e hooks.Event) {
			dry := false
			switch e := e.(type) {
			case hooks.CircuitOpened:
				dry = e.DryRun
			case hooks.CircuitHalfOpened:
				dry = e.DryRun
			case hooks.CircuitClosed:
				dry = e.DryRun
			case hooks.CircuitRejected:
				dry = e.DryRun
			}
			if !dry {
				t.Errorf("%s does not say that it is a dry run", e.EventName())
			}
			got = append(got, e.EventName())
		})
		b := newBreaker(t, circuitbreaker.Config{
			FailureThreshold: 1, SuccessThreshold: 1, RecoveryTimeout: time.Minute, DryRun: true,
		}, circuitbreaker.WithBus(bus))
		wantState(t, b, circuitbreaker.DryRun)
		repeat(t, b, 1, fail)
		wantState(t, b, circuitbreaker.DryRun)
		if m := b.Metrics(); m.DryRunState != circuitbreaker.Open || b.IsOpen() || !b.IsClosed() {
			t.Fatalf("got %+v", m)
		}
		ran := false
		if err := b.Execute(t.Context(), func(context.Context) error { ran = true; return nil }); err != nil || !ran {
			t.Fatalf("got %v, ran: %v", err, ran)
		}
		if m := b.Metrics(); m.TotalRejected != 1 || m.TotalSuccesses != 1 || m.DryRunState != circuitbreaker.Open {
			t.Fatalf("got %+v", m)
		}
		time.Sleep(time.Minute)
		repeat(t, b, 1, succeed)
		if m := b.Metrics(); m.DryRunState != circuitbreaker.Closed {
			t.Fatalf("got %+v", m)
		}
		if want := []string{
			"circuit_breaker.opened", "circuit_breaker.rejected", "circuit_breaker.half_opened", "circuit_breaker.closed",
		}; len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
			t.Fatalf("announced %v", got)
		}
	})
}

func TestForcedOpenRejectsInADryRunToo(t *testing.T) {
	b := newBreaker(t, circuitbreaker.Config{DryRun: true})
	b.ForceOpen()
	wantState(t, b, circuitbreaker.ForcedOpen)
	if err := b.Execute(t.Context(), succeed); !errors.Is(err, circuitbreaker.ErrOpen) {
		t.Fatalf("got %v", err)
	}
}
