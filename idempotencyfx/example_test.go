package idempotencyfx_test

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/resiliencefx"
)

func Example() {
	app := fx.New(
		resiliencefx.Module,
		idempotencyfx.Module,
		fx.NopLogger,
		fx.Invoke(func(guard *idempotency.Guard) error {
			order := idempotency.Call{Operation: "charge", Scope: "acme", Key: "order-17"}
			for range 2 {
				result, err := idempotency.Do(context.Background(), guard, order, func(context.Context) (string, error) {
					fmt.Println("charging")
					return "receipt-1", nil
				})
				if err != nil {
					return err
				}
				fmt.Println(result.Value, "duplicate:", result.IsDuplicate)
			}
			return nil
		}),
	)
	if err := app.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// charging
	// receipt-1 duplicate: false
	// receipt-1 duplicate: true
}
