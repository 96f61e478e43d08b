package resiliencehttp

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter caps what a server can ask for. More is a mistake of the server.
const maxRetryAfter = 24 * time.Hour

// retryAfterOf reads the header Retry-After. A date is compared with the server's own, if the response has that, so that
// clocks which differ do not matter.
func retryAfterOf(resp *http.Response) time.Duration {
	now := time.Now()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date
	}
	return parseRetryAfter(resp.Header.Get("Retry-After"), now)
}

// parseRetryAfter reads a number of seconds or a date (RFC 9110, 10.2.3). It returns a duration from 0 to
// maxRetryAfter, and 0 for what is neither.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.Trim(value, " \t")
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) { // the only error is that it is too large
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
