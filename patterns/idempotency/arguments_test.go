package idempotency_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestArgumentsOfStores(t *testing.T) {
	validLease := idempotency.ClaimRequest{Lease: time.Millisecond}
	for name, tc := range map[string]struct {
		err    error
		fields []string
	}{
		"shortest lease":      {validLease.Validate(), nil},
		"longest fingerprint": {idempotency.ClaimRequest{Lease: time.Hour, Fingerprint: make([]byte, 64)}.Validate(), nil},
		"nothing":             {idempotency.ClaimRequest{}.Validate(), []string{"lease"}},
		"everything": {
			idempotency.ClaimRequest{Lease: -1, Retention: -1, Fingerprint: make([]byte, 65)}.Validate(),
			[]string{"fingerprint", "lease", "retention"},
		},
		"lease":        {idempotency.ValidateLease(time.Millisecond), nil},
		"short lease":  {idempotency.ValidateLease(time.Millisecond - 1), []string{"lease"}},
		"ttl":          {idempotency.ValidateTTL(1), nil},
		"ttl for ever": {idempotency.ValidateTTL(0), nil},
		"negative ttl": {idempotency.ValidateTTL(-1), []string{"ttl"}},
	} {
		var configuration *idempotency.ConfigurationError
		var field *patterns.FieldError
		if want := tc.fields != nil; (tc.err != nil) != want || errors.As(tc.err, &configuration) != want || errors.As(tc.err, &field) != want {
			t.Errorf("%s: got error %v, want a *ConfigurationError about %v", name, tc.err, tc.fields)
			continue
		}
		for _, f := range tc.fields {
			if !strings.Contains(tc.err.Error(), f+": ") {
				t.Errorf("%s: %q does not name %s", name, tc.err, f)
			}
		}
	}
}
