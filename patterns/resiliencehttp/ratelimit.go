package resiliencehttp

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/steadyfx/steady/patterns"
)

// RateLimiter is implemented by a policy that limits the rate of requests, and by the error with which it refuses one.
// The limiters of packages ratelimit and throttle are some.
type RateLimiter interface {
	// RateLimit describes the limit as it is now. A name that is empty becomes "default", and a limit without a quota is
	// not announced.
	RateLimit() patterns.RateLimit
}

// limitersOf returns those that p is, or consists of.
func limitersOf(p patterns.Policy) []RateLimiter {
	if l, ok := p.(RateLimiter); ok {
		return []RateLimiter{l}
	}
	var limiters []RateLimiter
	for _, member := range patterns.Members(p) {
		if l, ok := member.(RateLimiter); ok {
			limiters = append(limiters, l)
		}
	}
	return limiters
}

// limitsOf returns what clients are told of limiters, as they are now.
func limitsOf(limiters []RateLimiter) []patterns.RateLimit {
	var limits []patterns.RateLimit
	for _, l := range limiters {
		if limit := l.RateLimit(); limit.Quota > 0 {
			limits = append(limits, limit)
		}
	}
	return limits
}

// limitsBehind returns the limits that clients are told of after a refusal, and whether one of them refused.
func limitsBehind(err error, limiters []RateLimiter) (limits []patterns.RateLimit, limited bool) {
	limits = limitsOf(limiters)
	var refused RateLimiter
	if !errors.As(err, &refused) {
		return limits, false
	}
	limit := refused.RateLimit()
	at := slices.IndexFunc(limits, func(l patterns.RateLimit) bool { return l.Name == limit.Name })
	switch {
	case limit.Quota <= 0:
	case at >= 0:
		limits[at] = limit // as it was when it refused
	default:
		limits = append(limits, limit)
	}
	return limits, true
}

// setRateLimit sets the fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10), with one item
// for each limit.
func setRateLimit(header http.Header, limits []patterns.RateLimit) {
	if len(limits) == 0 {
		return
	}
	var policies, states []string
	for _, l := range limits {
		name := quoted(cmp.Or(l.Name, "default"))
		policies = append(policies, name+";q="+strconv.Itoa(l.Quota)+";w="+seconds(l.Window))
		state := name + ";r=" + strconv.Itoa(max(l.Remaining, 0))
		if l.Reset > 0 {
			state += ";t=" + seconds(l.Reset)
		}
		states = append(states, state)
	}
	header.Set("RateLimit-Policy", strings.Join(policies, ", "))
	header.Set("RateLimit", strings.Join(states, ", "))
}

// quoted returns name as a string of a structured field (RFC 9651), which holds printable ASCII only.
func quoted(name string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range name {
		switch {
		case r < ' ' || r > '~':
			b.WriteByte('?')
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
