package resiliencehttp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/steadyfx/steady/patterns"
)

// problem is the body of an answer that is not the handler's (RFC 9457), with a machine code. It has nothing of the
// text of an error, which names what clients need not know.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`

	retryAfter time.Duration // 0: no such header
}

// problemOf says in HTTP why there is no response of the handler. Limited says that it is of a rate limit.
func problemOf(err error, ran, limited bool) problem {
	p := problem{Type: "about:blank", Code: cmp.Or(patterns.Code(err), patterns.CodeResilience)}
	gone, late := errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded)
	switch {
	case ran && late:
		p.Status, p.Title = http.StatusGatewayTimeout, "The request took too long"
		p.Detail = "The request was not answered in time. It may have been carried out all the same."
	case ran && gone:
		p.Status, p.Title = http.StatusServiceUnavailable, "The request was cancelled"
		p.Detail = "The request was given up before it was answered. It may have been carried out all the same."
	case limited && !ran:
		p.Status, p.Title = http.StatusTooManyRequests, "Too many requests"
		p.Detail = "The limit of requests is used up. Nothing was done. Send the request again later."
		p.retryAfter = waitOf(err)
	case !ran && (gone || late || errors.Is(err, patterns.ErrRejected)):
		p.Status, p.Title = http.StatusServiceUnavailable, "Service is unavailable"
		p.Detail = "The service cannot take this request now. Nothing was done. Send the request again later."
		p.retryAfter = waitOf(err)
	default:
		p.Status, p.Title = http.StatusInternalServerError, "Internal server error"
		p.Detail = "The request could not be answered."
	}
	return p
}

// waitOf returns when a client that was refused should come again.
func waitOf(err error) time.Duration {
	wait, _ := patterns.RetryIn(err)
	return max(wait, time.Second)
}

func (p problem) write(w http.ResponseWriter) {
	body, _ := json.Marshal(p) // strings and a number cannot fail
	header := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Etag", "Last-Modified"} { // of no problem
		header.Del(name)
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Language", "en")
	header.Set("Cache-Control", "no-store")
	if p.retryAfter > 0 {
		header.Set("Retry-After", seconds(p.retryAfter))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // fails only for a client that is gone
}

// seconds returns d in whole seconds, rounded up: who comes early comes in vain.
func seconds(d time.Duration) string {
	whole := d / time.Second
	if d%time.Second > 0 {
		whole++
	}
	return strconv.FormatInt(int64(max(whole, 0)), 10)
}
