package services

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
)

// requireServices is the environment variable that turns the skipping of tests into a failure.
const requireServices = "STEADY_TEST_REQUIRE_SERVICES"

// TB is what this package needs of a [testing.TB].
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Server is a server for one test. What goes wrong in a method ends the test, so call them from the test's goroutine
// and one at a time.
type Server struct {
	// URL is what clients connect with: redis://127.0.0.1:PORT/0,
	// postgres://USER:PASSWORD@127.0.0.1:PORT/DATABASE?sslmode=disable or mysql://USER:PASSWORD@127.0.0.1:PORT/DATABASE
	// (see [MySQLDSN]), or what the environment says.
	URL string

	tb      TB
	kind    kind
	addr    string
	process *Process // nil if the environment named the server
}

// Redis returns a Redis that keeps every write it has acknowledged, even when it is killed. It ends with the test.
func Redis(tb TB) *Server {
	tb.Helper()
	return serve(tb, redisKind)
}

// RedisNode returns a Redis 7 that is to be a node of a cluster: it has no slots, and knows no other node. It ends with the
// test. The environment cannot name one.
func RedisNode(tb TB) *Server {
	tb.Helper()
	return serve(tb, redisNodeKind)
}

// Postgres returns a PostgreSQL, with a database and its superuser. It ends with the test.
func Postgres(tb TB) *Server {
	tb.Helper()
	return serve(tb, postgresKind)
}

// MySQL returns a MariaDB, with a database and a user who may do everything. It ends with the test.
func MySQL(tb TB) *Server {
	tb.Helper()
	return serve(tb, mysqlKind)
}

func serve(tb TB, k kind) *Server {
	tb.Helper()
	if borrowed := os.Getenv(k.variable); borrowed != "" {
		return borrow(tb, k, borrowed)
	}
	p, err := start(tb.Context(), k)
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv(requireServices) != "1":
		tb.Skipf("%v, or set %s to the URL of one that runs", err, k.variable)
	case errors.Is(err, ErrNotInstalled):
		tb.Fatalf("%v, or set %s to the URL of one that runs", err, k.variable)
	case err != nil:
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if err := p.Stop(); err != nil {
			tb.Fatalf("%v", err)
		}
	})
	return &Server{URL: p.URL, tb: tb, kind: k, addr: p.Addr(), process: p}
}

func borrow(tb TB, k kind, address string) *Server {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		tb.Fatalf("services: %s is not a URL with a host, such as %s", k.variable, k.example)
	}
	if err := ping(tb.Context(), k, address); err != nil {
		tb.Fatalf("services: the %s of %s at %s does not answer: %v", k.name, k.variable, u.Redacted(), err)
	}
	addr := u.Host
	if u.Port() == "" {
		addr = net.JoinHostPort(u.Hostname(), k.port)
	}
	return &Server{URL: address, tb: tb, kind: k, addr: addr}
}

// Addr returns the server's host and port.
func (s *Server) Addr() string { return s.addr }

// Owned reports whether the server was started for this test. Only then can it be killed, started, paused and
// resumed.
func (s *Server) Owned() bool { return s.process != nil }

// Kill ends the server as a crash would, see [Process.Kill].
func (s *Server) Kill() {
	s.tb.Helper()
	s.do("killed", (*Process).Kill)
}

// Start starts the server again after [Server.Kill], see [Process.Start].
func (s *Server) Start() {
	s.tb.Helper()
	s.do("started", func(p *Process) error { return p.Start(s.tb.Context()) })
}

// Pause stops the server from answering, see [Process.Pause].
func (s *Server) Pause() {
	s.tb.Helper()
	s.do("paused", (*Process).Pause)
}

// Resume undoes [Server.Pause].
func (s *Server) Resume() {
	s.tb.Helper()
	s.do("resumed", (*Process).Resume)
}

func (s *Server) do(what string, act func(*Process) error) {
	s.tb.Helper()
	if !s.Owned() {
		s.tb.Fatalf("services: the %s of %s cannot be %s, it is not this test's: unset the variable, or ask Owned first",
			s.kind.name, s.kind.variable, what)
	}
	if err := act(s.process); err != nil {
		s.tb.Fatalf("%v", err)
	}
}
