package resiliencehttp_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/resiliencehttp"
)

// over sends a request to a handler behind a real connection and returns the response.
func over(t *testing.T, h http.HandlerFunc) *http.Response {
	t.Helper()
	s := newServer(t, resiliencehttp.Handler(nil)(h).ServeHTTP)
	return do(t, newWire(t), newRequest(t, "GET", s.URL, nil))
}

func TestResponseIsNotBuffered(t *testing.T) {
	goOn := make(chan struct{})
	resp := over(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		<-goOn
		_, _ = io.WriteString(w, "last\n")
	})
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" || err != nil { // while the handler is running
		t.Errorf("got %q, %v", line, err)
	}
	close(goOn)
	if line, err := lines.ReadString('\n'); line != "last\n" || err != nil {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestHandlerCanDoWhatItCanWithoutAPolicy(t *testing.T) {
	t.Run("flush first", func(t *testing.T) {
		resp := over(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Of-Handler", "yes")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusInternalServerError) // too late
		})
		wantEqual(t, "status", resp.StatusCode, 200)
		wantEqual(t, "header", resp.Header.Get("X-Of-Handler"), "yes")
		read(t, resp)
	})
	t.Run("copy", func(t *testing.T) {
		resp := over(t, func(w http.ResponseWriter, _ *http.Request) {
			n, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", 2<<20)), 1<<20))
			if n != 1<<20 || err != nil {
				t.Errorf("copied %d, %v", n, err)
			}
		})
		wantEqual(t, "length", len(read(t, resp)), 1<<20)
	})
	t.Run("trailers", func(t *testing.T) {
		resp := over(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum, x-other")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "1")
			w.Header().Set("X-Other", "2")
			w.Header().Set(http.TrailerPrefix+"X-Undeclared", "3")
			w.Header().Set("X-Late", "4")
		})
		wantEqual(t, "body", read(t, resp), "body")
		wantEqual(t, "trailers", resp.Trailer.Get("X-Sum")+resp.Trailer.Get("X-Other")+resp.Trailer.Get("X-Undeclared"), "123")
		wantEqual(t, "late header", resp.Header.Get("X-Late")+resp.Trailer.Get("X-Late"), "")
	})
	t.Run("deadlines", func(t *testing.T) {
		read(t, over(t, func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
		}))
	})
	t.Run("hijack", func(t *testing.T) {
		resp := over(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := io.WriteString(w, "body"); err != http.ErrHijacked {
				t.Errorf("write: %v", err)
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
		})
		wantEqual(t, "status", resp.StatusCode, 202)
		wantEqual(t, "body", read(t, resp), "body")
	})
	t.Run("early hints", func(t *testing.T) {
		s := newServer(t, resiliencehttp.Handler(nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusCreated)
		})).ServeHTTP)
		hints := ""
		r := newRequest(t, "GET", s.URL, nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, header textproto.MIMEHeader) error { hints += header.Get("Link"); return nil },
		}))
		resp := do(t, newWire(t), r)
		wantEqual(t, "hints", hints, "</style.css>")
		wantEqual(t, "status", resp.StatusCode, 201)
		wantEqual(t, "header", resp.Header.Get("Link"), "")
		read(t, resp)
	})
}
