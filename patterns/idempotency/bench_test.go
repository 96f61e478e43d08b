package idempotency_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func benchGuard(b *testing.B) *idempotency.Guard {
	b.Helper()
	g, err := idempotency.New(newStore(b).Store, idempotency.Config{})
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func BenchmarkDoFirst(b *testing.B) {
	g, runs := benchGuard(b), 0
	fn := returning(&runs, payment{Order: "1042", Amount: 1999})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := idempotency.Do(b.Context(), g, charge(strconv.Itoa(runs)), fn); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDoReplay(b *testing.B) {
	g, runs := benchGuard(b), 0
	fn := returning(&runs, payment{Order: "1042", Amount: 1999})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := idempotency.Do(b.Context(), g, charge("k"), fn); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a client that takes everything.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkMiddleware(b *testing.B) {
	body := make([]byte, 512)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Location", "/orders/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	h := idempotency.Middleware(benchGuard(b), idempotency.SharedScope)(bare)
	bench := func(name string, h http.Handler, key func(n int) string) {
		b.Run(name, func(b *testing.B) {
			r := request(http.MethodPost, "/orders", "k", "")
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				r.Header[idempotency.KeyHeader][0] = key(n)
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
	bench("bare", bare, strconv.Itoa)
	bench("first", h, strconv.Itoa)
	bench("replay", h, func(int) string { return "k" })
}
