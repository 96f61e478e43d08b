package retry

import (
	"math"
	"strconv"
	"strings"
	"time"
)

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
