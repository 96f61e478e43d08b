package redisstore_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/redisstore"
	"github.com/steadyfx/steady/testkit/services"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // it tells of every connection that a test has cut
	goleak.VerifyTestMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// connect returns a client of a Redis of the test's own, or of the one that the environment names.
func connect(tb testing.TB, change ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	return dial(tb, services.Redis(tb).URL, change...)
}

// owned returns a Redis that the test may kill and change. It is not for one that the environment names.
func owned(t *testing.T) *services.Server {
	t.Helper()
	server := services.Redis(t)
	if !server.Owned() {
		t.Skip("this test changes its server: unset STEADY_TEST_REDIS_URL to give it one of its own")
	}
	return server
}

func dial(tb testing.TB, url string, change ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range change {
		c(opts)
	}
	client := redis.NewClient(opts)
	tb.Cleanup(func() {
		if err := client.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return client
}

// open returns a store on client. Its prefix is its own, so that it is empty on any server.
func open(tb testing.TB, client redis.UniversalClient) *redisstore.Idempotency {
	tb.Helper()
	return openAt(tb, client, "test:"+rand.Text()+":")
}

func openAt(tb testing.TB, client redis.UniversalClient, prefix string) *redisstore.Idempotency {
	tb.Helper()
	s, err := redisstore.NewIdempotency(client, redisstore.Config{KeyPrefix: prefix})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// atOnce runs f n times at the same time and waits for all.
func atOnce(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

func claim(tb testing.TB, s *redisstore.Idempotency, req idempotency.ClaimRequest) idempotency.Claim {
	tb.Helper()
	c, err := s.Claim(tb.Context(), req)
	if err != nil {
		tb.Fatalf("claim: %v", err)
	}
	return c
}
