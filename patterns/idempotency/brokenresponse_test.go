package idempotency_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// What the client has begun to receive says that the request was carried out, whatever becomes of the handler then.
func TestHandlerThatBreaksOffAfterItsResponseHasBegunIsNotRunAgain(t *testing.T) {
	flush := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
		}
	}
	for name, test := range map[string]struct {
		respond func(http.ResponseWriter)
		retry   int
	}{
		"flushed": {flush(http.StatusCreated), http.StatusGone},
		"too large": {
			func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("x", 1<<20+1)) }, http.StatusGone,
		},
		"a status that is not kept": {flush(http.StatusBadGateway), http.StatusBadGateway},
		"held back":                 {func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }, http.StatusCreated},
	} {
		for ending, end := range map[string]func(){
			"panic":  func() { panic(http.ErrAbortHandler) },
			"goexit": runtime.Goexit,
		} {
			t.Run(name+", "+ending, func(t *testing.T) {
				runs := 0
				g, events := newGuard(t, newStore(t), idempotency.Config{})
				h := idempotency.Middleware(g, idempotency.SharedScope)(
					http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						runs++
						test.respond(w)
						if runs == 1 {
							end()
						}
					}))
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					post(h, "k")
				}()
				<-done
				retry := post(h, "k")
				wantEqual(t, "retry", retry.Code, test.retry)
				if test.retry == http.StatusGone {
					wantEqual(t, "runs", runs, 1)
					events.want(t, "idempotency.hit")
				} else {
					wantEqual(t, "runs", runs, 2)
				}
			})
		}
	}
}

// httputil.ReverseProxy panics when its client has gone.
func TestProxiedRequestIsNotForwardedAgainWhenItsClientHasGone(t *testing.T) {
	var charges atomic.Int32
	gone := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		charges.Add(1)
		w.WriteHeader(http.StatusCreated)
		for range 64 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}
	}))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := newGuard(t, newStore(t), idempotency.Config{})
	proxy := idempotency.Middleware(g, idempotency.SharedScope)(httputil.NewSingleHostReverseProxy(target))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if charges.Load() == 0 {
			defer close(gone)
		}
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()

	r := request(http.MethodPost, "/orders", "k", "{}")
	r.RequestURI = ""
	if r.URL, err = url.Parse(server.URL + "/orders"); err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(r.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 100); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-gone
	retry, err := postTo(t.Context(), server, "k")
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "retry", retry.status, http.StatusGone)
	wantEqual(t, "charges", charges.Load(), 1)
}
