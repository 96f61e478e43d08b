package storetest_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/stores/storetest"
)

func ExampleIdempotency() { //nolint:testableexamples // a suite needs a test to run in
	var t *testing.T // of the test function around it
	open := func(t *testing.T) idempotency.Store {
		store, err := memstore.NewIdempotency(memstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	storetest.Idempotency(t, open, storetest.InBubble())
}
