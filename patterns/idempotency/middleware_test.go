package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// counted is a handler that answers with the number of its run.
func counted(runs *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, "run %d", runs.Add(1))
	})
}

// guarded puts the middleware around a handler, with a memory store.
func guarded(t testing.TB, h http.Handler, opts ...idempotency.MiddlewareOption) http.Handler {
	t.Helper()
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	return idempotency.Middleware(g, idempotency.SharedScope, opts...)(h)
}

// wantProblem checks an answer that is not the handler's and returns its body.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code, title string) map[string]any {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	wantEqual(t, "status", w.Code, status)
	wantEqual(t, "status in the body", p["status"], any(float64(status)))
	wantEqual(t, "code", p["code"], any(code))
	wantEqual(t, "title", p["title"], any(title))
	wantEqual(t, "content type", w.Header().Get("Content-Type"), "application/problem+json")
	wantEqual(t, "language", w.Header().Get("Content-Language"), "en")
	wantEqual(t, "replayed", w.Header().Get("Idempotent-Replayed"), "")
	documentation, _ := p["type"].(string)
	if p["detail"] == "" || !strings.HasPrefix(documentation, "https://") {
		t.Errorf("problem without detail or type: %v", p)
	}
	wantEqual(t, "link", w.Header().Get("Link"), "<"+documentation+`>; rel="describedby"; type="text/html"`)
	return p
}

const (
	titleMissing   = "Idempotency-Key is missing"
	titleMalformed = "Idempotency-Key is malformed"
	titleReused    = "Idempotency-Key is already used"
	titleRunning   = "A request is outstanding for this Idempotency-Key"
	titleNotKept   = "The response for this Idempotency-Key was not kept"
	titleDown      = "Idempotency-Key cannot be honoured"
)

func TestRequestsThatPassUnguarded(t *testing.T) {
	for _, test := range []struct {
		name        string
		method, key string
		opts        []idempotency.MiddlewareOption
	}{
		{name: "POST without a key", method: "POST"},
		{name: "GET", method: "GET", key: "k"},
		{name: "PUT", method: "PUT", key: "k"},
		{name: "DELETE", method: "DELETE", key: "k"},
		{name: "PUT with a key that would be malformed", method: "PUT", key: `"`},
		{name: "GET where keys are required", method: "GET",
			opts: []idempotency.MiddlewareOption{idempotency.WithRequiredKey()}},
		{name: "POST where PUT is guarded", method: "POST", key: "k",
			opts: []idempotency.MiddlewareOption{idempotency.WithMethods("PUT")}},
	} {
		var runs atomic.Int32
		h := guarded(t, counted(&runs), test.opts...)
		for n := 1; n <= 2; n++ {
			w := send(h, request(test.method, "/", test.key, ""))
			wantEqual(t, test.name+": body", w.Body.String(), "run "+strconv.Itoa(n))
		}
	}
}

func TestRequestsThatAreGuarded(t *testing.T) {
	for _, test := range []struct {
		name, method string
		opts         []idempotency.MiddlewareOption
	}{
		{name: "POST", method: "POST"},
		{name: "PATCH", method: "PATCH"},
		{name: "PUT by choice", method: "PUT", opts: []idempotency.MiddlewareOption{idempotency.WithMethods("PUT", "POST")}},
		{name: "required", method: "POST", opts: []idempotency.MiddlewareOption{idempotency.WithRequiredKey()}},
	} {
		var runs atomic.Int32
		h := guarded(t, counted(&runs), test.opts...)
		for n := range 3 {
			w := send(h, request(test.method, "/", "k", ""))
			wantEqual(t, test.name+": status", w.Code, http.StatusCreated)
			wantEqual(t, test.name+": body", w.Body.String(), "run 1")
			wantEqual(t, test.name+": replayed", w.Header().Get("Idempotent-Replayed") == "true", n > 0)
		}
	}
}

