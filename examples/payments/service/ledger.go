package service

import "sync"

// Ledger holds the payments that the service has accepted. It stands in for the service's database.
type Ledger struct {
	mu      sync.Mutex
	entries map[string]*Entry
}

// Entry is an accepted payment.
type Entry struct {
	Payment  Payment
	Accepted int // how often; more than once if a request acted again, see the package comment
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{entries: map[string]*Entry{}} }

// Accept records a payment. To accept the same one again changes nothing but the count.
func (l *Ledger) Accept(p Payment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[p.ID]
	if e == nil {
		e = &Entry{Payment: p}
		l.entries[p.ID] = e
	}
	e.Accepted++
}

// Size returns the number of payments.
func (l *Ledger) Size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Entries returns the payments, in no order.
func (l *Ledger) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Entry, 0, len(l.entries))
	for _, e := range l.entries {
		all = append(all, *e)
	}
	return all
}
