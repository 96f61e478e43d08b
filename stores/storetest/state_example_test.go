package storetest_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
	"github.com/steadyfx/steady/stores/storetest"
)

func ExampleState() { //nolint:testableexamples // a suite needs a test to run in
	var t *testing.T // of the test function around it
	storetest.State(t, func(*testing.T) state.Store { return memstore.NewState() }, storetest.InBubble())
}
