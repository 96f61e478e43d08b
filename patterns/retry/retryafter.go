package retry

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// RetryAfterError is implemented by an error, anywhere in the tree of what an attempt returned, that knows when it makes
// sense to come again. The next attempt begins no earlier than that: the delay is that of the [Config] or, if it is
// longer, the one asked for, made longer at random by up to the fraction of Jitter, so that callers that were told the
// same do not come together. Zero or less asks for nothing.
type RetryAfterError interface {
	error
	RetryAfter() time.Duration
}

// ParseRetryAfter reads the value of a Retry-After header (RFC 9110, 10.2.3): a number of seconds, or a date, which it
// compares with now. A date that has passed gives 0, and more than a time.Duration can hold gives the longest one. It
// reports whether the value is valid.
func ParseRetryAfter(header string, now time.Time) (wait time.Duration, ok bool) {
	header = strings.Trim(header, " \t")
	if header != "" && strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(math.MaxInt64/time.Second) {
			return math.MaxInt64, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	for _, layout := range httpDates {
		if date, err := time.Parse(layout, header); err == nil {
			return max(date.Sub(now), 0), true
		}
	}
	return 0, false
}

// httpDates are the forms of a date in HTTP: the one in use and two that are obsolete.
var httpDates = []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}

// askedFor returns how long err asks to wait, or 0.
func askedFor(err error) time.Duration {
	if e := RetryAfterError(nil); errors.As(err, &e) {
		return max(e.RetryAfter(), 0)
	}
	return 0
}