func TestRefusedKeys(t *testing.T) {
	for _, test := range []struct {
		name   string
		lines  []string
		code   string
		title  string
		detail string
	}{
		{"missing", nil, idempotency.CodeKeyMissing, titleMissing, "requires"},
		{"empty", []string{""}, idempotency.CodeKeyMalformed, titleMalformed, "empty"},
		{"blank", []string{" \t"}, idempotency.CodeKeyMalformed, titleMalformed, "empty"},
		{"empty string", []string{`""`}, idempotency.CodeKeyMalformed, titleMalformed, "empty"},
		{"two lines", []string{"a", "b"}, idempotency.CodeKeyMalformed, titleMalformed, "once"},
		{"the same line twice", []string{"a", "a"}, idempotency.CodeKeyMalformed, titleMalformed, "once"},
		{"too long", []string{strings.Repeat("x", 513)}, idempotency.CodeKeyMalformed, titleMalformed, "512 bytes"},
		{"control character", []string{"a\x01b"}, idempotency.CodeKeyMalformed, titleMalformed, "printable"},
		{"not ASCII", []string{"schlüssel"}, idempotency.CodeKeyMalformed, titleMalformed, "printable"},
		{"open quote", []string{`"abc`}, idempotency.CodeKeyMalformed, titleMalformed, "closing quote"},
		{"list", []string{`"abc", "def"`}, idempotency.CodeKeyMalformed, titleMalformed, "parameters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var runs atomic.Int32
			store := newStore(t)
			g, _ := newGuard(t, store, idempotency.Config{})
			h := idempotency.Middleware(g, idempotency.SharedScope, idempotency.WithRequiredKey(),
				idempotency.WithDocumentation("https://example.com/docs/keys"))(counted(&runs))
			r := request("POST", "/", "", "")
			r.Header[idempotency.KeyHeader] = test.lines
			p := wantProblem(t, send(h, r), http.StatusBadRequest, test.code, test.title)
			wantEqual(t, "type", p["type"], any("https://example.com/docs/keys"))
			if detail, _ := p["detail"].(string); !strings.Contains(detail, test.detail) {
				t.Errorf("detail %q does not say %q", detail, test.detail)
			}
			wantEqual(t, "runs", runs.Load(), 0)
			wantEqual(t, "claims", store.count("claim"), 0)
		})
	}
}

func TestQuotedAndRawFormsNameTheSameKey(t *testing.T) {
	for _, forms := range [][]string{
		{`abc`, `"abc"`, ` "abc" `, `"abc";a=1;b`},
		{`a"b`, `"a\"b"`},
		{`a\b`, `"a\\b"`},
		{strings.Repeat("x", 512), `"` + strings.Repeat("x", 512) + `"`},
	} {
		var runs atomic.Int32
		h := guarded(t, counted(&runs))
		for _, form := range forms {
			wantEqual(t, form, post(h, form).Body.String(), "run 1")
		}
	}
}

func TestAnyDifferenceOfThePayloadIsAMismatch(t *testing.T) {
	mux := http.NewServeMux()
	var runs atomic.Int32
	mux.Handle("POST /orders/{id}", guarded(t, counted(&runs)))
	first := func() *http.Request {
		return request("POST", "/orders/1?a=1&b=2&b=3", "k", `{"amount":1}`, "Content-Type", "application/json")
	}
	wantEqual(t, "first", send(mux, first()).Body.String(), "run 1")
	for name, r := range map[string]*http.Request{
		"body":         request("POST", "/orders/1?a=1&b=2&b=3", "k", `{"amount":2}`, "Content-Type", "application/json"),
		"path":         request("POST", "/orders/2?a=1&b=2&b=3", "k", `{"amount":1}`, "Content-Type", "application/json"),
		"query":        request("POST", "/orders/1?a=1&b=2", "k", `{"amount":1}`, "Content-Type", "application/json"),
		"value order":  request("POST", "/orders/1?a=1&b=3&b=2", "k", `{"amount":1}`, "Content-Type", "application/json"),
		"broken query": request("POST", "/orders/1?a=1&b=2&b=3&%zz", "k", `{"amount":1}`, "Content-Type", "application/json"),
		"content type": request("POST", "/orders/1?a=1&b=2&b=3", "k", `{"amount":1}`, "Content-Type", "text/plain"),
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, send(mux, r), http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
		})
	}
	for name, r := range map[string]*http.Request{
		"the same":       first(),
		"order of names": request("POST", "/orders/1?b=2&b=3&a=1", "k", `{"amount":1}`, "Content-Type", "application/json"),
		"other headers": request("POST", "/orders/1?a=1&b=2&b=3", "k", `{"amount":1}`, "Content-Type", "application/json",
			"User-Agent", "another", "Authorization", "renewed"),
	} {
		t.Run(name, func(t *testing.T) {
			wantEqual(t, "body", send(mux, r).Body.String(), "run 1")
		})
	}
}

