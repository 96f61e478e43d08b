package resiliencehttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
	"github.com/steadyfx/steady/patterns/resiliencehttp"
	"github.com/steadyfx/steady/patterns/retry"
)

// story is one call of RoundTrip: a request, the policy around it, and what the server and the caller do.
type story struct {
	method, key string
	body        string        // how it can be had: none, again, kept or once
	attempts    int           // that the retry allows
	patience    time.Duration // the longest wait that a server may ask for
	answers     []answer      // one for each attempt
	end         time.Duration // of the caller's context
	cancels     bool          // that end is a cancellation, else a deadline
}

// answer is what the server does in one attempt.
type answer struct {
	takes      time.Duration
	status     int // 0: the connection breaks
	retryAfter retryAfter
	content    content
}

// retryAfter is a form of the header, and what it means.
type retryAfter struct {
	text  string
	means time.Duration // 0: nothing
}

// serverDate is what the clock of the server shows, which is wrong.
var serverDate = time.Date(1999, 12, 31, 23, 59, 58, 0, time.UTC)

var retryAfters = []retryAfter{
	{"", 0}, {"0", 0}, {"soon", 0}, {"-1", 0}, {"1", time.Second}, {"3", 3 * time.Second},
	{"99999999999999999999", 24 * time.Hour},
	{serverDate.Add(2 * time.Second).Format(http.TimeFormat), 2 * time.Second},
	{serverDate.Add(-time.Hour).Format(http.TimeFormat), 0},
}

// content is the body of a response.
type content struct {
	size     int
	declared bool // in Content-Length
	stalls   bool // instead of an end
}

// As the package documents: how much, and for how long, a discarded body is read.
const (
	drained   = 64 << 10
	drainedIn = 50 * time.Millisecond
)

var contents = []content{
	{0, true, false}, {10, true, false}, {10, false, false}, {drained, true, false}, {drained + 1, true, false},
	{10 * drained, false, false}, {10, false, true},
}

const (
	baseDelay = 100 * time.Millisecond
	maxDelay  = 300 * time.Millisecond
)

// alreadyEnded is the end of a context that lives for no time at all.
const alreadyEnded time.Duration = 0

// ends are at no time at which anything else happens.
var ends = rapid.Custom(func(t *rapid.T) time.Duration {
	tenths := rapid.SampledFrom([]int{30, 12, 7, 5, 4, 3, 2, 1, 0}).Draw(t, "tenths")
	return time.Duration(tenths)*time.Second/10 + time.Duration(rapid.IntRange(1, 60).Draw(t, "more"))*time.Millisecond +
		time.Microsecond
})

var stories = rapid.Custom(func(t *rapid.T) story {
	answers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) answer {
		return answer{
			takes:      time.Duration(rapid.IntRange(0, 500).Draw(t, "takes")) * time.Millisecond,
			status:     rapid.SampledFrom([]int{503, 500, 429, 409, 409, 0, 0, 501, 404, 200}).Draw(t, "status"),
			retryAfter: rapid.SampledFrom(retryAfters).Draw(t, "retry after"),
			content:    rapid.SampledFrom(contents).Draw(t, "content"),
		}
	}), 4, 4)
	return story{
		method:   rapid.SampledFrom([]string{"GET", "PUT", "POST", "DELETE", "PATCH"}).Draw(t, "method"),
		key:      rapid.SampledFrom([]string{"k", "k", ""}).Draw(t, "key"),
		body:     rapid.SampledFrom([]string{"again", "kept", "none", "again", "kept", "once"}).Draw(t, "body"),
		attempts: rapid.SampledFrom([]int{4, 4, 3, 2, 1}).Draw(t, "attempts"),
		patience: rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second}).Draw(t, "patience"),
		answers:  answers.Draw(t, "answers"),
		end:      rapid.OneOf(rapid.Just(time.Hour), rapid.Just(time.Hour), ends, ends, rapid.Just(alreadyEnded)).Draw(t, "end"),
		cancels:  rapid.Bool().Draw(t, "cancels"),
	}
})

// outcome is everything that can be seen of a call from outside.
type outcome struct {
	begun   []time.Duration // when each attempt began
	read    []int           // bytes of each response; -1: all, by the caller
	attempt int             // whose response the caller got; 0: none
	err     error           // which is in the caller's
	elapsed time.Duration

	succeeded, failed, ignored uint64 // as a circuit breaker sees it
}

