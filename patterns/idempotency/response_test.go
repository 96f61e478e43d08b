package idempotency_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// serve starts a server with the middleware around h, and returns a function that posts to it.
func serve(t *testing.T, h http.HandlerFunc) func() (answer, error) {
	t.Helper()
	server := httptest.NewUnstartedServer(guarded(t, h))
	server.Config.ErrorLog = log.New(complaints{t}, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return func() (answer, error) { return postTo(t.Context(), server, "k") }
}

// complaints fails a test for what the server logs.
type complaints struct{ t *testing.T }

func (c complaints) Write(p []byte) (int, error) {
	c.t.Errorf("the server logged %q", p)
	return len(p), nil
}

// wantGone posts again after a response that was not kept.
func wantGone(t *testing.T, post func() (answer, error)) {
	t.Helper()
	got, err := post()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), got.header)
	w.WriteHeader(got.status)
	_, _ = w.WriteString(got.body)
	wantProblem(t, w, http.StatusGone, idempotency.CodeNotReplayable, titleNotKept)
	wantEqual(t, "Retry-After", got.header.Get("Retry-After"), "")
}

func TestReplayHasTheHeadersOfTheContentOnly(t *testing.T) {
	content := http.Header{
		"Content-Type": {"application/json"}, "Content-Language": {"de"}, "Content-Encoding": {"identity"},
		"Content-Disposition": {"attachment; filename=\xe9.txt"}, "Location": {"/orders/1"}, "Etag": {`"1"`},
		"Link": {"</a>; rel=a", "</b>; rel=b"}, "Last-Modified": {"Mon, 02 Jan 2006 15:04:05 GMT"},
		"Cache-Control": {"no-store"}, "Vary": {"Accept"}, "Content-Location": {"/orders/1"},
	}
	exchange := http.Header{
		"Set-Cookie": {"session=secret"}, "Authorization": {"secret"}, "Www-Authenticate": {"Basic"},
		"Date": {"Mon, 02 Jan 2006 15:04:05 GMT"}, "Connection": {"close"}, "X-Request-Id": {"1"},
		"Proxy-Authenticate": {"Basic"}, "Authentication-Info": {"a=b"}, "Server": {"s"}, "Keep-Alive": {"timeout=5"},
	}
	outer := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Outer", "always")
			w.Header().Set("Cache-Control", "private")
			next.ServeHTTP(w, r)
		})
	}
	h := outer(guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, header := range []http.Header{content, exchange} {
			for name, values := range header {
				w.Header()[name] = values
			}
		}
		w.Header()["ETag"] = w.Header()["Etag"] // spelled as in the RFC
		delete(w.Header(), "Etag")
		w.WriteHeader(http.StatusAccepted)
		w.Header().Set("Location", "too late")
		_, _ = w.Write([]byte{0, 0xff, '\r', '\n'})
	})))

	first, second := post(h, "k"), post(h, "k")
	wantEqual(t, "status", first.Code, http.StatusAccepted)
	wantEqual(t, "second status", second.Code, http.StatusAccepted)
	for name, values := range exchange {
		wantEqual(t, name, first.Result().Header[name], values)
		wantEqual(t, "second "+name, second.Result().Header[name], nil)
	}
	for name, values := range content {
		at := name
		if name == "Etag" {
			at = "ETag"
		}
		wantEqual(t, name, first.Result().Header[at], values)
		wantEqual(t, "second "+name, second.Result().Header[at], values)
	}
	wantEqual(t, "second X-Outer", second.Header().Get("X-Outer"), "always")
	wantEqual(t, "second marker", second.Header()["Idempotent-Replayed"], []string{"true"})
	wantEqual(t, "first marker", first.Header()["Idempotent-Replayed"], nil)
	wantEqual(t, "body", first.Body.Bytes(), []byte{0, 0xff, '\r', '\n'})
	wantEqual(t, "second body", second.Body.Bytes(), first.Body.Bytes())
}

// adding is a writer that adds to headers before they are sent.
type adding struct{ *httptest.ResponseRecorder }

func (w adding) WriteHeader(status int) {
	for name := range w.Header() {
		w.Header().Add(name, "added")
	}
	w.ResponseRecorder.WriteHeader(status)
}

func TestReplayedHeadersCanBeAddedTo(t *testing.T) {
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Link", "Vary", "Location"} {
			w.Header().Set(name, name)
		}
	}))
	post(h, "k")
	w := httptest.NewRecorder()
	h.ServeHTTP(adding{w}, request("POST", "/orders", "k", "{}"))
	wantEqual(t, "headers", w.Header(), http.Header{
		"Link": {"Link", "added"}, "Vary": {"Vary", "added"}, "Location": {"Location", "added"},
		"Idempotent-Replayed": {"true", "added"},
	})
}

