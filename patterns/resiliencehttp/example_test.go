package resiliencehttp_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/ratelimit"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// A client that tries again, with a circuit breaker for each host and a limit for each attempt.
func Example() {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if requests++; requests == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s, key %s", body, r.Header.Get("Idempotency-Key"))
	}))
	defer server.Close()

	retries, err := retry.New("payments", retry.Config{MaxAttempts: 3, BaseDelay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	breakers, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	attempt, err := timeout.New("payments", timeout.Config{Timeout: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport := resiliencehttp.New(http.DefaultTransport, retries, resiliencehttp.WithBreakers(breakers),
		resiliencehttp.WithHostPolicy(func(string) patterns.Policy { return attempt }))
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()

	request, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("4.20 EUR"))
	if err != nil {
		fmt.Println(err)
		return
	}
	request.Header.Set("Idempotency-Key", `"42"`) // or else it is sent once
	response, err := client.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body), err, requests)
	// Output: 200 4.20 EUR, key "42" <nil> 2
}

// A client that may repeat a POST, because each one has a key by which the server recognizes it.
func ExampleWithIdempotencyKeys() {
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if keys = append(keys, r.Header.Get("Idempotency-Key")); len(keys) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()

	retries, err := retry.New("payments", retry.Config{MaxAttempts: 3, BaseDelay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: resiliencehttp.New(nil, retries, resiliencehttp.WithIdempotencyKeys(nil))}
	defer client.CloseIdleConnections()
	response, err := client.Post(server.URL, "text/plain", strings.NewReader("4.20 EUR"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	fmt.Println(response.StatusCode, len(keys), keys[0] == keys[1])
	// Output: 200 2 true
}

// A server that takes one request at a time.
func ExampleHandler() {
	slots, err := bulkhead.New("reports", bulkhead.Config{MaxConcurrent: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	var handler http.Handler
	handler = resiliencehttp.Handler(slots)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		second := httptest.NewRecorder()
		handler.ServeHTTP(second, r) // comes while the first one is running
		fmt.Println(second.Code, second.Header().Get("Retry-After"), second.Body)
	}))
	first := httptest.NewRecorder()
	handler.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/reports", nil))
	fmt.Println(first.Code)
	// Output:
	// 503 1 {"type":"about:blank","title":"Service is unavailable","status":503,"detail":"The service cannot take this request now. Nothing was done. Send the request again later.","code":"LEX_ERR_RES_010"}
	// 200
}

// A server that takes two requests an hour from each client, which it knows by the address of the connection.
func ExampleWithRequestPolicy() {
	clients, err := ratelimit.NewKeyed("client", ratelimit.KeyedConfig{Limit: 2, Period: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	limitOf := func(r *http.Request) patterns.Policy {
		address, _, _ := net.SplitHostPort(r.RemoteAddr)
		return clients.For(address)
	}
	handler := resiliencehttp.Handler(nil, resiliencehttp.WithRequestPolicy(limitOf))(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, address := range []string{"192.0.2.1:1111", "192.0.2.1:2222", "192.0.2.1:3333", "192.0.2.2:1111"} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.RemoteAddr = address
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		remaining, _, _ := strings.Cut(response.Header().Get("RateLimit"), ";t=") // and then until when, in seconds
		fmt.Println(address, response.Code, response.Header().Get("RateLimit-Policy"), remaining)
	}
	// Output:
	// 192.0.2.1:1111 204 "client";q=2;w=3600 "client";r=1
	// 192.0.2.1:2222 204 "client";q=2;w=3600 "client";r=0
	// 192.0.2.1:3333 429 "client";q=2;w=3600 "client";r=0
	// 192.0.2.2:1111 204 "client";q=2;w=3600 "client";r=1
}
