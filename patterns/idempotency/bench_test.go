package idempotency_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
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

func BenchmarkProcessReplay(b *testing.B) {
	g, runs := benchGuard(b), 0
	fn := returning(&runs, []byte("receipt 1"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := idempotency.Process(b.Context(), g, charge("k"), fn); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrapReplay(b *testing.B) {
	g, runs := benchGuard(b), 0
	charge := idempotency.Wrap(g, "charge", nil, counting[payment](&runs))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := charge(b.Context(), payment{Order: "1042", Amount: 1999}); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a client that takes everything.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// A bare handler, the first request with a key and a replay write the same headers and body.
func BenchmarkMiddleware(b *testing.B) {
	payment := []byte(`{"id":"pay_8f2c","order":"1042","amount":1999,"currency":"EUR","status":"accepted"}`)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/payments/pay_8f2c")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(payment)
	})
	const order = "{}"
	always := func(int) string { return "k" }
	for _, bench := range []struct {
		name string
		wrap func(http.Handler) http.Handler
		key  func(n int) string
	}{
		{"bare", func(h http.Handler) http.Handler { return h }, always},
		{"first", idempotency.Middleware(benchGuard(b), idempotency.SharedScope), strconv.Itoa},
		{"replay", idempotency.Middleware(benchGuard(b), idempotency.SharedScope), always},
	} {
		h := bench.wrap(bare)
		b.Run("handler/"+bench.name, func(b *testing.B) {
			body := strings.NewReader(order)
			r := request(http.MethodPost, "/orders", "k", order)
			r.Body = io.NopCloser(body)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				body.Reset(order)
				r.Header[idempotency.KeyHeader][0] = bench.key(n)
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
		b.Run("server/"+bench.name, func(b *testing.B) {
			server := httptest.NewServer(h)
			defer server.Close()
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				got, err := postTo(b.Context(), server, "server-"+bench.key(n))
				if err != nil || got.status != http.StatusCreated {
					b.Fatal(got.status, err)
				}
			}
		})
	}
}
