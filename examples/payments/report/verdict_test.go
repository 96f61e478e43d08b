package report

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/steadyfx/steady/examples/payments/provider"
	"github.com/steadyfx/steady/examples/payments/service"
	"github.com/steadyfx/steady/examples/payments/traffic"
)

// books of a run in which order-1 was paid, order-2 declined, and order-3 charged, but given up by the client.
func books() Books {
	accepted := func(n int) service.Entry {
		return service.Entry{Accepted: 1, Payment: service.Payment{
			ID: fmt.Sprintf("pay_%d", n), Order: service.Order{Reference: fmt.Sprintf("order-%d", n)},
			Charge: fmt.Sprintf("ch_%d", n),
		}}
	}
	charged := func(n int) provider.Charge {
		return provider.Charge{ID: fmt.Sprintf("ch_%d", n), Reference: fmt.Sprintf("order-%d", n), Amount: 100}
	}
	return Books{
		Told: []traffic.Payment{
			{Reference: "order-1", Amount: 100, Status: http.StatusCreated, ID: "pay_1"},
			{Reference: "order-2", Amount: 900, Status: http.StatusPaymentRequired},
			{Reference: "order-3", Amount: 100},
			{Reference: "order-4", Amount: 100},
		},
		Accepted: []service.Entry{accepted(1), accepted(3)},
		Charged:  []provider.Charge{charged(1), charged(3)},
	}
}

// busy is a summary of a run in which all that should happen did.
func busy() Summary {
	return Summary{
		Clients: traffic.Counts{Accepted: 1, Replays: 1, Conflicts: 1, Mismatches: 1, Disconnects: 1},
		Service: Service{Retries: 1, Transitions: 1},
	}
}

func TestBooksThatAgree(t *testing.T) {
	if v := Judge(books(), busy(), true); !v.OK() {
		t.Errorf("got %+v, want nothing wrong", v)
	}
}

func TestOffences(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Books)
		want   string
	}{
		{"charged twice", func(b *Books) {
			b.Charged = append(b.Charged, provider.Charge{ID: "ch_9", Key: "other", Reference: "order-1", Amount: 100})
		}, "order-1: charged 2 times: [ch_1 ch_9]"},
		{"not charged", func(b *Books) { b.Charged = b.Charged[1:] },
			"order-1: lost: the client was told that it is paid, but the provider"},
		{"accepted, but not charged", func(b *Books) { b.Charged = b.Charged[:1] },
			"order-3: accepted by the service, but not charged"},
		{"not known to the service", func(b *Books) { b.Accepted = b.Accepted[1:] },
			"order-1: lost: the client was told that it is paid, but the service"},
		{"known as another payment", func(b *Books) { b.Told[0].ID = "pay_9" }, "order-1: the client was told pay_9"},
		{"accepted with another charge", func(b *Books) { b.Accepted[0].Payment.Charge = "ch_9" },
			"order-1: charged as ch_1, but accepted as ch_9"},
		{"two payments", func(b *Books) { b.Accepted = append(b.Accepted, b.Accepted[0]) },
			"order-1: the service holds 2 payments"},
		{"another amount", func(b *Books) { b.Charged[0].Amount = 101 }, "order-1: charged 101"},
		{"acted twice", func(b *Books) { b.Accepted[0].Accepted = 2 }, "order-1: the service has acted on it 2 times"},
		{"declined, but charged", func(b *Books) { b.Told[0].Status = http.StatusPaymentRequired },
			"order-1: the client was told that it is declined"},
		{"asked for by nobody", func(b *Books) { b.Told = b.Told[1:] }, "order-1: charged or accepted, but no client"},
		{"seen by the client", func(b *Books) { b.Told[3].Offences = []string{"a later answer differs"} },
			"order-4: a later answer differs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := books()
			test.change(&b)
			v := Judge(b, busy(), true)
			if v.OK() || !slices.ContainsFunc(v.Offences, func(o string) bool { return strings.HasPrefix(o, test.want) }) {
				t.Errorf("got %q, want %q", v.Offences, test.want)
			}
		})
	}
}

func TestToActTwiceIsAllowedWhereTheStoreCanBeLost(t *testing.T) {
	b := books()
	b.Accepted[0].Accepted = 2
	if v := Judge(b, busy(), false); !v.OK() {
		t.Errorf("got %+v, want nothing wrong", v)
	}
}

func TestRunInWhichNothingHappenedProvesNothing(t *testing.T) {
	v := Judge(Books{}, Summary{}, true)
	if v.OK() || len(v.Unexercised) != 7 {
		t.Errorf("got %+v, want all 7 that never happened", v)
	}
	for what, change := range map[string]func(*Summary){
		"accepted":     func(s *Summary) { s.Clients.Accepted = 0 },
		"replayed":     func(s *Summary) { s.Clients.Replays = 0 },
		"running":      func(s *Summary) { s.Clients.Conflicts = 0 },
		"another":      func(s *Summary) { s.Clients.Mismatches = 0 },
		"disconnected": func(s *Summary) { s.Clients.Disconnects = 0 },
		"again":        func(s *Summary) { s.Service.Retries = 0 },
		"breaker":      func(s *Summary) { s.Service.Transitions = 0 },
	} {
		s := busy()
		change(&s)
		if v := Judge(books(), s, true); len(v.Unexercised) != 1 || !strings.Contains(v.Unexercised[0], what) {
			t.Errorf("got %q, want one about %q", v.Unexercised, what)
		}
	}
}

func TestGivenUpCountsPaymentsWithoutAFinalAnswer(t *testing.T) {
	if got := GivenUp(books().Told); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func TestVerdictInWords(t *testing.T) {
	for _, test := range []struct {
		name    string
		verdict Verdict
		want    []string
	}{
		{"passed", Verdict{}, []string{"PASS: "}},
		{"failed", Verdict{Offences: []string{"order-1: charged 2 times"}}, []string{"FAIL: order-1: charged 2 times"}},
		{"vacuous", Verdict{Unexercised: []string{"an answer was replayed"}}, []string{"FAIL: this run proves nothing"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			test.verdict.Write(&out)
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got %q, want %q in it", out.String(), want)
				}
			}
		})
	}
}
