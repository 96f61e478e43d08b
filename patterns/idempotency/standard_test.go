package idempotency_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// site is a service with a middleware, whose keys nobody else uses.
type site struct {
	*testing.T

	backend backend
	store   *faultStore // that of the backend, counted
	events  *eventLog
	scope   string
	runs    atomic.Int32
	http.Handler
}

func newSite(t *testing.T, b backend) *site {
	return &site{
		T: t, backend: b, store: &faultStore{Store: b.store, calls: map[string]int{}}, scope: rand.Text(),
	}
}

// open puts the middleware around a handler, or around one that counts its runs.
func (s *site) open(h http.HandlerFunc, cfg idempotency.Config, opts ...idempotency.MiddlewareOption) {
	s.Helper()
	if h == nil {
		h = counted(&s.runs).ServeHTTP
	}
	var g *idempotency.Guard
	g, s.events = newGuard(s, s.store, cfg)
	s.Handler = idempotency.Middleware(g, func(r *http.Request) string { return s.scope + r.Header.Get("Tenant") }, opts...)(h)
}

// answers is a handler with a status of its own.
func (s *site) answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "run %d", s.runs.Add(1))
	}
}

// want posts and fails the test unless the body of the answer is this one.
func (s *site) want(r *http.Request, body string) *httptest.ResponseRecorder {
	s.Helper()
	w := send(s, r)
	wantEqual(s.T, "body", w.Body.String(), body)
	return w
}

// wantRuns sends a request twice and fails the test unless the handler has run as often.
func (s *site) wantRuns(first, second *http.Request, runs int32) {
	s.Helper()
	before := s.runs.Load()
	send(s, first)
	send(s, second)
	wantEqual(s.T, "runs", s.runs.Load()-before, runs)
}

func (s *site) malformed(lines ...string) {
	s.Helper()
	r := request("POST", "/orders", "", "{}")
	r.Header[idempotency.KeyHeader] = lines
	runs := s.runs.Load()
	wantProblem(s.T, send(s, r), http.StatusBadRequest, idempotency.CodeKeyMalformed, titleMalformed)
	wantEqual(s.T, "runs", s.runs.Load(), runs)
}

func (s *site) missing(r *http.Request) *httptest.ResponseRecorder {
	s.Helper()
	w := send(s, r)
	wantProblem(s.T, w, http.StatusBadRequest, idempotency.CodeKeyMissing, titleMissing)
	return w
}

func (s *site) reused(r *http.Request) *httptest.ResponseRecorder {
	s.Helper()
	w := send(s, r)
	wantProblem(s.T, w, http.StatusUnprocessableEntity, idempotency.CodeDuplicate, titleReused)
	return w
}

func (s *site) outstanding(r *http.Request) *httptest.ResponseRecorder {
	s.Helper()
	w := send(s, r)
	wantProblem(s.T, w, http.StatusConflict, idempotency.CodeConflict, titleRunning)
	return w
}

// whileRunning opens a site, and calls during while a request with the key k is running.
func (s *site) whileRunning(cfg idempotency.Config, during func(finish func())) {
	s.Helper()
	running, finish := make(chan struct{}), make(chan struct{})
	s.open(func(w http.ResponseWriter, r *http.Request) {
		if s.runs.Load() == 0 {
			close(running)
			<-finish
		}
		counted(&s.runs).ServeHTTP(w, r)
	}, cfg)
	over := make(chan struct{})
	go func() {
		defer close(over)
		post(s, "k")
	}()
	<-running
	during(func() { close(finish) })
	<-over
	wantEqual(s.T, "runs", s.runs.Load(), 1)
}

const uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324"

