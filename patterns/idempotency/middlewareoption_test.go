package idempotency_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestStrictKeysAreInDoubleQuotes(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs), idempotency.WithStrictKeys())
	for _, key := range []string{`"abc"`, `"abc";a=1`} {
		wantEqual(t, key, post(h, key).Body.String(), "run 1")
	}
	for _, key := range []string{`abc`, `'abc'`, `abc"`, `?1`, `1`, `:YWJj:`} {
		p := wantProblem(t, post(h, key), http.StatusBadRequest, idempotency.CodeKeyMalformed, titleMalformed)
		if detail, _ := p["detail"].(string); !strings.Contains(detail, "double quotes") {
			t.Errorf("%s: %s", key, detail)
		}
	}
	wantEqual(t, "without a key", post(h, "").Body.String(), "run 2")
}

func TestKeyIsRequiredWhereTheServiceSaysSo(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs), idempotency.WithRequiredKeyFor(func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/payments")
	}))
	w := send(h, request("POST", "/payments", "", ""))
	wantProblem(t, w, http.StatusBadRequest, idempotency.CodeKeyMissing, titleMissing)
	wantEqual(t, "another route", send(h, request("POST", "/notes", "", "")).Body.String(), "run 1")
	wantEqual(t, "with a key", send(h, request("POST", "/payments", "k", "")).Body.String(), "run 2")
	wantEqual(t, "another method", send(h, request("GET", "/payments", "", "")).Body.String(), "run 3")
}

func TestHeaderOfAnotherName(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs), idempotency.WithHeaderName("paypal-request-id"), idempotency.WithRequiredKey())
	for range 2 {
		wantEqual(t, "body", send(h, request("POST", "/", "", "", "PayPal-Request-Id", "k")).Body.String(), "run 1")
	}
	w := post(h, "k")
	p := wantProblem(t, w, http.StatusBadRequest, idempotency.CodeKeyMissing, "Paypal-Request-Id is missing")
	if detail, _ := p["detail"].(string); !strings.Contains(detail, "header Paypal-Request-Id.") {
		t.Error(detail)
	}
}

// order is a request whose time of sending does not matter.
type order struct {
	Item   string `json:"item"`
	SentAt int    `json:"sent_at"`
}

func TestPayloadIsWhatTheServiceSaysItIs(t *testing.T) {
	payload := func(r *http.Request, body []byte) []byte {
		var o order
		if json.Unmarshal(body, &o) != nil {
			return body
		}
		return []byte(r.Header.Get("Version") + "\n" + o.Item)
	}
	var runs atomic.Int32
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "run %d of %s", runs.Add(1), body)
	}), idempotency.WithPayload(payload))
	post := func(target, body string, headers ...string) string {
		w := send(h, request("POST", target, "k", body, append(headers, "Version", "1")...))
		if w.Code != http.StatusOK {
			wantProblem(t, w, http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
			return "mismatch"
		}
		return w.Body.String()
	}
	const first = `run 1 of {"item":"book","sent_at":1}`
	wantEqual(t, "first", post("/orders", `{"item":"book","sent_at":1}`), first)
	wantEqual(t, "sent again", post("/orders?n=2", `{"sent_at":2, "item":"book"}`, "Content-Type", "a/b"), first)
	wantEqual(t, "another item", post("/orders", `{"item":"pen","sent_at":1}`), "mismatch")
	wantEqual(t, "another version", post("/orders", `{"item":"book"}`, "Version", "2"), "mismatch")
	wantEqual(t, "no JSON", post("/orders", `book`), "mismatch")
	wantEqual(t, "no body", post("/orders", ""), "mismatch")

	mux := http.NewServeMux()
	mux.Handle("POST /items/{id}", h)
	wantEqual(t, "item 1", send(mux, request("POST", "/items/1", "k", "")).Code, http.StatusOK)
	wantEqual(t, "item 2", send(mux, request("POST", "/items/2", "k", "")).Code, http.StatusUnprocessableEntity)
}

