package idempotencyfx_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/resiliencefx"
	"github.com/steadyfx/steady/stores/sqlitestore"
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

// A file of SQLite keeps the records of a program that has no server.
func ExampleWithBackend() {
	folder, err := os.MkdirTemp("", "idempotency")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	for range 2 { // the second one is the program after a restart
		app := fx.New(
			idempotencyfx.Durable,
			idempotencyfx.WithBackend("sqlite", sqlitestore.NewIdempotency),
			fx.Supply(sqlitestore.Config{Path: filepath.Join(folder, "keys.db")}),
			fx.NopLogger,
			fx.Invoke(func(lc fx.Lifecycle, guard *idempotency.Guard) {
				lc.Append(fx.StartHook(func(ctx context.Context) error {
					order := idempotency.Call{Operation: "charge", Scope: "acme", Key: "order-17"}
					result, err := idempotency.Do(ctx, guard, order, func(context.Context) (string, error) {
						return "receipt-1", nil
					})
					fmt.Println(result.Value, "duplicate:", result.IsDuplicate)
					return err
				}))
			}),
		)
		if err := errors.Join(app.Start(context.Background()), app.Stop(context.Background())); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// receipt-1 duplicate: false
	// receipt-1 duplicate: true
}
