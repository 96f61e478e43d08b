package patterns

import "time"

// RateLimit is the state of a limit on the rate of calls, as those who are limited may be told. A limiter, and the error
// of one, has a method RateLimit() that returns it.
type RateLimit struct {
	Name      string
	Quota     int           // calls in each Window; 0 if the limit is not of so many
	Window    time.Duration // 0 as well
	Remaining int           // calls that could be made now
	Reset     time.Duration // until more can be made; 0: unknown, or some can be made now
}
