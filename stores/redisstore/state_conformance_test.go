package redisstore_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/storetest"
	"github.com/steadyfx/steady/testkit/services"
)

func TestStateConformance(t *testing.T) {
	server := services.Redis(t)
	storetest.State(t, func(t *testing.T) state.Store { return openState(t, dial(t, server.URL)) })
}

// The client's other way to wait for answers.
func TestStateConformanceWhereTheClientObeysContexts(t *testing.T) {
	server := services.Redis(t)
	storetest.State(t, func(t *testing.T) state.Store {
		return openState(t, dial(t, server.URL, func(o *redis.Options) { o.ContextTimeoutEnabled, o.Protocol = true, 2 }))
	}, storetest.RaceKeys(20))
}

func TestStateConformanceOfOtherClients(t *testing.T) {
	server := services.Redis(t)
	options, err := redis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, connect := range map[string]func() redis.UniversalClient{
		"cluster": func() redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{
				Username: options.Username, Password: options.Password,
				ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
					return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: options.Addr}}}}, nil
				},
			})
		},
		"ring": func() redis.UniversalClient {
			return redis.NewRing(&redis.RingOptions{
				Addrs: map[string]string{"one": options.Addr}, Username: options.Username, Password: options.Password,
			})
		},
		"hidden": func() redis.UniversalClient { return struct{ redis.UniversalClient }{redis.NewClient(options)} },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.State(t, func(t *testing.T) state.Store {
				client := connect()
				t.Cleanup(func() { client.Close() })
				return openState(t, client)
			}, storetest.RaceKeys(10))
		})
	}
}
