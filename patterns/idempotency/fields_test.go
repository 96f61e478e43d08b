package idempotency_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

func TestHandlerThatDoesNotReturnLeavesTheHeaderAsItWas(t *testing.T) {
	write := func(w http.ResponseWriter) {
		w.Header().Add("X-Outer", "more")
		w.Header()["X-Outer"][0] = "changed"
		w.Header().Set("X-Inner", "new")
		w.Header().Del("X-Gone")
	}
	for name, handler := range map[string]func(w http.ResponseWriter){
		"header":        write,
		"status":        func(w http.ResponseWriter) { write(w); w.WriteHeader(http.StatusCreated) },
		"body":          func(w http.ResponseWriter) { write(w); _, _ = io.WriteString(w, "body") },
		"after a 103":   func(w http.ResponseWriter) { write(w); w.WriteHeader(http.StatusEarlyHints) },
		"late header":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated); write(w) },
		"nothing at it": func(http.ResponseWriter) {},
	} {
		for end, leave := range map[string]func(){"panic": func() { panic(errBoom) }, "goexit": runtime.Goexit} {
			t.Run(name+", "+end, func(t *testing.T) {
				outer := http.Header{"X-Outer": {"a", "b"}, "X-Gone": {"c"}}
				for _, want := range []http.Header{outer, {}} {
					h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						handler(w)
						leave()
					}))
					w := &discard{want.Clone()}
					var ended sync.WaitGroup
					ended.Go(func() {
						defer func() { _ = recover() }()
						h.ServeHTTP(w, request("POST", "/orders", "k", "{}"))
					})
					ended.Wait()
					wantEqual(t, "header", w.header, want)
				}
			})
		}
	}
}

func TestHeaderIsSentAsItWasWithTheStatus(t *testing.T) {
	for name, change := range map[string]func(http.Header){
		"nothing":         func(http.Header) {},
		"one more":        func(h http.Header) { h.Set("X-Late", "x") },
		"another value":   func(h http.Header) { h.Set("Location", "/late") },
		"one value more":  func(h http.Header) { h.Add("Location", "/late") },
		"in place":        func(h http.Header) { h["Location"][0] = "/late" },
		"one less":        func(h http.Header) { h.Del("Location") },
		"one for another": func(h http.Header) { h.Del("Location"); h.Set("X-Late", "x") },
		"a value less":    func(h http.Header) { h["Link"] = h["Link"][:1] },
	} {
		for _, flush := range []bool{false, true} {
			t.Run(name+", flush "+strconv.FormatBool(flush), func(t *testing.T) {
				sent := http.Header{"Location": {"/orders/1"}, "Link": {"a", "b"}, "X-Request-Id": {"1"}}
				want := sent.Clone() // of what the handler sees in the end
				change(want)
				h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					for name, values := range sent.Clone() {
						w.Header()[name] = values
					}
					w.WriteHeader(http.StatusCreated)
					change(w.Header())
					if flush {
						w.(http.Flusher).Flush()
						for name, values := range want {
							wantEqual(t, name+" after the flush", w.Header()[name], values)
						}
					}
				}))
				w := httptest.NewRecorder()
				h.ServeHTTP(w, request("POST", "/orders", "k", "{}"))
				wantEqual(t, "sent", w.Result().Header, sent)
				if !flush {
					replayed := post(h, "k").Header()
					delete(sent, "X-Request-Id")
					sent["Idempotent-Replayed"] = []string{"true"}
					wantEqual(t, "replayed", replayed, sent)
				}
			})
		}
	}
}

func TestLateHeaderLeavesThoseOfOuterHandlersAlone(t *testing.T) {
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Link", "Vary", "Location"} {
			w.Header().Set(name, name)
		}
		w.WriteHeader(http.StatusCreated)
		w.Header().Set("X-Late", "late")
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(adding{w}, request("POST", "/orders", "k", "{}"))
	wantEqual(t, "header", w.Header(), http.Header{
		"Link": {"Link", "added"}, "Vary": {"Vary", "added"}, "Location": {"Location", "added"}, "X-Late": {"late"},
	})
}

// retaining is a store that keeps the very bytes that it is given.
type retaining struct {
	idempotency.Store

	mu       sync.Mutex
	retained [][]byte
}

func (s *retaining) Complete(
	ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration,
) error {
	s.mu.Lock()
	s.retained = append(s.retained, value)
	s.mu.Unlock()
	return s.Store.Complete(ctx, key, token, value, ttl)
}

func TestRequestsAtOnceShareNothing(t *testing.T) {
	const callers, each = 8, 50
	store := &retaining{Store: newStore(t).Store}
	g, _ := newGuard(t, store, idempotency.Config{MaxResponseBody: 2000})
	h := idempotency.Middleware(g, func(r *http.Request) string { return r.Header.Get("Caller") })(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			call, _ := idempotency.CallOf(r.Context())
			own := call.Scope + "/" + call.Key
			w.Header().Set("Location", own)
			w.Header().Set("X-Secret", own)
			buf := make([]byte, 10) // which is used again after each write
			for rest := strings.NewReader(strings.Repeat(own+";", len(call.Key)*20)); ; {
				n, err := rest.Read(buf)
				_, _ = w.Write(buf[:n])
				clear(buf)
				if err != nil {
					return
				}
			}
		}))
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for n := range 2 * each {
				key := strings.Repeat("k", 1+n%each%3) + strconv.Itoa(n%each)
				own := "caller" + strconv.Itoa(caller) + "/" + key
				w := send(h, request("POST", "/orders", key, "{}", "Caller", "caller"+strconv.Itoa(caller)))
				wantEqual(t, "location", w.Header()["Location"], []string{own})
				wantEqual(t, "body", w.Body.String(), strings.Repeat(own+";", len(key)*20))
				if secret := w.Header().Get("X-Secret"); secret != own && (n < each || secret != "") {
					t.Errorf("%s got the header %q", own, secret)
				}
			}
		})
	}
	all.Wait()
	wantEqual(t, "results", len(store.retained), callers*each)
	for _, stored := range store.retained {
		_, rest, _ := strings.Cut(string(stored), "Location\x01")
		own, body, _ := strings.Cut(rest[1:], "\x00")
		if !strings.HasPrefix(own, "caller") || body != strings.Repeat(own+";", strings.Count(body, ";")) {
			t.Errorf("a result became %q", stored)
		}
	}
}