func TestSuppressedContentTypeStaysSuppressed(t *testing.T) {
	post := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	})
	for range 2 {
		got, err := post()
		if err != nil || got.body != "<html>" || len(got.header["Content-Type"]) > 0 {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestResponseWriterBehavesLikeTheOneOfNetHTTP(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"nothing written": func(http.ResponseWriter, *http.Request) {},
		"status twice": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			w.WriteHeader(http.StatusTeapot)
		},
		"status after body": func(w http.ResponseWriter, _ *http.Request) {
			_, err := io.WriteString(w, "body")
			w.WriteHeader(http.StatusTeapot)
			_, _ = fmt.Fprint(w, err)
		},
		"empty write": func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(nil)
			w.Header().Set("X-Late", fmt.Sprint(err))
			w.WriteHeader(http.StatusTeapot)
		},
		"body of 204": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := w.Write(nil); err != nil {
				panic(err)
			}
			n, err := io.WriteString(w, "body")
			if n != 0 || !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(fmt.Sprint(n, err))
			}
		},
		"body of 304": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotModified)
			n, err := io.WriteString(w, "body")
			if n != 0 || !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(fmt.Sprint(n, err))
			}
		},
		"Content-Length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "body")
		},
		"more than Content-Length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "body")
			n, err := io.WriteString(w, "more")
			if n != 0 || !errors.Is(err, http.ErrContentLength) {
				panic(fmt.Sprint(n, err))
			}
		},
		"header after the status": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			w.Header().Set("X-Late", "yes")
		},
		"trailers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-More", "2")
		},
		"panic": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"invalid status": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(-1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			exchange := func(h http.Handler) string {
				server := httptest.NewUnstartedServer(h)
				server.Config.ErrorLog = log.New(io.Discard, "", 0) // of superfluous calls of WriteHeader
				server.Start()
				defer server.Close()
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
				r.Header.Set(idempotency.KeyHeader, "k")
				resp, err := server.Client().Do(r)
				if err != nil {
					return "no response"
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				resp.Header.Del("Date")
				return fmt.Sprint(resp.Status, resp.Header, resp.Trailer, resp.ContentLength, string(body), err)
			}
			wantEqual(t, "response", exchange(guarded(t, handler)), exchange(handler))
		})
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	runs := 0
	server := httptest.NewServer(guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusCreated)
	})))
	defer server.Close()
	for round, want := range []int{1, 0} {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				hints++
				wantEqual(t, "hint", fmt.Sprint(code, header.Get("Link")), "103</style.css>; rel=preload")
				return nil
			},
		})
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
		r.Header.Set(idempotency.KeyHeader, "k")
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		wantEqual(t, "status", resp.StatusCode, http.StatusCreated)
		wantEqual(t, "Link", resp.Header.Get("Link"), "")
		wantEqual(t, fmt.Sprintf("hints of request %d", round+1), hints, want)
	}
	wantEqual(t, "runs", runs, 1)
}

func TestResponseOfAMegabyteIsKept(t *testing.T) {
	runs := 0
	body := strings.Repeat("x", 1<<20)
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		for rest := body; rest != ""; rest = rest[1<<16:] {
			_, _ = io.WriteString(w, rest[:1<<16])
		}
	}))
	for range 2 {
		wantEqual(t, "whole", post(h, "k").Body.String() == body, true)
	}
	wantEqual(t, "runs", runs, 1)
}

func TestResponseThatIsNotKeptIsNotMadeTwice(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	for name, handler := range map[string]http.HandlerFunc{
		"too large at once": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<"+large+">")
		},
		"too large bit by bit": func(w http.ResponseWriter, _ *http.Request) {
			for _, part := range []string{"<", large, ">"} {
				_, _ = io.WriteString(w, part)
			}
		},
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, large+">")
		},
		"flushed by the controller": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<"+large[1:])
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			_, _ = io.WriteString(w, "x>")
		},
		"hijacked": func(w http.ResponseWriter, _ *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, written := w.Write([]byte("x"))
			flushed := http.NewResponseController(w).Flush()
			if !errors.Is(written, http.ErrHijacked) || !errors.Is(flushed, http.ErrHijacked) {
				panic(errors.Join(written, flushed))
			}
			_, _ = fmt.Fprintf(rw, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n<%s>", len(large)+2, large)
			_ = rw.Flush()
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			post := serve(t, func(w http.ResponseWriter, r *http.Request) {
				runs++
				handler(w, r)
			})
			got, err := post()
			if err != nil || got.status != http.StatusOK || got.body != "<"+large+">" {
				t.Errorf("first: %d bytes, %v", len(got.body), err)
			}
			if name == "hijacked" { // the client may have it all before the handler has returned
				for got.status = http.StatusConflict; err == nil && got.status == http.StatusConflict; {
					got, err = post()
				}
			}
			wantGone(t, post)
			wantGone(t, post)
			wantEqual(t, "runs", runs, 1)
		})
	}
}

