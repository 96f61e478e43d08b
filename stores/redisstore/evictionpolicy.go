package redisstore

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// EvictionPolicy returns the maxmemory-policy by which the server, or one of the cluster, may drop records to make
// room for others, such as "allkeys-lru": a claim that is dropped can be acquired a second time. It returns nothing if
// the server has no memory limit, or refuses writes when it is full (noeviction).
func (s *Idempotency) EvictionPolicy(ctx context.Context) (policy string, err error) {
	answer, err := s.ask(ctx, func(ctx context.Context) (any, error) { return s.memoryInfo(ctx) }, nil)
	if err != nil {
		return "", asError("info", err)
	}
	for _, info := range answer.([]string) {
		limit, policy := field(info, "maxmemory"), field(info, "maxmemory_policy")
		if limit != "" && limit != "0" && policy != "noeviction" {
			return policy, nil
		}
	}
	return "", nil
}

// memoryInfo asks INFO and not CONFIG, which hosted servers mostly refuse. It asks every server of a cluster or a ring.
func (s *Idempotency) memoryInfo(ctx context.Context) ([]string, error) {
	servers, ok := s.client.(interface {
		ForEachShard(ctx context.Context, fn func(context.Context, *redis.Client) error) error
	})
	if !ok {
		info, err := s.client.Info(ctx, "memory").Result()
		return []string{info}, err
	}
	var mu sync.Mutex
	var infos []string
	err := servers.ForEachShard(ctx, func(ctx context.Context, server *redis.Client) error {
		info, err := server.Info(ctx, "memory").Result()
		mu.Lock()
		defer mu.Unlock()
		infos = append(infos, info)
		return err
	})
	return infos, err
}

// field returns the value of a line of INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), ":"); key == name {
			return value
		}
	}
	return ""
}
