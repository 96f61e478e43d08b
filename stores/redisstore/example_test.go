package redisstore_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/steadyfx/steady/stores/redisstore"
)

func Example() {
	client := redis.NewClient(&redis.Options{
		Addr:                  "localhost:6379",
		ContextTimeoutEnabled: true, // the fastest way to keep calls within their deadlines
	})
	defer client.Close() // the store borrows it

	store, err := redisstore.NewIdempotency(client, redisstore.Config{KeyPrefix: "payments:"})
	fmt.Println(store != nil, err) // nothing has connected yet; store.Ping does

	_, err = redisstore.NewIdempotency(client, redisstore.Config{KeyPrefix: "{payments}:"})
	fmt.Println(err)

	// Output:
	// true <nil>
	// idempotency: redis: key_prefix: must not hold braces, which would send all keys to one slot of a cluster, got "{payments}:"
}
