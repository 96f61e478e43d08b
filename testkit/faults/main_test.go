package faults_test

import (
	"bufio"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/steadyfx/steady/testkit/faults"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that answers each line with the same line, and counts them.
type echo struct {
	net.Listener
	lines atomic.Int32
	heard chan string // each line, before it is answered
}

func newEcho(tb testing.TB) *echo {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	e := &echo{Listener: listener, heard: make(chan string, 1000)}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go e.serve(conn)
		}
	}()
	tb.Cleanup(func() {
		listener.Close()
		<-over
	})
	return e
}

func (e *echo) addr() string { return e.Listener.Addr().String() }

func (e *echo) serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewReader(conn); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		e.lines.Add(1)
		e.heard <- line
		if _, err := conn.Write([]byte(line)); err != nil {
			return
		}
	}
}

// client asks one line at a time.
type client struct {
	net.Conn
	lines *bufio.Reader
}

func connect(tb testing.TB, p *faults.Proxy) *client {
	tb.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

func (c *client) send(tb testing.TB, line string) {
	tb.Helper()
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		tb.Fatal(err)
	}
}

// ask returns an error if the answer is not the line.
func (c *client) ask(line string) error {
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return err
	}
	return c.hear(line)
}

func (c *client) hear(line string) error {
	got, err := c.lines.ReadString('\n')
	if err == nil && strings.TrimSuffix(got, "\n") != line {
		return &wrongAnswer{got}
	}
	return err
}

type wrongAnswer struct{ got string }

func (w *wrongAnswer) Error() string { return "answered " + w.got }

// silent wants no answer within a time that is long for a loopback.
func (c *client) silent(tb testing.TB) {
	tb.Helper()
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		tb.Fatal(err)
	}
	var timeout net.Error
	if b, err := c.lines.Peek(1); err == nil || !asTimeout(err, &timeout) {
		tb.Errorf("got %q, error %v, want silence", b, err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		tb.Fatal(err)
	}
}
