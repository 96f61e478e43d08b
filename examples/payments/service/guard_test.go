package service

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/zap"
)

func TestUnguardedHandlerPaysNothing(t *testing.T) {
	h := &Handler{} // would panic if it went on
	w := httptest.NewRecorder()
	h.pay(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/payments", http.NoBody))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("got %d, want 500", w.Code)
	}
}

// shutdowner counts.
type shutdowner int

func (s *shutdowner) Shutdown(...fx.ShutdownOption) error { *s++; return nil }

func TestServerThatEndsByItselfEndsTheApplication(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var stop shutdowner
	s := &Server{log: zap.NewNop(), stop: &stop}
	s.serve(listener)
	if stop != 1 {
		t.Errorf("asked to stop %d times, want once", stop)
	}
	if err := s.http.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.serve(listener)
	if stop != 1 {
		t.Error("a server that was told to end asked to stop the application")
	}
}