// sentences of draft-ietf-httpapi-idempotency-key-header-07, by section, and of what we promise beyond it.
var sentences = []struct {
	section, says string
	show          func(s *site)
}{
	{"2.1", "the header is an Item whose value is a String", func(s *site) {
		s.open(nil, idempotency.Config{}, idempotency.WithStrictKeys())
		s.want(keyed(`"`+uuid+`"`), "run 1")
		s.want(keyed(`"`+uuid+`"`), "run 1")
	}},
	{"2.1", "a String is printable ASCII with two escapes", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.want(keyed(`"a\"b\\c"`), "run 1")
		s.want(keyed(`a"b\c`), "run 1")
		for _, line := range []string{"\"a\tb\"", "\"a\x7fb\"", `"schlüssel"`, `"a\bc"`, `"a\u0041"`, `"abc`, `"abc\"`} {
			s.malformed(line)
		}
	}},
	{"2.1", "an Item is not a List: lines that repeat do not parse", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.malformed(`"a"`, `"a"`)
		s.malformed(`"a", "a"`)
	}},
	{"2.1", "an Item may have parameters", func(s *site) {
		s.open(nil, idempotency.Config{}, idempotency.WithStrictKeys())
		s.want(keyed(`"k"`), "run 1")
		s.want(keyed(`"k"; a; b=1.5; c="x";d=tok;e=:aGk=:;f=?1`), "run 1")
		s.malformed(`"k" d`)
		s.malformed(`"k";`)
	}},
	{"2.1", "clients that send it without quotes name the same key, unless the service is strict", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.want(keyed(uuid), "run 1")
		s.want(keyed(`"`+uuid+`"`), "run 1")
		s.open(nil, idempotency.Config{}, idempotency.WithStrictKeys())
		s.malformed(uuid)
		s.want(keyed(`"`+uuid+`"`), "run 1")
	}},
	{"2.2", "a key is unique: another one is another request", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.want(keyed("a"), "run 1")
		s.want(keyed("b"), "run 2")
	}},
	{"2.2", "a key must not come again with another payload", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.want(keyed("k"), "run 1")
		s.reused(request("POST", "/orders", "k", "another"))
		s.want(keyed("k"), "run 1")
	}},
	{"2.3", "a key may expire", func(s *site) {
		s.open(nil, idempotency.Config{TTL: 50 * time.Millisecond})
		s.want(keyed("k"), "run 1")
		until(s.T, "the key has expired", func() bool { return send(s, keyed("k")).Body.String() == "run 2" })
	}},
	{"2.4", "the fingerprint may be that of the payload", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.want(request("POST", "/orders", "k", `{"a":1}`), "run 1")
		s.reused(request("POST", "/orders", "k", `{"a":2}`))
	}},
	{"2.4", "the fingerprint may be that of selected elements", func(s *site) {
		s.open(nil, idempotency.Config{}, idempotency.WithPayload(func(_ *http.Request, body []byte) []byte { return body[:1] }))
		s.want(request("POST", "/orders", "k", "a1"), "run 1")
		s.want(request("POST", "/orders", "k", "a2"), "run 1")
		s.reused(request("POST", "/orders", "k", "b1"))
	}},
	{"2.5.2", "a service publishes how it treats keys", func(s *site) {
		const address = "https://example.com/keys"
		s.open(nil, idempotency.Config{}, idempotency.WithRequiredKey(), idempotency.WithDocumentation(address))
		w := s.missing(keyed(""))
		if !strings.Contains(w.Header().Get("Link"), address) || !strings.Contains(w.Body.String(), address) {
			s.Errorf("no link: %v %s", w.Header(), w.Body)
		}
	}},
	{"2.6", "the first request is processed as usual", func(s *site) {
		s.open(nil, idempotency.Config{})
		w := s.want(keyed("k"), "run 1")
		wantEqual(s.T, "status", w.Code, http.StatusCreated)
		wantEqual(s.T, "replayed", w.Header().Get("Idempotent-Replayed"), "")
	}},
	{"2.6", "a retry gets the result, be it a success or an error", func(s *site) {
		for _, status := range []int{http.StatusOK, http.StatusPaymentRequired} {
			s.open(s.answers(status), idempotency.Config{})
			key := strconv.Itoa(status)
			first := send(s, keyed(key))
			second := s.want(keyed(key), first.Body.String())
			wantEqual(s.T, "status", second.Code, status)
		}
	}},
	{"2.6", "a concurrent request is a conflict", func(s *site) {
		s.whileRunning(idempotency.Config{}, func(finish func()) {
			s.outstanding(keyed("k"))
			finish()
		})
		s.want(keyed("k"), "run 1")
	}},
	{"2.7", "a key that is missing, but required, is a 400 with a link", func(s *site) {
		s.open(nil, idempotency.Config{}, idempotency.WithRequiredKey())
		s.missing(keyed(""))
	}},
	{"2.7", "another payload is a 422 with a link", func(s *site) {
		s.open(nil, idempotency.Config{})
		send(s, keyed("k"))
		s.reused(request("POST", "/orders", "k", "another"))
	}},
	{"2.7", "a request that is outstanding is a 409 with a problem", func(s *site) {
		s.whileRunning(idempotency.Config{}, func(finish func()) {
			s.outstanding(keyed("k"))
			finish()
		})
	}},
	{"2.7", "clients correct a request before they send it again, except after a 409", func(s *site) {
		s.whileRunning(idempotency.Config{}, func(finish func()) {
			for status, w := range map[int]*httptest.ResponseRecorder{
				http.StatusConflict:            send(s, keyed("k")),
				http.StatusUnprocessableEntity: send(s, request("POST", "/orders", "k", "another")),
				http.StatusBadRequest:          send(s, keyed(`"`)),
			} {
				wantEqual(s.T, "status", w.Code, status)
				wantEqual(s.T, "retry later", w.Header().Get("Retry-After") != "", status == http.StatusConflict)
			}
			finish()
		})
	}},
	{"2.7", "a malformed key is a 400", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.malformed(`"`)
	}},
	{"5", "the format of a key is checked before it is looked up", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.malformed("")
		s.malformed("a\x00b")
		s.malformed(strings.Repeat("x", 513))
		wantEqual(s.T, "claims", s.store.count("claim"), 0)
	}},
	{"5", "a key is looked up together with what the server knows of the client", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.want(request("POST", "/orders", "k", "{}", "Tenant", "a"), "run 1")
		s.want(request("POST", "/orders", "k", "{}", "Tenant", "b"), "run 2")
		s.want(request("POST", "/orders", "k", "{}", "Tenant", "a"), "run 1")
	}},

	{"ours", "POST and PATCH are guarded, other methods are not", func(s *site) {
		s.open(nil, idempotency.Config{})
		for method, runs := range map[string]int32{
			"POST": 1, "PATCH": 1, "GET": 2, "HEAD": 2, "PUT": 2, "DELETE": 2, "OPTIONS": 2,
		} {
			s.wantRuns(request(method, "/orders", "k", ""), request(method, "/orders", "k", ""), runs)
		}
	}},
	{"ours", "a request without a key passes", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.wantRuns(keyed(""), keyed(""), 2)
		wantEqual(s.T, "claims", s.store.count("claim"), 0)
	}},
	{"ours", "or is a 400, by route", func(s *site) {
		s.open(nil, idempotency.Config{}, idempotency.WithRequiredKeyFor(func(r *http.Request) bool {
			return r.URL.Path == "/payments"
		}))
		s.missing(request("POST", "/payments", "", ""))
		s.want(request("POST", "/orders", "", ""), "run 1")
	}},
	{"ours", "more than one line is a 400", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.malformed("a", "b")
	}},
	{"ours", "an empty key is a 400", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.malformed("")
		s.malformed(" ")
		s.malformed(`""`)
	}},
	{"ours", "a control character is a 400", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.malformed("a\x01b")
		s.malformed("a\tb")
	}},
	{"ours", "a key that is too long is a 400", func(s *site) {
		s.open(nil, idempotency.Config{MaxKeyLength: 255})
		s.malformed(strings.Repeat("x", 256))
		s.malformed(`"` + strings.Repeat("x", 256) + `"`)
		s.want(keyed(strings.Repeat("x", 255)), "run 1")
	}},
	{"ours", "method and route are a part of the key", func(s *site) {
		s.open(nil, idempotency.Config{})
		s.wantRuns(request("POST", "/orders", "k", ""), request("PATCH", "/orders", "k", ""), 2)
		s.wantRuns(request("POST", "/refunds", "k", ""), request("POST", "/payments", "k", ""), 2)
	}},
	{"ours", "the fingerprint is that of path, query, content type and body", func(s *site) {
		s.open(nil, idempotency.Config{})
		mux := http.NewServeMux()
		mux.Handle("POST /orders/{id}", s.Handler)
		s.Handler = mux
		s.want(request("POST", "/orders/1?a=1&b=2", "k", "{}", "Content-Type", "a/b"), "run 1")
		s.want(request("POST", "/orders/1?b=2&a=1", "k", "{}", "Content-Type", "a/b"), "run 1")
		s.reused(request("POST", "/orders/2?a=1&b=2", "k", "{}", "Content-Type", "a/b"))
		s.reused(request("POST", "/orders/1?a=1&b=3", "k", "{}", "Content-Type", "a/b"))
		s.reused(request("POST", "/orders/1?a=1&b=2", "k", "{}", "Content-Type", "a/c"))
		s.reused(request("POST", "/orders/1?a=1&b=2", "k", "[]", "Content-Type", "a/b"))
	}},
	{"ours", "a mismatch is a 422 also while the first request is running", func(s *site) {
		s.whileRunning(idempotency.Config{Wait: time.Minute}, func(finish func()) {
			s.reused(request("POST", "/orders", "k", "another"))
			finish()
		})
	}},
	{"ours", "while the first is running, others get a 409 with Retry-After", func(s *site) {
		s.whileRunning(idempotency.Config{Lease: 2 * time.Second}, func(finish func()) {
			seconds, err := strconv.Atoi(s.outstanding(keyed("k")).Header().Get("Retry-After"))
			if err != nil || seconds < 1 || seconds > 2 {
				s.Errorf("Retry-After: %d, %v", seconds, err)
			}
			finish()
		})
	}},
	{"ours", "or wait for its response", func(s *site) {
		s.whileRunning(idempotency.Config{Wait: time.Minute}, func(finish func()) {
			waiting := make(chan *httptest.ResponseRecorder)
			go func() { waiting <- send(s, keyed("k")) }()
			until(s.T, "the second request waits", func() bool { return s.store.count("claim") > 2 })
			finish()
			w := <-waiting
			wantEqual(s.T, "response", fmt.Sprint(w.Code, " ", w.Body, " ", w.Header().Get("Idempotent-Replayed")), "201 run 1 true")
		})
	}},
	{"ours", "but not for ever", func(s *site) {
		s.whileRunning(idempotency.Config{Wait: 20 * time.Millisecond}, func(finish func()) {
			s.outstanding(keyed("k"))
			finish()
		})
	}},
	{"ours", "2xx, 3xx and 4xx are stored, except 408, 409, 425 and 429", func(s *site) {
		for status, runs := range map[int]int32{
			200: 1, 201: 1, 202: 1, 301: 1, 303: 1, 400: 1, 401: 1, 403: 1, 404: 1, 410: 1, 422: 1,
			408: 2, 409: 2, 425: 2, 429: 2,
		} {
			s.open(s.answers(status), idempotency.Config{})
			s.wantRuns(keyed(strconv.Itoa(status)), keyed(strconv.Itoa(status)), runs)
		}
	}},
	{"ours", "5xx give the key back", func(s *site) {
		for _, status := range []int{500, 502, 503} {
			s.open(s.answers(status), idempotency.Config{})
			s.wantRuns(keyed(strconv.Itoa(status)), keyed(strconv.Itoa(status)), 2)
			s.events.want(s.T, "idempotency.released", "idempotency.released")
		}
	}},
	{"ours", "or are stored as well, as Stripe does", func(s *site) {
		s.open(s.answers(500), idempotency.Config{}, idempotency.WithStripeMode())
		s.wantRuns(keyed("k"), keyed("k"), 1)
	}},
	{"ours", "or as the handler says", func(s *site) {
		s.open(func(w http.ResponseWriter, r *http.Request) {
			idempotency.KeepResponse(r.Context(), time.Minute)
			s.answers(503)(w, r)
		}, idempotency.Config{})
		s.wantRuns(keyed("kept"), keyed("kept"), 1)
		s.open(func(w http.ResponseWriter, r *http.Request) {
			idempotency.DiscardResponse(r.Context())
			s.answers(200)(w, r)
		}, idempotency.Config{})
		s.wantRuns(keyed("discarded"), keyed("discarded"), 2)
	}},
	{"ours", "a replay has the headers that are allowed, and no others", func(s *site) {
		s.open(func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range map[string]string{
				"Content-Type": "text/plain", "Content-Language": "en", "Content-Encoding": "identity",
				"Content-Disposition": "inline", "Location": "/orders/1", "ETag": `"1"`, "Link": "</a>; rel=a",
				"Set-Cookie": "a=b", "Authorization": "c", "WWW-Authenticate": "Basic",
				"Date": "Mon, 02 Jan 2006 15:04:05 GMT", "Connection": "close", "Keep-Alive": "timeout=5", "X-Other": "d",
			} {
				w.Header().Set(name, value)
			}
		}, idempotency.Config{})
		wantEqual(s.T, "headers", len(send(s, keyed("k")).Header()), 14)
		wantEqual(s.T, "replay", send(s, keyed("k")).Result().Header, http.Header{
			"Content-Type": {"text/plain"}, "Content-Language": {"en"}, "Content-Encoding": {"identity"},
			"Content-Disposition": {"inline"}, "Location": {"/orders/1"}, "Etag": {`"1"`}, "Link": {"</a>; rel=a"},
			"Idempotent-Replayed": {"true"},
		})
	}},
	{"ours", "the body is replayed byte for byte, and the replay says that it is one", func(s *site) {
		body := make([]byte, 4096)
		_, _ = rand.Read(body)
		s.open(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }, idempotency.Config{})
		s.want(keyed("k"), string(body))
		w := s.want(keyed("k"), string(body))
		wantEqual(s.T, "replayed", w.Header()["Idempotent-Replayed"], []string{"true"})
	}},
	{"ours", "a response that is too large reaches the client whole, and a retry is told so", func(s *site) {
		s.open(func(w http.ResponseWriter, _ *http.Request) {
			s.runs.Add(1)
			_, _ = io.WriteString(w, "12345")
		}, idempotency.Config{MaxResponseBody: 4})
		s.want(keyed("k"), "12345")
		wantProblem(s.T, send(s, keyed("k")), http.StatusGone, idempotency.CodeNotReplayable, titleNotKept)
		wantEqual(s.T, "runs", s.runs.Load(), 1)
	}},
	{"ours", "so does one that is streamed", func(s *site) {
		s.open(func(w http.ResponseWriter, _ *http.Request) {
			s.runs.Add(1)
			_, _ = io.WriteString(w, "1")
			w.(http.Flusher).Flush()
		}, idempotency.Config{})
		s.want(keyed("k"), "1")
		wantProblem(s.T, send(s, keyed("k")), http.StatusGone, idempotency.CodeNotReplayable, titleNotKept)
		wantEqual(s.T, "runs", s.runs.Load(), 1)
	}},
	{"ours", "a store that is down is a 503 with Retry-After", func(s *site) {
		s.store.Store = s.backend.down
		s.open(nil, idempotency.Config{})
		w := send(s, keyed("k"))
		wantProblem(s.T, w, http.StatusServiceUnavailable, idempotency.CodeBackend, titleDown)
		wantEqual(s.T, "Retry-After", w.Header().Get("Retry-After"), "5")
		wantEqual(s.T, "runs", s.runs.Load(), 0)
		s.events.want(s.T, "idempotency.store_failed")
	}},
	{"ours", "or lets requests run unprotected, by choice", func(s *site) {
		s.store.Store = s.backend.down
		s.open(nil, idempotency.Config{FailOpen: true})
		s.wantRuns(keyed("k"), keyed("k"), 2)
		s.events.want(s.T, "idempotency.store_failed", "idempotency.unprotected",
			"idempotency.store_failed", "idempotency.unprotected")
	}},
	{"ours", "a panic gives the key back and goes on", func(s *site) {
		s.open(func(w http.ResponseWriter, r *http.Request) {
			if s.runs.Load() == 0 {
				s.runs.Add(1)
				panic(errBoom)
			}
			counted(&s.runs).ServeHTTP(w, r)
		}, idempotency.Config{})
		func() {
			defer func() { wantEqual(s.T, "panic", recover(), any(errBoom)) }()
			send(s, keyed("k"))
		}()
		s.want(keyed("k"), "run 2")
	}},
	{"ours", "the response is stored although the client has disconnected", func(s *site) {
		client, disconnect := context.WithCancel(s.Context())
		s.open(func(w http.ResponseWriter, r *http.Request) {
			disconnect()
			if err := r.Context().Err(); err != nil {
				s.Errorf("the handler was cancelled: %v", err)
			}
			counted(&s.runs).ServeHTTP(w, r)
		}, idempotency.Config{})
		send(s, keyed("k").WithContext(client))
		s.want(keyed("k"), "run 1")
		if !errors.Is(client.Err(), context.Canceled) {
			s.Error("the client is still there")
		}
	}},
	{"ours", "a request body that is too large is a 413, before the handler", func(s *site) {
		s.open(nil, idempotency.Config{MaxRequestBody: 4})
		w := send(s, request("POST", "/orders", "k", "12345"))
		wantProblem(s.T, w, http.StatusRequestEntityTooLarge, idempotency.CodeBodyTooLarge, "Request body is too large")
		wantEqual(s.T, "runs", s.runs.Load(), 0)
		wantEqual(s.T, "claims", s.store.count("claim"), 0)
		s.want(request("POST", "/orders", "k", "1234"), "run 1")
	}},
}

// keyed is a POST of {} with a key.
func keyed(key string) *http.Request { return request(http.MethodPost, "/orders", key, "{}") }

func TestEverySentenceOfTheDraftAndOfOurs(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		for _, sentence := range sentences {
			t.Run(sentence.section+" "+sentence.says, func(t *testing.T) { sentence.show(newSite(t, b)) })
		}
	})
}
