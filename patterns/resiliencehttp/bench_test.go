package resiliencehttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
)

// What a transport adds to a request, without the network.
func BenchmarkTransport(b *testing.B) {
	next := tripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
	})
	r := httptest.NewRequest(http.MethodGet, "http://api.example/", nil)
	b.ReportAllocs()
	for name, rt := range map[string]http.RoundTripper{"bare": next, "policy": resiliencehttp.New(next, patterns.Direct{})} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := rt.RoundTrip(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a handler adds to a request.
func BenchmarkHandler(b *testing.B) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	next := status(http.StatusNoContent)
	for name, h := range map[string]http.Handler{"bare": next, "policy": resiliencehttp.Handler(patterns.Direct{})(next)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
