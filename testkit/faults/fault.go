package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Fault is what goes wrong with one request.
type Fault uint8

// The faults of a request.
const (
	CutRequest   Fault = iota + 1 // the connection ends before the server has seen the request
	CutAnswer                     // the server has carried out the request, the connection ends instead of its answer
	DelayRequest                  // the request reaches the server late
	DelayAnswer                   // the answer reaches the client late
	kinds
)

// String returns "cut request", "cut answer", "delay request" or "delay answer".
func (f Fault) String() string {
	switch f {
	case CutRequest:
		return "cut request"
	case CutAnswer:
		return "cut answer"
	case DelayRequest:
		return "delay request"
	case DelayAnswer:
		return "delay answer"
	default:
		return "none"
	}
}

// Mix says how often which fault happens. The fields but Delay and Seed are probabilities for each request, from 0 to
// 1 in all: a request has one fault at most.
type Mix struct {
	CutRequest   float64
	CutAnswer    float64
	DelayRequest float64
	DelayAnswer  float64

	Delay time.Duration // the longest; delays are spread evenly below it

	// Seed makes the draws the same in every run. Which request gets which is up to the order in which they come.
	Seed uint64
}

// plan is what is going to happen to requests. The proxy's mutex is held for all of it.
type plan struct {
	once   []injury // for the next requests, before the mix
	mix    Mix
	random *rand.Rand // nil: no mix
	count  [kinds]int
}

// injury is a fault and how long it takes.
type injury struct {
	fault Fault
	delay time.Duration
}

// Once lets f happen to the next request of any client. Further ones wait for the requests that follow. The delay is
// for the faults that have one.
func (p *Proxy) Once(f Fault, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan.once = append(p.plan.once, injury{f, delay})
}

// Inject lets faults happen from now on, instead of those of an earlier mix. The zero Mix ends them. The error tells of
// probabilities out of range and changes nothing.
func (p *Proxy) Inject(m Mix) error {
	sum := 0.0
	for _, probability := range []float64{m.CutRequest, m.CutAnswer, m.DelayRequest, m.DelayAnswer} {
		if !(probability >= 0) { // also what is not a number
			return fmt.Errorf("faults: a probability must be between 0 and 1, got %v", probability)
		}
		sum += probability
	}
	if sum > 1 || m.Delay < 0 {
		return fmt.Errorf("faults: probabilities must be 1 in all, and a delay not negative, got %v and %v", sum, m.Delay)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan.mix, p.plan.random = m, nil
	if sum > 0 {
		p.plan.random = rand.New(rand.NewPCG(m.Seed, 0))
	}
	return nil
}

// Count returns how often f has happened: a test that meets no fault shows nothing.
func (p *Proxy) Count(f Fault) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f >= kinds {
		return 0
	}
	return p.plan.count[f]
}

// draw says what goes wrong with the next request. The zero injury is nothing.
func (p *Proxy) draw() injury {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.plan.next()
	p.plan.count[i.fault]++
	return i
}

func (p *plan) next() injury {
	if len(p.once) > 0 {
		i := p.once[0]
		p.once = p.once[1:]
		return i
	}
	if p.random == nil {
		return injury{}
	}
	delay := time.Duration(p.random.Float64() * float64(p.mix.Delay))
	at := p.random.Float64()
	for _, c := range []struct {
		fault       Fault
		probability float64
	}{
		{CutRequest, p.mix.CutRequest},
		{CutAnswer, p.mix.CutAnswer},
		{DelayRequest, p.mix.DelayRequest},
		{DelayAnswer, p.mix.DelayAnswer},
	} {
		if at < c.probability {
			return injury{c.fault, delay}
		}
		at -= c.probability
	}
	return injury{}
}
