package retry

import "math"

// Backoff is the way in which delays grow from attempt to attempt, before jitter. The zero value is [Exponential].
type Backoff string

const (
	Constant    Backoff = "constant"    // BaseDelay each time
	Linear      Backoff = "linear"      // BaseDelay more each time
	Exponential Backoff = "exponential" // BackoffFactor times as much each time
	Fibonacci   Backoff = "fibonacci"   // 1, 1, 2, 3, 5 and so on times BaseDelay
)

func (b Backoff) valid() bool {
	switch b {
	case "", Constant, Linear, Exponential, Fibonacci:
		return true
	default:
		return false
	}
}

// middle returns the delay after an attempt before jitter, in nanoseconds. It may be more than MaxDelay, or infinite.
func (c Config) middle(attempt int) float64 {
	base := float64(c.BaseDelay)
	switch c.Backoff {
	case Constant:
		return base
	case Linear:
		return base * float64(attempt)
	case Fibonacci:
		return base * fibonacci(attempt)
	default:
		return base * math.Pow(c.BackoffFactor, float64(attempt-1))
	}
}

// fibonacci returns the nth number of Fibonacci, 1-based, or one beyond every time.Duration.
func fibonacci(n int) float64 {
	a, b := 0.0, 1.0
	for range min(n, 100) {
		a, b = b, a+b
	}
	return a
}
