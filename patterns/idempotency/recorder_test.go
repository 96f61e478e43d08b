package idempotency_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// readerFrom is a connection that takes a file without a copy.
type readerFrom struct {
	*httptest.ResponseRecorder
	taken int64
}

func (w *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	n, err := w.Body.ReadFrom(src)
	w.taken += n
	return n, err
}

func TestCopiesOfBodies(t *testing.T) {
	const limit = 100 << 10
	for _, test := range []struct {
		name          string
		before, after int // bytes written around the copy
		flush         bool
		size          int
		taken         int64 // by the connection, without a copy
		stored        bool
	}{
		{name: "nothing", stored: true},
		{name: "small", size: 10, stored: true},
		{name: "as much as fits", size: limit, stored: true},
		{name: "as much as fits with the rest", before: 10, size: limit - 20, after: 10, stored: true},
		{name: "one more", size: limit + 1},
		{name: "one more with the rest", before: 10, size: limit - 9},
		{name: "much more", size: 3 * limit, taken: 2*limit - 1},
		{name: "too much after it", size: limit, after: 1},
		{name: "flushed before it", before: 1, flush: true, size: 10, taken: 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := bytes.Repeat([]byte("0123456789"), test.size/10+1)[:test.size]
			h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat("<", test.before))
				if test.flush {
					w.(http.Flusher).Flush()
				}
				n, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(content)})
				wantEqual(t, "copied", fmt.Sprint(n, err), fmt.Sprint(test.size, nil))
				_, _ = io.WriteString(w, strings.Repeat(">", test.after))
			}), idempotency.WithMaxResponseBody(limit))
			whole := strings.Repeat("<", test.before) + string(content) + strings.Repeat(">", test.after)
			w := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
			h.ServeHTTP(w, request("POST", "/orders", "k", "{}"))
			wantEqual(t, "whole", w.Body.String() == whole, true)
			wantEqual(t, "taken without a copy", w.taken, test.taken)
			if test.stored {
				wantEqual(t, "replayed whole", post(h, "k").Body.String() == whole, true)
			} else {
				wantEqual(t, "second", post(h, "k").Code, http.StatusGone)
			}
		})
	}
}

func TestCopiesAndStringsFailWhereWritesDo(t *testing.T) {
	for name, test := range map[string]struct {
		before func(w http.ResponseWriter)
		want   error
	}{
		"no body":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, http.ErrBodyNotAllowed},
		"too long":  {func(w http.ResponseWriter) { w.Header().Set("Content-Length", "3") }, http.ErrContentLength},
		"no reader": {func(http.ResponseWriter) {}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			h := guarded(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				test.before(w)
				_, err := w.(io.ReaderFrom).ReadFrom(io.MultiReader(strings.NewReader("body"), errReader{}))
				if !errors.Is(err, test.want) {
					t.Errorf("copy: got %v, want %v", err, test.want)
				}
				if _, err = io.WriteString(w, "body"); name != "no reader" && !errors.Is(err, test.want) {
					t.Errorf("string: got %v, want %v", err, test.want)
				}
			}))
			post(h, "k")
		})
	}
}

func TestHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(guarded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		if _, _, err := controller.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, r.Proto)
		if r.URL.Path == "/flush" {
			if err := controller.Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
		}
		w.Header().Set("X-Sum", "1")
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, test := range []struct {
		path, body, trailer string
		status              int
	}{
		{"/", "HTTP/2.0", "1", http.StatusOK}, {"/", "HTTP/2.0", "", http.StatusOK},
		{"/flush", "HTTP/2.0", "1", http.StatusOK}, {"/flush", "", "", http.StatusGone},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+test.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(idempotency.KeyHeader, "k")
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		wantEqual(t, test.path+": status", resp.StatusCode, test.status)
		wantEqual(t, test.path+": trailer", resp.Trailer.Get("X-Sum"), test.trailer)
		if test.body != "" {
			wantEqual(t, test.path+": body", string(body), test.body)
		}
	}
}