func TestKeysBelongToMethodAndRoute(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs))
	mux := http.NewServeMux()
	mux.Handle("POST /mux/{id}", h)
	mux.Handle("/mux/any/{id...}", h)
	for i, r := range []*http.Request{
		request("POST", "/a", "k", ""),
		request("PATCH", "/a", "k", ""),
		request("POST", "/b", "k", ""),
		request("POST", "/a%2Fb", "k", ""),
		request("POST", "/a/b", "k", ""),
	} {
		wantEqual(t, r.Method+" "+r.URL.Path, send(h, r).Body.String(), "run "+strconv.Itoa(i+1))
	}
	for i, r := range []*http.Request{request("POST", "/mux/1", "k", ""), request("POST", "/mux/any/1", "k", "")} {
		wantEqual(t, r.URL.Path, send(mux, r).Body.String(), "run "+strconv.Itoa(i+6))
	}
}

func TestOperationOfEventsIsMethodAndRoute(t *testing.T) {
	g, events := newGuard(t, newStore(t).failing("claim"), idempotency.Config{})
	h := idempotency.Middleware(g, idempotency.SharedScope)(http.NotFoundHandler())
	mux := http.NewServeMux()
	mux.Handle("POST  example.com/orders/{id}", h)
	mux.Handle("/any/{id}", h)
	mux.Handle("POST /plain/{id}", h)
	overridden := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Method = "POST"
		h.ServeHTTP(w, r)
	})
	mux.Handle("LOCK /plain/{id}", overridden)
	send(mux, request("POST", "/orders/1", "k", ""))
	send(mux, request("PATCH", "/any/1", "k", ""))
	send(h, request("POST", "/bare/1", "k", ""))
	send(mux, request("POST", "/plain/1", "k", ""))
	send(mux, request("LOCK", "/plain/1", "k", ""))
	var got []string
	for _, e := range events.all() {
		data, _ := json.Marshal(e)
		var named struct{ Operation string }
		_ = json.Unmarshal(data, &named)
		got = append(got, named.Operation)
	}
	wantEqual(t, "operations", got, []string{
		"POST example.com/orders/{id}", "PATCH /any/{id}", "POST /bare/1", "POST /plain/{id}", "POST /plain/{id}",
	})
}

