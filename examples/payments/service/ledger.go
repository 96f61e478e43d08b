package service

import (
	"sync"

	"go.uber.org/fx"
)

// Ledger holds the payments that the service has accepted. It stands in for the service's database.
type Ledger struct {
	mu      sync.Mutex
	entries map[string]*Entry
	journal *journal // nil: there is none
}

// Entry is an accepted payment.
type Entry struct {
	Payment  Payment
	Accepted int // how often; more than once if a request acted again, see the package comment
}

// NewLedger returns a ledger that is as it was when the last process with the same journal ended, however that was.
func NewLedger(lc fx.Lifecycle, settings Settings) *Ledger {
	l := &Ledger{entries: map[string]*Entry{}}
	if path := settings.Journal; path != "" {
		lc.Append(fx.StartStopHook(
			func() (err error) { l.journal, err = openJournal(path, l.enter); return err },
			func() error { return l.journal.close() },
		))
	}
	return l
}

// ReadLedger returns what the journals of several processes, which may be running, hold together.
func ReadLedger(journals ...string) (*Ledger, error) {
	l := &Ledger{entries: map[string]*Entry{}}
	for _, path := range journals {
		if _, err := readJournal(path, l.enter); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Accept records a payment. To accept the same one again changes nothing but the count. After an error it is not known
// whether the payment was recorded.
func (l *Ledger) Accept(p Payment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.journal != nil {
		if err := l.journal.append(p); err != nil {
			return err
		}
	}
	l.enter(p)
	return nil
}

func (l *Ledger) enter(p Payment) {
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
