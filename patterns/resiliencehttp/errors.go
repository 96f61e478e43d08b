package resiliencehttp

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// StatusError is a response that is a failure, as policies see it. It satisfies
// errors.Is(err, [patterns.ErrResilience]). So that a circuit breaker does not count it, the answer to a request that is
// still being carried out, 409 with Retry-After, also satisfies errors.Is(err, [patterns.ErrIgnored]).
type StatusError struct {
	Method     string
	Host       string // with the port; empty in a [Handler]
	StatusCode int
	RetryAfter time.Duration // what the header of the response asked for, at most 24 hours; 0: nothing

	outstanding bool // see outstanding
}

func statusErrorOf(resp *http.Response) *StatusError {
	return &StatusError{
		Method: method(resp.Request), Host: resp.Request.URL.Host, StatusCode: resp.StatusCode,
		RetryAfter: retryAfterOf(resp), outstanding: outstanding(resp),
	}
}

// Error names the method, the host and the status, but neither path nor query, which may be secret.
func (e *StatusError) Error() string {
	from := strings.TrimSpace(e.Method + " " + e.Host)
	status := strings.TrimSpace(fmt.Sprintf("%d %s", e.StatusCode, http.StatusText(e.StatusCode)))
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s: %s; retry in %v", from, status, e.RetryAfter)
	}
	return from + ": " + status
}

// RetryIn returns RetryAfter, if there is one. See [patterns.RetryIn].
func (e *StatusError) RetryIn() (wait time.Duration, known bool) {
	return e.RetryAfter, e.RetryAfter > 0
}

// Is reports whether target is [patterns.ErrResilience], or [patterns.ErrIgnored] and e is ignored.
func (e *StatusError) Is(target error) bool {
	return target == patterns.ErrResilience || e.outstanding && target == patterns.ErrIgnored
}

// Code returns [patterns.CodeResilience].
func (e *StatusError) Code() string { return patterns.CodeResilience }

// permanent is the failure of what must not be repeated.
type permanent struct{ error }

func (p permanent) Unwrap() error        { return p.error }
func (p permanent) Is(target error) bool { return target == patterns.ErrPermanent }

// refusal is the error of an attempt that was not made and must not be.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }
func (e *refusal) Code() string  { return patterns.CodeResilience }
func (e *refusal) Is(target error) bool {
	return target == patterns.ErrRejected || target == patterns.ErrPermanent || target == patterns.ErrResilience
}

// notSent returns the error of an attempt to send req, and why it was not made.
func notSent(req *http.Request, reason string) error {
	return &refusal{fmt.Sprintf("%s %s: the request was not sent: %s", method(req), req.URL.Host, reason)}
}

// method returns the method of req, for which empty means GET.
func method(req *http.Request) string { return cmp.Or(req.Method, http.MethodGet) }
