package pgstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// wire is the network of a pool.
type wire struct {
	loseAnswer atomic.Bool // the next answer is read and lost, and its connection too
}

// under makes a pool use the wire.
func (w *wire) under(c *pgxpool.Config) {
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &wireConn{Conn: conn, wire: w}, err
	}
}

type wireConn struct {
	net.Conn
	wire *wire
}

func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.wire.loseAnswer.CompareAndSwap(true, false) {
		return 0, errors.Join(io.EOF, c.Close())
	}
	return n, err
}

// Each statement is carried out, its answer is lost, and it is sent again only where that does no harm.
func TestLostAnswersAreRepeatedSafely(t *testing.T) {
	w := &wire{}
	pool := connect(t, w.under, single)
	s := open(t, pool)
	ctx := t.Context()

	// losing calls f twice: the first time for the connection to know the statement, so that what is lost the second
	// time is the answer to that.
	losing := func(what string, f func(key string) error) error {
		t.Helper()
		must(t, f("a"))
		w.loseAnswer.Store(true)
		err := f("b")
		if w.loseAnswer.Load() {
			t.Fatalf("%s: no answer was lost", what)
		}
		return err
	}
	repeated := func(what string, f func(key string) error) {
		t.Helper()
		if err := losing(what, f); err != nil {
			t.Fatalf("%s with its answer lost: %v", what, err)
		}
	}
	doubtful := func(what string, f func(key string) error) {
		t.Helper()
		var unavailable *idempotency.BackendError
		if err := losing(what, f); !errors.As(err, &unavailable) || unavailable.Op != what {
			t.Fatalf("%s with its answer lost: got error %v, want a *BackendError", what, err)
		}
	}

	repeated("ping", func(string) error { return s.Ping(ctx) })
	claims := map[string]idempotency.Claim{}
	repeated("claim", func(key string) (err error) {
		claims[key], err = s.Claim(ctx, request(key))
		return err
	})
	own := claims["b"]
	if rec, _, err := s.GetRecord(ctx, "b"); own.Outcome != idempotency.Acquired || own.Token.Fence != rec.Fence || err != nil {
		t.Fatalf("claim with its answer lost: got %v with fence %d of a record with %d, error %v, want acquired",
			own.Outcome, own.Token.Fence, rec.Fence, err)
	}
	if c := claim(t, s, request("b")); c.Outcome != idempotency.InProgress {
		t.Errorf("claim of another: got %v, want in_progress", c.Outcome)
	}
	repeated("extend", func(key string) error { return s.Extend(ctx, key, claims[key].Token, long) })
	repeated("complete", func(key string) error { return s.Complete(ctx, key, claims[key].Token, []byte("result"), long) })
	repeated("replay", func(key string) error {
		c, err := s.Claim(ctx, request(key))
		if c.Outcome != idempotency.Done || string(c.Value) != "result" {
			t.Errorf("replay: got %v with %q", c.Outcome, c.Value)
		}
		return err
	})
	repeated("get", func(key string) error { _, _, err := s.Get(ctx, key); return err })

	doubtful("set", func(key string) error { return s.Set(ctx, key, []byte("set"), long) })
	if value, _, err := s.Get(ctx, "b"); string(value) != "set" || err != nil {
		t.Errorf("after a set with its answer lost: got %q, error %v", value, err)
	}
	doubtful("delete", func(key string) error { return s.Delete(ctx, key) })
	for _, key := range []string{"a", "b"} {
		claims[key] = claim(t, s, request(key))
	}
	doubtful("release", func(key string) error { return s.Release(ctx, key, claims[key].Token) })
	acquire(t, s, "b")
}
