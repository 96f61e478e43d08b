package health

import (
	"context"
	"strings"
	"time"
)

// DefaultTimeout is how long a check may take that does not say so itself.
const DefaultTimeout = 10 * time.Second

// Check looks at one thing that the program depends on.
type Check struct {
	Name string // 1 to 128 bytes without control characters; shown on the health page

	// Func looks, and reports what it found. It should return when its context ends: at the timeout, whoever waits for
	// it. Its values are those of whoever began the run. It is never run beside itself, and a panic is an unhealthy
	// result. [Ping] makes one of a function that returns an error.
	Func func(ctx context.Context) Report

	Timeout  time.Duration // zero: [DefaultTimeout]
	Critical bool          // without it the program cannot serve: it decides about readiness, all others only degrade
}

// Report is what a check found. The zero Report is of [Unknown] status: a check has to say that it found something
// healthy.
type Report struct {
	Status Status

	// Message is for people, and anybody who may see the health page sees it: write one, do not pass on that of an error
	// unless you know that there is nothing secret in it. It is cut off after 512 bytes.
	Message string

	// Details say more, to those who may see more ([WithDetails]). Values are shown as JSON. The map must not be changed
	// after the check has returned.
	Details map[string]any

	Err error // why, for the log; never shown
}

// Ping makes the function of a [Check] of one that reports by an error whether something answers, such as the Ping of a
// store. The message of the error is not shown.
func Ping(ping func(ctx context.Context) error) func(ctx context.Context) Report {
	if ping == nil {
		return nil // for Register to complain about
	}
	return func(ctx context.Context) Report {
		if err := ping(ctx); err != nil {
			return Report{Status: Unhealthy, Message: "failed", Err: err}
		}
		return Report{Status: Healthy}
	}
}

const maxMessage = 512

// bounded returns r with what a page can hold.
func (r Report) bounded() Report {
	if r.Status > Unhealthy {
		r.Status = Unknown
	}
	if len(r.Message) > maxMessage {
		r.Message = r.Message[:maxMessage]
	}
	r.Message = strings.ToValidUTF8(r.Message, "") // the cut may have gone through a rune
	return r
}
