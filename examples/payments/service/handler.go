package service

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// TenantHeader names on whose behalf a request is made. A service that is open to others takes the tenant from the
// caller's credentials instead.
const TenantHeader = "X-Tenant"

// Handler is the HTTP API of the service.
type Handler struct {
	mux      http.ServeMux
	settings Settings
	gateway  *Gateway
	ledger   *Ledger
}

// NewHandler returns the API, guarded against requests that come more than once.
func NewHandler(settings Settings, once idempotencyfx.Middleware, gateway *Gateway, ledger *Ledger) *Handler {
	h := &Handler{settings: settings, gateway: gateway, ledger: ledger}
	h.mux.Handle("POST /payments", once(http.HandlerFunc(h.pay)))
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// pay charges an order and answers 201 with the payment.
func (h *Handler) pay(w http.ResponseWriter, r *http.Request) {
	call, ok := idempotency.CallOf(r.Context())
	if !ok {
		unguarded().write(w)
		return
	}
	order, err := readOrder(r.Body)
	if err != nil {
		unreadable(err).write(w)
		return
	}
	if problems := order.problems(h.settings); len(problems) > 0 {
		invalid(strings.Join(problems, "; ")).write(w)
		return
	}
	id := paymentID(call)
	charge, err := h.gateway.Charge(r.Context(), id, order)
	if err != nil {
		problemOf(err).write(w)
		return
	}
	payment := newPayment(id, order, charge)
	if err := h.ledger.Accept(payment); err != nil {
		notRecorded().write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(payment) // fails only for a client that is gone
}
