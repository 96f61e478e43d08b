package provider

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Charge is an entry of the provider's ledger.
type Charge struct {
	ID        string    `json:"id"`
	Key       string    `json:"-"`         // the Idempotency-Key of the request
	Reference string    `json:"reference"` // what the payer reads on the statement
	Account   string    `json:"account"`
	Amount    int64     `json:"amount"` // in the smallest unit of the currency
	Currency  string    `json:"currency"`
	ChargedAt time.Time `json:"charged_at"`
}

// ledger holds the charges, one for a key.
type ledger struct {
	mu      sync.Mutex
	charges []Charge
	byKey   map[string]int // index of charges
}

// charge returns the charge of the key, which it makes if there is none, or false if that one is for something else.
func (l *ledger) charge(want Charge) (Charge, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.byKey[want.Key]; ok {
		made := l.charges[i]
		want.ID, want.ChargedAt = made.ID, made.ChargedAt
		return made, want == made
	}
	want.ID = fmt.Sprintf("ch_%06d", len(l.charges)+1)
	want.ChargedAt = time.Now().UTC()
	if l.byKey == nil {
		l.byKey = map[string]int{}
	}
	l.byKey[want.Key] = len(l.charges)
	l.charges = append(l.charges, want)
	return want, true
}

func (l *ledger) all() []Charge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.charges)
}

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.charges)
}
