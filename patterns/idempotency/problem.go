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

// draft is where problems point to without [WithDocumentation].
const draft = "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07"

// The titles of keyMissing, keyReused and outstanding are those of the draft (section 2.7).

func (m *middleware) keyMissing() problem {
	return problem{
		Status: http.StatusBadRequest, Code: CodeKeyMissing, Title: m.header + " is missing",
		Detail: "This operation requires the request header " + m.header + ". Send one that is unique to the operation.",
	}
}

func (m *middleware) keyMalformed(err *MalformedKeyError) problem {
	return problem{
		Status: http.StatusBadRequest, Code: CodeKeyMalformed, Title: m.header + " is malformed",
		Detail: "Correct the request header " + m.header + ": " + err.Problem + ".",
	}
}

func (m *middleware) callerUnknown() problem {
	return problem{
		Status: http.StatusForbidden, Code: CodeCallerUnknown, Title: m.header + " belongs to nobody",
		Detail: "It is not known on whose behalf this request is made, so that its " + m.header + " cannot be kept apart " +
			"from those of others.",
	}
}

func (m *middleware) keyReused() problem {
	return problem{
		Status: http.StatusUnprocessableEntity, Code: CodeDuplicate, Title: m.header + " is already used",
		Detail: "This " + m.header + " was used for another request. Send a new key with a new request, or the same " +
			"request with this key.",
	}
}

// outstanding says to come back after the rest of the lease, or after a few seconds: a lease is renewed for as long as
// the request takes, so that it says when a dead process is given up, not when a live one is done.
func (m *middleware) outstanding(lease time.Duration) problem {
	return problem{
		Status: http.StatusConflict, Code: CodeConflict, Title: "A request is outstanding for this " + m.header,
		Detail:     "A request with this " + m.header + " is still being processed. Send it again later.",
		retryAfter: min(max(lease, time.Second), 3*time.Second),
	}
}

func (m *middleware) bodyTooLarge(limit int64) problem {
	return problem{
		Status: http.StatusRequestEntityTooLarge, Code: CodeBodyTooLarge, Title: "Request body is too large",
		Detail: "A request with the header " + m.header + " may have a body of up to " + strconv.FormatInt(limit, 10) +
			" bytes.",
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
func (m *middleware) notReplayable() problem {
	return problem{
		Status: http.StatusGone, Code: CodeNotReplayable, Title: "The response for this " + m.header + " was not kept",
		Detail: "The request with this " + m.header + " was carried out and will not be repeated. Its response was too " +
			"large to be kept, or was streamed. Look up the outcome by other means.",
	}
}

// storeDown promises nothing about when the store will be back; the time only spreads the retries.
func (m *middleware) storeDown() problem {
	return problem{
		Status: http.StatusServiceUnavailable, Code: CodeBackend, Title: m.header + " cannot be honoured",
		Detail:     "The store of idempotency keys is not available. Nothing was done. Send the request again later.",
		retryAfter: 5 * time.Second,
	}
}

func (m *middleware) responseUnreadable() problem {
	return problem{
		Status: http.StatusInternalServerError, Code: CodeStore,
		Title: "The response for this " + m.header + " is unreadable",
		Detail: "The request with this " + m.header + " was carried out and will not be repeated, but its stored " +
			"response cannot be read. Look up the outcome by other means.",
	}
}

func (m *middleware) recordUnreadable() problem {
	return problem{
		Status: http.StatusInternalServerError, Code: CodeStore,
		Title: "The record of this " + m.header + " is unreadable",
		Detail: "There is a record of this " + m.header + ", but it cannot be read. The request was not carried out now; " +
			"whether it was before is not known. Look up the outcome by other means.",
	}
}

// write sends the problem. The address of the documentation is its type and the target of its link (draft, section 2.7).
func (p problem) write(w http.ResponseWriter, documentation string) {
	p.Type = documentation
	body, _ := json.Marshal(p) // strings and a number cannot fail
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Language", "en")
	header.Add("Link", "<"+documentation+`>; rel="describedby"; type="text/html"`)
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64((p.retryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // fails only for a client that is gone
}
