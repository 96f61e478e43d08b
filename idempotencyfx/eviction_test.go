package idempotencyfx_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/testkit/services"
)

func TestStartWarnsOfAServerThatEvicts(t *testing.T) {
	server := services.Redis(t)
	if !server.Owned() {
		t.Skip("this test changes its server: unset STEADY_TEST_REDIS_URL to give it one of its own")
	}
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { admin.Close() })
	for policy, warnings := range map[string]int{"noeviction": 0, "allkeys-lru": 1} {
		for name, value := range map[string]string{"maxmemory": "100mb", "maxmemory-policy": policy} {
			if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		core, logs := observer.New(zap.WarnLevel)
		isRedis(t, start(t, idempotencyfx.Durable, redisAt(server.Addr()), fx.Supply(zap.New(core))))
		told := logs.FilterField(zap.String("maxmemory_policy", policy)).All()
		if len(told) != warnings {
			t.Errorf("%s: %d warnings, want %d", policy, len(told), warnings)
		}
		for _, entry := range told {
			wantText(t, entry.Message, "can run twice", "noeviction")
		}
		if err := admin.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
