package idempotency_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestHandlerLearnsWhichCallItActsFor(t *testing.T) {
	for _, header := range []string{"k1", `"k1"`} {
		var got idempotency.Call
		handler := guarded(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, _ = idempotency.CallOf(r.Context())
		}))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", http.NoBody)
		r.Header.Set(idempotency.KeyHeader, header)
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if got.Operation != "POST /orders" || got.Scope != "shared" || got.Key != "k1" {
			t.Errorf("header %s: CallOf = %+v", header, got)
		}
	}
	if call, ok := idempotency.CallOf(t.Context()); ok {
		t.Errorf("CallOf outside of a middleware = %+v, true", call)
	}
}
