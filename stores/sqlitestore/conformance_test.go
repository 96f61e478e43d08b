package sqlitestore_test

import (
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Idempotency(t, func(t *testing.T) idempotency.Store { return open(t, newPath(t)) }, storetest.RaceKeys(raceKeys))
}
