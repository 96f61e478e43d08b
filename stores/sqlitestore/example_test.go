package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/sqlitestore"
)

func Example() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder) //nolint:errcheck // only an example
	cfg := sqlitestore.Config{Path: filepath.Join(folder, "payments.db")}

	// What one life of a process has stored, the next one finds.
	for range 2 {
		store, err := sqlitestore.NewIdempotency(cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		ctx := context.Background()
		claim, err := store.Claim(ctx, idempotency.ClaimRequest{Key: "order-1", Lease: time.Minute, Retention: time.Hour})
		fmt.Println(claim.Outcome, string(claim.Value), err)
		if claim.Outcome == idempotency.Acquired {
			fmt.Println(store.Complete(ctx, "order-1", claim.Token, []byte("charged"), time.Hour))
		}
		fmt.Println(store.Close())
	}

	// Output:
	// acquired  <nil>
	// <nil>
	// <nil>
	// done charged <nil>
	// <nil>
}