// What the handlers in between leave of the path can be the same for two resources.
func TestPathIsTheOneThatTheClientAskedFor(t *testing.T) {
	var runs atomic.Int32
	inner := http.NewServeMux()
	inner.Handle("POST /payments", guarded(t, counted(&runs)))
	outer := http.NewServeMux()
	for _, account := range []string{"/accounts/1", "/accounts/2"} {
		outer.Handle(account+"/", http.StripPrefix(account, inner))
	}
	w := send(outer, request("POST", "/accounts/1/payments", "k", ""))
	wantEqual(t, "first", w.Body.String(), "run 1")
	w = send(outer, request("POST", "/accounts/2/payments", "k", ""))
	wantProblem(t, w, http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
	w = send(outer, request("POST", "/accounts/1/payments", "k", ""))
	wantEqual(t, "replay", w.Body.String(), "run 1")

	stripped := http.NewServeMux() // without patterns inside, the path is the route
	for _, version := range []string{"/v1", "/v2"} {
		stripped.Handle(version+"/", http.StripPrefix(version, guarded(t, counted(&runs))))
	}
	wantEqual(t, "v1", send(stripped, request("POST", "/v1/pay", "k", "")).Body.String(), "run 2")
	wantEqual(t, "v2", send(stripped, request("POST", "/v2/pay", "k", "")).Body.String(), "run 3")
}

func TestBodyBeyondTheLimitOfAnOuterHandlerNamesThatLimit(t *testing.T) {
	h := http.MaxBytesHandler(guarded(t, http.NotFoundHandler()), 10)
	w := send(h, request("POST", "/", "k", strings.Repeat("x", 11)))
	wantEqual(t, "status", w.Code, http.StatusRequestEntityTooLarge)
	if !strings.Contains(w.Body.String(), "up to 10 bytes") {
		t.Errorf("got %s", w.Body)
	}
}

func TestScopesDoNotShareKeys(t *testing.T) {
	var runs atomic.Int32
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	scope := func(r *http.Request) string { return r.Header.Get("X-Tenant") }
	h := idempotency.Middleware(g, scope)(counted(&runs))
	for _, test := range []struct{ tenant, want string }{{"a", "run 1"}, {"b", "run 2"}, {"a", "run 1"}, {"b", "run 2"}} {
		w := send(h, request("POST", "/", "k", "", "X-Tenant", test.tenant))
		wantEqual(t, "tenant "+test.tenant, w.Body.String(), test.want)
	}
	const title = "Idempotency-Key belongs to nobody"
	wantProblem(t, post(h, "k"), http.StatusForbidden, idempotency.CodeCallerUnknown, title)
	h = idempotency.Middleware(g, nil)(counted(&runs))
	wantProblem(t, post(h, "k"), http.StatusForbidden, idempotency.CodeCallerUnknown, title)
	wantEqual(t, "runs", runs.Load(), 2)
}

func TestRunningRequestIsAConflictAndAMismatchIsToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := guarded(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) }))
		go post(h, "k")
		synctest.Wait()
		time.Sleep(time.Millisecond)
		w := post(h, "k")
		wantProblem(t, w, http.StatusConflict, idempotency.CodeConflict, titleRunning)
		wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "3")

		w = send(h, request("POST", "/orders", "k", "another"))
		wantProblem(t, w, http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
		wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "")
		time.Sleep(2 * time.Second)
	})
}

func TestRetryAfterIsFromOneToThreeSeconds(t *testing.T) {
	for left, want := range map[time.Duration]string{
		0: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "3",
	} {
		g, _ := newGuard(t, answering{newStore(t), idempotency.Claim{Outcome: idempotency.InProgress, RetryAfter: left}},
			idempotency.Config{})
		h := idempotency.Middleware(g, idempotency.SharedScope)(http.NotFoundHandler())
		wantEqual(t, left.String(), post(h, "k").Header().Get("Retry-After"), want)
	}
}

func TestStoreThatIsDownIsA503(t *testing.T) {
	var runs atomic.Int32
	g, events := newGuard(t, newStore(t).failing("claim"), idempotency.Config{})
	h := idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs))
	w := post(h, "k")
	wantProblem(t, w, http.StatusServiceUnavailable, idempotency.CodeBackend, titleDown)
	wantEqual(t, "Retry-After", w.Header().Get("Retry-After"), "5")
	wantEqual(t, "runs", runs.Load(), 0)
	events.want(t, "idempotency.store_failed")
	if strings.Contains(w.Body.String(), "boom") {
		t.Error("the client is told of the store's error")
	}
}

