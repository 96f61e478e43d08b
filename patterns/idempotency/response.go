package idempotency

import (
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// replayedHeader marks a response that comes from the store.
const replayedHeader = "Idempotent-Replayed"

// storedResponse is what is kept of a handler's response.
//
// It is stored as the format byte, the status, each header as its name, the number of its values and the values, an
// empty name, and the body. Numbers are varints, and texts come after their length.
type storedResponse struct {
	status int
	header []byte // as it is stored
	values int    // in header
	body   []byte
}

// keeping says what is kept of responses.
type keeping struct {
	maxBody      int64
	serverErrors bool
	more         []string // headers besides those of replayable
}

// status reports whether a response with this status is the answer to every later request with the key. The statuses
// left out mean that the request was not, or perhaps not, carried out and may be sent again: 408 Request Timeout, 409
// Conflict, 425 Too Early, 429 Too Many Requests, and all of 5xx.
func (k *keeping) status(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return status >= 200 && status < 500 || k.serverErrors && status >= 500 && status < 600
	}
}

// header reports whether a header is kept.
func (k *keeping) header(name string) bool {
	if replayable(name) { // as it is written, which is nearly always canonical
		return true
	}
	name = http.CanonicalHeaderKey(name)
	return replayable(name) || slices.Contains(k.more, name)
}

// keepHeaders adds to the headers that are kept, except those that must not be.
func (k *keeping) keepHeaders(names []string) {
	for _, name := range names {
		if name = http.CanonicalHeaderKey(name); !ofTheExchange(name) {
			k.more = append(k.more, name)
		}
	}
}

// replayable reports whether a header describes the result.
func replayable(name string) bool {
	switch name {
	case "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Location",
		"Content-Type", "Etag", "Last-Modified", "Link", "Location", "Vary":
		return true
	default:
		return false
	}
}

// ofTheExchange reports whether a header is about the first exchange: its connection, its date, its client's credentials
// and cookies. One without a name is no header.
func ofTheExchange(name string) bool {
	switch name {
	case "", "Set-Cookie", "Set-Cookie2", "Date", replayedHeader,
		"Authorization", "Www-Authenticate", "Authentication-Info",
		"Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info",
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
		return true
	default:
		return strings.HasPrefix(name, http.TrailerPrefix)
	}
}

// headRoom is for the status and the headers of most responses, and for a short body.
const headRoom = 256

// appendHead appends what is stored of a response before its body.
func appendHead(stored []byte, status int, header fields, kept *keeping) []byte {
	stored = binary.AppendUvarint(append(stored, formatResponse), uint64(status))
	for _, field := range header {
		if kept.header(field.name) {
			stored = binary.AppendUvarint(appendText(stored, field.name), uint64(len(field.values)))
			for _, value := range field.values {
				stored = appendText(stored, value)
			}
		}
	}
	return appendText(stored, "")
}

func appendText(stored []byte, text string) []byte {
	return append(binary.AppendUvarint(stored, uint64(len(text))), text...)
}

func decodeResponse(stored []byte) (storedResponse, error) {
	data, err := payload(stored, formatResponse)
	if err != nil {
		return storedResponse{}, err
	}
	in := input{rest: data}
	resp := storedResponse{status: int(in.number()), header: in.rest}
	for len(in.bytes()) > 0 { // the name
		for left := in.number(); left > 0 && !in.broken; left-- {
			in.bytes()
			resp.values++
		}
	}
	if in.broken || resp.status < 200 || resp.status > 999 {
		return storedResponse{}, errors.New("the stored response is not one")
	}
	resp.header = resp.header[:len(resp.header)-len(in.rest)]
	resp.body = in.rest
	return resp, nil
}

// replay sends the response once more.
func (resp storedResponse) replay(w http.ResponseWriter) {
	resp.restore(w.Header())
	w.WriteHeader(resp.status)
	if len(resp.body) > 0 {
		_, _ = w.Write(resp.body) // fails only for a client that is gone
	}
}

// restore adds what is stored to a header. All of its texts are parts of one, and all of its values of one slice.
func (resp storedResponse) restore(header http.Header) {
	in, all := input{rest: resp.header}, string(resp.header)
	text := func() string {
		length := len(in.bytes())
		end := len(all) - len(in.rest)
		return all[end-length : end]
	}
	values := make([]string, 0, resp.values+1)
	for name := text(); name != ""; name = text() {
		first := len(values)
		for left := in.number(); left > 0; left-- {
			values = append(values, text())
		}
		if len(values) == first {
			header[name] = nil // so net/http must not find a value by itself
		} else {
			header[name] = slices.Clip(values[first:])
		}
	}
	values = append(values, "true")
	header[replayedHeader] = values[len(values)-1:]
}

// input reads what appendHead has written. Once it is broken, all that follows is empty.
type input struct {
	rest   []byte
	broken bool
}

func (in *input) number() uint64 {
	value, n := binary.Uvarint(in.rest)
	if n <= 0 {
		*in = input{broken: true}
		return 0
	}
	in.rest = in.rest[n:]
	return value
}

func (in *input) bytes() []byte {
	length := in.number()
	if length > uint64(len(in.rest)) {
		*in = input{broken: true}
		return nil
	}
	data := in.rest[:length]
	in.rest = in.rest[length:]
	return data
}

func (in *input) text() string { return string(in.bytes()) }