// expected is what must be seen of s: the rules of the package read one after the other, with a clock that is a number.
func expected(s story) outcome {
	var o outcome
	ended := context.DeadlineExceeded
	if s.cancels {
		ended = context.Canceled
	}
	if s.end == alreadyEnded {
		o.err = ended
		return o
	}
	repeatable := s.body != "once" && (s.key != "" || s.method != "POST" && s.method != "PATCH")
	delay := baseDelay
	for n := 1; ; n++ {
		a := s.answers[n-1]
		if o.elapsed < s.end { // else it ended while another response was discarded
			o.begun = append(o.begun, o.elapsed)
			o.elapsed += a.takes
		}
		if o.elapsed >= s.end {
			o.elapsed, o.err = s.end, ended
			if s.cancels {
				o.ignored++
			} else {
				o.failed++
			}
			return o
		}
		outstanding := a.status == 409 && a.retryAfter.text != "" && s.key != ""
		switch {
		case outstanding:
			o.ignored++
		case a.status == 0 || a.status == 429 || a.status == 500 || a.status == 503:
			o.failed++
		default:
			o.succeeded++
			return o.answered(n)
		}
		wait := delay
		asked := time.Duration(0)
		if a.status != 0 {
			asked = a.retryAfter.means
			wait = max(wait, asked)
		}
		last := !repeatable || n == s.attempts || asked > s.patience
		late := o.elapsed+wait > s.end
		switch {
		case a.status != 0 && (last || late && !s.cancels):
			return o.answered(n)
		case last:
			o.err = errBoom
			return o
		case late && !s.cancels: // known beforehand
			o.err = ended
			return o
		case late:
			if a.status != 0 {
				o.read = append(o.read, 0) // it is closed as it is
			}
			o.elapsed, o.err = s.end, ended
			return o
		}
		o.elapsed += wait
		delay = min(2*delay, maxDelay)
		if a.status != 0 {
			o.discard(a.content, s.end)
		}
	}
}

// answered gives the caller the response of attempt n.
func (o *outcome) answered(n int) outcome {
	o.attempt, o.read = n, append(o.read, -1)
	return *o
}

// discard reads a response to make room for another attempt.
func (o *outcome) discard(c content, end time.Duration) {
	switch {
	case c.declared && c.size > drained:
		o.read = append(o.read, 0)
		return
	case c.stalls:
		o.elapsed = min(o.elapsed+drainedIn, end)
	}
	o.read = append(o.read, min(c.size, drained+1))
}

// stage is where a story is played.
type stage struct {
	story
	*rapid.T
	begin    time.Time
	contexts []context.Context // of the attempts
	bodies   []*modelBody      // of the responses
	requests []*requestBody    // bodies of the request
	outcome
}

