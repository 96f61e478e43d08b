package fallback_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/fallback"
)

// A chain is made once; what is asked first comes with the call.
func Example() {
	errNotFound := errors.New("no such product")
	chain, err := fallback.New("prices", fallback.WithDefault("price on request"))
	if err != nil {
		fmt.Println(err)
		return
	}
	cached := map[string]string{"tea": "4.20 (yesterday)"}
	price := fallback.With(
		chain.On(errNotFound, func(_ context.Context, err error) (string, error) { return "", err }), // is an answer
		func(_ context.Context, product string) (string, error) {
			if product == "unicorn" {
				return "", errNotFound
			}
			return "", errors.New("connection refused")
		},
		func(_ context.Context, product string) (string, error) {
			if p, ok := cached[product]; ok {
				return p, nil
			}
			return "", errors.New("not in the cache")
		},
	)
	for _, product := range []string{"tea", "coffee", "unicorn"} {
		p, err := price(context.Background(), product)
		fmt.Println(product, p, err)
	}
	// Output:
	// tea 4.20 (yesterday) <nil>
	// coffee price on request <nil>
	// unicorn  no such product
}

func ExampleError() {
	chain, err := fallback.New[int]("stock")
	if err != nil {
		fmt.Println(err)
		return
	}
	chain = chain.Add(fallback.Alternative(func(context.Context) (int, error) { return 0, errors.New("not in the cache") }))
	_, err = chain.Execute(context.Background(), func(context.Context) (int, error) {
		return 0, errors.New("connection refused")
	})
	fmt.Println(err)
	fmt.Println(patterns.Code(err), errors.Is(err, fallback.ErrAllFailed))
	// Output:
	// all fallbacks failed for "stock": connection refused; not in the cache
	// LEX_ERR_RES_005 true
}

// An operation without a value: mails that cannot be sent are queued.
func ExamplePolicy() {
	chain, err := fallback.New[struct{}]("mail")
	if err != nil {
		fmt.Println(err)
		return
	}
	enqueue := func(context.Context) error { fmt.Println("queued"); return nil }
	policy := fallback.NewPolicy(chain.Add(fallback.Alternative(fallback.NoValue(enqueue))))
	fmt.Println(policy.Execute(context.Background(), func(context.Context) error { return errors.New("no route to host") }))
	// Output:
	// queued
	// <nil>
}
