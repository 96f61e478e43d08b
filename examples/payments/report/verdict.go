package report

import (
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/steadyfx/steady/examples/payments/provider"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/examples/payments/traffic"
)

// Books are three accounts of the same payments, each kept without looking at the others.
type Books struct {
	Told     []traffic.Payment // by the clients
	Accepted []service.Entry   // by the service
	Charged  []provider.Charge // by the provider
}

// Verdict is what is wrong with a run. The zero value is: nothing.
type Verdict struct {
	Offences    []string // each names a payment
	Unexercised []string // what never happened, so that the run proves nothing about it
}

// OK reports whether nothing is wrong.
func (v Verdict) OK() bool { return len(v.Offences) == 0 && len(v.Unexercised) == 0 }

// Judge compares the books. With actsOnce, that a request was acted on twice is an offence even though it was charged
// once: a store that cannot be lost must prevent it.
func Judge(b Books, s Summary, actsOnce bool) Verdict {
	return Verdict{Offences: offences(b, actsOnce), Unexercised: unexercised(s)}
}

// entry is what the three books say of one payment.
type entry struct {
	told     []traffic.Payment
	accepted []service.Entry
	charged  []provider.Charge
}

func offences(b Books, actsOnce bool) []string {
	// The reference on the payer's statement ties the books together. The keys do not: the provider sees to it that it
	// charges once for each of those.
	entries := map[string]*entry{}
	of := func(reference string) *entry {
		if entries[reference] == nil {
			entries[reference] = new(entry)
		}
		return entries[reference]
	}
	for _, p := range b.Told {
		e := of(p.Reference)
		e.told = append(e.told, p)
	}
	for _, a := range b.Accepted {
		e := of(a.Payment.Reference)
		e.accepted = append(e.accepted, a)
	}
	for _, c := range b.Charged {
		e := of(c.Reference)
		e.charged = append(e.charged, c)
	}
	var all []string
	for reference, e := range entries {
		for _, offence := range e.offences(actsOnce) {
			all = append(all, reference+": "+offence)
		}
	}
	slices.Sort(all)
	return all
}

func (e *entry) offences(actsOnce bool) []string {
	var all []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	charges, payments := len(e.charged), len(e.accepted)
	check(charges < 2, "charged %d times: %v", charges, names(e.charged))
	check(payments < 2, "the service holds %d payments", payments)
	check(len(e.told) > 0, "charged or accepted, but no client has asked for it")
	for _, c := range e.charged {
		for _, p := range e.told {
			check(c.Amount == p.Amount, "charged %d, but the client has asked for %d", c.Amount, p.Amount)
		}
	}
	for _, a := range e.accepted {
		check(charges > 0, "accepted by the service, but not charged")
		for _, c := range e.charged {
			check(c.ID == a.Payment.Charge, "charged as %s, but accepted as %s", c.ID, a.Payment.Charge)
		}
		check(a.Accepted < 2 || !actsOnce, "the service has acted on it %d times", a.Accepted)
	}
	for _, p := range e.told {
		all = append(all, p.Offences...)
		switch p.Status {
		case http.StatusCreated:
			check(charges > 0, "lost: the client was told that it is paid, but the provider knows nothing of it")
			check(payments > 0, "lost: the client was told that it is paid, but the service knows nothing of it")
			for _, a := range e.accepted {
				check(a.Payment.ID == p.ID, "the client was told %s, but the service holds %s", p.ID, a.Payment.ID)
			}
		case http.StatusPaymentRequired:
			check(charges == 0, "the client was told that it is declined, but it was charged")
		}
	}
	return all
}

func names(charges []provider.Charge) []string {
	all := make([]string, len(charges))
	for i, c := range charges {
		all[i] = c.ID
	}
	return all
}

// unexercised returns what must happen in a run for it to prove something.
func unexercised(s Summary) []string {
	type count struct {
		what string
		n    int
	}
	counts := []count{
		{"a payment was accepted", s.Clients.Accepted},
		{"an answer was replayed", s.Clients.Replays},
		{"a request found another one with its key running", s.Clients.Conflicts},
		{"a key was used for another request", s.Clients.Mismatches},
		{"a client disconnected before the answer", s.Clients.Disconnects},
		{"the service tried a charge again", s.Service.Retries},
		{"the circuit breaker changed its state", s.Service.Transitions},
	}
	if s.Replicas > 0 {
		counts = append(counts, count{"a process of the service was killed", s.Kills},
			count{"a request remained without an answer", s.Clients.Unanswered})
	}
	var never []string
	for _, c := range counts {
		if c.n == 0 {
			never = append(never, c.what)
		}
	}
	return never
}

// Write shows the verdict.
func (v Verdict) Write(w io.Writer) {
	if v.OK() {
		fmt.Fprintln(w, "PASS: every payment was charged at most once, every accepted one exactly once, and none was lost.")
		return
	}
	for _, what := range v.Unexercised {
		fmt.Fprintf(w, "FAIL: this run proves nothing, as it never happened that %s\n", what)
	}
	for _, offence := range v.Offences {
		fmt.Fprintf(w, "FAIL: %s\n", offence)
	}
}

// GivenUp counts the payments of which the client never learned what became of them.
func GivenUp(told []traffic.Payment) int {
	n := 0
	for _, p := range told {
		if p.Status == 0 {
			n++
		}
	}
	return n
}