func TestStoredResponseThatCannotBeReadIsA500(t *testing.T) {
	const title = "The response for this Idempotency-Key is unreadable"
	for name, stored := range map[string]string{
		"empty":       "",
		"a value":     "\x021",
		"no status":   "\x03",
		"no headers":  "\x03\xc8\x01",
		"no values":   "\x03\xc8\x01\x04Link",
		"few values":  "\x03\xc8\x01\x04Link\xff\xff\xff\xff\x01\x01a",
		"long name":   "\x03\xc8\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01Link",
		"long number": "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"status 1000": "\x03\xe8\x07\x00",
		"status 0":    "\x03\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			var runs atomic.Int32
			g, _ := newGuard(t, answering{newStore(t), idempotency.Claim{Outcome: idempotency.Done, Value: []byte(stored)}},
				idempotency.Config{})
			w := post(idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs)), "k")
			wantProblem(t, w, http.StatusInternalServerError, idempotency.CodeStore, title)
			wantEqual(t, "runs", runs.Load(), 0)
		})
	}
}

func TestResponseIsSentAlthoughItCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		g, events := newGuard(t, newStore(t).failing("complete"), idempotency.Config{})
		w := post(idempotency.Middleware(g, idempotency.SharedScope)(counted(&runs)), "k")
		wantEqual(t, "response", fmt.Sprint(w.Code, w.Body), "201 run 1")
		events.want(t, "idempotency.completion_failed")
	})
}

func TestRequestBodyIsReadOnceMoreOrRefused(t *testing.T) {
	const title = "Request body is too large"
	var got []string
	h := guarded(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		got = append(got, fmt.Sprintf("%s %d %v", body, r.ContentLength, err))
	}), idempotency.WithMaxRequestBody(4))

	send(h, request("POST", "/", "a", "1234"))
	chunked := request("POST", "/", "b", "1234")
	chunked.ContentLength = -1
	send(h, chunked)
	none := request("POST", "/", "c", "")
	none.Body = nil
	send(h, none)
	wantEqual(t, "bodies", got, []string{"1234 4 <nil>", "1234 -1 <nil>", " 0 <nil>"})

	tooLarge := request("POST", "/", "d", "12345")
	w := send(h, tooLarge)
	wantProblem(t, w, http.StatusRequestEntityTooLarge, idempotency.CodeBodyTooLarge, title)
	if rest, _ := io.ReadAll(tooLarge.Body); len(rest) != 5 {
		t.Error("a body that is declared as too large was read")
	}
	tooLarge = request("POST", "/", "d", "12345")
	tooLarge.ContentLength = -1
	wantProblem(t, send(h, tooLarge), http.StatusRequestEntityTooLarge, idempotency.CodeBodyTooLarge, title)

	broken := request("POST", "/", "e", "")
	broken.Body = io.NopCloser(io.MultiReader(strings.NewReader("12"), errReader{}))
	wantProblem(t, send(h, broken), http.StatusBadRequest, idempotency.CodeIdempotency, "Request body is incomplete")
	wantEqual(t, "runs", len(got), 3)
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBodyOfAMegabytePasses(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs))
	w := send(h, request("POST", "/", "a", strings.Repeat("x", 1<<20)))
	wantEqual(t, "status", w.Code, http.StatusCreated)
	w = send(h, request("POST", "/", "b", strings.Repeat("x", 1<<20+1)))
	wantEqual(t, "status", w.Code, http.StatusRequestEntityTooLarge)
}

