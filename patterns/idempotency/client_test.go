package idempotency_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/retry"
	"github.com/steadyfx/steady/patterns/timeout"
)

// direct is a connection to a handler that does not leave the process.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	answered := make(chan *http.Response, 1)
	go func() { answered <- send(d.handler, r.Clone(r.Context())).Result() }()
	select {
	case resp := <-answered:
		resp.Request = r
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// The client gives up on an attempt whose work goes on, comes back with the same key, is told to wait, and gets the response
// of the first attempt.
func TestClientThatGivesUpGetsTheResponseOfItsFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs, requests atomic.Int32
		once := guarded(t, sleepy(&runs, 7*time.Second), idempotency.WithStrictKeys(), idempotency.WithRequiredKey())
		server := direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			once.ServeHTTP(w, r)
		})}
		retries, err := retry.New("orders", retry.Config{MaxAttempts: 10, BaseDelay: time.Second, Jitter: retry.NoJitter})
		if err != nil {
			t.Fatal(err)
		}
		attempt, err := timeout.New("orders", timeout.Config{Timeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		client := resiliencehttp.New(server, patterns.Compose(retries, attempt), resiliencehttp.WithIdempotencyKeys(nil))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/orders", strings.NewReader("{}"))
		r.RequestURI = ""
		resp, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		wantEqual(t, "error", err, nil)
		wantEqual(t, "body", string(body), "run 1")
		wantEqual(t, "replayed", resp.Header.Get("Idempotent-Replayed"), "true")
		wantEqual(t, "runs", runs.Load(), 1)
		if requests.Load() < 3 {
			t.Errorf("%d requests: nobody was told to wait", requests.Load())
		}
	})
}
