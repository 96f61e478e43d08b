//go:build !race

package memstore_test

import (
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestAllocations(t *testing.T) {
	m := open(t, 0)
	ctx := t.Context()
	fingerprint := make([]byte, 32)
	req := func(key string) idempotency.ClaimRequest {
		return idempotency.ClaimRequest{Key: key, Lease: time.Hour, Retention: time.Hour, Fingerprint: fingerprint}
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	claim := func(key string, want idempotency.Outcome) idempotency.Token {
		c, err := m.Claim(ctx, req(key))
		if must(err); c.Outcome != want {
			t.Fatalf("claim of %s: got %v, want %v", key, c.Outcome, want)
		}
		return c.Token
	}
	const key = "payments:5f2b7c0e-8a94-4c8e-9a55-f0f1c2a7e6d1:charge:customer-0042" // of a usual length
	value := make([]byte, 100)
	must(m.Set(ctx, "done", value, 0))
	claim("held", idempotency.Acquired)
	for name, tc := range map[string]struct {
		want float64
		run  func()
	}{
		"claim and release": {0, func() { must(m.Release(ctx, key, claim(key, idempotency.Acquired))) }},
		"claim and extend": {0, func() {
			token := claim(key, idempotency.Acquired)
			must(m.Extend(ctx, key, token, time.Hour))
			must(m.Release(ctx, key, token))
		}},
		"claim, complete with a result and delete": {1, func() {
			must(m.Complete(ctx, key, claim(key, idempotency.Acquired), value, time.Hour))
			must(m.Delete(ctx, key))
		}},
		"claim of a held key": {0, func() { claim("held", idempotency.InProgress) }},
		"replay":              {1, func() { claim("done", idempotency.Done) }},
	} {
		if got := testing.AllocsPerRun(1000, tc.run); got != tc.want {
			t.Errorf("%s: got %v allocations, want %v", name, got, tc.want)
		}
	}
}
