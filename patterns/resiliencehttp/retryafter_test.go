package resiliencehttp

import (
	"net/http"
	"testing"
	"time"
)

var now = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func TestRetryAfterForms(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"120":                            2 * time.Minute,
		" 5\t":                           5 * time.Second,
		"007":                            7 * time.Second,
		"86400":                          24 * time.Hour,
		"86401":                          24 * time.Hour,
		"9223372036854775807":            24 * time.Hour,
		"99999999999999999999999":        24 * time.Hour,
		"-1":                             0,
		"+1":                             0,
		"1.5":                            0,
		"1s":                             0,
		"1, 2":                           0,
		"Mon, 04 May 2026 03:02:31 GMT":  30 * time.Second,
		"Mon, 04 May 2026 03:02:01 GMT":  0,
		"Mon, 04 May 2026 03:02:00 GMT":  0,
		"Monday, 04-May-26 03:03:01 GMT": time.Minute,
		"Mon May  4 03:02:02 2026":       time.Second,
		"Fri, 01 Jan 9999 00:00:00 GMT":  24 * time.Hour,
		"Mon, 04 May 2026":               0,
		"2026-05-04T03:02:31Z":           0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func TestRetryAfterWithoutADateOfTheServer(t *testing.T) {
	resp := &http.Response{Header: http.Header{}}
	resp.Header.Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	if got := retryAfterOf(resp); got <= 0 || got > time.Hour {
		t.Errorf("got %v", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "5", "99999999999999999999", "-1", "Mon, 04 May 2026 03:02:31 GMT", "1.5", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := parseRetryAfter(value, now)
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q: %v", value, got)
		}
		if got > 0 && got < maxRetryAfter { // it means the same when it is written again
			if again := parseRetryAfter(seconds(got), now); again != got && again-got >= time.Second {
				t.Errorf("%q: %v became %v", value, got, again)
			}
		}
	})
}
