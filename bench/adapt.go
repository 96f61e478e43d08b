package main

import (
	"context"

	"github.com/failsafe-go/failsafe-go"
)

// bare makes of an operation one without a context, as most libraries want it.
func bare(op operation) func() error {
	return func() error { return op(context.Background()) }
}

// result makes of an operation one that returns a value.
func result(op operation) func() (struct{}, error) {
	return func() (struct{}, error) { return struct{}{}, op(context.Background()) }
}

// failsafeRun calls op through policies of failsafe-go, outermost first.
func failsafeRun(op func() error, policies ...failsafe.Policy[any]) func(int) error {
	executor := failsafe.With(policies...)
	return func(n int) error {
		return times(n, func() error { return executor.Run(op) })
	}
}

// failsafeRunWithContext does the same and gives op the context of the attempt, which ends with its timeout.
func failsafeRunWithContext(ctx context.Context, op operation, policies ...failsafe.Policy[any]) func(int) error {
	executor := failsafe.With(policies...).WithContext(ctx)
	call := func(e failsafe.Execution[any]) error { return op(e.Context()) }
	return func(n int) error {
		return times(n, func() error { return executor.RunWithExecution(call) })
	}
}
