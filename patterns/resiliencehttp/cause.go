package resiliencehttp

import (
	"context"
	"errors"
	"fmt"
)

// causeOf says why ctx ended.
func causeOf(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// withCause returns err, and before it, if ctx has ended and err does not say so, why.
func withCause(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", causeOf(ctx), err)
	}
	return err
}
