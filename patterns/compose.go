package patterns

import "context"

// Compose puts policies around one another, outermost first: Compose(a, b) runs a(b(op)). Nil policies are left out,
// so that an optional one can stay nil; without any policy the result is [Direct].
//
// Policies that are a [Composer] are linked once, here, and a call through them allocates nothing. Any other policy
// costs one closure per call.
func Compose(policies ...Policy) Policy {
	var chain Policy
	for i := len(policies) - 1; i >= 0; i-- {
		switch p := policies[i]; {
		case p == nil:
		case chain == nil:
			chain = p
		default:
			chain = put(p, chain)
		}
	}
	if chain == nil {
		return Direct{}
	}
	return chain
}

func put(outer, next Policy) Policy {
	if c, ok := outer.(Composer); ok {
		return c.Compose(next)
	}
	return &closured{outer: outer, next: next}
}

// Layer is a Policy that can run an operation through another policy. It is what [Link] needs to make a [Composer].
type Layer interface {
	Policy

	// Around is Execute with next.Execute(ctx, op) in the place of op(ctx).
	Around(ctx context.Context, next Policy, op Operation) error
}

// Link returns a policy that runs next inside of outer. It is the body of every Compose method of a [Layer].
func Link(outer Layer, next Policy) Policy {
	return &linked{outer: outer, next: next, sequential: IsSequential(outer) && IsSequential(next)}
}

type linked struct {
	outer      Layer
	next       Policy
	sequential bool
}

func (l *linked) Execute(ctx context.Context, op Operation) error {
	return l.outer.Around(ctx, l.next, op)
}
func (l *linked) Compose(next Policy) Policy { return Link(l.outer, put(l.next, next)) }
func (l *linked) Sequential() bool           { return l.sequential }

// closured puts a policy that knows only Execute around next.
type closured struct {
	outer, next Policy
}

func (c *closured) Execute(ctx context.Context, op Operation) error {
	return c.outer.Execute(ctx, func(ctx context.Context) error { return c.next.Execute(ctx, op) })
}

func (c *closured) Compose(next Policy) Policy {
	return &closured{outer: c.outer, next: put(c.next, next)}
}

func (c *closured) Sequential() bool { return IsSequential(c.outer) && IsSequential(c.next) }
