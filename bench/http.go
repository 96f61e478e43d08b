package main

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/failsafe-go/failsafe-go"
	fscircuit "github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	fstimeout "github.com/failsafe-go/failsafe-go/timeout"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// transports has request as the context of every request.
func transports(request context.Context, op operation) []group {
	stub := stubTransport{op}
	retries := must(retry.New("bench", retryConfig()))
	breaker := must(circuitbreaker.New("bench", breakerConfig()))
	limited := must(timeout.New("bench", timeout.Config{Timeout: limit}))
	breakers := must(circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{Default: breakerConfig()}))
	failsafes := []failsafe.Policy[*http.Response]{
		failsafehttp.NewRetryPolicyBuilder().WithMaxAttempts(attempts).WithBackoff(baseDelay, maxDelay).Build(),
		fscircuit.NewBuilder[*http.Response]().HandleIf(failedResponse).
			WithFailureRateThreshold(failureRate, minimumCalls, window).WithDelay(openFor).Build(),
	}
	limits := fstimeout.New[*http.Response](limit)
	return []group{
		{
			name: "HTTP client: retry, breaker",
			about: "A GET under a context that can be cancelled is answered with 200 and a short body, which is read and " +
				"closed. There is no network in it.",
			modes: []mode{serial(), parallel()},
			contenders: []contender{
				{"the transport alone", floor, roundTrips(request, stub)},
				{"Steady, one breaker", steady,
					roundTrips(request, resiliencehttp.New(stub, patterns.Compose(retries, breaker)))},
				{"Steady, a breaker for each host", steady,
					roundTrips(request, resiliencehttp.New(stub, retries, resiliencehttp.WithBreakers(breakers)))},
				{"failsafehttp, one breaker", peer, roundTrips(request, failsafehttp.NewRoundTripper(stub, failsafes...))},
			},
		},
		{
			name:  "HTTP client: retry, breaker, timeout",
			about: "The same, each attempt under a timeout that lasts until its body is closed.",
			modes: []mode{serial(), parallel()},
			contenders: []contender{
				{"the transport alone", floor, roundTrips(request, stub)},
				{"Steady, one breaker", steady,
					roundTrips(request, resiliencehttp.New(stub, patterns.Compose(retries, breaker, limited)))},
				{"failsafehttp, one breaker", peer,
					roundTrips(request, failsafehttp.NewRoundTripper(stub, append(failsafes, limits)...))},
			},
		},
	}
}

// roundTrips sends one request again and again.
func roundTrips(ctx context.Context, through http.RoundTripper) func(int) error {
	return func(n int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://bench.test/", http.NoBody)
		if err != nil {
			return err
		}
		return times(n, func() error {
			resp, err := through.RoundTrip(req)
			if err != nil {
				return err
			}
			if _, err = io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
			return resp.Body.Close()
		})
	}
}

// stubTransport answers every request after the operation has run.
type stubTransport struct{ op operation }

func (s stubTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := s.op(req.Context()); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: req, ContentLength: 2, Body: io.NopCloser(strings.NewReader("ok")),
	}, nil
}

func failedResponse(resp *http.Response, err error) bool {
	return err != nil || resp.StatusCode >= http.StatusInternalServerError
}
