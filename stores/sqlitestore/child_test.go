package sqlitestore_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/stores/sqlitestore"
)

// asChild makes the test binary a process that serves the store in the file that it names, over its standard input and
// output, until it is killed.
const asChild = "STEADY_SQLITESTORE_AS_CHILD"

func serve(path string) error {
	s, err := sqlitestore.NewIdempotency(sqlitestore.Config{Path: path, Timeout: patience})
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.Register(&Served{s}); err != nil {
		return err
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout})
	return nil
}

type pipes struct {
	io.Reader
	io.WriteCloser
}

// Served answers questions to the store of a child. The package net/rpc wants it to be exported, and Question and Answer.
type Served struct{ store idempotency.Store }

// Question is a call of a method with its arguments.
type Question struct {
	Method string
	Within time.Duration
	Claim  idempotency.ClaimRequest
	Key    string
	Token  idempotency.Token
	Value  []byte
	For    time.Duration
	Limit  int
}

// Answer is what a method has returned.
type Answer struct {
	Claim  idempotency.Claim
	Record idempotency.Record
	Value  []byte
	Found  bool
	Count  int

	Lost        bool   // ErrClaimLost
	Unavailable string // a *BackendError
}

const ask = "Served.Ask" // the name of the method that follows

// Ask calls a method of the store. Its error is one that no store may answer.
func (s *Served) Ask(q *Question, a *Answer) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), q.Within)
	defer cancel()
	switch q.Method {
	case "claim":
		a.Claim, err = s.store.Claim(ctx, q.Claim)
	case "complete":
		err = s.store.Complete(ctx, q.Key, q.Token, q.Value, q.For)
	case "extend":
		err = s.store.Extend(ctx, q.Key, q.Token, q.For)
	case "release":
		err = s.store.Release(ctx, q.Key, q.Token)
	case "get result":
		a.Value, a.Found, err = s.store.Get(ctx, q.Key)
	case "get record":
		a.Record, a.Found, err = s.store.GetRecord(ctx, q.Key)
	case "set result":
		err = s.store.Set(ctx, q.Key, q.Value, q.For)
	case "remove":
		err = s.store.Delete(ctx, q.Key)
	case "acquire":
		a.Found, err = s.store.Acquire(ctx, q.Key, q.For)
	case "clean up":
		a.Count, err = s.store.CleanupExpired(ctx, q.Limit)
	case "ping":
		err = s.store.Ping(ctx)
	}
	if _, unavailable := errors.AsType[*idempotency.BackendError](err); unavailable {
		a.Unavailable, err = err.Error(), nil
	} else if errors.Is(err, idempotency.ErrClaimLost) {
		a.Lost, err = true, nil
	}
	return err
}

// child is a process with a store. Nothing of what it has under way survives it.
type child struct {
	*rpc.Client
	process *exec.Cmd
}

func bear(t *testing.T, path string) *child {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), asChild+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{rpc.NewClient(pipes{out, in}), cmd}
	var a Answer
	if err := c.Call(ask, &Question{Method: "ping", Within: patience}, &a); err != nil || a.Unavailable != "" {
		t.Errorf("a new process does not answer: %v %s", err, a.Unavailable)
	}
	return c
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.process.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil && !errors.Is(err, rpc.ErrShutdown) {
		t.Error(err)
	}
	if err := c.process.Wait(); !errors.As(err, new(*exec.ExitError)) {
		t.Errorf("the process ended with %v", err)
	}
}

// family is an [idempotency.Store] whose calls go to some of several children that share a file.
type family struct {
	t    *testing.T
	path string

	mu       sync.Mutex
	children []*child
}

func newFamily(t *testing.T, path string, size int) *family {
	t.Helper()
	f := &family{t: t, path: path}
	for range size {
		f.children = append(f.children, bear(t, path))
	}
	t.Cleanup(func() {
		for _, c := range f.children {
			c.kill(t)
		}
	})
	return f
}

// replaceOne kills one child in the midst of its work, and another takes over.
func (f *family) replaceOne(random *rand.Rand) {
	one := bear(f.t, f.path)
	f.mu.Lock()
	i := random.IntN(len(f.children))
	one, f.children[i] = f.children[i], one
	f.mu.Unlock()
	one.kill(f.t)
}

func (f *family) ask(ctx context.Context, q Question) (Answer, error) {
	f.mu.Lock()
	one := f.children[rand.IntN(len(f.children))]
	f.mu.Unlock()
	unavailable := func(err error) error {
		return &idempotency.BackendError{Backend: "child", Op: q.Method, Err: err}
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(patience)
	}
	q.Within = time.Until(deadline)
	var a Answer
	call := one.Go(ask, &q, &a, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
	case <-ctx.Done():
		return Answer{}, unavailable(ctx.Err())
	}
	var senseless rpc.ServerError
	switch {
	case errors.As(call.Error, &senseless):
		return Answer{}, call.Error
	case call.Error != nil: // it was killed
		return Answer{}, unavailable(call.Error)
	case a.Unavailable != "":
		return Answer{}, unavailable(errors.New(a.Unavailable))
	case a.Lost:
		return Answer{}, idempotency.ErrClaimLost
	}
	return a, nil
}

func (f *family) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.Claim, error) {
	a, err := f.ask(ctx, Question{Method: "claim", Claim: req})
	return a.Claim, err
}

func (f *family) Complete(ctx context.Context, key string, token idempotency.Token, value []byte, ttl time.Duration) error {
	_, err := f.ask(ctx, Question{Method: "complete", Key: key, Token: token, Value: value, For: ttl})
	return err
}

func (f *family) Extend(ctx context.Context, key string, token idempotency.Token, lease time.Duration) error {
	_, err := f.ask(ctx, Question{Method: "extend", Key: key, Token: token, For: lease})
	return err
}

func (f *family) Release(ctx context.Context, key string, token idempotency.Token) error {
	_, err := f.ask(ctx, Question{Method: "release", Key: key, Token: token})
	return err
}

func (f *family) Get(ctx context.Context, key string) ([]byte, bool, error) {
	a, err := f.ask(ctx, Question{Method: "get result", Key: key})
	return a.Value, a.Found, err
}

func (f *family) GetRecord(ctx context.Context, key string) (idempotency.Record, bool, error) {
	a, err := f.ask(ctx, Question{Method: "get record", Key: key})
	return a.Record, a.Found, err
}

func (f *family) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := f.ask(ctx, Question{Method: "set result", Key: key, Value: value, For: ttl})
	return err
}

func (f *family) Delete(ctx context.Context, key string) error {
	_, err := f.ask(ctx, Question{Method: "remove", Key: key})
	return err
}

func (f *family) Acquire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	a, err := f.ask(ctx, Question{Method: "acquire", Key: key, For: ttl})
	return a.Found, err
}

func (f *family) CleanupExpired(ctx context.Context, limit int) (int, error) {
	a, err := f.ask(ctx, Question{Method: "clean up", Limit: limit})
	return a.Count, err
}

func (f *family) Ping(ctx context.Context) error {
	_, err := f.ask(ctx, Question{Method: "ping"})
	return err
}
