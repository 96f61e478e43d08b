package patterns

import "context"

// Operation is the work that a policy protects. It should honour its context: most policies rely on that to stop it.
type Operation = func(ctx context.Context) error

// Policy decides whether, when, how often and under which context an operation runs.
//
// Execute returns nil if the operation, run as the policy demands, succeeded. It is safe for concurrent use. A panic
// or a runtime.Goexit of the operation passes through Execute after the policy has released whatever it held.
type Policy interface {
	Execute(ctx context.Context, op Operation) error
}

// Composer is a Policy that can put itself around another one without a closure per call. All policies of Steady are.
type Composer interface {
	Policy

	// Compose returns a policy that runs next inside of this one. The receiver is not changed and stays usable.
	Compose(next Policy) Policy
}

// Sequential is implemented by a policy that can promise how it runs operations: one attempt at a time, none still
// running when Execute returns, the operation not kept afterwards. [Do] and [Wrap] save allocations under that
// promise; under any other policy they guard the value against attempts that overlap or come late.
type Sequential interface {
	// Sequential reports whether the promise holds for this instance.
	Sequential() bool
}

// IsSequential reports whether p promises what [Sequential] describes. A policy that says nothing promises nothing.
func IsSequential(p Policy) bool {
	s, ok := p.(Sequential)
	return ok && s.Sequential()
}

// Direct is the Policy that adds nothing: it calls the operation. Its zero value is ready to use.
type Direct struct{}

// Execute calls op.
func (Direct) Execute(ctx context.Context, op Operation) error { return op(ctx) }

// Compose returns next.
func (Direct) Compose(next Policy) Policy { return next }

// Sequential reports true.
func (Direct) Sequential() bool { return true }
