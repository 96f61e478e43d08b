package redisstore_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/storetest"
	"github.com/steadyfx/steady/testkit/services"
)

// cluster returns the addresses of three masters that share the slots.
func cluster(t *testing.T) []string {
	t.Helper()
	owned(t) // or the environment names the server for tests, which is no cluster
	const slots, masters = 16384, 3
	addrs := make([]string, masters)
	nodes := make([]*redis.Client, masters)
	for i := range nodes {
		server := services.RedisNode(t)
		addrs[i], nodes[i] = server.Addr(), dial(t, server.URL)
		if err := nodes[i].ClusterAddSlotsRange(t.Context(), i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			meet(t, nodes[i], nodes[0])
		}
	}
	for _, node := range nodes {
		eventually(t, "the nodes know each other", func() bool {
			info := node.ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:3")
		})
	}
	return addrs
}

// meet makes a node known to another one, by the address that it tells of itself: host:port@bus.
func meet(t *testing.T, node, other *redis.Client) {
	t.Helper()
	line := other.ClusterNodes(t.Context()).Val()
	addr, bus, _ := strings.Cut(strings.Fields(line)[1], "@")
	host, port, _ := strings.Cut(addr, ":")
	bus, _, _ = strings.Cut(bus, ",")
	if host == "" {
		host = "127.0.0.1"
	}
	if err := node.Do(t.Context(), "CLUSTER", "MEET", host, port, bus).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestConformanceOfACluster(t *testing.T) {
	addrs := cluster(t)
	storetest.Idempotency(t, func(t *testing.T) idempotency.Store {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs[:1], ContextTimeoutEnabled: true})
		t.Cleanup(func() {
			if err := client.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return open(t, client)
	}, storetest.RaceKeys(50))
	for _, addr := range addrs {
		n, err := dial(t, "redis://"+addr).DBSize(t.Context()).Result()
		if err != nil || n == 0 {
			t.Errorf("the master at %s has %d records, error %v, want some", addr, n, err)
		}
	}
}
