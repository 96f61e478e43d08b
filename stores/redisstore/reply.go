package redisstore

import (
	"fmt"
	"math"
	"time"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// parseClaim reads what claimScript returns.
func parseClaim(reply any, owner string) (idempotency.Claim, error) {
	if fence, ok := reply.(int64); ok {
		c := idempotency.Claim{Outcome: idempotency.Acquired, Token: idempotency.Token{Fence: fence}, Fence: fence}
		copy(c.Token.Owner[:], owner)
		return c, nil
	}
	r, ok := reply.([]any)
	if !ok || len(r) != 5 {
		return idempotency.Claim{}, errReply("claim", reply)
	}
	outcome, ok1 := r[0].(int64)
	fence, ok2 := r[1].(int64)
	left, ok3 := r[2].(int64)
	age, ok4 := r[3].(int64)
	value, ok5 := r[4].(string)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return idempotency.Claim{}, errReply("claim", reply)
	}
	c := idempotency.Claim{Outcome: idempotency.Outcome(outcome), Fence: fence}
	switch c.Outcome {
	case idempotency.InProgress:
		c.RetryAfter = max(duration(left), time.Millisecond)
	case idempotency.Done:
		c.Value, c.ExpiresIn = []byte(value), duration(left)
		c.Age = max(duration(age), 0) // the server's clock may have been set back
	case idempotency.Mismatch:
	default:
		return idempotency.Claim{}, errReply("claim", reply)
	}
	return c, nil
}

// parseRecord reads what getScript returns.
func parseRecord(reply any) (rec idempotency.Record, found bool, err error) {
	r, ok := reply.([]any)
	if ok && len(r) == 0 {
		return idempotency.Record{}, false, nil
	}
	if !ok || len(r) != 6 {
		return idempotency.Record{}, false, errReply("get", reply)
	}
	state, ok1 := r[0].(string)
	fence, ok2 := r[1].(int64)
	created, ok3 := r[2].(int64)
	deadline, ok4 := r[3].(int64)
	fingerprint, ok5 := r[4].(string)
	value, ok6 := r[5].(string)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return idempotency.Record{}, false, errReply("get", reply)
	}
	rec = idempotency.Record{Fingerprint: []byte(fingerprint), Fence: fence, CreatedAt: time.UnixMicro(created)}
	if deadline != 0 {
		rec.ExpiresAt = time.UnixMicro(deadline)
	}
	switch state {
	case "p":
		rec.Status = idempotency.StatusPending
	case "c":
		rec.Status, rec.Value = idempotency.StatusComplete, []byte(value)
	default:
		return idempotency.Record{}, false, errReply("get", reply)
	}
	return rec, true, nil
}

// parseOwned reads what the scripts return that only the owner may run.
func parseOwned(op string, reply any) error {
	switch reply {
	case int64(1):
		return nil
	case int64(0):
		return idempotency.ErrClaimLost
	default:
		return errReply(op, reply)
	}
}

// errReply tells the shape of a reply and nothing of its content, which may be a result.
func errReply(op string, reply any) error {
	shape := fmt.Sprintf("%T", reply)
	if r, ok := reply.([]any); ok {
		shape = fmt.Sprintf("%d elements", len(r))
	}
	return &idempotency.StoreError{Backend: backend, Op: op, Err: fmt.Errorf("unexpected reply, %s: %s", shape, hint)}
}

// duration converts the microseconds of a reply; what is too long for a Duration becomes the longest.
func duration(micros int64) time.Duration {
	if micros > int64(math.MaxInt64/time.Microsecond) {
		return math.MaxInt64
	}
	return time.Duration(micros) * time.Microsecond
}
