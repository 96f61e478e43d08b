package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var errClock = errors.New("the clock stands or goes backwards")

// floors are what the patterns are made of.
func floors(op operation) group {
	var (
		ctx     = context.Background()
		start   = time.Now()
		mu      sync.Mutex
		counter atomic.Uint64
		guarded uint64
	)
	return group{
		name: "Floors", about: "What the patterns are made of. Nothing can be faster than its parts.",
		modes: []mode{serial(), parallel()},
		contenders: []contender{
			bareCall(op),
			{"atomic add", floor, func(n int) error {
				return times(n, func() error { counter.Add(1); return nil })
			}},
			{"mutex, lock and unlock", floor, func(n int) error {
				return times(n, func() error { mu.Lock(); guarded++; mu.Unlock(); return nil })
			}},
			{"`time.Now`", floor, func(n int) error {
				return times(n, func() error {
					if time.Now().IsZero() {
						return errClock
					}
					return nil
				})
			}},
			{"`time.Since`", floor, func(n int) error {
				return times(n, func() error {
					if time.Since(start) < 0 {
						return errClock
					}
					return nil
				})
			}},
			withTimeout(ctx, op),
		},
	}
}

func bareCall(op operation) contender {
	ctx := context.Background()
	return contender{"bare call", floor, func(n int) error {
		return times(n, func() error { return op(ctx) })
	}}
}

// clockAndAdd is the least that a count in time can cost.
func clockAndAdd(op operation) contender {
	ctx, start, counter := context.Background(), time.Now(), new(atomic.Int64)
	return contender{"one `time.Since`, one atomic add, the call", floor, func(n int) error {
		return times(n, func() error {
			err := op(ctx)
			counter.Add(int64(time.Since(start)))
			return err
		})
	}}
}

// limit is a timeout that no benchmark reaches.
const limit = 30 * time.Second

func withTimeout(parent context.Context, op operation) contender {
	return contender{"`context.WithTimeout` around the call", floor, func(n int) error {
		return times(n, func() error {
			ctx, cancel := context.WithTimeout(parent, limit)
			err := op(ctx)
			cancel()
			return err
		})
	}}
}
