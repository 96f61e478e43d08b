package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/bulkhead"
	"github.com/steadyfx/steady/patterns/circuitbreaker"
)

// problem is the body of an answer that is not a payment (RFC 9457). It never holds the text of an error.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code,omitempty"` // of the library's error behind it

	retryAfter time.Duration // 0: no such header
}

func unguarded() problem {
	return problem{Status: http.StatusInternalServerError, Title: "Payments are not guarded against duplicates"}
}

func unreadable(err error) problem {
	p := problem{
		Status: http.StatusBadRequest, Title: "Body is not an order",
		Detail: "The body must be one JSON object with the fields reference, account, amount and currency.",
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		p.Detail = "The field " + strconv.Quote(wrong.Field) + " has the wrong type."
	}
	return p
}

func invalid(detail string) problem {
	return problem{Status: http.StatusUnprocessableEntity, Title: "Order is invalid", Detail: detail}
}

// notRecorded is of 5xx, so that the client comes again: the provider then answers with the charge that was made.
func notRecorded() problem {
	return problem{Status: http.StatusServiceUnavailable, Title: "Payment could not be recorded", Detail: mayHaveCharged,
		retryAfter: time.Second}
}

const mayHaveCharged = "It may have charged all the same. Send the request again with the same Idempotency-Key."

// problemOf says in HTTP why a charge was not made, or may not have been.
//
// The status decides what becomes of the Idempotency-Key: an answer of 4xx is the answer to every later request with the
// key, after one of 5xx the client may try again.
func problemOf(err error) problem {
	p := problem{Code: patterns.Code(err)}
	refused, isRefused := errors.AsType[*RefusedError](err)
	open, isOpen := errors.AsType[*circuitbreaker.OpenError](err)
	switch {
	case isRefused && refused.Status == http.StatusPaymentRequired:
		p.Status, p.Title = http.StatusPaymentRequired, "Payment was declined"
	case isRefused && refused.Status == http.StatusUnprocessableEntity:
		p.Status, p.Title = http.StatusUnprocessableEntity, "Idempotency-Key belongs to another payment"
	case isRefused:
		p.Status, p.Title = http.StatusBadGateway, "Payment provider does not understand the payment"
	case isOpen:
		p.Status, p.Title = http.StatusServiceUnavailable, "Payment provider is out of order"
		p.retryAfter = max(open.RetryAfter, time.Second)
		if !errors.Is(err, patterns.ErrRejected) { // an attempt before it did run
			p.Detail = mayHaveCharged
		}
	case errors.Is(err, bulkhead.ErrRejected):
		p.Status, p.Title = http.StatusServiceUnavailable, "Too many payments at once"
		p.retryAfter = time.Second
	case errors.Is(err, context.DeadlineExceeded):
		p.Status, p.Title = http.StatusGatewayTimeout, "Payment provider did not answer in time"
		p.Detail = mayHaveCharged
	default:
		p.Status, p.Title = http.StatusBadGateway, "Payment provider failed"
		p.Detail = mayHaveCharged
	}
	return p
}

func (p problem) write(w http.ResponseWriter) {
	p.Type = "about:blank"
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	if p.retryAfter > 0 {
		seconds := (p.retryAfter + time.Second - 1) / time.Second // an earlier retry would be in vain
		header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // fails only for a client that is gone
}
