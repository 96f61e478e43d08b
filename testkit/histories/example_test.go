package histories_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/testkit/histories"
)

// A store of your own proves itself in a test like this one.
func ExampleIdempotency() { //nolint:testableexamples // needs a test
	_ = func(t *testing.T) {
		histories.Idempotency(t, func(t *testing.T) idempotency.Store {
			store, err := memstore.NewIdempotency(memstore.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return store
		}, histories.Options{})
	}
}
