package memstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/memstore"
)

func Example() {
	store, err := memstore.NewIdempotency(memstore.Config{MaxEntries: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	req := idempotency.ClaimRequest{Key: "order-1", Lease: 30 * time.Second, Retention: time.Hour}

	first, err := store.Claim(ctx, req)
	fmt.Println(first.Outcome, err)

	second, err := store.Claim(ctx, req)
	fmt.Println(second.Outcome, err)

	err = store.Complete(ctx, req.Key, first.Token, []byte("receipt"), time.Hour)
	fmt.Println("completed", err)

	third, err := store.Claim(ctx, req)
	fmt.Printf("%v %s %v\n", third.Outcome, third.Value, err)

	// Output:
	// acquired <nil>
	// in_progress <nil>
	// completed <nil>
	// done receipt <nil>
}
