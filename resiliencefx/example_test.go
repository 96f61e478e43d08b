package resiliencefx_test

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/config"
	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/pipeline"
	"github.com/steadyfx/steady/resiliencefx"
)

func Example() {
	tree, err := config.Load(config.Values(map[string]any{ // usually config.File("app.yaml"), config.Env(nil)
		"resilience": map[string]any{
			"pipelines": map[string]any{"ledger": map[string]any{"steps": []any{"bulkhead", "retry", "circuit_breaker"}}},
		},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	app := fx.New(
		resiliencefx.Module,
		fx.Supply(tree),
		fx.NopLogger,
		fx.Invoke(func(factory *pipeline.Factory) error {
			ledger, err := factory.Get("ledger")
			if err != nil {
				return err
			}
			balance, err := patterns.Do(context.Background(), ledger, func(context.Context) (int, error) { return 42, nil })
			fmt.Println(balance, err)
			fmt.Println(ledger)
			return nil
		}),
	)
	if err := app.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 42 <nil>
	// bulkhead(ledger) > retry(ledger) > circuit_breaker(ledger)
}