func TestStreamedFailureIsNotStored(t *testing.T) {
	runs := 0
	post := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		runs++
		w.WriteHeader(http.StatusBadGateway)
		w.(http.Flusher).Flush()
	})
	for range 2 {
		if got, err := post(); err != nil || got.status != http.StatusBadGateway {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	wantEqual(t, "runs", runs, 2)
}

func TestFlushReachesTheClientBeforeTheEnd(t *testing.T) {
	goOn := make(chan struct{})
	server := httptest.NewServer(guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-goOn
		_, _ = io.WriteString(w, "second")
	})))
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
	r.Header.Set(idempotency.KeyHeader, "k")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	first := make([]byte, len("first"))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	rest, err := io.ReadAll(resp.Body)
	wantEqual(t, "body", fmt.Sprint(string(first), string(rest), err), "firstsecond<nil>")
}

func TestResponseControllerReachesTheConnection(t *testing.T) {
	var deadline, flush, hijack error
	post := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		deadline = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	})
	if _, err := post(); err != nil || deadline != nil {
		t.Errorf("SetWriteDeadline: %v, %v", deadline, err)
	}
	// A writer that can do none of it says so.
	h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _, hijack = w.(http.Hijacker).Hijack()
		flush = http.NewResponseController(w).Flush()
	}))
	h.ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, request("POST", "/", "k", ""))
	if !errors.Is(hijack, http.ErrNotSupported) || !errors.Is(flush, http.ErrNotSupported) {
		t.Errorf("Hijack: %v, Flush: %v", hijack, flush)
	}
}

func FuzzStoredResponse(f *testing.F) {
	for _, seed := range []string{
		"", "\x01", "\x03", "\x03\xc8\x01\x00", "\x03\xc9\x01\x04Link\x02\x01a\x01b\x00body", "\x03\xc8\x01\x04Link\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		g, _ := newGuard(t, answering{newStore(t), idempotency.Claim{Outcome: idempotency.Done, Value: stored}},
			idempotency.Config{})
		w := post(idempotency.Middleware(g, idempotency.SharedScope)(http.NotFoundHandler()), "k")
		switch replayed := w.Header().Get("Idempotent-Replayed") == "true"; {
		case replayed && w.Code >= 200 && w.Code <= 999:
		case !replayed && (w.Code == http.StatusGone || w.Code == http.StatusInternalServerError):
		default:
			t.Errorf("%q: status %d, replayed %t", stored, w.Code, replayed)
		}
	})
}

func FuzzReplay(f *testing.F) {
	f.Add(201, "Location", "/orders/1", "Link", "", []byte("body"))
	f.Add(404, "content-type", "\xff", "", "x", []byte{0, 255})
	f.Add(299, "Vary", "", "vary", strings.Repeat("x", 200), []byte(nil))
	f.Fuzz(func(t *testing.T, status int, name1, value1, name2, value2 string, body []byte) {
		if status < 200 || status > 999 || status == http.StatusNoContent || status == http.StatusNotModified {
			return // which have no body
		}
		h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			idempotency.KeepResponse(r.Context(), 0)
			w.Header()[name1] = append(w.Header()[name1], value1)
			w.Header()[name2] = append(w.Header()[name2], value2, value1)
			w.Header()["Etag"] = nil
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}), idempotency.WithReplayedHeaders("X-A", name2))
		first, second := post(h, "k"), post(h, "k")
		wantEqual(t, "status", second.Code, status)
		wantEqual(t, "body", second.Body.String(), string(body))
		wantEqual(t, "replayed", second.Header()["Idempotent-Replayed"], []string{"true"})
		for name, values := range second.Header() {
			if name != "Idempotent-Replayed" {
				wantEqual(t, name, values, first.Header()[name])
			}
		}
	})
}

// disconnected is a client whose connection is broken.
type disconnected struct{ httptest.ResponseRecorder }

func (*disconnected) Write([]byte) (int, error) { return 0, net.ErrClosed }
func (*disconnected) FlushError() error         { return net.ErrClosed }
func (*disconnected) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, net.ErrClosed
}

func TestBrokenConnectionIsToldToTheHandler(t *testing.T) {
	for name, handler := range map[string]func(w http.ResponseWriter) error{
		"large write": func(w http.ResponseWriter) error {
			_, _ = io.WriteString(w, "x")
			_, err := w.Write(make([]byte, 1<<20))
			return err
		},
		"flush": func(w http.ResponseWriter) error {
			_, _ = io.WriteString(w, "x")
			return http.NewResponseController(w).Flush()
		},
		"hijack": func(w http.ResponseWriter) error {
			_, _ = io.WriteString(w, "x")
			_, _, err := http.NewResponseController(w).Hijack()
			return err
		},
	} {
		var got error
		h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { got = handler(w) }))
		h.ServeHTTP(&disconnected{}, request("POST", "/orders", "k", "{}"))
		if !errors.Is(got, net.ErrClosed) {
			t.Errorf("%s: got %v", name, got)
		}
		wantEqual(t, name, post(h, "k").Code, http.StatusGone)
	}
}
