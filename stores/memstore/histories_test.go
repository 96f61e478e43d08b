package memstore_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/testkit/histories"
)

func TestHistories(t *testing.T) {
	histories.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, 0) }, histories.Options{})
}
