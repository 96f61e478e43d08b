package state_test

import (
	"context"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns/state"
	"github.com/steadyfx/steady/stores/memstore"
)

func Example() {
	var store state.Store = memstore.NewState()
	ctx := context.Background()

	opened, swapped, err := store.CompareAndSwap(ctx, "payments", 0, []byte("open"), time.Minute)
	fmt.Println("the first replica opens the circuit:", swapped, err)

	_, swapped, err = store.CompareAndSwap(ctx, "payments", 0, []byte("closed"), time.Minute)
	fmt.Println("another one still believed that there was nothing:", swapped, err)

	_, swapped, err = store.CompareAndSwap(ctx, "payments", opened, []byte("half-open"), time.Minute)
	fmt.Println("it has read what there is:", swapped, err)

	for value, err := range store.Watch(ctx, "payments") {
		fmt.Printf("watched: %s, version %d, %v\n", value.Data, value.Version, err)
		break
	}

	// Output:
	// the first replica opens the circuit: true <nil>
	// another one still believed that there was nothing: false <nil>
	// it has read what there is: true <nil>
	// watched: half-open, version 2, <nil>
}
