package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/storetest"
	"github.com/steadyfx/steady/testkit/services"
)

func TestConformance(t *testing.T) {
	server := services.Redis(t)
	opened := func(t *testing.T) idempotency.Store { return open(t, dial(t, server.URL)) }
	storetest.Idempotency(t, opened, storetest.RaceKeys(1000), storetest.SkewedClient(opened))
}

// The client's other way to wait for answers.
func TestConformanceWhereTheClientObeysContexts(t *testing.T) {
	server := services.Redis(t)
	storetest.Idempotency(t, func(t *testing.T) idempotency.Store {
		return open(t, dial(t, server.URL, func(o *redis.Options) { o.ContextTimeoutEnabled, o.Protocol = true, 2 }))
	}, storetest.RaceKeys(20))
}
