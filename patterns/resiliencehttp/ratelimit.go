package resiliencehttp

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/ratelimit"
)

// RateLimiter is implemented by a policy, or the error of one, that limits the rate of requests and is to be announced
// to clients by a [Handler]. The limiters of package ratelimit need not implement it. If it has a method Name, that is
// what clients are told, else "default".
type RateLimiter interface {
	// RateLimit describes the limit as it is now: quota requests in each window, of which remaining are left. After
	// reset there will be more; 0 means unknown.
	RateLimit() (quota int, window time.Duration, remaining int, reset time.Duration)
}

// limit is what clients are told about a rate limit.
type limit struct {
	name          string
	quota         int
	window, reset time.Duration
	remaining     int
}

// limitsOf returns those of the policies that are rate limits, as they are now.
func limitsOf(policies []patterns.Policy) []limit {
	var limits []limit
	for _, p := range policies {
		switch p := p.(type) {
		case RateLimiter:
			limits = append(limits, limitOf(p))
		case *ratelimit.TokenBucket:
			s := p.Stats()
			limits = append(limits, limit{name: s.Name, quota: s.Limit, window: s.Period, remaining: p.Available()})
		case *ratelimit.SlidingWindow:
			s := p.Stats()
			limits = append(limits, limit{name: s.Name, quota: s.Limit, window: s.Period, remaining: s.Limit - p.InWindow()})
		}
	}
	return limits
}

func limitOf(l RateLimiter) limit {
	described := limit{name: "default"}
	if named, ok := l.(interface{ Name() string }); ok {
		described.name = named.Name()
	}
	described.quota, described.window, described.remaining, described.reset = l.RateLimit()
	return described
}

// limitsBehind returns the limits that clients are told of after a refusal, and whether one of them refused.
func limitsBehind(err error, policies []patterns.Policy) (limits []limit, limited bool) {
	var own RateLimiter
	if errors.As(err, &own) {
		return []limit{limitOf(own)}, true
	}
	limits = limitsOf(policies)
	refusal, limited := errors.AsType[*ratelimit.LimitedError](err)
	for i := range limits {
		if limited && limits[i].name == refusal.Name {
			limits[i].remaining, limits[i].reset = 0, refusal.RetryAfter
		}
	}
	return limits, limited
}

// setRateLimit sets the fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10), with one item
// for each limit.
func setRateLimit(header http.Header, limits []limit) {
	if len(limits) == 0 {
		return
	}
	var policies, states []string
	for _, l := range limits {
		name := quoted(l.name)
		policies = append(policies, name+";q="+strconv.Itoa(l.quota)+";w="+seconds(l.window))
		state := name + ";r=" + strconv.Itoa(max(l.remaining, 0))
		if l.reset > 0 {
			state += ";t=" + seconds(l.reset)
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
