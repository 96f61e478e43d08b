package state_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/state"
)

func TestErrorsAreOfTheirKindAndKeepTheirCause(t *testing.T) {
	down := context.DeadlineExceeded
	field := &patterns.FieldError{Field: "ttl", Problem: "must be positive"}
	for _, c := range []struct {
		err   error
		cause error
		want  string
	}{
		{&state.BackendError{Backend: "redis", Op: "get", Err: down}, down,
			"state: redis is not available for get: context deadline exceeded"},
		{&state.StoreError{Backend: "redis", Op: "swap", Err: down}, down, "state: redis: swap: context deadline exceeded"},
		{&state.ConfigurationError{Err: field}, patterns.ErrConfiguration, "state: ttl: must be positive"},
	} {
		for _, kind := range []error{state.ErrState, patterns.ErrResilience, c.cause} {
			if !errors.Is(c.err, kind) {
				t.Errorf("%T is not %v", c.err, kind)
			}
		}
		if errors.Is(c.err, patterns.ErrRejected) {
			t.Errorf("%T is a rejection", c.err)
		}
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if got := patterns.Code(c.err); got != "LEX_ERR_RES_001" {
			t.Errorf("%T: code %q", c.err, got)
		}
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	largest := make([]byte, state.MaxData)
	for _, ttl := range []time.Duration{0, time.Millisecond, time.Hour} {
		if err := state.Validate(largest, ttl); err != nil {
			t.Errorf("ttl %v: %v", ttl, err)
		}
	}
	for _, c := range []struct {
		size   int
		ttl    time.Duration
		fields []string
	}{
		{state.MaxData + 1, 0, []string{"data"}},
		{0, -1, []string{"ttl"}},
		{0, time.Millisecond - 1, []string{"ttl"}},
		{state.MaxData + 1, -time.Hour, []string{"data", "ttl"}},
	} {
		err := state.Validate(make([]byte, c.size), c.ttl)
		var configuration *state.ConfigurationError
		if !errors.As(err, &configuration) || !errors.Is(err, patterns.ErrConfiguration) {
			t.Errorf("%d bytes for %v: got error %v, want a *ConfigurationError", c.size, c.ttl, err)
			continue
		}
		for _, field := range c.fields {
			if !strings.Contains(err.Error(), field+": must be at") {
				t.Errorf("%q does not name %s", err, field)
			}
		}
	}
}
