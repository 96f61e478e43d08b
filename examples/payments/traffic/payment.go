package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Payment is what a client knows of one payment.
type Payment struct {
	Tenant    string
	Key       string // the Idempotency-Key
	Reference string // on the payer's statement
	Amount    int64

	Status   int      // of the final answer: 201 paid, 402 declined; 0: given up
	ID       string   // of the payment, as the answer says
	Offences []string // answers that no client should ever get
}

// scenario is how a client goes about a payment.
type scenario uint8

const (
	plain      scenario = iota
	duplicate           // sends the request once more after the answer
	concurrent          // sends it several times at once
	reuse               // uses the key once more, for another amount
	disconnect          // hangs up on the first request
)

// scenarios is what to draw from.
var scenarios = []scenario{plain, plain, plain, plain, duplicate, duplicate, concurrent, reuse, disconnect, disconnect}

const (
	tenants       = 3
	accounts      = 50
	declinedAbove = 500_000 // the provider's limit for one charge, which one payment in 20 exceeds

	longestThink    = 500 * time.Millisecond
	longestPatience = 40 * time.Millisecond
)

// payment is one payment on its way.
type payment struct {
	client   *Client
	think    time.Duration // before it is begun
	scenario scenario
	patience time.Duration // after which to disconnect
	copies   int           // to send at once
	body     []byte
	altered  []byte // for another amount

	mu     sync.Mutex
	result Payment
	answer []byte // the first final one
}

type order struct {
	Reference string `json:"reference"`
	Account   string `json:"account"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
}

// newPayment makes the payment with number n. Of two tenants' payments, one of each has the same key.
func (c *Client) newPayment(n int) *payment {
	rng := rand.New(rand.NewPCG(c.options.Seed, uint64(n)))
	tenant := fmt.Sprintf("tenant-%d", n%tenants)
	o := order{
		Reference: fmt.Sprintf("order-%05d", n),
		Account:   fmt.Sprintf("acct-%d", rng.IntN(accounts)),
		Amount:    1 + rng.Int64N(declinedAbove-1),
		Currency:  []string{"EUR", "USD"}[rng.IntN(2)],
	}
	if rng.IntN(20) == 0 {
		o.Amount += declinedAbove
	}
	p := &payment{
		client:   c,
		think:    time.Duration(rng.Int64N(int64(longestThink))),
		scenario: scenarios[rng.IntN(len(scenarios))],
		patience: time.Duration(rng.Int64N(int64(longestPatience))),
		copies:   2 + rng.IntN(3),
		result: Payment{
			Tenant: tenant, Key: fmt.Sprintf("%s-%05d", c.run, n/tenants), Reference: o.Reference, Amount: o.Amount,
		},
	}
	p.body = marshal(o)
	o.Amount++
	p.altered = marshal(o)
	return p
}

func marshal(o order) []byte {
	body, _ := json.Marshal(o) // text and numbers cannot fail
	return body
}

// pay acts out the scenario.
func (p *payment) pay(ctx context.Context) {
	switch p.scenario {
	case plain:
		p.settle(ctx)
	case duplicate:
		p.settle(ctx)
		p.settle(ctx)
	case concurrent:
		var copies sync.WaitGroup
		for range p.copies {
			copies.Go(func() { p.settle(ctx) })
		}
		copies.Wait()
	case reuse:
		p.settle(ctx)
		p.reuseKey(ctx)
	case disconnect:
		p.hangUp(ctx)
		p.settle(ctx)
	}
}

// settle sends the request until it has a final answer.
func (p *payment) settle(ctx context.Context) {
	if r, ok := p.persist(ctx, p.body); ok {
		p.told(r)
	}
}

// told compares a final answer with what the client was told before.
func (p *payment) told(r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.status != http.StatusCreated && r.status != http.StatusPaymentRequired:
		p.offend("got %d where only 201 or 402 is right: %s", r.status, r.body)
	case p.result.Status == 0:
		p.result.Status, p.result.ID, p.answer = r.status, r.id(), r.body
		p.client.count(func(c *Counts) {
			if r.status == http.StatusCreated {
				c.Accepted++
			} else {
				c.Declined++
			}
		})
	case p.result.Status != r.status:
		p.offend("got %d after %d", r.status, p.result.Status)
	case !bytes.Equal(p.answer, r.body):
		p.offend("a later answer differs from the first: %s, first %s", r.body, p.answer)
	}
}

// reuseKey asks for another amount under the same key, which must be refused.
func (p *payment) reuseKey(ctx context.Context) {
	if p.outcome().Status == 0 {
		return // the key may not have been used
	}
	if r, ok := p.persist(ctx, p.altered); ok && r.status != http.StatusUnprocessableEntity {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.offend("got %d where only 422 is right, for a key that was used for another amount: %s", r.status, r.body)
	}
}

// hangUp sends the request and disconnects when patience ends.
func (p *payment) hangUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	r, err := p.client.send(ctx, p.result.Tenant, p.result.Key, p.body)
	switch {
	case err != nil && ctx.Err() == nil: // the service hung up
	case err != nil:
		p.client.count(func(c *Counts) { c.Disconnects++ })
	case p.final(r):
		p.told(r)
	}
}

// persist sends a request again and again until it gets a final answer, or ctx ends.
func (p *payment) persist(ctx context.Context, body []byte) (reply, bool) {
	for attempt := 0; ; attempt++ {
		r, err := p.client.send(ctx, p.result.Tenant, p.result.Key, body)
		if err == nil && p.final(r) {
			return r, true
		}
		if !wait(ctx, r.pause(attempt)) {
			return reply{}, false
		}
		p.client.count(func(c *Counts) { c.Retries++ })
	}
}

// final reports whether an answer is not to be followed by another try. It notes an answer of the wrong form.
func (p *payment) final(r reply) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.status >= 400 && r.header.Get("Content-Type") != "application/problem+json" {
		p.offend("got %d that is not a problem: %s", r.status, r.body)
	}
	switch r.status {
	case http.StatusConflict, http.StatusServiceUnavailable:
		if _, ok := r.retryAfter(); !ok {
			p.offend("got %d without Retry-After: %s", r.status, r.body)
		}
		return false
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return false
	default:
		return true
	}
}

// offend notes an offence. The caller holds the mutex.
func (p *payment) offend(format string, args ...any) {
	p.result.Offences = append(p.result.Offences, fmt.Sprintf(format, args...))
}

func (p *payment) outcome() Payment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result
}
