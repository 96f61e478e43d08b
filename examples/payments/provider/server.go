package provider

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Limit is the largest amount that an account can pay. Above it a charge is declined with 402.
const Limit = 500_000

const (
	quickest, slowest = 5 * time.Millisecond, 25 * time.Millisecond // of a request that goes well
	stall             = 2 * time.Second                             // of one that does not
	maxBody           = 64 << 10
)

// Server is the provider. It is an http.Handler that takes POST /charges.
type Server struct {
	phases []Phase
	ledger ledger

	mu    sync.Mutex
	rng   *rand.Rand
	began time.Time // with the first request
}

// NewServer returns a provider that goes through phases, of which there must be one, from its first request on.
func NewServer(phases []Phase, seed uint64) *Server {
	return &Server{phases: phases, rng: rand.New(rand.NewPCG(seed, 0))}
}

// Phase returns the current phase.
func (s *Server) Phase() Phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		return s.phases[0]
	}
	return at(s.phases, time.Since(s.began))
}

// Charges returns the ledger, oldest first.
func (s *Server) Charges() []Charge { return s.ledger.all() }

// Charged returns the number of charges.
func (s *Server) Charged() int { return s.ledger.size() }

// ServeHTTP answers 201 with the charge, unless something is wrong with the request or it is time to misbehave.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/charges" {
		http.NotFound(w, r)
		return
	}
	var want Charge
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&want); err != nil {
		http.Error(w, "the body is not a charge", http.StatusBadRequest)
		return
	}
	want.Key = r.Header.Get("Idempotency-Key")
	switch {
	case want.Key == "" || want.Amount <= 0:
		http.Error(w, "an Idempotency-Key and an amount are required", http.StatusBadRequest)
		return
	case want.Amount > Limit:
		http.Error(w, "declined", http.StatusPaymentRequired)
		return
	}

	behaviour, charged, latency := s.draw()
	if charged {
		s.ledger.charge(want)
	}
	switch behaviour {
	case Failing:
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	case Cutting:
		panic(http.ErrAbortHandler) // net/http closes the connection
	case Stalling:
		latency = stall
	case Healthy:
	}
	if !wait(r.Context(), latency) {
		return // the client has gone, and nothing more happens
	}
	charge, ok := s.ledger.charge(want)
	if !ok {
		http.Error(w, "the Idempotency-Key belongs to another charge", http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(charge) // fails only for a client that is gone
}

// draw decides how to treat one request: well or not, whether it charges before it goes wrong, and how long it takes if
// it does not.
func (s *Server) draw() (behaviour Behaviour, charged bool, latency time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		s.began = time.Now()
	}
	behaviour = at(s.phases, time.Since(s.began)).Behaviour
	latency = quickest + time.Duration(s.rng.Int64N(int64(slowest-quickest)))
	if behaviour == Cutting && s.rng.IntN(5) >= 2 {
		behaviour = Healthy
	}
	return behaviour, behaviour != Healthy && s.rng.IntN(2) == 0, latency
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