func TestMoreHeadersAreReplayedButNeverThoseOfTheFirstExchange(t *testing.T) {
	never := []string{
		"Set-Cookie", "Set-Cookie2", "Date", "Authorization", "WWW-Authenticate", "Authentication-Info",
		"Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info", "Connection", "Keep-Alive",
		"Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", http.TrailerPrefix + "X",
	}
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range append([]string{"X-Order-Id", "X-Other"}, never...) {
			w.Header().Set(name, "0")
		}
		w.Header().Set("Location", "/orders/7")
	}), idempotency.WithReplayedHeaders(append([]string{"x-order-id", "Idempotent-Replayed"}, never...)...))
	post(h, "k")
	replay := post(h, "k").Result().Header
	wantEqual(t, "replay", replay, http.Header{
		"X-Order-Id": {"0"}, "Location": {"/orders/7"}, "Idempotent-Replayed": {"true"},
	})
}

func TestStripeModeStoresFailuresOfTheServer(t *testing.T) {
	for status, stored := range map[int]bool{
		200: true, 404: true, 500: true, 503: true, 599: true, 409: false, 429: false, 425: false, 408: false, 600: false,
	} {
		runs := 0
		h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			runs++
			w.WriteHeader(status)
		}), idempotency.WithStripeMode())
		for range 2 {
			wantEqual(t, "status", post(h, "k").Code, status)
		}
		wantEqual(t, strconv.Itoa(status)+" was stored", runs == 1, stored)
	}
}

func TestLimitsComeFromTheConfigurationOrTheMiddleware(t *testing.T) {
	g, _ := newGuard(t, newStore(t), idempotency.Config{MaxRequestBody: 4, MaxResponseBody: 3})
	for _, test := range []struct {
		name     string
		opts     []idempotency.MiddlewareOption
		request  int // the largest
		response int
	}{
		{"configured", nil, 4, 3},
		{"of the middleware", []idempotency.MiddlewareOption{
			idempotency.WithMaxRequestBody(6), idempotency.WithMaxResponseBody(7),
		}, 6, 7},
		{"nothing", []idempotency.MiddlewareOption{
			idempotency.WithMaxRequestBody(0), idempotency.WithMaxResponseBody(-1),
		}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			scope := func(*http.Request) string { return test.name }
			for _, copied := range []bool{false, true} {
				h := idempotency.Middleware(g, scope, test.opts...)(http.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) {
						n, _ := strconv.Atoi(r.URL.RawQuery)
						if content := make([]byte, n); copied {
							_, _ = io.Copy(w, struct{ io.Reader }{bytes.NewReader(content)})
						} else {
							_, _ = w.Write(content)
						}
					}))
				try := func(key string, request_, response, want int) {
					t.Helper()
					r := request("POST", "/?"+strconv.Itoa(response), key+strconv.FormatBool(copied), strings.Repeat("x", request_))
					wantEqual(t, key, send(h, r).Code, want)
				}
				try("request", test.request, 0, http.StatusOK)
				try("larger request", test.request+1, 0, http.StatusRequestEntityTooLarge)
				for _, want := range []int{http.StatusOK, http.StatusOK} {
					try("response", 0, test.response, want)
				}
				for _, want := range []int{http.StatusOK, http.StatusGone} {
					try("larger response", 0, test.response+1, want)
				}
			}
		})
	}
	for field, cfg := range map[string]idempotency.Config{
		"max_request_body": {MaxRequestBody: -1}, "max_response_body": {MaxResponseBody: -1},
	} {
		_, err := idempotency.New(newStore(t), cfg)
		wantError[*idempotency.ConfigurationError](t, err)
		wantEqual(t, "fields", fieldsOf(err), []string{field})
	}
}

func TestProblemsLinkToTheDocumentation(t *testing.T) {
	for address, want := range map[string]string{
		"https://example.com/keys": "https://example.com/keys",
		"":                         "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07",
	} {
		h := guarded(t, http.NotFoundHandler(), idempotency.WithRequiredKey(), idempotency.WithDocumentation(address))
		p := wantProblem(t, post(h, ""), http.StatusBadRequest, idempotency.CodeKeyMissing, titleMissing)
		wantEqual(t, "type", p["type"], any(want))
	}
}
