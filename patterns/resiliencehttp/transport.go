package resiliencehttp

import (
	"net/http"
	"strings"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

// Transport is an http.RoundTripper that sends requests through a policy. It is safe for concurrent use.
type Transport struct {
	next       http.RoundTripper
	policy     patterns.Policy
	hosts      []func(host string) (patterns.Policy, error) // outermost first
	repeatable func(*http.Request) bool
	failure    func(*http.Response) bool
	buffer     int64
	newKey     func(*http.Request) string // nil: requests keep the key that they have
}

var _ http.RoundTripper = (*Transport)(nil)

// defaultBuffer is how large a request body without GetBody may be to be kept in memory for another attempt.
const defaultBuffer = 64 << 10

// Option changes a [Transport].
type Option func(*Transport)

// WithHostPolicy runs each attempt through what policyOf returns for the host of the request, as its URL spells it in
// lower case, with the port if there is one. It runs inside of the policy of [New]: so a retry is outside, and a
// circuit breaker sees every attempt. A nil policy adds nothing. Of several options, the first is the outermost.
// policyOf should return the same policy for the same host, and must be safe for concurrent use.
func WithHostPolicy(policyOf func(host string) patterns.Policy) Option {
	return func(t *Transport) {
		t.hosts = append(t.hosts, func(host string) (patterns.Policy, error) { return policyOf(host), nil })
	}
}

// WithBreakers gives each host the circuit breaker of its name in r, which makes it if need be; see [WithHostPolicy].
// Breakers are kept: r should not be used for hosts that strangers choose.
func WithBreakers(r *circuitbreaker.Registry) Option {
	return func(t *Transport) {
		t.hosts = append(t.hosts, func(host string) (patterns.Policy, error) {
			b, err := r.GetOrCreate(host)
			if err != nil {
				return nil, err
			}
			return b, nil
		})
	}
}

// WithRepeatable lets repeatable say which requests may be sent more than once, in the place of the rule that the
// method is GET, HEAD, OPTIONS, TRACE, PUT or DELETE, or that the request carries an Idempotency-Key. That its body
// can be had again is required in either case.
func WithRepeatable(repeatable func(*http.Request) bool) Option {
	return func(t *Transport) { t.repeatable = repeatable }
}

// WithFailure lets failure say which responses are failures to the policy, in the place of the rule that 429 and 5xx
// except 501 are, and 409 with Retry-After in answer to a request with an Idempotency-Key. Circuit breakers do not count
// the latter under any rule. failure must not read the body.
func WithFailure(failure func(*http.Response) bool) Option {
	return func(t *Transport) { t.failure = failure }
}

// WithBuffer sets up to how many bytes the body of a request that may be repeated, but has no GetBody, is read into
// memory before the first attempt, instead of 64 KiB. Its Content-Length must be known. 0 or less turns it off.
func WithBuffer(bytes int64) Option {
	return func(t *Transport) { t.buffer = bytes }
}

// New returns a transport that sends requests through policy and then by next. A nil next means
// http.DefaultTransport, a nil policy patterns.Direct.
//
// What http.Transport repeats by itself is not seen by the policy. It does so only if an idle connection turns out to be
// dead: any request of which nothing was sent, and idempotent ones without a response. The latter is prevented for
// requests with a body, so that it is up to the policy; those without a body can still be sent twice in one attempt.
func New(next http.RoundTripper, policy patterns.Policy, opts ...Option) *Transport {
	if next == nil {
		next = http.DefaultTransport
	}
	if policy == nil {
		policy = patterns.Direct{}
	}
	t := &Transport{next: next, policy: policy, repeatable: idempotent, failure: failed, buffer: defaultBuffer}
	for _, opt := range opts {
		opt(t)
	}
	return t
}

// RoundTrip sends req through the policy. It returns the response of the attempt that the policy returned. If the
// policy gave up after a response that is a failure, it returns that one, and no error, unless the caller's context has
// ended. Otherwise the error is what the policy made of the last attempt, or why there was none.
//
// The caller must close the body of the response. The context of the attempt, with the time limits of the policy, ends
// then, or when the body has been read to its end.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = t.withKey(req)
	host, err := t.hostPolicy(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	body, err := t.prepare(req)
	if err != nil {
		return nil, err
	}
	x := &exchange{transport: t, req: req, host: host, body: body}
	defer x.abandon() // also after a panic
	resp, err := patterns.Do(req.Context(), t.policy, x.run)
	return x.result(resp, err)
}

// CloseIdleConnections passes the wish of http.Client.CloseIdleConnections on.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *Transport) hostPolicy(req *http.Request) (patterns.Policy, error) {
	if len(t.hosts) == 0 {
		return nil, nil
	}
	host := strings.ToLower(req.URL.Host)
	policies := make([]patterns.Policy, len(t.hosts))
	for i, policyOf := range t.hosts {
		p, err := policyOf(host)
		if err != nil {
			return nil, err
		}
		policies[i] = p
	}
	return patterns.Compose(policies...), nil
}

// failed is the rule that [WithFailure] replaces. 501 means that the server will never do it.
func failed(resp *http.Response) bool {
	return resp.StatusCode == http.StatusTooManyRequests ||
		resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented || outstanding(resp)
}
