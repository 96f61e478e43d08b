package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/retry"
)

// Logged is a policy of one's own: Execute is all it takes.
type Logged struct{ name string }

func (l Logged) Execute(ctx context.Context, op patterns.Operation) error {
	err := op(ctx)
	fmt.Printf("%s: %v\n", l.name, err)
	return err
}

// Policies are put around one another once, and then carry any number of calls, of any type.
func Example() {
	retries, err := retry.New("orders", retry.Config{MaxAttempts: 3, BaseDelay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := patterns.Compose(Logged{"call"}, retries, Logged{"attempt"})

	tries := 0
	order, err := patterns.Do(context.Background(), policy, func(context.Context) (string, error) {
		if tries++; tries == 1 {
			return "", errors.New("connection reset")
		}
		return "order 42", nil
	})
	fmt.Println(order, err)
	// Output:
	// attempt: connection reset
	// attempt: <nil>
	// call: <nil>
	// order 42 <nil>
}

func ExampleWrap() {
	length := patterns.Wrap(patterns.Direct{}, func(_ context.Context, s string) (int, error) { return len(s), nil })
	fmt.Println(length(context.Background(), "steady"))
	// Output: 6 <nil>
}

func ExampleCode() {
	policy, err := retry.New("orders", retry.Config{MaxAttempts: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = policy.Execute(context.Background(), func(context.Context) error { return errors.New("connection reset") })
	fmt.Println(patterns.Code(err), errors.Is(err, patterns.ErrResilience))
	// Output: LEX_ERR_RES_008 true
}
