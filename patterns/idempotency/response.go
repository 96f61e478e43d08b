package idempotency

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
)

// replayedHeader marks a response that comes from the store.
const replayedHeader = "Idempotent-Replayed"

// storedResponse is what is kept of a handler's response.
//
// It is stored as the format byte, the status, each header as its name, the number of its values and the values, an
// empty name, and the body. Numbers are varints, and texts come after their length.
type storedResponse struct {
	status int
	header http.Header
	body   []byte
}

// kept reports whether a response with this status is the answer to every later request with the key. The statuses
// left out mean that the request was not, or perhaps not, carried out and may be sent again: 408 Request Timeout, 409
// Conflict, 425 Too Early, 429 Too Many Requests, and all of 5xx.
func kept(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return status >= 200 && status < 500
	}
}

// replayable reports whether a header describes the result and not the first exchange: its connection, its date, its
// client's credentials and cookies.
func replayable(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Location",
		"Content-Type", "Etag", "Last-Modified", "Link", "Location", "Vary":
		return true
	default:
		return false
	}
}

func encodeResponse(status int, header http.Header, body []byte) []byte {
	stored := binary.AppendUvarint([]byte{formatResponse}, uint64(status))
	for name, values := range header {
		if replayable(name) {
			stored = binary.AppendUvarint(appendText(stored, name), uint64(len(values)))
			for _, value := range values {
				stored = appendText(stored, value)
			}
		}
	}
	return append(appendText(stored, ""), body...)
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
	resp := storedResponse{status: int(in.number()), header: http.Header{}}
	for name := in.text(); name != ""; name = in.text() {
		resp.header[name] = nil // without a value it says that net/http must not find one
		for left := in.number(); left > 0 && !in.broken; left-- {
			resp.header[name] = append(resp.header[name], in.text())
		}
	}
	if in.broken || !kept(resp.status) {
		return storedResponse{}, errors.New("the stored response is not one")
	}
	resp.body = in.rest
	return resp, nil
}

// input reads what encodeResponse has written. Once it is broken, all that follows is empty.
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

func (in *input) text() string {
	length := in.number()
	if length > uint64(len(in.rest)) {
		*in = input{broken: true}
		return ""
	}
	text := string(in.rest[:length])
	in.rest = in.rest[length:]
	return text
}

// replay sends the response once more.
func (resp storedResponse) replay(w http.ResponseWriter) {
	header := w.Header()
	maps.Copy(header, resp.header)
	header.Set(replayedHeader, "true")
	w.WriteHeader(resp.status)
	if len(resp.body) > 0 {
		_, _ = w.Write(resp.body) // fails only for a client that is gone
	}
}
