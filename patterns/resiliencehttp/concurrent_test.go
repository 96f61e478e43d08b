package resiliencehttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/hedge"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
)

// race runs the operation n times at once, waits for all, adopts the last one that succeeded, and cancels the others.
func race(n int) patterns.Policy {
	return policy(func(ctx context.Context, op patterns.Operation) error {
		errs, branches := make([]error, n), make([]*patterns.Branch, n)
		var wg sync.WaitGroup
		for i := range n {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			ctx, branches[i] = patterns.Fork(ctx)
			wg.Go(func() { errs[i] = op(ctx) })
		}
		wg.Wait()
		for i := n - 1; i >= 0; i-- {
			if errs[i] == nil {
				branches[i].Adopt()
				return nil
			}
		}
		return errors.Join(errs...)
	})
}

func TestResponseIsThatOfTheAttemptThatWon(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "body") })
	w := newWire(t)
	rt := resiliencehttp.New(w, race(3))
	for range 20 {
		resp := do(t, rt, newRequest(t, "GET", s.URL, nil))
		wantEqual(t, "open bodies", w.open.Load(), int32(1)) // the losers' are closed
		wantEqual(t, "body", read(t, resp), "body")
	}
	wantEqual(t, "requests", s.requests.Load(), int32(60))
}

func TestOneOfTheFailedResponsesIsReturnedIfAllAttemptsFail(t *testing.T) {
	s := newServer(t, answers(503))
	w := newWire(t)
	resp := do(t, resiliencehttp.New(w, race(3)), newRequest(t, "GET", s.URL, nil))
	wantEqual(t, "open bodies", w.open.Load(), int32(1))
	wantEqual(t, "status", resp.StatusCode, 503)
	read(t, resp)
}

func TestWhatMustNotBeRepeatedIsNotSentTwiceAtOnce(t *testing.T) {
	for _, status := range []int{200, 503} {
		s := newServer(t, answers(status))
		resp := do(t, resiliencehttp.New(newWire(t), race(3)), newRequest(t, "POST", s.URL, nil))
		wantEqual(t, "status", resp.StatusCode, status)
		wantEqual(t, "requests", s.requests.Load(), int32(1))
		read(t, resp)
	}
}

func TestHedgedRequests(t *testing.T) {
	var stuck atomic.Int32
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if stuck.Add(1)%2 == 1 {
			<-r.Context().Done() // until the hedge has won
			return
		}
		_, _ = io.WriteString(w, "body")
	})
	p, err := hedge.New("api", hedge.Config{Delay: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	rt := resiliencehttp.New(newWire(t), p)
	for range 10 {
		wantEqual(t, "body", read(t, do(t, rt, newRequest(t, "GET", s.URL, nil))), "body")
	}
	wantEqual(t, "requests", s.requests.Load(), int32(20))
}

// twice runs the operation two times and returns the first result.
func twice(errs *[]error) patterns.Policy {
	return policy(func(ctx context.Context, op patterns.Operation) error {
		*errs = append(*errs, op(ctx), op(ctx))
		return (*errs)[0]
	})
}

func TestSecondAttemptOfWhatMustNotBeRepeated(t *testing.T) {
	var errs []error
	s := newServer(t, answers(200))
	read(t, do(t, resiliencehttp.New(newWire(t), twice(&errs)), newRequest(t, "POST", s.URL, nil)))
	wantEqual(t, "requests", s.requests.Load(), int32(1))
	if !errors.Is(errs[1], patterns.ErrRejected) || !errors.Is(errs[1], patterns.ErrPermanent) ||
		!errors.Is(errs[1], patterns.ErrResilience) || patterns.Code(errs[1]) != "LEX_ERR_RES_001" ||
		!strings.Contains(errs[1].Error(), "give it an Idempotency-Key") {
		t.Errorf("got %v", errs[1])
	}

	errs = nil
	s = newServer(t, answers(503))
	read(t, do(t, resiliencehttp.New(newWire(t), twice(&errs)), newRequest(t, "POST", s.URL, nil)))
	wantEqual(t, "requests", s.requests.Load(), int32(1))
	wantEqual(t, "second result", errs[1], errs[0]) // the failure was real
	wantEqual(t, "permanent", errors.Is(errs[0], patterns.ErrPermanent), true)
}

// A policy may stop waiting for an attempt that goes on.
func TestLateResponseIsClosed(t *testing.T) {
	w := newWire(t)
	respond, begun := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-respond
		_, _ = io.WriteString(w, "late")
	})
	var late sync.WaitGroup
	var afterwards atomic.Pointer[error]
	detached := policy(func(ctx context.Context, op patterns.Operation) error {
		late.Go(func() {
			if err := op(ctx); err != nil {
				t.Errorf("the late attempt succeeded, but the policy is told %v", err)
			}
			err := op(ctx)
			afterwards.Store(&err)
		})
		<-begun
		return errBoom
	})
	if resp, err := resiliencehttp.New(w, detached).RoundTrip(newRequest(t, "GET", s.URL, nil)); resp != nil || err != errBoom {
		t.Errorf("got %v, %v", resp, err)
	}
	close(respond)
	late.Wait()
	wantEqual(t, "open bodies", w.open.Load(), int32(0))
	if err := *afterwards.Load(); !errors.Is(err, patterns.ErrRejected) {
		t.Errorf("an attempt after the call was made: %v", err)
	}
	wantEqual(t, "requests", s.requests.Load(), int32(1))
}

func TestResponseThatComesWithTheEndOfItsContextIsNoResponse(t *testing.T) {
	var open atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	rt := resiliencehttp.New(tripper(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		open.Add(1)
		return &http.Response{StatusCode: http.StatusOK, Body: &counted{ReadCloser: http.NoBody, open: &open}}, nil
	}), nil)
	if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://api.example/", nil).WithContext(ctx)); resp != nil ||
		!errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", resp, err)
	}
	wantEqual(t, "open bodies", open.Load(), int32(0))
}

func TestOneTransportServesManyCallsAtOnce(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("fail") == "1" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, r.URL.Path)
	})
	w := newWire(t)
	w.MaxIdleConnsPerHost = 8
	rt := resiliencehttp.New(w, patterns.Compose(retries(t, 2), race(2)))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 25 {
				path := "/" + string(rune('a'+i)) + string(rune('a'+n))
				url := s.URL + path
				if n%2 == 0 {
					url += "?fail=1"
				}
				resp, err := rt.RoundTrip(newRequest(t, "GET", url, nil))
				if err != nil {
					t.Error(err)
					return
				}
				wantEqual(t, "body", read(t, resp), path)
			}
		})
	}
	wg.Wait()
}
