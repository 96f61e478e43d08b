package traffic

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// reply is an answer of the service. The zero value is none.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// id returns the name of a payment.
func (r reply) id() string {
	var payment struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(r.body, &payment) // what cannot be read has no name
	return payment.ID
}

// code returns the machine code of a problem.
func (r reply) code() string {
	var problem struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(r.body, &problem) // what cannot be read has no code
	return problem.Code
}

func (r reply) retryAfter() (time.Duration, bool) {
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, err == nil && seconds > 0
}

const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second // also where Retry-After asks for more, as the run is short
)

// pause returns how long to wait after an answer, or after none, before the next attempt. It is varied so that clients
// that failed together do not come back together.
func (r reply) pause(attempt int) time.Duration {
	pause, ok := r.retryAfter()
	if !ok {
		pause = firstPause << min(attempt, 10)
	}
	pause = min(pause, longestPause)
	return pause + rand.N(pause/4)
}
