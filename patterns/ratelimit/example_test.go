package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/stores/memstore"
)

func Example() {
	// Ten calls an hour, two of them at once, and nobody waits.
	mails, err := ratelimit.NewTokenBucket("mails", ratelimit.Config{
		Limit: 10, Period: time.Hour, Burst: 2, MaxWait: -1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	send := patterns.Wrap(mails, func(_ context.Context, to string) (string, error) { return "sent to " + to, nil })
	for _, to := range []string{"ada", "bob", "cyd"} {
		answer, err := send(context.Background(), to)
		fmt.Println(answer, errors.Is(err, ratelimit.ErrLimited))
	}
	// Output:
	// sent to ada false
	// sent to bob false
	//  true
}

func ExampleSlidingWindow() {
	logins, err := ratelimit.NewSlidingWindow("logins", ratelimit.WindowConfig{Limit: 3, Period: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 4 {
		fmt.Println(logins.TryAcquire(), logins.InWindow())
	}
	// Output:
	// true 1
	// true 2
	// true 3
	// false 3
}

func ExampleSlidingCounter() {
	imports, err := ratelimit.NewSlidingCounter("imports", ratelimit.WindowConfig{Limit: 1_000_000, Period: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(imports.TryAcquireN(999_999), imports.Available())
	fmt.Println(imports.TryAcquireN(2), imports.Available())
	// Output:
	// true 1
	// false 1
}

func ExampleTokenBucket_Reserve() {
	exports, err := ratelimit.NewTokenBucket("exports", ratelimit.Config{Limit: 1, Period: time.Minute, Burst: 5})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := exports.Reserve(5)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Delay(), exports.Available())
	r.Cancel() // there was nothing to export
	fmt.Println(exports.Available())
	// Output:
	// 0s 0
	// 5
}

// Two replicas share a limit through a store: here one in memory, in production one in Redis.
func ExampleDistributed() {
	store, err := memstore.NewRateLimit(memstore.RateLimitConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		mails, err := ratelimit.NewDistributed("mails", ratelimit.DistributedConfig{
			Limit: 3, Period: time.Hour, MaxWait: -1, Fail: ratelimit.FailClosed,
		}, store)
		if err != nil {
			fmt.Println(err)
			return
		}
		for range 2 {
			fmt.Println(errors.Is(mails.Acquire(context.Background()), ratelimit.ErrLimited))
		}
	}
	// Output:
	// false
	// false
	// false
	// true
}

func ExampleKeyed() {
	tenants, err := ratelimit.NewKeyed("tenants", ratelimit.KeyedConfig{Limit: 1, Period: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tenant := range []string{"ada", "bob", "ada"} {
		fmt.Println(tenant, tenants.TryAcquire(tenant))
	}
	// Output:
	// ada true
	// bob true
	// ada false
}
