package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/throttle"
)

func Example() {
	throttles, err := throttle.NewRegistry(patterns.Instances[throttle.Config]{
		Default: throttle.Config{Calls: 2, Period: time.Hour, Strategy: throttle.SlidingWindow},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	geocoder, err := throttles.GetOrCreate("geocoder")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		fmt.Println(geocoder.TryAcquire())
	}
	stats, err := throttles.Stats("geocoder")
	fmt.Println(stats.Allowed, "of", stats.Total, err)
	// Output:
	// true
	// true
	// false
	// 2 of 3 <nil>
}

func ExampleAdaptive() {
	search, err := throttle.NewAdaptive("search", throttle.DefaultAdaptiveConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	overloaded := func(context.Context) error { return errors.New("overloaded") }
	sent := 0
	for range 1000 {
		if err := search.Execute(context.Background(), overloaded); !errors.Is(err, ratelimit.ErrLimited) {
			sent++
		}
	}
	fmt.Println(sent < 300, search.Stats().Probability)
	// Output: true 0.9
}
