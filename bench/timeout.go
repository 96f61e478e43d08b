package main

import (
	"context"
	"errors"

	resiliency "github.com/eapache/go-resiliency/deadline"
	fstimeout "github.com/failsafe-go/failsafe-go/timeout"

	"github.com/steadyfx/steady/patterns/timeout"
)

var errEndless = errors.New("the context of the call cannot end")

// timeouts has request as the context of a call that its caller can cancel, as that of a request is.
func timeouts(request context.Context, op operation) []group {
	asking := func(ctx context.Context) error {
		if ctx.Done() == nil {
			return errEndless
		}
		return op(ctx)
	}
	program := context.Background()
	plain := timeoutGroup(program, op)
	plain.name, plain.about = "Timeout", "The call succeeds and does not look at its context."
	deadline, deadlineCall := resiliency.New(limit), func(<-chan struct{}) error { return op(program) }
	plain.contenders = append(plain.contenders, contender{"go-resiliency, in a goroutine", peer, func(n int) error {
		return times(n, func() error { return deadline.Run(deadlineCall) })
	}})

	waiting := timeoutGroup(program, asking)
	waiting.name = "Timeout, `Done` asked for"
	waiting.about = "The call asks its context for the channel, as everything does that waits, and succeeds."

	child := timeoutGroup(request, asking)
	child.name = "Timeout, `Done` asked for, in a request"
	child.about = "The same under a context that can be cancelled."
	return []group{plain, waiting, child}
}

func timeoutGroup(ctx context.Context, op operation) group {
	ours := must(timeout.New("bench", timeout.Config{Timeout: limit}))
	return group{modes: []mode{serial(), parallel()}, contenders: []contender{
		withTimeout(ctx, op),
		{"Steady, `Execute`", steady, func(n int) error {
			return times(n, func() error { return ours.Execute(ctx, op) })
		}},
		{"failsafe-go, executor", peer, failsafeRunWithContext(ctx, op, fstimeout.New[any](limit))},
	}}
}
