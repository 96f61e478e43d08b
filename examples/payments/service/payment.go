package service

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// Order is what a client asks for.
type Order struct {
	Reference string `json:"reference"` // what the payer reads on the statement
	Account   string `json:"account"`
	Amount    int64  `json:"amount"` // in the smallest unit of the currency
	Currency  string `json:"currency"`
}

// readOrder wants exactly one order, with no field that it does not know.
func readOrder(body io.Reader) (Order, error) {
	var order Order
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&order); err != nil {
		return Order{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Order{}, errors.New("something follows the order")
	}
	return order, nil
}

const maxText = 64

// problems returns what is wrong with the order, in words for the client.
func (o Order) problems(s Settings) []string {
	var problems []string
	text := func(name, value string) {
		if value == "" || len(value) > maxText {
			problems = append(problems, fmt.Sprintf("%s must have 1 to %d bytes", name, maxText))
		}
	}
	text("reference", o.Reference)
	text("account", o.Account)
	if o.Amount < 1 || o.Amount > s.MaxAmount {
		problems = append(problems, fmt.Sprintf("amount must be from 1 to %d", s.MaxAmount))
	}
	if !slices.Contains(s.Currencies, o.Currency) {
		problems = append(problems, "currency must be one of "+strings.Join(s.Currencies, ", "))
	}
	return problems
}

// Payment is an order that was charged.
type Payment struct {
	ID string `json:"id"`
	Order
	Charge string    `json:"charge"` // the provider's name for it
	PaidAt time.Time `json:"paid_at"`
}

// newPayment makes a payment of nothing but the order and the charge, so that whoever asks the provider again gets the
// same payment.
func newPayment(id string, order Order, charge Charge) Payment {
	return Payment{ID: id, Order: order, Charge: charge.ID, PaidAt: charge.ChargedAt}
}

// paymentID names the payment that a call means. It is the provider's Idempotency-Key too.
func paymentID(call idempotency.Call) string {
	digest := idempotency.Fingerprint([]byte(call.Scope), []byte(call.Key))
	return "pay_" + hex.EncodeToString(digest[:16])
}
