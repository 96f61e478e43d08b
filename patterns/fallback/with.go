package fallback

import "context"

// adHoc is the name of the chains of [With] that have none.
const adHoc = "fallback.With"

// With is the decorator: it returns primary with fallbacks. After a failure the alternatives are asked, in order and
// with the same input, then the steps of c, whose handlers and default hold as well. A nil c means a chain without any,
// whose errors carry the name "fallback.With". Nil alternatives are left out.
func With[In, Out any](
	c *Chain[Out], primary func(context.Context, In) (Out, error),
	alternatives ...func(context.Context, In) (Out, error),
) func(context.Context, In) (Out, error) {
	if c == nil {
		c = &Chain[Out]{name: adHoc}
	}
	d := decorated[In, Out]{chain: c, primary: primary}
	for _, fn := range alternatives {
		if fn != nil {
			d.alternatives = append(d.alternatives, fn)
		}
	}
	return d.call
}

type decorated[In, Out any] struct {
	chain        *Chain[Out]
	primary      func(context.Context, In) (Out, error)
	alternatives []func(context.Context, In) (Out, error)
}

func (d *decorated[In, Out]) call(ctx context.Context, in In) (Out, error) {
	value, err := d.chain.attempt(ctx, func(ctx context.Context) (Out, error) { return d.primary(ctx, in) })
	if err == nil {
		return value, nil
	}
	return d.fallBack(ctx, in, err)
}

// fallBack has the closures that cost allocations; a call that succeeds makes none.
func (d *decorated[In, Out]) fallBack(ctx context.Context, in In, failure error) (Out, error) {
	bind := func(fn func(context.Context, In) (Out, error)) func(context.Context) (Out, error) {
		return func(ctx context.Context) (Out, error) { return fn(ctx, in) }
	}
	steps := make([]Step[Out], len(d.alternatives))
	for i, fn := range d.alternatives {
		steps[i] = Alternative(bind(fn))
	}
	return d.chain.fallBack(ctx, bind(d.primary), failure, steps)
}
