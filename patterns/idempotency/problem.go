package idempotency

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Machine codes of answers of a [Middleware] that are not an error of this package.
const (
	CodeKeyMissing    = "LEX_ERR_IDEM_007" // 400: the route requires a key
	CodeKeyMalformed  = "LEX_ERR_IDEM_008" // 400
	CodeCallerUnknown = "LEX_ERR_IDEM_009" // 403: the Scope names nobody
	CodeBodyTooLarge  = "LEX_ERR_IDEM_010" // 413
	CodeNotReplayable = "LEX_ERR_IDEM_011" // 410: carried out once, but the response was not kept
)

// problem is the body of an answer that is not the handler's (RFC 9457), with a machine code.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`

	retryAfter time.Duration // 0: no such header
}

// The titles of keyMissing, keyReused and outstanding are those of the draft (section 2.7).

func keyMissing() problem {
	return problem{
		Status: http.StatusBadRequest, Code: CodeKeyMissing, Title: "Idempotency-Key is missing",
		Detail: "This operation requires the request header Idempotency-Key. Send one that is unique to the operation.",
	}
}

func keyMalformed(err error) problem {
	return problem{
		Status: http.StatusBadRequest, Code: CodeKeyMalformed, Title: "Idempotency-Key is malformed",
		Detail: "Correct the request header Idempotency-Key: " + err.Error() + ".",
	}
}

func callerUnknown() problem {
	return problem{
		Status: http.StatusForbidden, Code: CodeCallerUnknown, Title: "Idempotency-Key belongs to nobody",
		Detail: "It is not known on whose behalf this request is made, so that its Idempotency-Key cannot be kept apart " +
			"from those of others.",
	}
}

func keyReused() problem {
	return problem{
		Status: http.StatusUnprocessableEntity, Code: CodeDuplicate, Title: "Idempotency-Key is already used",
		Detail: "This Idempotency-Key was used for another request. Send a new key with a new request, or the same " +
			"request with this key.",
	}
}

// outstanding says to come back after the rest of the lease, or after a few seconds: a lease is renewed for as long as
// the request takes, so that it says when a dead process is given up, not when a live one is done.
func outstanding(lease time.Duration) problem {
	return problem{
		Status: http.StatusConflict, Code: CodeConflict, Title: "A request is outstanding for this Idempotency-Key",
		Detail:     "A request with this Idempotency-Key is still being processed. Send it again later.",
		retryAfter: min(max(lease, time.Second), 3*time.Second),
	}
}

func bodyTooLarge(limit int64) problem {
	return problem{
		Status: http.StatusRequestEntityTooLarge, Code: CodeBodyTooLarge, Title: "Request body is too large",
		Detail: "A request with an Idempotency-Key may have a body of up to " + strconv.FormatInt(limit, 10) + " bytes.",
	}
}

func bodyUnreadable() problem {
	return problem{
		Status: http.StatusBadRequest, Code: CodeIdempotency, Title: "Request body is incomplete",
		Detail: "The body of this request could not be read to its end. Nothing was done. Send the request again.",
	}
}

// notReplayable is neither 409, which tells the client to try again, nor a 5xx, which makes it: 410 says that what was
// asked for is gone for good.
func notReplayable() problem {
	return problem{
		Status: http.StatusGone, Code: CodeNotReplayable, Title: "The response for this Idempotency-Key was not kept",
		Detail: "The request with this Idempotency-Key was carried out and will not be repeated. Its response was too " +
			"large to be kept, or was streamed. Look up the outcome by other means.",
	}
}

// storeDown promises nothing about when the store will be back; the time only spreads the retries.
func storeDown() problem {
	return problem{
		Status: http.StatusServiceUnavailable, Code: CodeBackend, Title: "Idempotency-Key cannot be honoured",
		Detail:     "The store of idempotency keys is not available. Nothing was done. Send the request again later.",
		retryAfter: 5 * time.Second,
	}
}

func unreadable() problem {
	return problem{
		Status: http.StatusInternalServerError, Code: CodeStore, Title: "The response for this Idempotency-Key is unreadable",
		Detail: "The request with this Idempotency-Key was carried out and will not be repeated, but its stored " +
			"response cannot be read.",
	}
}

// write sends the problem, with the address of a documentation as its type.
func (p problem) write(w http.ResponseWriter, documentation string) {
	p.Type = documentation
	if p.Type == "" {
		p.Type = "about:blank"
	}
	body, _ := json.Marshal(p) // strings and a number cannot fail
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Language", "en")
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64((p.retryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // fails only for a client that is gone
}