func TestStatusesThatAreStored(t *testing.T) {
	for _, test := range []struct {
		status int
		stored bool
	}{
		{200, true}, {201, true}, {202, true}, {204, true}, {299, true},
		{301, true}, {303, true}, {304, true},
		{400, true}, {401, true}, {404, true}, {410, true}, {422, true}, {499, true},
		{408, false}, {409, false}, {425, false}, {429, false},
		{500, false}, {502, false}, {503, false}, {599, false}, {101, false}, {700, false},
	} {
		t.Run(strconv.Itoa(test.status), func(t *testing.T) {
			runs := 0
			g, events := newGuard(t, newStore(t), idempotency.Config{})
			h := idempotency.Middleware(g, idempotency.SharedScope)(
				http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					runs++
					w.Header().Set("Retry-After", "7")
					w.WriteHeader(test.status)
					if test.status != 204 && test.status != 304 && test.status != 101 {
						_, _ = io.WriteString(w, "body")
					}
				}))
			first, second := post(h, "k"), post(h, "k")
			wantEqual(t, "status", first.Code, test.status)
			wantEqual(t, "Retry-After", first.Header().Get("Retry-After"), "7")
			wantEqual(t, "second status", second.Code, test.status)
			wantEqual(t, "second body", second.Body.String(), first.Body.String())
			if test.stored {
				wantEqual(t, "runs", runs, 1)
				events.want(t, "idempotency.hit")
			} else {
				wantEqual(t, "runs", runs, 2)
				events.want(t, "idempotency.released", "idempotency.released")
			}
		})
	}
}

func TestPanicOfTheHandlerFreesTheKeyAndGoesOn(t *testing.T) {
	for _, value := range []any{"ouch", http.ErrAbortHandler} {
		var runs atomic.Int32
		g, events := newGuard(t, newStore(t), idempotency.Config{})
		h := idempotency.Middleware(g, idempotency.SharedScope)(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if runs.Load() == 0 {
					runs.Add(1)
					w.Header().Set("Content-Length", "5")
					_, _ = io.WriteString(w, "12345")
					panic(value)
				}
				counted(&runs).ServeHTTP(w, r)
			}))
		w := httptest.NewRecorder()
		func() {
			defer func() { wantEqual(t, "panic", recover(), value) }()
			h.ServeHTTP(w, request("POST", "/orders", "k", "{}"))
		}()
		if w.Body.Len() > 0 || len(w.Header()) > 0 {
			t.Errorf("something was left for a handler that recovers: %v, %q", w.Header(), w.Body)
		}
		wantEqual(t, "retry", post(h, "k").Body.String(), "run 2")
		events.want(t, "idempotency.released")
	}
}

func TestClaimLossCancelsTheHandlerAndADeadlineStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		store.before = func(_ context.Context, op string, _ int) error {
			if op == "extend" {
				return idempotency.ErrClaimLost
			}
			return nil
		}
		g, events := newGuard(t, store, idempotency.Config{})
		var cause error
		h := idempotency.Middleware(g, idempotency.SharedScope)(
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				cause = context.Cause(r.Context())
			}))
		post(h, "k")
		if !errors.Is(cause, idempotency.ErrClaimLost) {
			t.Errorf("cause: %v", cause)
		}
		events.want(t, "idempotency.claim_lost")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		send(h, request("POST", "/", "another", "").WithContext(ctx))
		wantEqual(t, "time", time.Since(began), time.Second)
		if !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("cause: %v", cause)
		}
	})
}

func TestHandlerSeesTheRequestAsItCame(t *testing.T) {
	type ctxKey struct{}
	var got *http.Request
	h := guarded(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
	}))
	const form = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\nfile\r\n--b--\r\n"
	r := request("POST", "/orders?a=1", "k", form, "Content-Type", "multipart/form-data; boundary=b")
	r = r.WithContext(context.WithValue(t.Context(), ctxKey{}, "value"))
	send(h, r)
	wantEqual(t, "value", got.Context().Value(ctxKey{}), any("value"))
	wantEqual(t, "header", got.Header, r.Header)
	wantEqual(t, "form", got.FormValue("a"), "1")
	if r.MultipartForm == nil {
		t.Fatal("net/http cannot remove the files of the form")
	}
	if err := r.MultipartForm.RemoveAll(); err != nil {
		t.Error(err)
	}
}

func TestOf32RequestsOneIsHandled(t *testing.T) {
	var runs atomic.Int32
	h := guarded(t, counted(&runs))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			switch w := post(h, "k"); w.Code {
			case http.StatusCreated:
				wantEqual(t, "body", w.Body.String(), "run 1")
			case http.StatusConflict:
			default:
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	wantEqual(t, "runs", runs.Load(), 1)
}