// RoundTrip is the server.
func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	s.contexts = append(s.contexts, r.Context())
	n := len(s.contexts)
	if s.body != "none" {
		got, err := io.ReadAll(r.Body)
		if string(got) != "body" || err != nil || r.Body.Close() != nil {
			s.Fatalf("attempt %d sent %q, %v", n, got, err)
		}
	}
	if r.Method != s.method || r.Header.Get("Idempotency-Key") != s.key {
		s.Fatalf("attempt %d: %s with the key %q", n, r.Method, r.Header.Get("Idempotency-Key"))
	}
	if time.Since(s.begin) == s.end { // the request is sent, or not: several contexts end at this moment
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	s.begun = append(s.begun, time.Since(s.begin))
	a := s.answers[n-1]
	select {
	case <-time.After(a.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if a.status == 0 {
		return nil, errBoom
	}
	body := &modelBody{content: a.content, left: a.content.size, ctx: r.Context()}
	s.bodies = append(s.bodies, body)
	resp := &http.Response{
		StatusCode: a.status, Body: body, ContentLength: -1,
		Header: http.Header{"Attempt": {fmt.Sprint(n)}, "Date": {serverDate.Format(http.TimeFormat)}},
	}
	if a.content.declared {
		resp.ContentLength = int64(a.content.size)
	}
	if a.retryAfter.text != "" {
		resp.Header.Set("Retry-After", a.retryAfter.text)
	}
	return resp, nil
}

// modelBody is the body of a response of a story.
type modelBody struct {
	content
	ctx    context.Context
	left   int
	closed int
}

// Read reads, or waits for more if the body stalls.
func (b *modelBody) Read(p []byte) (int, error) {
	switch n := min(len(p), b.left); {
	case b.closed > 0:
		return 0, errors.New("read after close")
	case n > 0:
		b.left -= n
		return n, nil
	case b.stalls:
		<-b.ctx.Done()
		return 0, b.ctx.Err()
	default:
		return 0, io.EOF
	}
}

// Close counts.
func (b *modelBody) Close() error { b.closed++; return nil }

// open returns a body of the request.
func (s *stage) open() io.ReadCloser {
	b := &requestBody{Reader: io.MultiReader(strings.NewReader("body"))}
	s.requests = append(s.requests, b)
	return b
}

// request returns the request of the story.
func (s *stage) request(ctx context.Context) *http.Request {
	r, err := http.NewRequestWithContext(ctx, s.method, "http://api.example/", nil)
	if err != nil {
		s.Fatal(err)
	}
	if s.key != "" {
		r.Header.Set("Idempotency-Key", s.key)
	}
	if s.body == "none" {
		return r
	}
	switch r.Body = s.open(); s.body {
	case "again":
		r.GetBody = func() (io.ReadCloser, error) { return s.open(), nil }
	case "kept":
		r.ContentLength = int64(len("body"))
	}
	return r
}

// context returns that of the caller.
func (s *stage) context() (context.Context, context.CancelFunc) {
	if !s.cancels {
		return context.WithDeadline(context.Background(), s.begin.Add(s.end))
	}
	ctx, cancel := context.WithCancel(context.Background())
	if s.end == alreadyEnded {
		cancel()
	}
	timer := time.AfterFunc(s.end, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// play sends the request and does with the response what callers should.
func (s *stage) play() {
	breakers, err := circuitbreaker.NewRegistry(patterns.Instances[circuitbreaker.Config]{
		Default: circuitbreaker.Config{FailureThreshold: 1000, MinimumCalls: 1000},
	})
	if err != nil {
		s.Fatal(err)
	}
	again, err := retry.New("api", retry.Config{
		MaxAttempts: s.attempts, BaseDelay: baseDelay, MaxDelay: maxDelay, MaxRetryAfter: s.patience, Jitter: retry.NoJitter,
	})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := s.context()
	defer cancel()
	resp, err := resiliencehttp.New(s, again, resiliencehttp.WithBreakers(breakers)).RoundTrip(s.request(ctx))
	s.elapsed = time.Since(s.begin)
	for _, cause := range []error{errBoom, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			s.err = cause // the last one: a failure is also in the error of a call that was given up after it
		}
	}
	if (resp == nil) == (err == nil) {
		s.Fatalf("got %v and %v", resp, err)
	}
	if resp != nil {
		last := s.bodies[len(s.bodies)-1]
		s.attempt = len(s.begun)
		if got := resp.Header.Get("Attempt"); got != fmt.Sprint(s.attempt) || last.closed != 0 || last.left != last.size {
			s.Fatalf("got the response of attempt %s, closed %d times, with %d of %d left", got, last.closed, last.left, last.size)
		}
		if n, err := io.CopyN(io.Discard, resp.Body, int64(last.size)); err != nil {
			s.Fatalf("the body broke off after %d: %v", n, err)
		}
		if resp.Body.Close() != nil {
			s.Fatal("the body cannot be closed")
		}
	}
	for i, b := range s.bodies {
		if s.read = append(s.read, b.size-b.left); resp != nil && i == len(s.bodies)-1 {
			s.read[i] = -1
		}
	}
	m := breakers.All()[0].Metrics()
	s.succeeded, s.failed, s.ignored = m.TotalSuccesses, m.TotalFailures, m.TotalIgnored
	s.checkRules() // while the caller's context still lives, unless the story has ended it
}

// checkRules checks what holds after every call, whatever happened.
func (s *stage) checkRules() {
	for i, b := range s.bodies {
		if b.closed == 0 {
			s.Fatalf("response %d is open", i+1)
		}
	}
	for i, b := range s.requests {
		if b.closed.Load() == 0 {
			s.Fatalf("body %d of the request is open", i+1)
		}
	}
	for i, ctx := range s.contexts {
		if ctx.Err() == nil {
			s.Fatalf("the context of attempt %d goes on", i+1)
		}
	}
	for i := 1; i < len(s.begun); i++ {
		if s.key == "" && (s.method == "POST" || s.method == "PATCH") {
			s.Fatalf("%s was repeated", s.method)
		}
		if wait := s.begun[i] - s.begun[i-1] - s.answers[i-1].takes; wait > max(maxDelay, s.patience)+drainedIn {
			s.Fatalf("waited for %v before attempt %d", wait, i+1)
		}
	}
}

func TestTransportAgreesWithItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Of a *testing.T rapid would ask the Deadline, which is not allowed in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			s := &stage{story: stories.Draw(t, "story"), T: t, begin: time.Now()}
			want := expected(s.story)
			s.play()
			if !reflect.DeepEqual(s.outcome, want) {
				t.Fatalf("got\n%+v, want\n%+v", s.outcome, want)
			}
		})
	})
}
