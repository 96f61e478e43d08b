package retry

import (
	"context"

	"github.com/steadyfx/steady/patterns"
)

// adHoc is the name of the policies of [Do].
const adHoc = "retry.Do"

// Do runs fn under a Policy made for this one call and returns its value. Errors and events carry the name "retry.Do".
// It returns an error without running fn if cfg is invalid. A place that is reached often should keep a [Policy] and
// use patterns.Do or patterns.Wrap.
func Do[T any](
	ctx context.Context, cfg Config, fn func(ctx context.Context) (T, error), opts ...Option,
) (T, error) {
	p, err := New(adHoc, cfg, opts...)
	if err != nil {
		return *new(T), err
	}
	return patterns.Do(ctx, p, fn)
}
