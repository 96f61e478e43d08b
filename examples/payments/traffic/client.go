package traffic

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// Options say how much traffic there is.
type Options struct {
	URL       func() string // of the service, or of one of its replicas; asked for each request
	Seed      uint64        // of the payments and of what is done with them
	Customers int           // who pay at the same time
	Payments  int           // at most
	Duration  time.Duration // in which payments are begun
	Grace     time.Duration // after it, to bring them to an end
}

// Counts are of requests and answers, unless they say otherwise.
type Counts struct {
	Requests    int
	Retries     int // after an answer that asked for it, or none
	Disconnects int // by the client, before the answer
	Unanswered  int // for another reason

	Accepted   int // payments
	Declined   int // payments
	Replays    int // answers that came from the store
	Conflicts  int // 409: another request with the key is running
	Mismatches int // 422: the key belongs to another request
	StoreDown  int // 503: the store of keys does not answer
}

// Client is a number of customers.
type Client struct {
	options Options
	run     string // begins all keys, because a store can outlive the run
	http    http.Client
	next    atomic.Int64

	mu        sync.Mutex
	counts    Counts
	latencies []time.Duration
	payments  []Payment
}

const (
	requestLimit = 20 * time.Second
	maxBody      = 1 << 20
)

// New returns a client that does nothing before Run.
func New(o Options) *Client {
	return &Client{options: o, run: rand.Text()[:8], http: http.Client{
		Timeout:   requestLimit,
		Transport: &http.Transport{MaxIdleConnsPerHost: o.Customers},
	}}
}

// Run sends traffic and returns what became of the payments. When ctx ends, no more payments are begun.
func (c *Client) Run(ctx context.Context) []Payment {
	defer c.http.CloseIdleConnections()
	open, cancel := context.WithTimeout(ctx, c.options.Duration)
	defer cancel()
	settling, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(open, func() {
		wait(settling, c.options.Grace)
		giveUp()
	})()

	var customers sync.WaitGroup
	for range c.options.Customers {
		customers.Go(func() {
			for {
				n := int(c.next.Add(1)) - 1
				p := c.newPayment(n)
				if n >= c.options.Payments || !wait(open, p.think) {
					return
				}
				p.pay(settling)
				c.mu.Lock()
				c.payments = append(c.payments, p.outcome())
				c.mu.Unlock()
			}
		})
	}
	customers.Wait()
	return c.payments
}

// Counts returns the counts so far.
func (c *Client) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// Latencies returns how long each answered request took, in no order. It must not be called before Run has returned.
func (c *Client) Latencies() []time.Duration { return c.latencies }

func (c *Client) count(change func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
}

// send makes one request. An error means that there was no answer.
func (c *Client) send(ctx context.Context, tenant, key string, body []byte) (reply, error) {
	c.count(func(n *Counts) { n.Requests++ })
	r, err := c.exchange(ctx, tenant, key, body)
	if err != nil && ctx.Err() == nil {
		c.count(func(n *Counts) { n.Unanswered++ })
	}
	return r, err
}

func (c *Client) exchange(ctx context.Context, tenant, key string, body []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.options.URL()+"/payments", bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Tenant", tenant)
	req.Header.Set("Idempotency-Key", key)
	req.GetBody = nil // else net/http itself repeats requests with this header, uncounted
	began := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	if r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody)); err != nil {
		return reply{}, err
	}
	c.record(r, time.Since(began))
	return r, nil
}

// record counts an answer.
func (c *Client) record(r reply, latency time.Duration) {
	code := r.code()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latencies = append(c.latencies, latency)
	n := &c.counts
	switch {
	case r.header.Get("Idempotent-Replayed") == "true":
		n.Replays++
	case r.status == http.StatusConflict:
		n.Conflicts++
	case r.status == http.StatusUnprocessableEntity:
		n.Mismatches++
	case code == idempotency.CodeBackend:
		n.StoreDown++
	}
}

// wait reports whether ctx lasted for d.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
