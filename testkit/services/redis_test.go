package services

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestRedisNodeIsANodeWithoutSlots(t *testing.T) {
	options, err := redis.ParseURL(RedisNode(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	info, err := client.ClusterInfo(t.Context()).Result()
	if err != nil || !strings.Contains(info, "cluster_slots_assigned:0") || !strings.Contains(info, "cluster_known_nodes:1") {
		t.Errorf("got %q, error %v, want no slots and one node", info, err)
	}
}
