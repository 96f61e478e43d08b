package patterns

import "time"

// RetryIn returns how long to wait before another call makes sense, by the first error in err's tree that knows. Such an
// error has a method RetryIn() (wait time.Duration, known bool): a circuit breaker that is open, a rate limit that is
// used up, a server that sent Retry-After. Known without a wait means at once.
func RetryIn(err error) (wait time.Duration, known bool) {
	if e, ok := err.(interface{ RetryIn() (time.Duration, bool) }); ok {
		if wait, known = e.RetryIn(); known {
			return max(wait, 0), true
		}
	}
	switch e := err.(type) { //nolint:errorlint // one level at a time
	case interface{ Unwrap() error }:
		return RetryIn(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			if wait, known = RetryIn(joined); known {
				return wait, true
			}
		}
	}
	return 0, false
}
