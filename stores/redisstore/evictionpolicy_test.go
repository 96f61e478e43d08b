package redisstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestEvictionPolicyIsToldWhereItCanDropRecords(t *testing.T) {
	client := dial(t, owned(t).URL)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": client.Options().Addr}})
	t.Cleanup(func() { ring.Close() })
	for _, tc := range []struct{ limit, policy, want string }{
		{"0", "noeviction", ""},
		{"0", "allkeys-lru", ""}, // without a limit nothing is evicted
		{"100mb", "noeviction", ""},
		{"100mb", "allkeys-lru", "allkeys-lru"},
		{"100mb", "volatile-ttl", "volatile-ttl"},
	} {
		for name, value := range map[string]string{"maxmemory": tc.limit, "maxmemory-policy": tc.policy} {
			if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for kind, c := range map[string]redis.UniversalClient{"single": client, "ring": ring} {
			if got, err := open(t, c).EvictionPolicy(t.Context()); got != tc.want || err != nil {
				t.Errorf("%s, limit %s, %s: got %q, error %v, want %q", kind, tc.limit, tc.policy, got, err, tc.want)
			}
		}
	}
}

func TestEvictionPolicyOfAServerThatIsAway(t *testing.T) {
	s := withAnswer(t, answering{err: serverError("NOPERM User app has no permissions to run the 'info' command")})
	var unavailable *idempotency.BackendError
	if policy, err := s.EvictionPolicy(t.Context()); policy != "" || !errors.As(err, &unavailable) {
		t.Errorf("got %q, error %v, want a *BackendError", policy, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.EvictionPolicy(over); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want Canceled", err)
	}
}
