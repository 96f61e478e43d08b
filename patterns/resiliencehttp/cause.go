package resiliencehttp

import (
	"context"
	"errors"
	"fmt"

	"github.com/steadyfx/steady/patterns"
)

// withCause returns err, and before it, if ctx has ended and err does not say so, why.
func withCause(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", patterns.Ended(ctx), err)
	}
	return err
}
